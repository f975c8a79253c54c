"Which berth takes which ship."
module HarbourBerths

using HarbourDepths, HarbourUnits

export Berth, Ship, assign

struct Berth
    name::String
    length::Metres
    sounding::Sounding
end

struct Ship
    name::String
    length::Metres
    draught::Metres
end

fits(ship::Ship, berth::Berth) = ship.length < berth.length && !isempty(passable(berth.sounding, ship.draught))

"The longest ships first, each to the shortest berth that takes it."
function assign(ships, berths)
    free = sort(collect(berths); by = berth -> berth.length.value)
    taken = Dict{String,Union{Berth,Nothing}}()
    for ship in sort(collect(ships); by = ship -> ship.length.value, rev = true)
        at = findfirst(berth -> fits(ship, berth), free)
        taken[ship.name] = at === nothing ? nothing : popat_berth!(free, at)
    end
    taken
end

function popat_berth!(free, at)
    berth = free[at]
    deleteat!(free, at)
    berth
end

end
