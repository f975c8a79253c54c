# Descriptive statistics of any vector of numbers. One sorted copy serves all the quantiles of a
# summary. The standard library `Statistics` is left out: what it depends on differs from one Julia
# to the next, and with it the manifest.

"What [`describe`](@ref) finds in a vector of numbers."
struct Summary{T<:AbstractFloat}
    count::Int
    total::T
    mean::T
    std::T
    minimum::T
    q25::T
    median::T
    q75::T
    q95::T
    maximum::T
end

"""
    describe(values) -> Summary

Count, total, mean, corrected standard deviation, extremes and quantiles of at least one value.
"""
function describe(values)
    isempty(values) && throw(ArgumentError("no values to describe"))
    sorted = sort!(collect(float(eltype(values)), values))
    quartiles = map(p -> quantile(sorted, p), (0.25, 0.5, 0.75, 0.95))
    return Summary(
        length(sorted), sum(sorted), mean(sorted), std(sorted),
        first(sorted), quartiles..., last(sorted),
    )
end

mean(values) = sum(values) / length(values)

function std(values)
    center = mean(values)
    return sqrt(sum(value -> abs2(value - center), values) / (length(values) - 1))
end

# Linear between the two nearest values, as Julia's `Statistics`, R and NumPy do by default.
function quantile(sorted, p)
    position = 1 + p * (length(sorted) - 1)
    below = floor(Int, position)
    above = min(below + 1, length(sorted))
    return sorted[below] + (position - below) * (sorted[above] - sorted[below])
end

"Pearson's correlation of two vectors of equal length."
function correlation(x, y)
    mx, my = mean(x), mean(y)
    covariance = sum(((a, b),) -> (a - mx) * (b - my), zip(x, y))
    return covariance / sqrt(sum(a -> abs2(a - mx), x) * sum(b -> abs2(b - my), y))
end
