"Harbour dues. The package is private: the server wants a token for it."
module HarbourLedger

using HarbourUnits

export dues

dues(length::Metres) = round(length.value * 3.4; digits = 2)

end
