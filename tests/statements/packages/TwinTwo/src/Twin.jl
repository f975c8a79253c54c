# One of two packages with this name.
module Twin
struct Two
    text::String
end
@noinline two(x) = join([x.text, "!"])
end
