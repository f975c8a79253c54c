"The height of the tide, by the hour."
module HarbourTides

using HarbourUnits

export tide, high_water

"The harmonic constituents: amplitude in metres, period and phase in minutes."
const CONSTITUENTS = [(1.6, 745.2, 130.0)]

"The height above chart datum, so many minutes after midnight."
tide(minutes) = Metres(2.5 + sum(a * cos(2pi * (minutes - phase) / period) for (a, period, phase) in CONSTITUENTS))

"The minute of the day with the highest tide."
high_water(step = 5) = argmax([tide(minute).value for minute in 0:step:1439]) * step - step

end
