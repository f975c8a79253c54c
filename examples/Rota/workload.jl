# A plan for people of a type that only this script knows.

module Team

using Dates
using Rota

struct Person
    name::String
    nights::Bool
    holidays::Vector{Date}
end

isnight(shift) = Dates.hour(shift.start) == 22

# What a shift costs depends on what a person has already.
function cost(person::Person, shift::Shift, plan::Plan{Person})
    Date(shift.start) in person.holidays && return 1e6
    had = count(taken -> last(taken) === person, plan.taken)
    return had + (isnight(shift) && !person.nights ? 10.0 : 0.0)
end

end

using Dates
using Rota

people = [
    Team.Person("Ada", false, [Date(2026, 3, 3)]),
    Team.Person("Grace", true, Date[]),
    Team.Person("Jean", true, [Date(2026, 3, 1), Date(2026, 3, 2)]),
]
days = Date(2026, 3, 1):Day(1):Date(2026, 3, 7)
plan = plan!(Plan{Team.Person}(), shifts(days), people; cost = Team.cost)
println(calendar(person -> person.name, plan))
for (name, hours) in hours(person -> uppercase(person.name), plan)
    println(rpad(name, 8), hours, " h")
end

# The same with plain names: code that the package can hold whole.
names = ["Ada", "Grace", "Jean"]
turns = plan!(Plan{String}(), shifts(days; starts = (8, 20)), names; cost = (n, s, p) -> length(p.taken) % length(n))
println(calendar(identity, turns; format = dateformat"yyyy-mm-dd"))
