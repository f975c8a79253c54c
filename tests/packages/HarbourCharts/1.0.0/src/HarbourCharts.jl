"Soundings of a chart, which is an artifact."
module HarbourCharts

using HarbourDepths, HarbourUnits
using Pkg.Artifacts

export soundings, history

read_soundings(file) = map(readlines(file)[2:end]) do line
    place, below_datum = split(line, ',')
    Sounding(place, Metres(parse(Float64, below_datum)))
end

"The soundings of today's chart."
soundings() = read_soundings(joinpath(artifact"soundings", "soundings.csv"))

"Those of the chart of 1905, which is fetched when it is first asked for."
history() = read_soundings(joinpath(artifact"soundings_1905", "soundings.csv"))

end
