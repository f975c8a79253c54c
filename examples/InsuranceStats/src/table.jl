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
groupby(columns::AbstractVector...) = grouprows(zip(columns...))

# First the number of each row's group and the groups' sizes, so that every vector is made once.
function grouprows(keys)
    K = eltype(keys)
    numbers, sizes, refs = Dict{K,UInt32}(), Int[], Vector{UInt32}(undef, length(keys))
    for (row, key) in enumerate(keys)
        number = get!(() -> UInt32(length(push!(sizes, 0))), numbers, key)
        sizes[number] += 1
        refs[row] = number
    end
    groups = [sizehint!(UInt32[], size) for size in sizes]
    for (row, number) in enumerate(refs)
        push!(groups[number], row)
    end
    return sort!([key => groups[number] for (key, number) in numbers], by = first)
end

"""
    combine(f, groups) -> Vector{<:NamedTuple}

One row for each group: its key as `group`, then the fields of the named tuple `f(rows)`.
"""
combine(f, groups) = [merge((group = key,), f(rows)) for (key, rows) in groups]
