# What is recorded, compiled into the image, and timed: read the sample and print the report.

using InsuranceStats

policies = readpolicies(samplefile(joinpath(@__DIR__, "data", "generate.jl")))
println(report(policies))
