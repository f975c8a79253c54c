using Hard, LinearAlgebra, Random
include("included.jl")
eval(:(evaluated = 1))
abspath(PROGRAM_FILE) == (@__FILE__) || error("PROGRAM_FILE is $PROGRAM_FILE")
1 <= rand(1:6) <= 6 || error("no die")
shuffle(1:10)
matrix = [2.0 1.0; 1.0 3.0]
matrix \ [1.0, 2.0] ≈ [0.2, 0.6] || error("BLAS")
inv(matrix)
included()
