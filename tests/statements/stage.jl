# Tests of stage.jl, whose path is the argument, in a process that emits no image: what it binds in Main.
using Test

const stage = abspath(ARGS[1])
const launcher = joinpath(dirname(stage), "launch.jl")
const folder = mktempdir()

"Stages the package Dates and returns what the user's script prints."
function staged(import_into_main)
    path(name) = joinpath(folder, name)
    write(path("statements.list"), "")
    write(path("script.jl"), "println(\"bound: \", isdefined(Main, :Dates), \" \", rand(1:6) in 1:6)\n")
    job = ["project" => folder, "stdlib" => Sys.STDLIB, "statements" => path("statements.list"),
        "report" => path("report.tsv"), "running" => path("running.txt"),
        "surroundings" => path("surroundings.tsv"), "import-into-main" => import_into_main,
        "package" => "Dates\tade2ca70-3891-5945-98fb-dc099432e06a", "strict" => "false",
        "script" => path("script.jl")]
    write(path("stage.job"), join(string(key, '\t', value, '\n') for (key, value) in job))
    julia = joinpath(Sys.BINDIR, Base.julia_exename())
    said = read(`$julia --startup-file=no $launcher $stage $(path("stage.job"))`, String)
    @test endswith(read(path("surroundings.tsv"), String), "end\n")
    return only(filter(line -> startswith(line, "bound:"), split(said, '\n')))
end

@testset "packages are bound in Main unless that is not wanted" begin
    @test staged("true") == "bound: true true"
    @test staged("false") == "bound: false true"
end
