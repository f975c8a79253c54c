# Usage: julia stdlib.jl
#
# Makes the folder of every standard library in the Julia that runs this: the code is in its image,
# but Julia and Pkg look for names, uuids and dependencies in Project.toml, and Julia for a source
# file. The dependencies are those of Julia 1.6, as far as a library is in the image.

const DEPENDENCIES = Dict(
    "CompilerSupportLibraries_jll" => "Artifacts Libdl",
    "Dates" => "Printf",
    "DelimitedFiles" => "Mmap",
    "Distributed" => "Random Serialization Sockets",
    "Downloads" => "ArgTools LibCURL NetworkOptions",
    "Future" => "Random",
    "InteractiveUtils" => "Markdown",
    "LazyArtifacts" => "Artifacts Pkg",
    "LibCURL" => "LibCURL_jll MozillaCACerts_jll",
    "LibCURL_jll" => "Artifacts LibSSH2_jll Libdl MbedTLS_jll Zlib_jll nghttp2_jll",
    "LibGit2" => "Base64 NetworkOptions Printf SHA",
    "LibSSH2_jll" => "Artifacts Libdl MbedTLS_jll",
    "LinearAlgebra" => "Libdl",
    "Markdown" => "Base64",
    "MbedTLS_jll" => "Artifacts Libdl",
    "OpenBLAS_jll" => "Artifacts CompilerSupportLibraries_jll Libdl",
    "OpenLibm_jll" => "Artifacts Libdl",
    "Pkg" => "Artifacts Dates Downloads LibGit2 Libdl Logging Markdown Printf REPL Random SHA " *
        "Serialization TOML Tar UUIDs p7zip_jll",
    "Printf" => "Unicode",
    "Profile" => "Printf",
    "REPL" => "InteractiveUtils Markdown Sockets Unicode",
    "Random" => "Serialization",
    "SharedArrays" => "Distributed Mmap Random Serialization",
    "SparseArrays" => "LinearAlgebra Random",
    "Statistics" => "LinearAlgebra SparseArrays",
    "SuiteSparse" => "Libdl LinearAlgebra Serialization SparseArrays",
    "SuiteSparse_jll" => "Artifacts Libdl OpenBLAS_jll",
    "TOML" => "Dates",
    "Tar" => "ArgTools SHA",
    "Test" => "InteractiveUtils Logging Random Serialization",
    "UUIDs" => "Random SHA",
    "Zlib_jll" => "Libdl",
    "nghttp2_jll" => "Artifacts Libdl",
    "p7zip_jll" => "Artifacts Libdl",
)

# The modules of the image that come from the folder of standard libraries.
libraries = Dict(
    id.name => id.uuid for (id, loaded) in Base.loaded_modules
    if id.uuid !== nothing && startswith(something(pathof(loaded), ""), Sys.STDLIB)
)
for (name, uuid) in libraries
    folder = mkpath(joinpath(Sys.STDLIB, name))
    dependencies = split(get(DEPENDENCIES, name, ""))
    open(joinpath(folder, "Project.toml"), "w") do file
        println(file, "name = \"$name\"\nuuid = \"$uuid\"")
        isempty(dependencies) || println(file, "\n[deps]")
        for dependency in dependencies
            println(file, "$dependency = \"$(libraries[dependency])\"")
        end
    end
    mkpath(joinpath(folder, "src"))
    write(joinpath(folder, "src", "$name.jl"), "# The code is in the image, lib/julia/sys.so.\n")
end
