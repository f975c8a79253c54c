"Signals of a harbour. With HarbourColours, on Julia 1.9 and later, they have lights as well."
module HarbourSigns

export signal

signal(passable::Bool) = passable ? "enter" : "keep clear"

end
