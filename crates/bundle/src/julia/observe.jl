# Runs the script of an app on its image, and writes down at the end which libraries are open, where the
# loaded packages are, and the most memory that the process had: `library<TAB>path`,
# `package<TAB>name<TAB>file` and `memory<TAB>bytes` lines, then `end`. Works from
# Julia 1.5 on.

const sysforge_observe = ARGS[1]

# A part of Base since Julia 1.6, and before that a standard library.
const sysforge_libdl = if isdefined(Base.Libc, :Libdl)
    Base.Libc.Libdl
else
    Base.require(Base.PkgId(Base.UUID("8f399da3-3557-5675-b5ff-fb832c97cbdb"), "Libdl"))
end

atexit() do
    open(sysforge_observe, "w") do io
        for path in sysforge_libdl.dllist()
            println(io, "library\t", path)
        end
        for (id, mod) in Base.loaded_modules
            file = try
                pathof(mod)
            catch
                nothing
            end
            file === nothing || id.uuid === nothing || println(io, "package\t", id.name, '\t', file)
        end
        println(io, "memory\t", Sys.maxrss())
        println(io, "end")
    end
end

const sysforge_script = ARGS[2]
splice!(ARGS, 1:2)
Base.include(Main, sysforge_script)
