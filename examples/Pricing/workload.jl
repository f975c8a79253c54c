# Prices in several currencies, by rules that are made on the spot.

using Pricing

with = rules(discount = 0.1, loading = 0.125f0)
prices = Dict(
    "city" => quote_price(Money{:EUR}(320.0); grade = 'a', with = with),
    "village" => quote_price(Money{:EUR}(210.0); age = 19),
    "coast" => quote_price(Money{:EUR}(540.0); grade = 'é', years = (1, 2, 3)),
    "island" => quote_price(Money{:EUR}(610.0); grade = 'z', with = compose(Surcharge{0.125f0}(), with)),
)
statement(prices)
println(maximum(values(prices)), " ", quote_price(Money{:CHF}(99.5)))
println(evaluate(ladder(3), [1.0, 4.0, 2.5]))
