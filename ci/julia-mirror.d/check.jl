# Usage: julia check.jl PREFIX VERSION
#
# Checks a Julia of the mirror: that it is complete, takes everything from its own prefix, can
# compile a package, and can load the libraries and the programs that Pkg needs.

using Dates, Printf, Statistics, LinearAlgebra, Test, Pkg, Libdl
prefix = ARGS[1]
@test VERSION == VersionNumber(ARGS[2])
@test Sys.BINDIR == joinpath(prefix, "bin")
@test startswith(normpath(Sys.STDLIB), prefix)
@test isfile(joinpath(Sys.STDLIB, "Dates", "src", "Dates.jl"))
@test startswith(unsafe_string(Base.JLOptions().image_file), prefix)
@test isfile(joinpath(Sys.BINDIR, Base.LIBDIR, "libjulia.so"))
@test isfile(joinpath(Sys.BINDIR, Base.PRIVATE_LIBDIR, "sys.so"))
@test isdir(joinpath(Sys.BINDIR, Base.DATAROOTDIR, "julia", "base"))
@test mean([1, 2, 3]) == 2 && [2.0 0; 0 2] \ [2.0, 2] == [1, 1]
@test @sprintf("%.2f", big"2" / 3) == "0.67" && year(Date(2020, 11, 9)) == 2020

# Only Debian's Julia has its own source and headers.
if VERSION < v"1.6"
    @test isfile(Base.find_source_file("sysimg.jl"))
    @test isfile(joinpath(Sys.BINDIR, Base.INCLUDEDIR, "julia", "julia.h"))
else
    @test success(`$(joinpath(Sys.BINDIR, Base.LIBEXECDIR, "7z")) i`)
end

# Every standard library that there is a folder of can be loaded, and a package that uses them all
# be compiled.
names = filter(name -> isfile(joinpath(Sys.STDLIB, name, "Project.toml")), readdir(Sys.STDLIB))
@test length(names) >= 29
mktempdir() do folder
    mkpath(joinpath(folder, "Uses", "src"))
    uuid(name) = Base.identify_package(name).uuid
    write(joinpath(folder, "Uses", "Project.toml"), """
        name = "Uses"
        uuid = "6f7f4f22-0000-4000-8000-5a5c1d1a2c3d"
        [deps]
        """ * join("$name = \"$(uuid(name))\"\n" for name in names))
    write(joinpath(folder, "Uses", "src", "Uses.jl"),
        "module Uses\n" * join("import $name\n" for name in names) * "end\n")
    pushfirst!(DEPOT_PATH, joinpath(folder, "depot"))
    pushfirst!(LOAD_PATH, folder)
    Uses = Base.require(Main, :Uses)
    @test all(name -> isdefined(Uses, Symbol(name)), names)
    @test isdir(joinpath(folder, "depot", "compiled"))
end

# Besides the C and C++ runtime, nothing may come from the machine.
runtime = r"/(ld-linux-x86-64|lib(c|m|dl|rt|pthread|resolv|util|gcc_s|stdc\+\+|crypt|nss_\w+|linux-vdso))[-.\d]*\.so"
outside = filter(path -> startswith(path, '/') && !startswith(path, prefix) && !occursin(runtime, path), dllist())
@test outside == String[]
