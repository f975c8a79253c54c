# What tracing records of this package does not read back as it is printed: its types have letters, numbers
# and structs as parameters.
module Hard

using Alpha, Beta, LinearAlgebra, Random

struct Of{T} end

struct Bounds
    low::Float32
    high::Int8
    Bounds(both) = new(both, both)
end

struct Unit
    Unit(_) = new()
end

primitive type Flag 8 end

const PARAMETERS = Any[
    'y', 0.125f0, 1f-6, Inf32, -Inf, NaN, Float16(0.5), Bounds(16), Unit(1), reinterpret(Flag, 0x03),
    Symbol("yyyy-mm-dd\\T"), Symbol("a\\nb"), Symbol("a\"b"), Symbol("a\$b"), Symbol("yyyy\nmm"), Symbol("\\"),
    Int8(3), UInt16(7), true, (a = 1,), :end,
]

@noinline describe(x) = string(sum([sizeof(x), 1]))

# Compiled for `Any` by a generator, and for widened types.
@generated generated(x, y) = :($(sizeof(x)) + $(sizeof(y)))
@noinline passed_on(f::Function, xs) = map(f, xs)
many(x, rest...) = length(rest)

function run()
    for parameter in PARAMETERS
        describe(Of{parameter}())
    end
    for x in Any[1, 1.5, "text"], y in Any['a', 0x01]
        x isa Number && generated(x, y)
        many(x, y, x, y)
        string(x, 1, y, x)
    end
    passed_on(abs, Any[1, -2.5])
    return Alpha.run(), Beta.run()
end

unused(x) = x
unused(x, y::String) = y
with_keyword(x; a = 1, b = "text") = sum([x, a]) + length(b)

end
