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
mend(x) = x
function mend(ex::Expr)
    args = Any[mend(arg) for arg in ex.args]
    if ex.head === :call && length(args) == 2 && is_named(args[1], :Char) && args[2] isa UInt32
        return Expr(:call, :reinterpret, :Char, args[2])
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
# * A Float32 is printed as `0.5f`, which wants an exponent.
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

one_line(err) = replace(first(split(sprint(showerror, err), '\n')), '\t' => ' ')

# The fate of one statement: `replayed`, `failed` or `skipped`, and why.
function replay(text)
    statement, reason, mended = read_statement(text)
    statement === nothing && return "failed", reason, false
    try
        signature = [Core.eval(names, arg) for arg in statement.args[2:end]]
        # Julia 1.5 and 1.6 take no unbounded Vararg here.
        done = Base.invokelatest(precompile, signature...)
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
        fate, reason, mended = replay(text)
        # Flushed line by line: if Julia crashes, the report tells where.
        println(report, index, '\t', fate, '\t', mended, '\t', reason)
        flush(report)
    end
end

# ---- Workloads and the user's own script ----------------------------------------------------

for (path,) in values_of("execute")
    # In a module of its own, so that what it defines does not stay in Main.
    Base.include(Module(:SysforgeWorkload), path)
end
for (path,) in values_of("script")
    Base.include(Main, path)
end

# ---- Leave no trace of this machine -----------------------------------------------------------

isdefined(Base, :TOML_CACHE) && isdefined(Base.TOML_CACHE, :d) && empty!(Base.TOML_CACHE.d)
empty!(LOAD_PATH)
empty!(DEPOT_PATH)
set_global(Sys, :BINDIR, "")
set_global(Sys, :STDLIB, "")
