# Runs a file as `julia FILE ARGS…` does. Works from Julia 1.5 on.

# A module that is to a script what Main is: it has `include` and `eval`, and the name Main stands for
# it. A script can thus be run again in a process without meeting what its first run defined.
function main_like_module()
    mod = Module(:Main)
    Core.eval(mod, quote
        eval(x) = Core.eval($mod, x)
        include(path) = Base.include($mod, path)
        include(mapexpr::Function, path) = Base.include(mapexpr, $mod, path)
    end)
    return mod
end

function run_script(mod::Module, path, args)
    append!(empty!(ARGS), args)
    # `abspath(PROGRAM_FILE) == @__FILE__` asks whether the file is the script.
    Core.eval(Base, :(PROGRAM_FILE = $path))
    Base.include(mod, path)
    Base.invokelatest(run_main, mod)
    return nothing
end

# Calls the function that `@main` has marked, from Julia 1.11 on, as `Base._start` does for Main.
function run_main(mod::Module)
    isdefined(mod, :main) || return nothing
    marker = Symbol("#__main_is_entrypoint__#")
    owner = Base.binding_module(mod, :main)
    isdefined(owner, marker) && getfield(owner, marker) === true || return nothing
    code = Base.invokelatest(getfield(mod, :main), ARGS)
    code isa Integer && code != 0 && exit(code)
    return nothing
end

# What `exit` throws where a script must not end the process.
struct ScriptExit
    code::Int
end
is_good_exit(err::LoadError) = is_good_exit(err.error)
is_good_exit(err) = err isa ScriptExit && err.code == 0
