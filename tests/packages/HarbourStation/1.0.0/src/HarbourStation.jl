"The station that measures, with what `deps/build.jl` found out about it."
module HarbourStation

const DESCRIPTION = joinpath(@__DIR__, "..", "deps", "station.jl")
isfile(DESCRIPTION) || error("HarbourStation is not built: run `Pkg.build(\"HarbourStation\")`")
include(DESCRIPTION)

"The station's name and the height of its gauge in metres."
station() = (name = NAME, gauge = GAUGE)

end
