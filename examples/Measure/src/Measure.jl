"""
Averages and converts measurements. An example of a C library: the functions with `@ccallable` can be called
from C and from every language that calls C.
"""
module Measure

"A point in the plane; in C it is a structure of the same name."
struct MeasurePoint
    x::Cdouble
    y::Cdouble
end

"How many metres each unit has, by its number in C."
const METRES = Dict{Cint,Cdouble}()

"Called when the library starts."
function load_units()
    METRES[1] = 1.0
    METRES[2] = 0.3048
    return nothing
end

# An exception must not leave a function that C called: errors are values.

Base.@ccallable function measure_mean(values::Ptr{Cdouble}, count::Csize_t)::Cdouble
    count == 0 && return NaN
    return sum(unsafe_wrap(Array, values, count)) / count
end

Base.@ccallable function measure_convert(value::Cdouble, from::Cint, to::Cint)::Cdouble
    haskey(METRES, from) && haskey(METRES, to) || return NaN
    return value * METRES[from] / METRES[to]
end

Base.@ccallable function measure_unit(name::Cstring)::Cint
    text = unsafe_string(name)
    text == "metre" && return Cint(1)
    text == "foot" && return Cint(2)
    return Cint(-1)
end

Base.@ccallable function measure_distance(a::MeasurePoint, b::MeasurePoint)::Cdouble
    return hypot(a.x - b.x, a.y - b.y)
end

end # module Measure
