# Lists the functions of a package that are callable from C, with their types, as JSON. Arguments: the file
# for the result, the name and the UUID of the package, then functions that have to exist. Works from Julia
# 1.5 on.

const sysforge_file, sysforge_name, sysforge_uuid = ARGS[1:3]
const sysforge_init = ARGS[4:end]

const sysforge_root = Base.require(Base.PkgId(Base.UUID(sysforge_uuid), sysforge_name))

function quoted(text)
    out = IOBuffer()
    print(out, '"')
    for c in text
        if c == '"' || c == '\\'
            print(out, '\\', c)
        elseif c < ' ' || !isvalid(c)
            print(out, "\\u", string(UInt32(isvalid(c) ? c : '?'); base = 16, pad = 4))
        else
            print(out, c)
        end
    end
    print(out, '"')
    return String(take!(out))
end

plain(name) = "{\"kind\":\"plain\",\"name\":$(quoted(name))}"
other(T) = "{\"kind\":\"other\",\"name\":$(quoted(string(T)))}"

const PLAIN = (Bool, Int8, UInt8, Int16, UInt16, Int32, UInt32, Int64, UInt64, Float32, Float64, Char,
    Nothing, Cstring, Cwstring)

# A name without the characters that a parameter of a type brings: `Point{Float64}` is `Point_Float64`.
function type_name(T)
    isempty(T.parameters) && return string(nameof(T))
    return strip(replace(string(nameof(T), '_', join(T.parameters, '_')), r"[^A-Za-z0-9_]+" => '_'), '_')
end

function described(@nospecialize(T), within = ())
    T in PLAIN && return plain(string(T))
    (T isa DataType && !(T in within)) || return other(T)
    if T <: Ptr || T.name === Base.typename(Ref)
        return "{\"kind\":\"pointer\",\"to\":$(described(T.parameters[1], within))}"
    end
    T <: Base.Enum && isconcretetype(T) && return described(Base.Enums.basetype(T), within)
    (isconcretetype(T) && isbitstype(T)) || return other(T)
    if T <: Tuple
        count = fieldcount(T)
        (count > 0 && all(index -> fieldtype(T, index) === fieldtype(T, 1), 1:count)) || return other(T)
        return "{\"kind\":\"array\",\"of\":$(described(fieldtype(T, 1), (within..., T))),\"length\":$count}"
    end
    fieldcount(T) > 0 || return other(T)
    fields = [parameter(string(fieldname(T, index)), fieldtype(T, index), (within..., T))
              for index in 1:fieldcount(T)]
    return "{\"kind\":\"struct\",\"name\":$(quoted(type_name(T))),\"fields\":[$(join(fields, ','))]}"
end

parameter(name, T, within = ()) = "{\"name\":$(quoted(name)),\"type\":$(described(T, within))}"

function argument_names(method, count)
    names = try
        String[string(declared[1]) for declared in Base.arg_decl_parts(method)[2]][2:end]
    catch
        String[]
    end
    while length(names) < count
        push!(names, "")
    end
    return names
end

const functions = String[]

function note(method)
    isdefined(method, :ccallable) || return
    result, signature = method.ccallable[1], method.ccallable[2]
    types = collect(Base.unwrap_unionall(signature).parameters)[2:end]
    given = length(method.ccallable) > 2 ? string(method.ccallable[3]) : ""
    name = isempty(given) ? string(method.name) : given
    names = argument_names(method, length(types))
    parameters = join((parameter(names[index], types[index]) for index in eachindex(types)), ',')
    own = name == string(method.name) ? "" : "\"julia\":$(quoted(string(method.name))),"
    push!(functions, "{\"name\":$(quoted(name)),$own\"module\":$(quoted(string(method.module)))," *
        "\"result\":$(described(result)),\"parameters\":[$parameters]}")
    return
end

function root_of(mod)
    while parentmodule(mod) !== mod && mod !== sysforge_root
        mod = parentmodule(mod)
    end
    return mod
end

const seen = Set{Any}()

function look_through(mod)
    mod in seen && return
    push!(seen, mod)
    for name in sort!(names(mod; all = true, imported = true); by = string)
        isdefined(mod, name) || continue
        value = try
            getfield(mod, name)
        catch
            continue
        end
        if value isa Module
            # A submodule, not a package that this one uses.
            parentmodule(value) === mod && look_through(value)
        elseif value isa Function && !(value in seen)
            push!(seen, value)
            found = [method for method in methods(value) if root_of(method.module) === sysforge_root]
            foreach(note, sort!(found; by = method -> string(method.file, ':', lpad(method.line, 8, '0'))))
        end
    end
    return
end

look_through(sysforge_root)

function exists(path)
    found = sysforge_root
    for part in split(path, '.')
        (found isa Module && isdefined(found, Symbol(part))) || return false
        found = getfield(found, Symbol(part))
    end
    return !(found isa Module) && applicable(found)
end

open(sysforge_file, "w") do io
    missing_init = [quoted(name) for name in sysforge_init if !exists(name)]
    print(io, "{\"functions\":[", join(functions, ","), "],\"missing_init\":[", join(missing_init, ','),
        "],\"character\":$(quoted(string(Cchar)))}")
end
