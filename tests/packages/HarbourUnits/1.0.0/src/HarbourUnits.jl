"Lengths and times as a harbour writes them."
module HarbourUnits

using Printf

export Metres, hours

struct Metres
    value::Float64
end

Base.:+(a::Metres, b::Metres) = Metres(a.value + b.value)
Base.:-(a::Metres, b::Metres) = Metres(a.value - b.value)
Base.isless(a::Metres, b::Metres) = isless(a.value, b.value)
Base.show(io::IO, length::Metres) = @printf(io, "%.2f m", length.value)

"Minutes as hours and minutes."
hours(minutes::Integer) = @sprintf("%02d:%02d", fldmod(minutes, 60)...)

end
