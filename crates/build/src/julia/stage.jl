# Staging: fills the process that emits a sysimage (`julia --output-o`) with packages and compiled
# code. Works from Julia 1.5 on. `launch.jl` includes it into an anonymous module, which nothing
# reaches in the end, so that nothing of it stays in the image. The job file has one `key value…` a
# line, values separated by tabs; see `emit.rs`, which writes it.
#
# In output mode Julia runs no `__init__`, so the first thing is to restore by hand what the script
# itself needs.

const job = [String.(split(line, '\t')) for line in eachline(ARGS[2])]
values_of(key) = [fields[2:end] for fields in job if fields[1] == key]
value_of(key) = only(values_of(key))[1]

# ---- Restore what no `__init__` set ---------------------------------------------------------

set_global(mod, name, value) = Core.eval(mod, Expr(:(=), name, value))

# The standard libraries are "not found in current path" unless `Sys.STDLIB` names a folder that
# exists.
set_global(Sys, :BINDIR, ccall(:jl_get_julia_bindir, Any, ())::String)
set_global(Sys, :STDLIB, value_of("stdlib"))
Base.init_depot_path()
append!(empty!(LOAD_PATH), [value_of("project"), "@stdlib"])

# ---- Packages -------------------------------------------------------------------------------

for (name, uuid) in values_of("package")
    package = Base.require(Base.PkgId(Base.UUID(uuid), name))
    # As with a system image of PackageCompiler's, the name is bound in Main, so that it can be
    # used where no environment lists the package.
    Core.eval(Main, :(const $(Symbol(name)) = $package))
end

# Where packages and artifacts lie: artifacts travel with the image.
open(value_of("surroundings"), "w") do file
    for depot in DEPOT_PATH
        println(file, "depot\t", abspath(depot))
    end
    for (id, mod) in Base.loaded_modules
        path = try pathof(mod) catch; nothing end
        path === nothing || println(file, "package\t", id.name, '\t', path)
    end
end

# ---- Statements -----------------------------------------------------------------------------

# Names in statements are looked up here. It is filled with every loaded module by its own name;
# a statement's `Dates.Date` then resolves although nobody imported Dates.
const names = Module(:SysforgeNames)

function bind_loaded_modules()
    for (_, mod) in Base.loaded_modules
        name = nameof(mod)
        (name in (:Main, :Base, :Core) || isdefined(names, name)) && continue
        Core.eval(names, :(const $name = $mod))
    end
end

# What Julia prints for a type parameter does not always read back. These are the forms that can
# be mended without changing what any correct form means:
#
# * A Char parameter is printed by its raw bits, `Char(0x79000000)`, but `Char(…)` takes a code
#   point. (`jl_static_show` in rtutils.c.)
# * An isbits struct is printed with field names, `Day(value=3)`, but is not constructed so.
# * A Float32 is printed as `0.5f`, which reads as `0.5 * f`.
mend(x) = x
function mend(ex::Expr)
    args = Any[mend(arg) for arg in ex.args]
    if ex.head === :call && length(args) == 2 && is_named(args[1], :Char) && args[2] isa UInt32
        return Expr(:call, :reinterpret, :Char, args[2])
    elseif ex.head === :call && length(args) == 3 && args[1] === :* && args[3] === :f
        return Expr(:call, :Float32, args[2])
    elseif ex.head === :call && length(args) > 1 && all(arg -> Meta.isexpr(arg, :kw), args[2:end])
        return Expr(:call, rebuild, args[1], (arg.args[2] for arg in args[2:end])...)
    end
    return Expr(ex.head, args...)
end

is_named(x, name) = x === name || (x isa Expr && x.head === :. && x.args[end] == QuoteNode(name))

# The value of type `T` with these field values, whatever constructors `T` has.
function rebuild(T, fields...)
    converted = Any[convert(fieldtype(T, i), fields[i]) for i in 1:length(fields)]
    return ccall(:jl_new_structv, Any, (Any, Ptr{Any}, UInt32), T, converted, length(converted))
end

# Forms that do not even parse:
#
# * A Float32 with an exponent is printed as `1.0e-5f`, or as `5e-1f` without a point.
# * A symbol is printed with its own backslashes unescaped, `Symbol("\T")`.
function mend_text(text)
    text = replace(text, r"(?<![\w.])(-?[0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?)f(?=[,)} ])" => s"\1f0")
    return replace(text, r"\\(?![\\\"$abefnrtvxuU0-7])" => s"\\\\")
end

function read_statement(text)
    parsed = Meta.parse(text; raise = false)
    if Meta.isexpr(parsed, (:error, :incomplete))
        parsed = Meta.parse(mend_text(text); raise = false)
    end
    Meta.isexpr(parsed, (:error, :incomplete)) && return nothing, "it does not parse", false
    Meta.isexpr(parsed, :call) && is_named(parsed.args[1], :precompile) && length(parsed.args) >= 2 ||
        return nothing, "it is not a call of precompile", false
    mended = mend(parsed)
    return mended, "", mended != Meta.parse(text; raise = false)
end

# Julia compiles some methods for less than the types of a call: an argument that is only passed on is
# widened to `Function` or `Type`, many last arguments to `Vararg`. It prints the widened signature,
# but asked for exactly that, `precompile` answers true and compiles nothing that a call would find.
# Asked for a concrete signature that widens to it, it compiles the right one (`jl_compilation_sig` in
# gf.c). `nothing` if the signature is concrete already.
function narrowed(signature)
    T = Base.unwrap_unionall(signature)
    T isa DataType || return nothing
    parameters = Any[is_widened(p) ? example_of(p) : p for p in T.parameters]
    if !isempty(parameters) && Base.isvarargtype(parameters[end])
        element = Base.unwrapva(Base.unwrap_unionall(pop!(parameters)))
        # All like the argument before them, or else there would be no `Any` in the printed form.
        append!(parameters, element === Any ? (Int, String) : (element, element))
    elseif parameters == collect(Any, T.parameters)
        return nothing
    end
    return Base.rewrap_unionall(Tuple{parameters...}, signature)
end
is_widened(p) = p === Function || p === Type || p === DataType
example_of(p) = p === Function ? typeof(identity) : Type{Int}

# A small integer as a type parameter is printed without its type: `Val{3}` may have been
# `Val{Int8(3)}`. For a statement that did not help, as its code was compiled all the same, every
# other type of integer is tried.
function with_integers(x, T)
    x isa Int && return typemin(T) <= x <= typemax(T) ? T(x) : x
    x isa Expr || return x
    # Not what a call is given: that is a constructor's business.
    x.head === :call && return x
    return Expr(x.head, Any[with_integers(arg, T) for arg in x.args]...)
end
const integers = (Int8, UInt8, Int16, UInt16, Int32, UInt32, UInt64, Int128, UInt128)

# Further signatures that a statement may have been meant to be; they are no loss.
function try_others(statement, text)
    others = Any[]
    if text in stubborn
        append!(others, (with_integers(arg, T) for T in integers for arg in statement.args[2:2]))
    end
    for other in Any[statement.args[2], others...]
        try
            signature = Core.eval(names, other)
            other === statement.args[2] || precompile(signature)
            concrete = narrowed(signature)
            concrete === nothing || precompile(concrete)
        catch
        end
    end
end

one_line(err) = replace(first(split(sprint(showerror, err), '\n')), '\t' => ' ')

# Statements whose code the image of the last round lacked although it was replayed.
const stubborn = Set(only(fields) for fields in values_of("stubborn"))

# The fate of one statement: `replayed`, `failed` or `skipped`, and why.
function replay(text)
    statement, reason, mended = read_statement(text)
    statement === nothing && return "failed", reason, false
    try
        signature = [Core.eval(names, arg) for arg in statement.args[2:end]]
        # Julia 1.5 and 1.6 take no unbounded Vararg here.
        done = Base.invokelatest(precompile, signature...)
        length(signature) == 1 && Base.invokelatest(try_others, statement, text)
        return done ? ("replayed", "", mended) :
            ("failed", "precompile answered false: no single method fits this signature", mended)
    catch err
        err isa UndefVarError && return "failed", "$(err.var) is not defined in the image", mended
        return "failed", one_line(err), mended
    end
end

bind_loaded_modules()
open(value_of("report"), "w") do report
    for (index, text) in enumerate(eachline(value_of("statements")))
        isempty(text) && continue # left out: Julia crashes on it
        fate, reason, mended = replay(text)
        # Flushed line by line: if Julia crashes, the report tells where.
        println(report, index, '\t', fate, '\t', mended, '\t', reason)
        flush(report)
    end
end

# ---- Workloads and the user's own script ----------------------------------------------------

Base.include(@__MODULE__, joinpath(@__DIR__, "script.jl"))

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

# ---- Leave no trace of this machine -----------------------------------------------------------

# Functions that were called with functions of this script keep its module in the image.
empty!(job)
empty!(stubborn)
set_global(Base, :PROGRAM_FILE, "")
isdefined(Base, :TOML_CACHE) && isdefined(Base.TOML_CACHE, :d) && empty!(Base.TOML_CACHE.d)
empty!(LOAD_PATH)
empty!(DEPOT_PATH)
set_global(Sys, :BINDIR, "")
set_global(Sys, :STDLIB, "")
