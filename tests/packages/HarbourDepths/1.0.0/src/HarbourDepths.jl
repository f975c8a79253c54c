"How deep the water is, at a place and a time."
module HarbourDepths

using HarbourTides, HarbourUnits

export Sounding, depth, passable

struct Sounding
    place::String
    below_datum::Metres
end

depth(sounding::Sounding, minutes) = sounding.below_datum + tide(minutes)

"The minutes of a day at which a draught passes over a sounding."
passable(sounding::Sounding, draught::Metres; step = 30) =
    [minutes for minutes in 0:step:1439 if draught < depth(sounding, minutes)]

end
