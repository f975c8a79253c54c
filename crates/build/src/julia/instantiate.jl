# Installs the packages of an environment with Julia's own Pkg: resolves versions where no manifest
# serves, installs what is missing, runs build scripts, precompiles. Works from Julia 1.5 on. The job
# file has one `key value…` a line, values separated by tabs; see `instantiate/job.rs`, which writes
# it. The report has the same form, with backslash, tab and line end escaped.

# Most of what follows runs once, and compiling it would take longer than all that it does: it is
# interpreted. The work itself, which is Pkg's, is compiled as ever (see `native`), and so are build
# scripts and packages, which other processes run: the flag `--compile=min` would reach those.
if isdefined(Base.Experimental, Symbol("@compiler_options"))
    @eval Base.Experimental.@compiler_options compile=min optimize=0 infer=false
end

# Julia 1.5 has no such option for a module, only one for the process.
const COMPILE_OPTION = VERSION >= v"1.6" ? nothing : Ptr{Int8}(cglobal(:jl_options)) +
    fieldoffset(Base.JLOptions, findfirst(==(:compile_enabled), collect(fieldnames(Base.JLOptions))))
const COMPILE_ALL, COMPILE_MIN = Int8(1), Int8(3)
COMPILE_OPTION === nothing || unsafe_store!(COMPILE_OPTION, COMPILE_MIN)

const job = [String.(split(line, '\t')) for line in eachline(ARGS[1])]
const report = open(ARGS[2], "w")
values_of(key) = [fields[2:end] for fields in job if fields[1] == key]
value_of(key, default) = (found = values_of(key); isempty(found) ? default : found[1][1])
has(key) = !isempty(values_of(key))

escaped(x) = replace(replace(replace(replace(string(x), '\\' => "\\\\"), '\t' => "\\t"), '\n' => "\\n"), '\r' => "")
function tell(fields...)
    # Of a vector, as Julia has compiled that already.
    println(report, join(String[escaped(field) for field in fields], '\t'))
    flush(report)
end
# A line that people see while they wait.
say(text) = (println(text); flush(stdout))

# Calls what is not called each time, or is Pkg's own: Julia compiles it only when it gets there.
# Otherwise a script's first call compiles all that it might reach, for seconds.
late(f, args...) = Base.invokelatest(f, args...)

# The same for work that may be long, or that starts a Julia, which is given the options of this one:
# what it calls is compiled.
function native(f, args...; options...)
    COMPILE_OPTION === nothing && return Base.invokelatest(f, args...; options...)
    before = unsafe_load(COMPILE_OPTION)
    unsafe_store!(COMPILE_OPTION, COMPILE_ALL)
    try
        return Base.invokelatest(f, args...; options...)
    finally
        unsafe_store!(COMPILE_OPTION, before)
    end
end

# Ends the process after an error that the caller reads in the report.
function stop(kind, text)
    tell("error", kind, text)
    kind == "pkg" && late(ask_again, text)
    close(report)
    exit(1)
end

const environment = value_of("environment", "")
const offline = has("offline")
const installs = has("install")

if installs
    @eval using Pkg
    @eval import Logging
    offline && isdefined(Pkg, :OFFLINE_MODE) && (Pkg.OFFLINE_MODE[] = true)
end

# ---- Registries -------------------------------------------------------------------------------

# The addresses of the registries in all depots, and how many there are.
function registries()
    count, urls = 0, String[]
    for depot in DEPOT_PATH
        folder = joinpath(depot, "registries")
        isdir(folder) || continue
        for name in readdir(folder)
            file = joinpath(folder, name, "Registry.toml")
            if isfile(file)
                count += 1
                found = match(r"^\s*repo\s*=\s*\"(.*)\""m, read(file, String))
                found === nothing || push!(urls, found.captures[1])
            elseif endswith(name, ".toml") && isfile(joinpath(folder, name))
                # A packed registry (since Julia 1.7).
                count += 1
            end
        end
    end
    return count, urls
end

function installed_urls()
    urls = registries()[2]
    if isdefined(Pkg.Registry, :reachable_registries)
        for registry in Pkg.Registry.reachable_registries()
            registry.repo === nothing || push!(urls, registry.repo)
        end
    end
    return urls
end

plain_url(url) = replace(replace(rstrip(url, '/'), r"\.git$" => ""), r"^file://" => "")

function add_registries()
    offline && return
    count, _ = registries()
    if count == 0
        say("Installing the default registries")
        native(Pkg.Registry.add, RegistrySpec[])
    end
    further = values_of("registry")
    isempty(further) && return
    have = map(plain_url, late(installed_urls))
    for (url,) in further
        plain_url(url) in have && continue
        say("Installing the registry $url")
        native(Pkg.Registry.add, RegistrySpec(url = url))
    end
end

# Gives Pkg an empty registry if there is none: without one it downloads the default registries
# before it does anything else.
function add_empty_registry()
    registries()[1] == 0 || return
    depot = mktempdir()
    folder = joinpath(depot, "registries", "Empty")
    mkpath(folder)
    write(
        joinpath(folder, "Registry.toml"),
        """
        name = "Empty"
        uuid = "5c1e6f0a-7d8b-4f3e-9a52-0d4b8e6c7f10"
        repo = ""

        [packages]
        """,
    )
    push!(DEPOT_PATH, depot)
end

function update_registries()
    offline && return
    try
        native(Pkg.Registry.update)
    catch err
        err isa InterruptException && rethrow()
        @warn "could not update the registries" exception = err
    end
end

# ---- What a server answers --------------------------------------------------------------------

# What was to be installed: the name, the version, and the path on a package server.
const wanted = Tuple{String,String,String}[]

# How long a server may take for its answer, in seconds.
const PATIENCE = 10

# The status with which a server answers a request, "" if it does not, and the problem then. Asked for is
# the first byte, by the program or library that Pkg downloads with, so through the same proxies.
function answer(url)
    header = Pkg.PlatformEngines.get_auth_header(url)
    if VERSION < v"1.6"
        # The token is given on standard input: others may see the command line.
        config = header === nothing ? "" : "header = \"$header\"\n"
        errors = IOBuffer()
        written = "%{http_code} %{http_connect}"
        command = `curl -sS -K - -L -r 0-0 --max-time $PATIENCE -o $devnull -w $written $url`
        said = read(pipeline(ignorestatus(command), stdin = IOBuffer(config), stderr = errors), String)
        # The second one is that of a proxy, which opens a tunnel or does not.
        statuses = filter(status -> status != "000", split(said))
        return (isempty(statuses) ? "" : statuses[1]), strip(String(take!(errors)))
    end
    downloads = Base.require(Base.PkgId(Base.UUID("f43a241f-c20a-4ad4-852c-f6b1247861c6"), "Downloads"))
    headers = Pair{String,String}["Range" => "bytes=0-0"]
    header === nothing || push!(headers, header)
    reply = native(
        downloads.request, url; output = devnull, headers = headers, timeout = PATIENCE, throw = false,
    )
    :response in fieldnames(typeof(reply)) || return string(reply.status), ""
    # Of a tunnel through a proxy only the message tells the status.
    refused = match(r"HTTP code (\d+) from proxy", reply.message)
    refused === nothing || return String(refused.captures[1]), reply.message
    return (reply.response.status == 0 ? "" : string(reply.response.status)), reply.message
end

# What is wrong with the token that `url` was requested with, as far as its file tells: "" if nothing is.
function token_problem(url)
    folder = Pkg.PlatformEngines.get_server_dir(url)
    file = folder === nothing ? "" : joinpath(folder, "auth.toml")
    isfile(file) || return "there is no token for this server"
    login = try
        Pkg.TOML.parsefile(file)
    catch
        return "$file is no TOML"
    end
    haskey(login, "access_token") || return "$file has no `access_token`"
    time = get(login, "expires_at", nothing)
    time isa Integer || return ""
    return time > Libc.time() ? "" : "its token expired on $(Libc.strftime("%Y-%m-%d at %H:%M", time))"
end

# The paths of packages that a message of Pkg names by their repositories: name and path.
function named_packages(text)
    found = Tuple{String,String,String}[]
    for matched in eachmatch(r"([A-Za-z_]\w*)(?:\.jl\b|\.git\b)|`([A-Za-z_]\w*)", text)
        name = String(something(matched.captures...))
        any(entry -> entry[1] == name, found) && continue
        for (uuid, tree) in registered(name)
            push!(found, (name, "", "package/$uuid/$tree"))
        end
    end
    return found
end

# The UUID and a tree hash of each registered package of this name.
function registered(name)
    found = Tuple{String,String}[]
    for depot in DEPOT_PATH
        folder = joinpath(depot, "registries")
        isdir(folder) || continue
        for registry in readdir(folder)
            file = joinpath(folder, registry, "Registry.toml")
            isfile(file) || continue
            entry = match(Regex("^([0-9a-f-]{36}) *= *\\{ *name *= *\"\\Q$name\\E\", *path *= *\"([^\"]*)\"", "m"), read(file, String))
            entry === nothing && continue
            versions = joinpath(folder, registry, entry.captures[2], "Versions.toml")
            isfile(versions) || continue
            trees = collect(eachmatch(r"git-tree-sha1 *= *\"([0-9a-f]{40})\"", read(versions, String)))
            isempty(trees) || push!(found, (entry.captures[1], trees[end].captures[1]))
        end
    end
    isdefined(Pkg.Registry, :reachable_registries) || return found
    for registry in Pkg.Registry.reachable_registries()
        for uuid in Pkg.Registry.uuids_from_name(registry, name)
            info = Pkg.Registry.registry_info(registry[uuid])
            isempty(info.version_info) && continue
            newest = info.version_info[maximum(keys(info.version_info))]
            push!(found, (string(uuid), string(newest.git_tree_sha1)))
        end
    end
    return found
end

# After a failure: reports how the package server answers a request for what was not installed. Pkg
# itself says nothing of it and goes on to ask git repositories.
function ask_again(text)
    offline && return
    try
        server = Pkg.pkg_server()
        (server === nothing || any(words -> occursin(words, text), NOT_OF_SERVERS)) && return
        filter!(entry -> !is_there(entry), wanted)
        asked = registries()[1] == 0 ? [("the registries", "", "registries")] :
            isempty(wanted) ? named_packages(text) : wanted
        isempty(asked) && push!(asked, ("the registries", "", "registries"))
        # First for the address that the message names.
        named = match(r"could not download (\S+)", text)
        if named !== nothing && startswith(named.captures[1], "$server/")
            path = String(named.captures[1][(sizeof(server) + 2):end])
            what = startswith(path, "registry/") ? "a registry" : path
            asked = [[(what, "", path)]; asked]
        end
        for (name, version, path) in first_few(asked)
            status, problem = answer("$server/$path")
            status in ("401", "403") && (problem = token_problem("$server/$path"))
            tell("answer", rstrip("$name $version"), status, problem)
            # The first one that is not answered well says enough.
            startswith(status, '2') || return
        end
    catch err
        err isa InterruptException && rethrow()
    end
end

# Whether a package or artifact was installed all the same.
function is_there((name, _, path))
    kind, rest = split(path, '/'; limit = 2)
    kind == "artifact" && return has_artifact(rest)
    uuid, tree = split(rest, '/')
    slugs = [Base.version_slug(Base.UUID(uuid), Base.SHA1(tree), length) for length in (5, 4)]
    return any(isdir(joinpath(depot, "packages", name, slug)) for depot in DEPOT_PATH for slug in slugs)
end

first_few(list) = list[1:min(end, 3)]

# What no server is to blame for.
const NOT_OF_SERVERS = ["Error building", "Unsatisfiable", "to be registered", "recompil"]

# ---- Resolving --------------------------------------------------------------------------------

activate(folder) = late(Pkg.activate, folder)

is_stdlib(uuid) = isdefined(Pkg.Types, :is_stdlib) ? Pkg.Types.is_stdlib(Base.UUID(uuid)) :
    haskey(Pkg.Types.stdlibs(), Base.UUID(uuid))

# Standard libraries may be named without their UUID.
is_standard(name, uuid) = isempty(uuid) ? isdir(joinpath(Sys.STDLIB, name)) : is_stdlib(uuid)

function project_file(folder)
    files = [joinpath(folder, name) for name in ("JuliaProject.toml", "Project.toml")]
    index = findfirst(isfile, files)
    return index === nothing ? nothing : files[index]
end

# Whether resolving the environment needs a registry. It does not if every package is a standard
# library or in a folder.
function needs_registry()
    isempty(values_of("repository")) || return true
    folders = Dict(fields[2] => fields[3] for fields in values_of("path"))
    return needs_registry(joinpath(environment, "Project.final.toml"), folders, Set{String}())
end

# The same for a project file: `folders` has the packages in folders by UUID, `seen` the packages that
# were looked at.
function needs_registry(file, folders, seen)
    project = Pkg.TOML.parsefile(file)
    table(key) = get(project, key, Dict{String,Any}())
    for (name, uuid) in table("deps")
        (uuid in seen || is_stdlib(uuid)) && continue
        # Since Julia 1.9, a package that is a weak dependency, too, is no other.
        VERSION >= v"1.9" && haskey(table("weakdeps"), name) && continue
        push!(seen, uuid)
        source = get(table("sources"), name, Dict{String,Any}())
        folder = get(folders, uuid, get(source, "path", nothing))
        folder === nothing && return true
        needed = project_file(joinpath(dirname(file), folder))
        (needed === nothing || needs_registry(needed, folders, seen)) && return true
    end
    return false
end

# What the environment's Project.toml says, with further packages and bounds on their versions.
function write_project(path, text, deps, compat)
    parsed = Pkg.TOML.parse(text)
    merge!(get!(parsed, "deps", Dict{String,Any}()), deps)
    merge!(get!(parsed, "compat", Dict{String,Any}()), compat)
    filter!(pair -> pair.first == "julia" || haskey(parsed["deps"], pair.first), parsed["compat"])
    isempty(parsed["compat"]) && delete!(parsed, "compat")
    open(io -> Pkg.TOML.print(io, parsed), path, "w")
end

repository(fields) = length(fields) > 3 && !isempty(fields[4]) ?
    PackageSpec(url = fields[2], rev = isempty(fields[3]) ? nothing : fields[3], subdir = fields[4]) :
    isempty(fields[3]) ? PackageSpec(url = fields[2]) : PackageSpec(url = fields[2], rev = fields[3])

is_unsatisfiable(err) = occursin("Unsatisfiable requirements", sprint(showerror, err)) ||
    occursin("empty intersection", sprint(showerror, err))
is_unregistered(err) = occursin("to be registered", sprint(showerror, err)) ||
    occursin("no version of", lowercase(sprint(showerror, err)))

# Resolves the environment with these pins: name => (uuid, version).
function resolve_with(pins)
    project = joinpath(environment, "Project.toml")
    final = read(joinpath(environment, "Project.final.toml"), String)
    paths = values_of("path")
    repositories = values_of("repository")
    declared = Pkg.TOML.parse(final)
    named = get(declared, "deps", Dict{String,Any}())
    compat = get(declared, "compat", Dict{String,Any}())
    fixed = Set(fields[1] for fields in [paths; repositories])
    deps, bounds = Dict{String,Any}(), Dict{String,Any}()
    for (name, (uuid, version)) in pins
        # The project's own bounds count for more than an earlier manifest.
        if haskey(compat, name) && haskey(named, name)
            try
                VersionNumber(version) in Pkg.Types.semver_spec(compat[name]) || continue
            catch
                continue
            end
        end
        deps[name] = uuid
        bounds[name] = "=" * version
    end
    rm(joinpath(environment, "Manifest.toml"); force = true)
    registered = Pkg.TOML.parse(final)
    if !isempty(fixed)
        # What is fixed to a folder or repository is added by its own operation below.
        registered["deps"] = filter(pair -> !(pair.first in fixed), named)
    end
    # Julia 1.11 and later read `[sources]` themselves.
    text = sprint(io -> Pkg.TOML.print(io, registered))
    write_project(project, text, deps, bounds)
    activate(environment)
    if !isempty(repositories)
        native(Pkg.add, map(repository, repositories))
    end
    if !isempty(paths)
        native(Pkg.develop, [PackageSpec(path = fields[3]) for fields in paths])
    end
    isempty(repositories) && isempty(paths) && native(Pkg.resolve)
    # Now without the pins: what was resolved stays.
    write(project, final)
    activate(environment)
    native(Pkg.resolve)
end

function resolve()
    pins = Dict(fields[1] => (fields[2], fields[3]) for fields in values_of("pin") if !is_stdlib(fields[2]))
    foreach(((name, uuid),) -> is_stdlib(uuid) || tell("resolving", name), named("precompile"))
    if !late(needs_registry)
        add_empty_registry()
        return resolve_with(Dict{String,Tuple{String,String}}())
    end
    add_registries()
    isempty(pins) && update_registries()
    updated = isempty(pins)
    while true
        try
            return resolve_with(pins)
        catch err
            err isa InterruptException && rethrow()
            if !updated && (is_unsatisfiable(err) || is_unregistered(err))
                updated = true
                update_registries()
                continue
            end
            isempty(pins) && rethrow()
            is_unsatisfiable(err) || is_unregistered(err) || rethrow()
            text = sprint(showerror, err)
            # The packages that the message names are no longer pinned; if it names none that is,
            # none is.
            blamed = filter(name -> occursin(Regex("\\b\\Q$name\\E\\b"), text), collect(keys(pins)))
            isempty(blamed) ? empty!(pins) : foreach(name -> delete!(pins, name), blamed)
            say("Resolving again with fewer versions kept")
        end
    end
end

# ---- What is there, and what is missing -------------------------------------------------------

struct Found
    name::String
    uuid::String
    version::String
    tree::String
    folder::String
    # Name and UUID of each dependency.
    needs::Vector{Tuple{String,String}}
end

function packages()
    named = Dict{String,Any}()
    for (uuid, info) in late(Pkg.dependencies)
        named[string(info.name, '\t', uuid)] = (uuid, info)
    end
    found = Found[]
    # Julia has compiled how texts are sorted, but not how packages would be.
    for key in sort!(collect(keys(named)))
        uuid, info = named[key]
        late(add_package, found, string(uuid), info)
    end
    return found
end

function add_package(found, uuid, info)
    is_stdlib(uuid) && info.tree_hash === nothing && return
    tree = info.tree_hash === nothing ? "" : string(info.tree_hash)
    version = info.version === nothing ? "" : string(info.version)
    folder = info.source === nothing ? "" : abspath(dirname(Base.active_project()), info.source)
    needs = Tuple{String,String}[(name, string(needed)) for (name, needed) in info.dependencies]
    push!(found, Found(info.name, uuid, version, tree, folder, sort!(needs)))
end

const ARTIFACTS_FILES = ("JuliaArtifacts.toml", "Artifacts.toml")

# The artifacts that a package's Artifacts.toml has for this platform: name, tree hash, whether lazy.
function artifacts_of(folder)
    index = findfirst(name -> isfile(joinpath(folder, name)), ARTIFACTS_FILES)
    index === nothing && return Tuple{String,String,Bool}[]
    file = joinpath(folder, ARTIFACTS_FILES[index])
    found = Tuple{String,String,Bool}[]
    for (name, entry) in Pkg.Artifacts.load_artifacts_toml(file)
        meta = Pkg.Artifacts.artifact_meta(name, file)
        meta === nothing && continue
        # What cannot be downloaded is made by the package's build script.
        haskey(meta, "download") || continue
        push!(found, (name, meta["git-tree-sha1"], get(meta, "lazy", false)))
    end
    return found
end

has_artifact(tree) = Pkg.Artifacts.artifact_exists(Base.SHA1(tree))

function install_lazy(folder)
    index = findfirst(name -> isfile(joinpath(folder, name)), ARTIFACTS_FILES)
    index === nothing && return
    file = joinpath(folder, ARTIFACTS_FILES[index])
    for (name, tree, lazy) in artifacts_of(folder)
        lazy && !has_artifact(tree) || continue
        say("Installing the lazy artifact $name")
        native(Pkg.Artifacts.ensure_artifact_installed, name, file)
    end
end

# Folders whose Artifacts.toml counts: the packages', and the environment's own.
roots(found) = [dirname(Base.active_project()); [p.folder for p in found if isdir(p.folder)]]

function missing_artifacts(found, lazy)
    absent = Tuple{String,String}[]
    for folder in roots(found), (name, tree, is_lazy) in artifacts_of(folder)
        (lazy || !is_lazy) && !has_artifact(tree) && push!(absent, (name, tree))
    end
    return absent
end

# ---- Interrupted installations ----------------------------------------------------------------

# Which packages an installation was about to add, one `name uuid tree folder` a line: kept beside the
# depot's logs until it is complete. What is listed there and differs from its tree hash is removed;
# build scripts of the rest run again.
const journal = value_of("journal", "")

const RESOLVING = "(resolving)"

function unfinished()
    isfile(journal) || return Vector{Vector{String}}()
    lines = [String.(split(line, '\t')) for line in eachline(journal)]
    return filter(fields -> length(fields) == 4, lines)
end

function write_journal(entries)
    mkpath(dirname(journal))
    temporary = journal * ".new"
    open(temporary, "w") do io
        foreach(fields -> println(io, join(fields, '\t')), entries)
    end
    mv(temporary, journal; force = true)
end

# What an interrupted installation left: removes packages that are not whole, and returns the UUIDs of
# those whose build scripts may not have run.
function repair(entries)
    rebuild = Set{String}()
    for (name, uuid, tree, folder) in entries
        isdir(folder) || continue
        whole = try
            bytes2hex(native(Pkg.GitTools.tree_hash, folder)) == tree
        catch
            false
        end
        if whole
            push!(rebuild, uuid)
        else
            say("Removing $name, whose installation was interrupted")
            writable(folder)
            rm(folder; recursive = true, force = true)
        end
    end
    return rebuild
end

# Pkg makes the files of packages read-only.
function writable(folder)
    for (root, dirs, files) in walkdir(folder)
        foreach(name -> (path = joinpath(root, name); islink(path) || chmod(path, 0o755)), dirs)
    end
end

# ---- Build scripts ----------------------------------------------------------------------------

if installs
    # Pkg of Julia 1.5 only logs that a build script failed.
    struct Watching <: Logging.AbstractLogger
        inner::Logging.AbstractLogger
        failures::Vector{String}
    end
    Logging.min_enabled_level(logger::Watching) = Logging.min_enabled_level(logger.inner)
    Logging.shouldlog(logger::Watching, args...) = Logging.shouldlog(logger.inner, args...)
    Logging.catch_exceptions(logger::Watching) = Logging.catch_exceptions(logger.inner)
    function Logging.handle_message(logger::Watching, level, message, args...; kwargs...)
        text = string(message)
        startswith(text, "Error building") && push!(logger.failures, text)
        Logging.handle_message(logger.inner, level, message, args...; kwargs...)
    end
end

function watched(action)
    failures = String[]
    Logging.with_logger(action, Watching(Logging.ConsoleLogger(stderr), failures))
    isempty(failures) || stop("pkg", join(failures, "\n"))
end

build_script(folder) = joinpath(folder, "deps", "build.jl")

# Whether the build script of a package in a folder of the user's has run since it was written.
function is_built(folder)
    script, log = build_script(folder), joinpath(folder, "deps", "build.log")
    return !isfile(script) || (isfile(log) && mtime(log) >= mtime(script))
end

# ---- Precompiling -----------------------------------------------------------------------------

# Which of these packages have no cache that fits their code.
function stale(packages)
    return filter(packages) do (name, uuid)
        id = Base.PkgId(Base.UUID(uuid), name)
        Base.root_module_exists(id) && return false
        source = Base.locate_package(id)
        source === nothing && return false
        occursin(r"\b__precompile__\(\s*false\s*\)", read(source, String)) && return false
        return all(path -> Base.stale_cachefile(source, path) === true, Base.find_all_in_cache_path(id))
    end
end

# Precompiles one package. A failure ends the process if the package was asked for; that of another one
# counts only if a package that was asked for needs it, which then fails too.
function precompile_one(name, uuid, is_asked_for)
    # Another package may have brought it along.
    isempty(stale([(name, uuid)])) && return
    id = Base.PkgId(Base.UUID(uuid), name)
    say("Precompiling $name")
    try
        Base.compilecache(id, Base.locate_package(id))
    catch err
        err isa InterruptException && rethrow()
        isdefined(Base, :PrecompilableError) && err isa Base.PrecompilableError && return
        is_asked_for && stop("precompile", "$name\n" * sprint(showerror, err))
    end
end

# Julia 1.5 precompiles one package after the other. Here each begins as soon as those that it depends on
# are done, as in later versions. `found` tells what depends on what; without it, the order is that of
# `packages`.
function precompile_in_parallel(packages, found)
    known = Dict(package.uuid => package for package in found)
    asked_for = Set(uuid for (_, uuid) in packages)
    limit = Base.Semaphore(max(1, min(Sys.CPU_THREADS, 16)))
    tasks = Dict{String,Task}()
    # What is not in the manifest is the project itself, which needs all others.
    function needed_by(name, uuid)
        haskey(known, uuid) && return known[uuid].needs
        return [(n, u) for (n, u) in packages if haskey(known, u)]
    end
    function start(name, uuid)
        haskey(tasks, uuid) && return tasks[uuid]
        needed = Task[start(n, u) for (n, u) in needed_by(name, uuid) if haskey(known, u)]
        return tasks[uuid] = @async begin
            foreach(wait, needed)
            Base.acquire(limit)
            try
                precompile_one(name, uuid, uuid in asked_for)
            finally
                Base.release(limit)
            end
        end
    end
    foreach(((name, uuid),) -> start(name, uuid), packages)
    foreach(fetch, values(tasks))
end

# Precompiles these packages, and what they depend on.
function precompile(packages, found)
    old = stale(packages)
    isempty(old) && return
    if VERSION < v"1.6" && !isempty(found)
        return precompile_in_parallel(old, found)
    elseif isdefined(Base, :Precompilation) && isdefined(Base.Precompilation, :precompilepkgs)
        Base.invokelatest(Base.Precompilation.precompilepkgs)
    elseif VERSION >= v"1.6"
        pkg = Base.require(Base.PkgId(Base.UUID("44cfe95a-1eb2-52ea-b672-e2afdf69b78f"), "Pkg"))
        Base.invokelatest(pkg.precompile)
    end
    # What is left is a failure, or is not in the active environment. Dependencies are precompiled on
    # the way.
    foreach(((name, uuid),) -> precompile_one(name, uuid, true), old)
end

# ---- The steps --------------------------------------------------------------------------------

# Installs what the active environment lacks. `rebuild` has the packages whose build scripts an
# interrupted installation may have left undone.
function install(rebuild)
    found = packages()
    lazy = value_of("lazy", "used") == "all"
    absent = filter(package -> !isempty(package.tree) && !isdir(package.folder), found)
    artifacts = late(missing_artifacts, found, lazy)
    if !(isempty(absent) && isempty(artifacts))
        offline && late(stop_offline, absent, artifacts)
        say("Installing $(length(absent)) packages and $(length(artifacts)) artifacts")
        late(download, absent, artifacts)
        # Their artifacts are known only now.
        found = late(packages)
        lazy && late(foreach, install_lazy, roots(found))
        late(require_installed, found, lazy)
    end
    late(build, found, rebuild)
    return found
end

function stop_offline(absent, artifacts)
    foreach(p -> tell("missing", p.name, p.version, p.tree), absent)
    foreach(artifact -> tell("missing", "the artifact $(artifact[1])", "", artifact[2]), artifacts)
    stop("offline", "")
end

function download(absent, artifacts)
    write_journal([unfinished(); [[p.name, p.uuid, p.tree, p.folder] for p in absent]])
    foreach(p -> tell("absent", p.name, p.version), absent)
    append!(wanted, [(p.name, p.version, "package/$(p.uuid)/$(p.tree)") for p in absent])
    append!(wanted, [("the artifact $name", "", "artifact/$tree") for (name, tree) in artifacts])
    isempty(absent) ? add_empty_registry() : late(add_registries)
    late(watched, () -> native(Pkg.instantiate))
end

function require_installed(found, lazy)
    still = filter(package -> !isempty(package.tree) && !isdir(package.folder), found)
    isempty(still) || stop("pkg", "Pkg installed no " * join([p.name for p in still], ", "))
    # Pkg of Julia 1.5 only logs that an artifact has another tree hash than it should.
    absent = missing_artifacts(found, lazy)
    append!(wanted, [("the artifact $name", "", "artifact/$tree") for (name, tree) in absent])
    isempty(absent) || stop("pkg", join(
        ["no server sent the artifact $name, git-tree-sha1 $tree" for (name, tree) in absent],
        "\n",
    ))
end

# Runs the build scripts that Pkg has not run.
function build(found, rebuild)
    again = filter(p -> p.uuid in rebuild && isfile(build_script(p.folder)), found)
    own = filter(p -> isempty(p.tree) && !isempty(p.folder) && !is_built(p.folder), found)
    names = [p.name for p in [again; own]]
    isempty(names) || say("Building $(join(names, ", "))")
    # Pkg resolves an environment for the scripts.
    all(p -> isempty(p.tree), found) && add_empty_registry()
    for name in names
        late(watched, () -> native(Pkg.build, name))
    end
    # The project itself, if it is a package.
    for (name, folder) in values_of("itself")
        is_built(folder) || late(watched, () -> (say("Building $name"); native(Pkg.build, name)))
    end
end

function describe(found, kind)
    for package in found
        tell(kind, package.name, package.uuid, package.version, package.tree, package.folder)
        isdir(package.folder) || continue
        for (name, tree, lazy) in artifacts_of(package.folder)
            lazy && tell("lazy", tree)
            has_artifact(tree) && tell("artifact", name, tree, Pkg.Artifacts.artifact_path(Base.SHA1(tree)))
        end
    end
end

# The environment that is stacked on the project's for the workloads: the same versions, and more
# packages.
function make_workload_environment(folder)
    manifest = value_of("workload-manifest", joinpath(environment, "Manifest.toml"))
    isfile(manifest) && cp(manifest, joinpath(folder, "Manifest.toml"); force = true)
    activate(folder)
    developed = values_of("workload-path")
    late(workload_needs_registry, developed) ? add_registries() : add_empty_registry()
    isempty(developed) || native(Pkg.develop, [PackageSpec(path = fields[3]) for fields in developed])
    specs = map(values_of("workload-package")) do fields
        length(fields) > 1 && !isempty(fields[2]) ? PackageSpec(name = fields[1], uuid = fields[2]) :
            PackageSpec(name = fields[1])
    end
    isempty(specs) || watched(() -> native(Pkg.add, specs; preserve = Pkg.PRESERVE_ALL))
end

function workload_needs_registry(developed)
    any(package -> !isempty(package.tree), packages()) && return true
    added = values_of("workload-package")
    all(fields -> is_standard(fields[1], length(fields) > 1 ? fields[2] : ""), added) || return true
    folders = Dict(fields[2] => fields[3] for fields in developed)
    files = [project_file(fields[3]) for fields in developed]
    return any(file -> file === nothing || needs_registry(file, folders, Set{String}()), files)
end

# What is precompiled: the packages that are named, in this order.
named(key) = [(fields[1], fields[2]) for fields in values_of(key)]

# Resolves the versions, and adds what an interrupted resolution left to `rebuild`.
function resolve_after(listed, rebuild)
    if offline && registries()[1] == 0 && late(needs_registry)
        stop("offline", "the versions have to be resolved, and there is no registry in a depot")
    end
    # Which packages are added is only known in the end.
    interrupted = any(fields -> fields[1] == RESOLVING, listed)
    since = interrupted ? mtime(journal) : Inf
    interrupted || write_journal([listed; [[RESOLVING, "", "", ""]]])
    watched(() -> late(resolve))
    young = filter(p -> !isempty(p.tree) && isdir(p.folder) && ctime(p.folder) >= since, packages())
    union!(rebuild, late(repair, [[p.name, p.uuid, p.tree, p.folder] for p in young]))
end

function install_for_workloads(folder, rebuild)
    # Which packages are added is only known in the end; the journal says that it was begun.
    isfile(journal) || write_journal(Vector{String}[])
    make_workload_environment(folder)
    more = install(rebuild)
    describe(more, "workload")
    native(precompile, [(p.name, p.uuid) for p in more], more)
end

# What another environment of this depot was about to install is not settled yet.
function settle(listed, found)
    settled = [package.uuid for package in found]
    rest = filter(fields -> fields[1] != RESOLVING && !(fields[2] in settled), listed)
    isempty(rest) ? rm(journal; force = true) : write_journal(rest)
end

function main()
    if !installs
        native(precompile, named("precompile"), Found[])
        return
    end
    listed = unfinished()
    rebuild = isempty(listed) ? Set{String}() : late(repair, listed)
    has("resolve") && late(resolve_after, listed, rebuild)
    found = late(install, rebuild)
    late(describe, found, "package")
    native(precompile, named("precompile"), found)
    foreach(fields -> late(install_for_workloads, fields[1], rebuild), values_of("workload"))
    late(settle, listed, found)
end

try
    late(main)
catch err
    err isa InterruptException && rethrow()
    stop("pkg", sprint(showerror, err))
end
tell("done")
close(report)
