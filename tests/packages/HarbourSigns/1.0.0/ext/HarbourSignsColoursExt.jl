module HarbourSignsColoursExt

using HarbourColours, HarbourSigns

HarbourSigns.signal(colour::Colour) = HarbourSigns.signal(colour == green())

end
