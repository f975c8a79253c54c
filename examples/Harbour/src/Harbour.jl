"The morning's report of a harbour, made of registered packages."
module Harbour

using Dates
using HarbourBerths, HarbourCharts, HarbourColours, HarbourSigns, HarbourStation, HarbourTraffic, HarbourUnits

export report

"One berth for each place of the chart."
berths() = [Berth(sounding.place, Metres(60.0 + 10 * number), sounding) for (number, sounding) in enumerate(soundings())]

function report(io::IO, day::Date, ships)
    station = HarbourStation.station()
    println(io, station.name, ", gauge at ", Metres(station.gauge))
    day_plan(io, day, ships, berths())
    println(io, "entrance: ", signal(true))
end

end
