# Staging: fills the process that emits a sysimage (`julia --output-o`) with packages and compiled
# code. Works from Julia 1.5 on. `launch.jl` includes it into an anonymous module, which nothing
# reaches in the end, so that nothing of it stays in the image. The job file has one `key value…` a
# line, values separated by tabs; see `emit.rs`, which writes it.
#
# In output mode Julia runs no `__init__`, so the first thing is to restore by hand what the script
# itself needs.

# A line end, a tab or a backslash in a value is written with a backslash.
function unescape(text)
    plain, escaped = IOBuffer(), false
    for c in text
        if escaped
            print(plain, c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c)
            escaped = false
        elseif c == '\\'
            escaped = true
        else
            print(plain, c)
        end
    end
    return String(take!(plain))
end

const job = [unescape.(split(line, '\t')) for line in eachline(ARGS[2])]
values_of(key) = [fields[2:end] for fields in job if fields[1] == key]
value_of(key) = only(values_of(key))[1]

# ---- Restore what no `__init__` set ---------------------------------------------------------

set_global(mod, name, value) = Core.eval(mod, Expr(:(=), name, QuoteNode(value)))

# The standard libraries are "not found in current path" unless `Sys.STDLIB` names a folder that
# exists.
set_global(Sys, :BINDIR, ccall(:jl_get_julia_bindir, Any, ())::String)
set_global(Sys, :STDLIB, value_of("stdlib"))
Base.init_depot_path()
append!(empty!(LOAD_PATH), [value_of("project"), "@stdlib"])

# Since Julia 1.7 each task has its own random numbers, whose state is all zero here. With that state
# `rand(1:6)` never ends. Any other state will do; a fixed one keeps images reproducible.
for (index, name) in enumerate((:rngState0, :rngState1, :rngState2, :rngState3, :rngState4))
    name in fieldnames(Task) && setfield!(current_task(), name, 0x9e3779b97f4a7c15 * UInt64(index))
end

# ---- Packages -------------------------------------------------------------------------------

# Every file that Julia includes, and that a package names with `include_dependency`: they decide what is
# in the image, wherever they are. This is for packages that are loaded here from their sources; of others
# `note_cached_files` asks their caches.
const files_read = String[]
const note_file = (_, path) -> (push!(files_read, path); nothing)
push!(Base.include_callbacks, note_file)
Base._track_dependencies[] = true

for (name, uuid) in values_of("package")
    package = Base.require(Base.PkgId(Base.UUID(uuid), name))
    # As with a system image of PackageCompiler's, the name is bound in Main, so that it can be
    # used where no environment lists the package. `import-into-main = false` prevents it.
    value_of("import-into-main") == "false" || isdefined(Main, Symbol(name)) || Core.eval(Main, :(const $(Symbol(name)) = $package))
end

# What an interactive session loads. Julia itself binds none of it in Main.
for (name, uuid) in values_of("interactive")
    Base.require(Base.PkgId(Base.UUID(uuid), name))
end

# What launchers of apps call. The name of a file would be one of this machine.
for (code,) in values_of("code")
    Base.include_string(Main, code, "start.jl")
end

filter!(callback -> callback !== note_file, Base.include_callbacks)
Base._track_dependencies[] = false
# Of each entry the second field is the path; it is none for a package that was required.
for entry in Base._require_dependencies
    entry[2] isa String && isabspath(entry[2]) && push!(files_read, entry[2])
end
empty!(Base._require_dependencies)

# The header of a package's cache lists the same files. Where a Julia arranges this in another way, the
# files stay unknown.
function note_cached_files(id)
    try
        for cache in Base.find_all_in_cache_path(id)
            # Modules, then the files and what else the cache depends on.
            for file in Base.parse_cache_header(cache)[2][1]
                push!(files_read, file isa Tuple ? file[2] : file.filename)
            end
        end
    catch
    end
end

# ---- Statements -----------------------------------------------------------------------------

Base.include(@__MODULE__, joinpath(@__DIR__, "replay.jl"))

# In the same order in every process.
in_order(id) = (id.name, string(id.uuid))
loaded_ids() = sort!(collect(keys(Base.loaded_modules)); by = in_order)

union!(project_packages, String[fields[1] for fields in values_of("known")])
bind_modules(Module[Base.loaded_modules[id] for id in loaded_ids()])

# Replays all statements and returns how many failed. `ineffective` are the numbers of those whose code the
# image of the last round lacked although they were replayed.
function replay_all(statements, report, ineffective)
    failed = 0
    for (index, record) in enumerate(statements)
        isempty(record) && continue # left out: Julia crashes on it
        # `r`: recorded; `g`: given by the user.
        recorded, text = record[1] == 'r', String(SubString(record, 2))
        fate, reason, mended = replay(text, recorded, string(index) in ineffective)
        failed += fate == "failed"
        # Flushed line by line: if Julia crashes, the report tells where.
        print_all(report, index, '\t', fate, '\t', mended, '\t', reason, '\n')
        flush(report)
    end
    return failed
end

open(value_of("report"), "w") do report
    statements = split(read(value_of("statements"), String), '\0'; keepempty = true)
    ineffective = Set(String[fields[1] for fields in values_of("ineffective")])
    failed = replay_all(statements, report, ineffective)
    # A loss is an error: told now, not after minutes of code generation.
    if failed > 0 && value_of("strict") == "true"
        print_all(report, "strict\n")
        flush(report)
        exit(1)
    end
end

# ---- Workloads and the user's own script ----------------------------------------------------

Base.include(@__MODULE__, joinpath(@__DIR__, "inits.jl"))

isempty(values_of("execute")) && isempty(values_of("script")) ||
    run_inits(Module[Base.loaded_modules[id] for id in loaded_ids()])

Base.include(@__MODULE__, joinpath(@__DIR__, "script.jl"))

# In a rehearsal, which writes no image, a workload runs on what was replayed. The recording of
# `--trace-compile` has this function before what the workload compiles.
@noinline sysforge_workload_begins(count) = (count[] += 1)
for fields in values_of("rehearse")
    Base.invokelatest(sysforge_workload_begins, Ref(0))
    # A workload may end Julia.
    result, began = value_of("run-time"), time_ns()
    atexit(() -> write(result, string((time_ns() - began) / 1e6)))
    run_script(Main, fields[1], fields[2:end])
end

# Tells Sysforge that it is not generating code, but running what the user wrote: computing without
# end is no progress then, and an end of the process is not the end of the emission.
function running_user_code(run, path)
    marker = value_of("running")
    write(marker, path)
    run()
    rm(marker)
end

for fields in values_of("execute")
    path, args = fields[1], fields[2:end]
    # In a module of its own, so that what it defines does not stay in Main.
    mod = main_like_module()
    # The image is written when Julia ends: a script that calls `exit` ends nothing but itself.
    Core.eval(mod, :(exit(code = 0) = throw($ScriptExit(code))))
    running_user_code(path) do
        try
            run_script(mod, path, args)
        catch err
            is_good_exit(err) || rethrow()
        end
    end
end
for (path,) in values_of("script")
    running_user_code(() -> Base.include(Main, path), path)
end

# ---- What is in the image ---------------------------------------------------------------------

# Artifacts travel with the image, so it is told where they are.
open(value_of("surroundings"), "w") do file
    for depot in DEPOT_PATH
        print_all(file, "depot\t", abspath(depot), '\n')
    end
    ids = loaded_ids()
    for id in ids
        mod = Base.loaded_modules[id]
        path = try pathof(mod) catch; nothing end
        path === nothing || print_all(file, "package\t", id.name, '\t', path, '\n')
        path === nothing || startswith(path, Sys.STDLIB) || note_cached_files(id)
        parent = isdefined(Base, :get_extension) ? extended(id, ids) : nothing
        if parent !== nothing
            print_all(file, "extension\t", id.name, '\t', parent.name, '\n')
        elseif id.uuid !== nothing
            print_all(file, "loaded\t", id.name, '\t', id.uuid, '\n')
        end
    end
    for path in sort!(unique!(files_read))
        isfile(path) && print_all(file, "read\t", abspath(path), '\n')
    end
    # A workload that ends Julia comes no further than to itself.
    print_all(file, "end\n")
end

# ---- Leave no trace of this machine -----------------------------------------------------------

set_back()
# Functions that were called with functions of this script keep its module in the image.
empty!(job)
empty!(files_read)
empty!(modules)
empty!(project_packages)
# The project files that were read, and the last one with its whole content. Where a Julia arranges this in
# another way, it stays.
try
    empty!(Base.TOML_CACHE.d)
    Base.TOML.reinit!(Base.TOML_CACHE.p, "")
catch
end
# Where the caches of packages are on this machine. Nothing that runs on the image reads one.
try
    for origin in values(Base.pkgorigins)
        origin.cachepath = nothing
    end
catch
end
set_global(Base, :PROGRAM_FILE, "")
empty!(LOAD_PATH)
empty!(DEPOT_PATH)
set_global(Sys, :BINDIR, "")
set_global(Sys, :STDLIB, "")
