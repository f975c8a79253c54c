# A day with three ships, of which one is too long for every berth.

using Dates
using Harbour, HarbourBerths, HarbourUnits

report(stdout, Date(2026, 5, 4), [
    Ship("Anna", Metres(64.0), Metres(3.9)),
    Ship("Deben", Metres(88.5), Metres(5.2)),
    Ship("Leviathan", Metres(140.0), Metres(8.8)),
])
