# Columns and tables. What a column means is not known here.

"""
    PooledVector(refs, pool)

A vector that keeps each distinct value once: element `i` is `pool[refs[i]]`.
"""
struct PooledVector{T,R<:Unsigned} <: AbstractVector{T}
    refs::Vector{R}
    pool::Vector{T}
end

Base.size(column::PooledVector) = size(column.refs)
Base.IndexStyle(::Type{<:PooledVector}) = IndexLinear()

Base.@propagate_inbounds function Base.getindex(column::PooledVector, i::Int)
    return column.pool[column.refs[i]]
end

# Calls `f` once for each distinct value, not once for each element.
Base.map(f, column::PooledVector) = PooledVector(column.refs, map(f, column.pool))

"""
    Table(columns::NamedTuple)

Columns of equal length, each with a name and its own element type. `table.name` is a column.
"""
struct Table{C<:NamedTuple}
    columns::C

    function Table(columns::C) where {C<:NamedTuple}
        lengths = map(length, values(columns))
        all(isequal(first(lengths)), lengths) ||
            throw(DimensionMismatch("columns differ in length"))
        return new{C}(columns)
    end
end

Base.getproperty(table::Table, name::Symbol) = getfield(getfield(table, :columns), name)
Base.propertynames(table::Table) = keys(getfield(table, :columns))
Base.length(table::Table) = length(first(getfield(table, :columns)))

"""
    groupby(columns...) -> Vector{Pair{key, rows}}

The row numbers of each distinct combination of the columns' values, sorted by key. The key of
a single column is its value, that of several is a tuple.
"""
groupby(column::AbstractVector) = grouprows(column)
groupby(columns::AbstractVector...) = grouprows(tuple.(columns...))

function grouprows(keys::AbstractVector{K}) where {K}
    groups = Dict{K,Vector{Int}}()
    for (row, key) in pairs(keys)
        push!(get!(Vector{Int}, groups, key), row)
    end
    return sort!(collect(groups), by = first)
end

"""
    combine(f, groups) -> Vector{<:NamedTuple}

One row for each group: its key as `group`, then the fields of the named tuple `f(rows)`.
"""
combine(f, groups) = [merge((group = key,), f(rows)) for (key, rows) in groups]
