"""
Prices of insurance policies, made of rules. Written to be hard on precompilation: closures,
keyword functions, generated functions and their names, callable structs, and types with numbers,
characters and symbols as parameters.
"""
module Pricing

using Printf

export Money, Grade, Banded, Surcharge, quote_price, rules, compose, ladder, evaluate, statement

"An amount in a currency that its type names, as in `Money{:EUR}(12.5)`."
struct Money{Currency}
    amount::Float64
end

Base.:+(a::Money{C}, b::Money{C}) where {C} = Money{C}(a.amount + b.amount)
Base.:*(a::Money{C}, factor::Real) where {C} = Money{C}(a.amount * factor)
Base.isless(a::Money{C}, b::Money{C}) where {C} = isless(a.amount, b.amount)
Base.zero(::Type{Money{C}}) where {C} = Money{C}(0.0)
Base.show(io::IO, m::Money{C}) where {C} = @printf(io, "%s %.2f", C, m.amount)

"A risk's grade, by letter: the letter is part of the type."
struct Grade{Letter} end
Grade(letter::Char) = Grade{letter}()

"Bounds that are part of a type, with field names."
struct Bounds
    low::Int8
    high::Int16
end

"A rule for the values within bounds."
struct Banded{B,F}
    rule::F
end
Banded(rule, low, high) = Banded{Bounds(low, high),typeof(rule)}(rule)

function (banded::Banded{B})(price; age = 0, options...) where {B}
    return B.low <= age <= B.high ? banded.rule(price; age = age, options...) : price
end

"A surcharge by a fraction that is part of the type."
struct Surcharge{Fraction} end
(::Surcharge{F})(price; options...) where {F} = price * (1 + F)

weight(::Grade{'a'}) = 0.8
weight(::Grade{'b'}) = 1.0
weight(::Grade{'é'}) = 1.1
weight(::Grade) = 1.4

"The sum of a tuple's squares, unrolled while it is compiled."
@generated function squares(values::NTuple{N,T}) where {N,T}
    terms = [:(values[$i] * values[$i]) for i in 1:N]
    return :(+($(terms...)))
end

"Rules into one, applied from left to right."
compose(rules...) = (price; options...) -> foldl((p, rule) -> rule(p; options...), rules; init = price)

"The usual rules, with a discount that only the keyword decides."
function rules(; discount = 0.0, young = 25, loading::Union{Nothing,Float32} = nothing)
    loaded = loading === nothing ? Surcharge{0.0f0}() : Surcharge{0.125f0}()
    cheaper = (price; kw...) -> price * (1 - discount)
    risky = (price; age, kw...) -> age < young ? price * (1 + (young - age) / 50) : price
    return compose(Banded(risky, 16, 99), loaded, cheaper)
end

"The price of a policy."
function quote_price(base::Money; grade::Char = 'b', years = (1, 2), with = rules(), age = 40)
    factor = weight(Grade(grade)) * sqrt(squares(Float64.(years))) / sqrt(squares(years))
    return with(base * factor; age = age)
end

"Functions that each remember what the ones before it saw."
function ladder(steps::Integer)
    seen = Float64[]
    return map(1:steps) do step
        function (x)
            push!(seen, x)
            return sum(y -> y / step, seen)
        end
    end
end

evaluate(steps, xs) = [reduce(max, (f(x) for x in xs)) for f in steps]

"A table of prices, dearest first."
function statement(prices::Dict{String,<:Money}; io::IO = stdout, by = last)
    for (rank, (name, price)) in enumerate(sort!(collect(prices); by = by, rev = true))
        @printf(io, "%2d. %-12s %s %5.1f%%\n", rank, name, price, 100 * share(price, prices))
    end
end

share(price, prices) = price.amount / sum(p -> p.amount, values(prices))

end
