# One of two packages with this name.
module Twin
struct One
    number::Int
end
@noinline one(x) = sum([x.number, 1])
end
