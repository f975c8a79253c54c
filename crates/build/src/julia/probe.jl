# Says what this Julia is, one `key=value` a line, each line with the prefix that the caller gave,
# so that whatever else is printed does not matter. Works from Julia 1.5 on.
let prefix = ARGS[1]
    say(key, value) = println(prefix, key, "=", value)
    resolve(path) = abspath(joinpath(Sys.BINDIR, path))
    say("version", VERSION)
    say("commit", Base.GIT_VERSION_INFO.commit)
    say("machine", Sys.MACHINE)
    say("bindir", abspath(Sys.BINDIR))
    say("libdir", resolve(Base.LIBDIR))
    say("private_libdir", resolve(Base.PRIVATE_LIBDIR))
    isdefined(Base, :PRIVATE_LIBEXECDIR) &&
        say("private_libexecdir", resolve(Base.PRIVATE_LIBEXECDIR))
    say("stdlib", abspath(Sys.STDLIB))
    say("base_image", abspath(unsafe_string(Base.JLOptions().image_file)))
    say("cpu_name", Sys.CPU_NAME)
    say("cpu_threads", Sys.CPU_THREADS)
end
