"A day of a harbour, as text."
module HarbourTraffic

using Dates
using HarbourBerths, HarbourDepths, HarbourTides, HarbourUnits

export day_plan

function day_plan(io::IO, day::Date, ships, berths)
    println(io, Dates.format(day, "d U yyyy"), ", high water at ", hours(high_water()))
    berth_of = assign(ships, berths)
    for ship in ships
        berth = berth_of[ship.name]
        if berth === nothing
            println(io, ship.name, ": stays at anchor")
        else
            first_entry = first(passable(berth.sounding, ship.draught))
            println(io, ship.name, ": ", berth.name, " from ", hours(first_entry))
        end
    end
end

end
