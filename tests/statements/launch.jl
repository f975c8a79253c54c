# Tests of launch.jl, whose path is the argument: a process that emits no image has its streams already.
using Test

const launcher = ARGS[1]
const script = tempname() * ".jl"
const reached = Ref(false)
const streams = (stdin, stdout, stderr)

write(script, "Main.reached[] = true\n")
append!(empty!(ARGS), [script])
Base.include(Main, launcher)
rm(script)

@testset "streams are opened once" begin
    @test reached[]
    @test isempty(ARGS)
    @test (stdin, stdout, stderr) === streams
end
