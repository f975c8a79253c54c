# Tests of inits.jl, whose path is the argument: nothing of what an `__init__` or a workload sets stays.
module S
Base.include(@__MODULE__, ARGS[1])
end
using Test, Random, LinearAlgebra

module Stateful
const file = Ref{IOStream}()
const number = Ref(1)
const list = String["kept"]
handle = C_NULL
path = "before"
end

@testset "what was set is set back" begin
    S.remember(Stateful, names(Stateful; all = true))
    Stateful.file[] = open(ARGS[1])
    Stateful.number[] = 2
    push!(Stateful.list, "new")
    Core.eval(Stateful, :(handle = Ptr{Cvoid}(8); path = "/home"))
    S.set_back()
    @test !isassigned(Stateful.file)
    @test Stateful.number[] == 1
    @test Stateful.list == ["kept"]
    @test (Stateful.handle, Stateful.path) == (C_NULL, "before")
    GC.gc()
end

if VERSION < v"1.7-"
    @testset "random numbers leave nothing behind" begin
        # As no `__init__` ran; the tests themselves have drawn random numbers.
        empty!(Random.THREAD_RNGs)
        Sys.iswindows() || S.set_reference_back(Random.DEV_URANDOM, Any[])
        S.run_inits([Random, LinearAlgebra])
        @test rand(1:6) in 1:6
        first = rand()
        Random.seed!() # opens /dev/urandom
        S.set_back()
        @test isempty(Random.THREAD_RNGs)
        Sys.iswindows() || @test !isassigned(Random.DEV_URANDOM)
        S.run_inits([Random])
        rand(1:6)
        @test rand() == first
    end
end
