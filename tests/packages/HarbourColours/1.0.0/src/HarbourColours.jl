"Colours of lights."
module HarbourColours

export Colour, red, green

struct Colour
    name::Symbol
end

red() = Colour(:red)
green() = Colour(:green)

end
