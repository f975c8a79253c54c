# What the launcher of an app and the init code of a C library call in Julia. It is in the image, compiled, so
# that a start parses and lowers no text: Julia 1.12 would compile parts of its parser for that in each
# process. Works from Julia 1.5 on.

module SysforgeStart

# Begins a program: the image may still contain the arguments of the process that wrote it.
function begin_program(path::String)
    empty!(Base.ARGS)
    ccall(:jl_set_global, Cvoid, (Any, Any, Any), Base, :PROGRAM_FILE, path)
    return nothing
end

function add_argument(argument::String)
    push!(Base.ARGS, argument)
    return nothing
end

function find(uuid::String, package::String, path::String)
    id = Base.PkgId(Base.UUID(uuid), package)
    haskey(Base.loaded_modules, id) || error("the image does not contain the package ", package)
    found = Base.loaded_modules[id]
    for name in split(path, '.')
        found isa Module && isdefined(found, Symbol(name)) || error(package, ".", path, " is not defined")
        found = getfield(found, Symbol(name))
    end
    return found
end

# Output to a file is still in a buffer when the entry point returns. Julia would write it when it ends, where
# a full disk cannot change the exit code any more.
function flush_output()
    out = Base.stdout
    out isa IOStream || return nothing
    try
        flush(out)
    catch
        try
            close(out)
        catch
        end
        rethrow()
    end
    return nothing
end

# Calls a function, which is described as `UUID PACKAGE PATH CALL`, and returns the exit code. CALL is `plain`
# for an entry point without parameters, `with-arguments` for one like `@main`, and `init` for a function
# whose result does not matter. The smallest number means that nobody reads the output any more. An exception
# is shown as `julia` shows it.
function run(description::String)
    try
        uuid, package, path, call = split(description, ' ')
        found = find(String(uuid), String(package), String(path))
        result = call == "with-arguments" ? Base.invokelatest(found, Base.ARGS) : Base.invokelatest(found)
        flush_output()
        call == "init" && return Int32(0)
        result isa Int32 && return result
        result isa Int64 && return convert(Int32, result)
        call == "with-arguments" && result === nothing && return Int32(0)
        result isa Integer && !(result isa Bool) && return convert(Int32, result)::Int32
        error(package, ".", path, " returned a value of type ", typeof(result), " instead of an integer, the exit code")
    catch problem
        problem isa Base.IOError && problem.code == Base.UV_EPIPE && return typemin(Int32)
        stack = isdefined(Base, :current_exceptions) ? Base.current_exceptions() : Base.catch_stack()
        Base.invokelatest(Base.display_error, stack)
        return Int32(1)
    end
end

precompile(begin_program, (String,))
precompile(add_argument, (String,))
precompile(run, (String,))

end
