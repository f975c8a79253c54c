"""
Statistics of a book of insurance policies, read from a CSV file.

    policies = readpolicies("florida.csv")
    println(report(policies))
"""
module InsuranceStats

using Dates
using Printf

export Table, readcsv, readpolicies, PooledVector
export Summary, describe, correlation, groupby, combine
export exposure, growth, accumulation, perils, issued, bands
export report, samplefile

include("table.jl")
include("parsing.jl")
include("statistics.jl")
include("policies.jl")
include("report.jl")
include("sample.jl")

end
