# Reading and replaying precompile statements. `stage.jl` includes this into its own module; nothing here
# depends on the process that emits, so a plain Julia can try it. Works from Julia 1.5 on.

# ---- Text -------------------------------------------------------------------------------------

# What is called here stays in the image's dispatch caches: `println(file, 1, "a")` adds an entry for
# `(IOStream, Int64, Any...)`, and one for `(IOStream, String, Any...)` also answers `println(file, "a")`. The
# code of such an entry is not in the image, so a user's call of `println(text)`, whose own code is, finds the
# entry and compiles it (seen on 1.6.7 with output to a file). `print` with one value has no such entries;
# `println` and `string` with several, and interpolation, which is a call of `string`, are not used here.
print_all(io, values...) =
    for value in values
        print(io, value)
    end
function text_of(values...)
    io = IOBuffer()
    print_all(io, values...)
    return String(take!(io))
end

# ---- Names ------------------------------------------------------------------------------------

# Names in statements are looked up in this module. It holds every loaded module by its own name: a
# statement's `Dates.Date` then resolves although nobody imported Dates.
const names = Module(:SysforgeNames)
# Every module that a file declares has this function.
Core.eval(names, :(eval(expression) = Core.eval($names, expression)))

# The loaded modules by name. Two packages may have one name, and a statement does not say which one it
# means.
const modules = Dict{Symbol,Vector{Module}}()

# Names of the project's packages, whether or not they are loaded.
const project_packages = Set{String}()

function bind_modules(loaded)
    empty!(modules)
    for mod in loaded
        name = nameof(mod)
        name in (:Main, :Base, :Core) && continue
        haskey(modules, name) || (modules[name] = Module[])
        mod in modules[name] || push!(modules[name], mod)
    end
    for (name, found) in modules
        isdefined(names, name) || Core.eval(names, :(const $name = $(found[1])))
        Core.eval(names, Expr(:export, name))
    end
end

# The module that one expression is evaluated in: its definitions are of no concern to other statements. It
# has the names of `names`, except for those that the expression defines itself.
function fresh_module()
    mod = Module(:SysforgeStatement)
    Core.eval(mod, :(const SysforgeNames = $names))
    Core.eval(mod, :(using .SysforgeNames))
    # Base exports these, too, so that the name alone would be ambiguous.
    for name in keys(modules)
        isdefined(Base, name) && Base.isexported(Base, name) && Core.eval(mod, :(const $name = $(modules[name][1])))
    end
    Core.eval(mod, :(eval(expression) = Core.eval($mod, expression)))
    Core.eval(mod, :(const precompile = $ask))
    return mod
end

# The names that an expression looks up first: `Dates` in `Dates.Date` and in `getfield(Dates, :Date)`.
roots(x) = roots!(Symbol[], x)
roots!(found, x) = found
function roots!(found, x::Expr)
    if x.head === :. && length(x.args) == 2 && x.args[1] isa Symbol
        push!(found, x.args[1])
    elseif x.head === :call && x.args[1] in (:getfield, :getproperty, :isdefined) && x.args[2] isa Symbol
        push!(found, x.args[2])
    end
    for arg in x.args
        roots!(found, arg)
    end
    return found
end

# The same expression with modules for the names in `choice`, each of which has one entry for each time
# that it occurs.
function with_modules(x, choice)
    x isa Symbol && haskey(choice, x) && return popfirst!(choice[x])
    x isa Expr || return x
    return Expr(x.head, Any[with_modules(arg, choice) for arg in x.args]...)
end

count_name(x, name) = x === name ? 1 : x isa Expr ? sum(Int[count_name(arg, name) for arg in x.args]) : 0

# What an expression may mean where names are ambiguous: first each name as the same module throughout,
# then in every mixture, if these are not too many.
function meanings(expression)
    ambiguous = Tuple{Symbol,Int}[]
    for (name, found) in modules
        times = length(found) > 1 ? count_name(expression, name) : 0
        times > 0 && push!(ambiguous, (name, times))
    end
    isempty(ambiguous) && return Any[expression], Any[]
    same, mixed = Any[Dict{Symbol,Vector{Module}}()], Any[Dict{Symbol,Vector{Module}}()]
    for (name, times) in ambiguous
        same = Any[merge(one, Dict(name => fill(mod, times))) for one in same for mod in modules[name]]
        length(mixed) * length(modules[name])^times > 64 && (mixed = Any[]; continue)
        sequences = Any[Module[]]
        for _ in 1:times
            sequences = Any[vcat(one, mod) for one in sequences for mod in modules[name]]
        end
        mixed = Any[merge(one, Dict(name => seq)) for one in mixed for seq in sequences]
    end
    substitute(choices) = Any[with_modules(expression, deepcopy_lists(one)) for one in choices]
    return substitute(same), substitute(mixed)
end
deepcopy_lists(choice) = Dict{Symbol,Vector{Module}}(name => copy(list) for (name, list) in choice)

# The package that a module extends (since Julia 1.9): the uuid of an extension is made of its parent's
# uuid and its own name.
function extended(id, ids)
    id.uuid === nothing && return nothing
    for parent in ids
        parent.uuid === nothing && continue
        Base.uuid5(parent.uuid, id.name) == id.uuid && return parent
    end
    return nothing
end

# ---- Reading ----------------------------------------------------------------------------------

# What Julia prints for a type parameter does not always read back. These are the forms that can
# be mended without changing what any correct form means (`jl_static_show` in rtutils.c):
#
# * A value of a primitive type is printed by its raw bits, `Char(0x79000000)`, `Float16(0x3800)`, but a
#   call takes a number.
# * A struct is printed with field names, `Day(value=3)`, or as `Unit()`, but need not be constructed so.
# * A Float32 is printed as `0.5f`, which reads as `0.5 * f`.
# * Infinities and NaNs are printed as C does, `inf`, `nanf`.
mend(x) = x
mend(x::Symbol) =
    x === :inf ? Inf : x === :inff ? Inf32 : x === :nan ? NaN : x === :nanf ? NaN32 : x
function mend(ex::Expr)
    args = Any[mend(arg) for arg in ex.args]
    ex.head === :call || return Expr(ex.head, args...)
    if length(args) == 1
        return Expr(:call, instance, args[1])
    elseif length(args) == 2 && args[2] isa Union{UInt8,UInt16,UInt32,UInt64,UInt128}
        return Expr(:call, from_bits, args...)
    elseif length(args) == 3 && args[1] === :* && args[3] === :f
        return Expr(:call, :Float32, args[2])
    elseif length(args) > 1 && all(Bool[Meta.isexpr(arg, :kw) for arg in args[2:end]])
        return Expr(:call, rebuild, args[1], Any[arg.args[2] for arg in args[2:end]]...)
    end
    return Expr(:call, args...)
end

instance(T) = T isa DataType && isdefined(T, :instance) ? T.instance : T()

function from_bits(T, bits)
    raw = T isa DataType && isprimitivetype(T) && sizeof(T) == sizeof(bits)
    return raw ? reinterpret(T, bits) : T(bits)
end

# The value of type `T` with these field values, whatever constructors `T` has.
function rebuild(T, fields...)
    converted = Any[convert(fieldtype(T, i), fields[i]) for i in 1:length(fields)]
    return ccall(:jl_new_structv, Any, (Any, Ptr{Any}, UInt32), T, converted, length(converted))
end

# A Float32 with an exponent, `1.0e-5f`, does not parse in every Julia.
mend_floats(text) =
    replace(text, r"(?<![\w.])(-?[0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?)f(?=[,)} ])" => s"\1f0")

# Julia before 1.9 or so prints a symbol as it is, `Symbol("yyyy\T")` or even `Symbol("a"b")`: this is the
# same with escapes.
function escape_symbols(text)
    escaped, at = IOBuffer(), 1
    for found in eachmatch(r"Symbol\(\"(.*?)\"\)(?=[\s,;})\].]|$)"s, text)
        print(escaped, SubString(text, at, prevind(text, found.offset)))
        print_all(escaped, "Symbol(", repr(String(found.captures[1])), ')')
        at = found.offset + ncodeunits(found.match)
    end
    print(escaped, SubString(text, at))
    return String(take!(escaped))
end

function parse_statement(text)
    for written in (text, mend_floats(text))
        parsed = parse_all(written)
        parsed === nothing || return parsed
    end
    return nothing
end

# The expressions of a text, in a `toplevel` expression if there are several; `nothing` if it does not parse.
function parse_all(text)
    found, at = Any[], 1
    while at <= ncodeunits(text)
        # Julia 1.5 throws errors of strings and characters whatever `raise` is.
        parsed, at = try Meta.parse(text, at; raise = false) catch; return nothing end
        Meta.isexpr(parsed, (:error, :incomplete)) && return nothing
        Meta.isexpr(parsed, :toplevel) ? append!(found, parsed.args) : parsed === nothing || push!(found, parsed)
    end
    isempty(found) && return nothing
    return length(found) == 1 ? found[1] : Expr(:toplevel, found...)
end

is_named(x, name) = x === name || (x isa Expr && x.head === :. && x.args[end] == QuoteNode(name))
const homes = (:Main, :Base, :Core, :(Main.Base), :(Main.Core))
is_precompile(x) = x === :precompile || (is_named(x, :precompile) && x.args[1] in homes) || is_got_by_name(x)
# `getfield(Base, :precompile)`
is_got_by_name(x) =
    Meta.isexpr(x, :call, 3) && x.args[1] in (:getfield, :getproperty) && x.args[2] in homes &&
    x.args[3] == QuoteNode(:precompile)
is_plain(x) = Meta.isexpr(x, :call) && length(x.args) >= 2 && is_precompile(x.args[1])

# The ways to read a statement, each with whether it was mended.
function readings(text)
    found = Any[]
    for written in unique(String[text, escape_symbols(text)])
        parsed = parse_statement(written)
        parsed === nothing && continue
        # Only what Julia recorded has forms to be mended.
        expression = is_plain(parsed) ? mend(parsed) : parsed
        any(Bool[one[1] == expression for one in found]) && continue
        push!(found, (expression, written != text || expression != parsed))
    end
    return found
end

# ---- Replaying --------------------------------------------------------------------------------

# Julia compiles some methods for less than the types of a call: an argument that is only passed on is
# widened to `Function` or `Type`, one of a generator or with `@nospecialize` to `Any`, many last arguments
# to `Vararg`. It prints the widened signature, but asked for exactly that, `precompile` answers false, or
# true and compiles nothing that a call would find. Asked for a concrete signature that widens to it, it
# compiles the right one (`jl_compilation_sig` in gf.c). `nothing` if the signature is concrete already.
#
# The example must be one for which the same method is called: of the examples of a kind, the first of
# which is nearly always right, `round` chooses one.
function narrowed(signature, round = 1)
    T = Base.unwrap_unionall(signature)
    T isa DataType || return nothing
    parameters = Any[example_of(p, round) for p in T.parameters]
    if !isempty(parameters) && Base.isvarargtype(T.parameters[end])
        pop!(parameters)
        element = Base.unwrapva(Base.unwrap_unionall(T.parameters[end]))
        # All like the argument before them, or else there would be no `Any` in the printed form.
        append!(parameters, element === Any ? (Int, String) : (element, element))
    elseif parameters == collect(Any, T.parameters)
        return nothing
    end
    return Base.rewrap_unionall(Tuple{parameters...}, signature)
end
example_of(p, round) =
    p === Function ? typeof(nth(functions, round)) :
    p === Type || p === DataType ? Type{nth(types, round)} : p === Any ? nth(types, round) : p
nth(list, n) = list[mod1(n, length(list))]
const types = (Int, String, Float64, Bool, Symbol, Char, Nothing, Missing, Any, Vector{Int}, Union{Missing,Int})
const functions = (identity, +, string, isempty, first)

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
# Comparing would not tell: `3 == Int8(3)`.
has_integer(x) = x isa Int || (x isa Expr && x.head !== :call && any(Bool[has_integer(arg) for arg in x.args]))
has_integers(x) = x isa Int || (x isa Expr && x.head !== :call && any(Bool[has_integers(arg) for arg in x.args]))
const integers = (Int8, UInt8, Int16, UInt16, Int32, UInt32, UInt64, Int128, UInt128)

# `precompile(signature)` compiles the method that a call would reach. `invoke` reaches a more general one,
# which `precompile(signature, method)` compiles where Julia has it (1.10).
function precompile_general(signature)
    hasmethod(precompile, Tuple{Type,Method}) || return
    f = Base.unwrap_unionall(signature).parameters[1]
    isdefined(f, :instance) || return
    for method in methods(f.instance)
        signature <: method.sig && Base.invokelatest(precompile, signature, method)
    end
end

# Further signatures that a statement may have been meant to be; they are no loss.
function try_others(statement)
    for T in integers
        has_integer(statement.args[2]) || break
        other = with_integers(statement.args[2], T)
        try
            signature = Core.eval(names, other)
            precompile(signature)
            concrete = narrowed(signature)
            concrete === nothing || precompile(concrete)
        catch
        end
    end
    for round in 2:length(types)
        try
            concrete = narrowed(Core.eval(names, statement.args[2]), round)
            concrete === nothing || precompile(concrete)
        catch
        end
    end
    try
        precompile_general(Core.eval(names, statement.args[2]))
    catch
    end
end

# Asks for what one expression says: nothing if it is done, or why not.
function attempt(statement)
    signature = Any[Core.eval(names, arg) for arg in statement.args[2:end]]
    # Julia 1.5 and 1.6 take no unbounded Vararg here.
    done = Base.invokelatest(precompile, signature...)
    if length(signature) == 1 && signature[1] isa Type
        concrete = narrowed(signature[1])
        concrete === nothing || (done |= Base.invokelatest(precompile, concrete))
    end
    return done ? nothing : "precompile answered false: no single method fits this signature"
end

# How often an evaluated expression asked for something, and how often in vain.
const asked = [0, 0]
function ask(args...)
    done = precompile(args...)
    asked[1] += 1
    done || (asked[2] += 1)
    return done
end

# The same expression with `ask` for every use of `precompile`, also in `map(precompile, …)`, and with the loaded
# modules for the packages that it imports: no other package may get into the image.
with_ask(x) = is_precompile(x) ? ask : x
function with_ask(x::Expr)
    is_precompile(x) && return ask
    x.head in (:using, :import) && return with_loaded(x)
    x.head === :module && return with_names(x)
    # Not the name of a keyword or of an assignment.
    first = x.head in (:kw, :(=)) && x.args[1] isa Symbol ? 1 : 0
    return Expr(x.head, x.args[1:first]..., Any[with_ask(arg) for arg in x.args[first+1:end]]...)
end

# A module of the file, in which names mean what they mean outside of it.
function with_names(x)
    body = Any[with_ask(arg) for arg in x.args[3].args]
    pushfirst!(body, :(const SysforgeNames = $names), :(using .SysforgeNames))
    return Expr(:module, x.args[1:2]..., Expr(:block, body...))
end

function with_loaded(x)
    bound, paths = Any[], Any[]
    for part in x.args
        # `A: b, c` is a path and what is imported of it.
        path = Meta.isexpr(part, :(:)) ? part.args[1] : part
        root = Meta.isexpr(path, :.) ? path.args[1] : :.
        if root in (:., :Base, :Core, :Main)
            push!(paths, part)
        elseif haskey(modules, root)
            push!(bound, Expr(:const, Expr(:(=), root, modules[root][1])))
            relative = Expr(:., :., path.args...)
            path === part || push!(paths, Expr(:(:), relative, part.args[2:end]...))
            # The name of the module itself is bound already.
            path === part && (x.head === :using || length(path.args) > 1) && push!(paths, relative)
        else
            error(text_of("the package ", root, " is not in the image"))
        end
    end
    isempty(paths) || push!(bound, Expr(x.head, paths...))
    return Expr(:toplevel, bound...)
end

# Whether an expression contains code that may never be evaluated.
is_delayed(x) = x isa Expr && (x.head in (:->, :function, :macro, :quote, :do) || any(Bool[is_delayed(arg) for arg in x.args]))

# Evaluates an expression that calls `precompile`: its fate and the reason.
function evaluate(expression)
    asked .= 0
    mod = fresh_module()
    try
        # One after the other: each may use the macros and functions that the ones before it define.
        for part in (Meta.isexpr(expression, :toplevel) ? expression.args : Any[expression])
            Core.eval(mod, with_ask(part))
        end
    catch
        # What an assertion says about an answer of false is no cause.
        asked[2] == 0 && rethrow()
    end
    if asked[1] == 0
        cause = is_delayed(expression) ? "the function that calls it is not called, " : ""
        return "skipped", text_of("precompile was not called: ", cause, "a condition does not hold here, or a loop is empty")
    end
    asked[2] == 0 && return "replayed", ""
    calls = asked[1] == 1 ? "" : text_of(" for ", asked[2], " of ", asked[1], " calls")
    return "failed", text_of("precompile answered false", calls, ": no single method fits this signature")
end

# SnoopCompile's files call this function, which they define themselves, to find the method that holds the
# body of one with keyword arguments.
function keyword_body(method)
    isdefined(Base, :bodyfunction) && return something(Base.bodyfunction(method), missing)
    for call in Base.uncompressed_ast(method).code
        Meta.isexpr(call, :call) && call.args[1] isa GlobalRef || continue
        Core.SlotNumber(1) in call.args || continue
        return getfield(call.args[1].mod, call.args[1].name)
    end
    return missing
end
Core.eval(names, :(const __lookup_kwbody__ = $keyword_body))
Core.eval(names, :(export __lookup_kwbody__, @warnpcfail))
# So do they with this macro, which warns if `precompile` answers false.
Core.eval(names, :(macro warnpcfail(asked, more...) esc(asked) end))

one_line(err) = replace(replace(first(split(sprint(showerror, err), '\n')), '\t' => ' '), '\r' => ' ')

is_known(root) = root in (:Base, :Core) || haskey(modules, root) || isdefined(names, root)

# Why evaluating an expression failed: fate and reason. `recorded` is whether a workload was seen to
# compile it, so that a name that nobody else has is the workload's own.
function explain_failure(err, expression, recorded)
    found = roots(expression)
    for root in found
        is_known(root) && continue
        String(root) in project_packages && return "failed", text_of("the package ", root, " is not in the image")
        parent = unloaded_extension(String(root))
        parent === nothing ||
            return "failed", text_of("the extension ", root, " of ", parent, " was not loaded: it waits for other packages")
    end
    if recorded && any(Bool[root === :Main || !is_known(root) for root in found])
        return "skipped", "the workload itself defines what it names"
    end
    if err isa UndefVarError
        exporting = exporter(err.var)
        exporting === nothing || return "failed", text_of(err.var, " has no module: write it as `", exporting, '.', err.var, '`')
        return "failed", text_of(err.var, " is not defined in the image")
    end
    return "failed", one_line(err)
end

# The name of the loaded module that exports this name, for a statement written for a file with `using`.
function exporter(name)
    found = Symbol[parent for (parent, list) in modules for mod in list if is_exported(mod, name)]
    return isempty(found) ? nothing : minimum(found)
end
is_exported(mod, name) = isdefined(mod, name) && name in Base.names(mod)

# The loaded package that declares an extension of this name (since Julia 1.9).
function unloaded_extension(name)
    isdefined(Base, :get_extension) || return nothing
    for mod in values(Base.loaded_modules)
        path = pathof(mod)
        path === nothing && continue
        file = joinpath(dirname(dirname(path)), "Project.toml")
        try
            haskey(get(Base.parsed_toml(file), "extensions", Dict()), name) && return nameof(mod)
        catch
        end
    end
    return nothing
end

# The fate of one statement, `replayed`, `failed` or `skipped`; why; and whether it was mended. `recorded`
# is whether Julia recorded it, `ineffective` whether it was replayed for an earlier image and did not help.
function replay(text, recorded, ineffective)
    found = readings(text)
    isempty(found) && return "failed", "it does not parse", false
    outcome = nothing
    for (expression, mended) in found
        fate, reason = replay_reading(expression, recorded, ineffective)
        # One reading that works is enough; without one the reason is that of the first.
        if outcome === nothing || (fate == "replayed" && outcome[1] != "replayed")
            outcome = (fate, reason, mended)
        end
    end
    return outcome
end

function replay_reading(expression, recorded, ineffective)
    same, mixed = meanings(expression)
    fate, reason = replay_meanings(same, expression, recorded, ineffective)
    fate == "replayed" && !ineffective && return fate, reason
    isempty(mixed) && return fate, reason
    other = replay_meanings(mixed, expression, recorded, ineffective)
    return other[1] == "replayed" ? other : (fate, reason)
end

# Every meaning is replayed, as each may be the one that was meant.
function replay_meanings(list, expression, recorded, ineffective)
    outcome = nothing
    for meaning in list
        now = try
            if !is_plain(meaning)
                evaluate(meaning)
            else
                reason = attempt(meaning)
                ineffective && length(meaning.args) == 2 && Base.invokelatest(try_others, meaning)
                reason === nothing ? ("replayed", "") : ("failed", reason)
            end
        catch err
            explain_failure(err, expression, recorded)
        end
        if outcome === nothing || (now[1] == "replayed" && outcome[1] != "replayed")
            outcome = now
        end
    end
    return outcome
end
