# CSV (RFC 4180) into typed columns. The file is read whole; a first pass finds where the fields
# end, then each column is parsed by code of its own type, straight from the bytes.

"What is wrong in a CSV file, and in which record; the header is record 1."
struct MalformedCSV <: Exception
    record::Int
    reason::String
end

function Base.showerror(io::IO, e::MalformedCSV)
    print(io, "malformed CSV, record ", e.record, ": ", e.reason)
end

# The first and the last byte of a field, without its quotes.
const Span = UnitRange{Int}

"The bytes of a CSV file and the places of the comma or newline behind each: `stops[column, record]`."
struct Fields
    bytes::Vector{UInt8}
    stops::Matrix{UInt32}
end

# The field in a column of a record; it begins where the one before has stopped.
function span(fields, column, record)
    bytes, stops = fields.bytes, fields.stops
    number = (record - 1) * size(stops, 1) + column
    start = number == 1 ? 1 : Int(stops[number-1]) + 1
    stop = Int(stops[number]) - 1
    if stop >= start && bytes[stop] == RETURN
        stop -= 1
    end
    isquoted = stop > start && bytes[start] == QUOTE
    return isquoted ? Span(start + 1, stop - 1) : Span(start, stop)
end

const COMMA, QUOTE, NEWLINE, RETURN = UInt8(','), UInt8('"'), UInt8('\n'), UInt8('\r')

"""
    readcsv(path, schema::NamedTuple) -> Table

The columns that `schema` names, each parsed as the type that it gives: `Int`, `Float64`, `Date`
(as 2011-12-31) or `String`. Other columns of the file are passed over.
"""
readcsv(path::AbstractString, schema::NamedTuple) = parsecsv(read(path), schema)

function parsecsv(bytes::Vector{UInt8}, schema::NamedTuple{names}) where {names}
    fields = findfields(bytes)
    header = [Symbol(text(fields, column, 1)) for column in axes(fields.stops, 1)]
    columns = Any[parsecolumn(schema[name], fields, columnnumber(header, name)) for name in names]
    return Table(NamedTuple{names}(columns))
end

function columnnumber(header, name)
    column = findfirst(isequal(name), header)
    column === nothing && throw(MalformedCSV(1, "there is no column $name"))
    return column
end

# Finding the fields.

function findfields(bytes)
    isempty(bytes) && throw(MalformedCSV(1, "the file is empty"))
    last(bytes) == NEWLINE || push!(bytes, NEWLINE) # now every field has an end to be found
    length(bytes) < typemax(UInt32) || throw(MalformedCSV(1, "the file is larger than 4 GiB"))
    stops = UInt32[]
    width, record, start = 0, 1, 1
    while start <= length(bytes)
        stop = fieldstop(bytes, start, record)
        push!(stops, stop)
        if bytes[stop] == NEWLINE
            if record == 1
                width = length(stops)
                sizehint!(stops, width * count(isequal(NEWLINE), bytes))
            end
            found = length(stops) - (record - 1) * width
            found == width || throw(MalformedCSV(record, "$found fields instead of $width"))
            record += 1
        end
        start = stop + 1
    end
    return Fields(bytes, reshape(stops, width, :))
end

# The place of the comma or newline behind the field at `start`.
function fieldstop(bytes, start, record)
    bytes[start] == QUOTE && return quotedstop(bytes, start, record)
    stop = start
    while (byte = @inbounds bytes[stop]; byte != COMMA && byte != NEWLINE)
        stop += 1
    end
    return stop
end

function quotedstop(bytes, start, record)
    stop = start
    while true
        stop = findnext(isequal(QUOTE), bytes, stop + 1)
        stop === nothing && throw(MalformedCSV(record, "a quote is not closed"))
        bytes[stop+1] == QUOTE || break
        stop += 1 # two quotes stand for one
    end
    stop += bytes[stop+1] == RETURN ? 2 : 1
    bytes[stop] in (COMMA, NEWLINE) ||
        throw(MalformedCSV(record, "a field goes on behind its quote"))
    return stop
end

# Whether two quotes stand for one in this field. RFC 4180 has quotes in no other place within one.
isescaped(bytes, span) = any(i -> @inbounds(bytes[i]) == QUOTE, span)

text(fields::Fields, column, record) = text(fields.bytes, span(fields, column, record))

function text(bytes::Vector{UInt8}, span::Span)
    value = String(bytes[span])
    return isescaped(bytes, span) ? replace(value, "\"\"" => "\"") : value
end

# Parsing the columns.

function parsecolumn(::Type{T}, fields, column) where {T<:Union{Int,Float64}}
    return map(2:size(fields.stops, 2)) do record
        value = parsefield(T, fields.bytes, span(fields, column, record))
        value === nothing && throw(unparsable(T, fields, column, record))
        return value
    end
end

function parsecolumn(::Type{Date}, fields, column)
    texts = parsecolumn(String, fields, column)
    dates = map(texts) do text
        date = tryparse(Date, text, dateformat"yyyy-mm-dd")
        date === nothing && throw(unparsable(Date, fields, column, 1 + findfirst(isequal(text), texts)))
        return date
    end
    return collect(dates)
end

function parsecolumn(::Type{String}, fields, column)
    pool, known = String[], Dict{UInt64,UInt32}()
    refs = map(2:size(fields.stops, 2)) do record
        return intern!(pool, known, fields.bytes, span(fields, column, record))
    end
    return PooledVector(refs, pool)
end

function unparsable(T, fields, column, record)
    found, name = text(fields, column, record), text(fields, column, 1)
    return MalformedCSV(record, "$name: $(repr(found)) is not of type $T")
end

# The place of a field's text in `pool`, where it is put if it is new. `known` has the places by
# hash of the bytes; of two texts with one hash, the later is found under the next number.
function intern!(pool, known, bytes, span)
    key = hashbytes(bytes, span)
    while true
        ref = get(known, key, UInt32(0))
        if ref == 0
            push!(pool, text(bytes, span))
            ref = known[key] = UInt32(length(pool))
            return ref
        end
        issame(pool[ref], bytes, span) && return ref
        key += 1
    end
end

# FNV-1a, 64 bits.
function hashbytes(bytes, span)
    hash = 0xcbf29ce484222325
    for i in span
        hash = (hash ⊻ @inbounds(bytes[i])) * 0x00000100000001b3
    end
    return hash
end

function issame(value, bytes, span)
    isescaped(bytes, span) && return value == text(bytes, span)
    ncodeunits(value) == length(span) || return false
    for (i, position) in enumerate(span)
        codeunit(value, i) == @inbounds(bytes[position]) || return false
    end
    return true
end

# A number from its bytes, or `nothing`.

function parsefield(::Type{Int}, bytes, span)
    negative, digits = splitsign(bytes, span)
    1 <= length(digits) <= 18 || return nothing # any more could overflow
    value = 0
    for i in digits
        digit = @inbounds(bytes[i]) - UInt8('0')
        digit <= 9 || return nothing
        value = 10value + digit
    end
    return negative ? -value : value
end

# Up to 15 digits, they and the power of ten are exact in a Float64, so that one division rounds
# correctly. What is longer, or has an exponent, is left to Base.
function parsefield(::Type{Float64}, bytes, span)
    negative, number = splitsign(bytes, span)
    mantissa, digits, decimals, point = 0, 0, 0, false
    for i in number
        digit = @inbounds(bytes[i]) - UInt8('0')
        if digit <= 9 && digits < 15
            mantissa = 10mantissa + digit
            digits += 1
            decimals += point
        elseif @inbounds(bytes[i]) == UInt8('.') && !point
            point = true
        else
            return tryparse(Float64, text(bytes, span))
        end
    end
    digits > 0 || return nothing
    value = mantissa / POWERS[decimals+1]
    return negative ? -value : value
end

const POWERS = [10.0^n for n in 0:15]

function splitsign(bytes, span)
    negative = !isempty(span) && bytes[first(span)] == UInt8('-')
    return negative, negative ? (first(span)+1:last(span)) : span
end
