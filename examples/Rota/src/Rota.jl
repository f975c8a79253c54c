"""
Who works when. The people's types and the rules come from the user: this package calls functions
and holds values that it has never seen, as callbacks and plug-ins do.
"""
module Rota

using Dates

export Shift, Plan, shifts, plan!, hours, calendar

"One shift to be filled."
struct Shift
    start::DateTime
    length::Hour
end

"Shifts, and who has each."
struct Plan{Person}
    taken::Vector{Pair{Shift,Person}}
end
Plan{P}() where {P} = Plan{P}(Pair{Shift,P}[])

"The shifts of some days, as many a day as there are hours in `starts`."
function shifts(days::AbstractVector{Date}; starts = (6, 14, 22), length = Hour(8))
    return [Shift(DateTime(day) + Hour(hour), length) for day in days for hour in starts]
end

"Gives each shift to the person whom `cost` says it costs least."
function plan!(plan::Plan, shifts, people; cost)
    for shift in shifts
        costs = map(person -> cost(person, shift, plan), people)
        push!(plan.taken, shift => people[argmin(costs)])
    end
    return plan
end

"How many hours everybody works, by any name."
function hours(name, plan::Plan)
    total = Dict{String,Int}()
    for (shift, person) in plan.taken
        who = name(person)
        total[who] = get(total, who, 0) + shift.length.value
    end
    return sort!(collect(total); by = last, rev = true)
end

"The plan as text, a line a day."
function calendar(name, plan::Plan; format = dateformat"e dd.mm.yyyy")
    days = unique(Date(shift.start) for (shift, _) in plan.taken)
    lines = map(days) do day
        names = [name(person) for (shift, person) in plan.taken if Date(shift.start) == day]
        return string(Dates.format(day, format), ": ", join(names, ", "))
    end
    return join(lines, '\n')
end

end
