# Writes the sample: 36,634 made-up insurance policies in Florida, in the 18 columns of the
# well-known sample of that name, with the issue date in place of the point granularity.
#
# Usage: julia data/generate.jl [FILE]     (default: florida.csv beside this script)
#
# The same bytes on every machine and in every Julia: integers only, a generator of its own.

const ROWS = 36_634

const HEADER = "policyID,statecode,county,eq_site_limit,hu_site_limit,fl_site_limit," *
    "fr_site_limit,tiv_2011,tiv_2012,eq_site_deductible,hu_site_deductible," *
    "fl_site_deductible,fr_site_deductible,point_latitude,point_longitude,line," *
    "construction,issued"

# Name, centre (millionths of a degree north and east), and share of the policies.
const COUNTIES = [
    ("ALACHUA COUNTY", 29_674_000, -82_357_000, 11),
    ("BAY COUNTY", 30_237_000, -85_632_000, 8),
    ("BREVARD COUNTY", 28_263_000, -80_722_000, 22),
    ("BROWARD COUNTY", 26_152_000, -80_487_000, 70),
    ("CHARLOTTE COUNTY", 26_903_000, -81_937_000, 7),
    ("CITRUS COUNTY", 28_843_000, -82_524_000, 6),
    ("CLAY COUNTY", 29_983_000, -81_858_000, 8),
    ("COLLIER COUNTY", 26_112_000, -81_401_000, 14),
    ("COLUMBIA COUNTY", 30_224_000, -82_622_000, 3),
    ("DUVAL COUNTY", 30_335_000, -81_648_000, 36),
    ("ESCAMBIA COUNTY", 30_637_000, -87_341_000, 13),
    ("FLAGLER COUNTY", 29_475_000, -81_296_000, 4),
    ("HERNANDO COUNTY", 28_555_000, -82_468_000, 7),
    ("HIGHLANDS COUNTY", 27_344_000, -81_341_000, 5),
    ("HILLSBOROUGH COUNTY", 27_906_000, -82_347_000, 51),
    ("INDIAN RIVER COUNTY", 27_694_000, -80_544_000, 6),
    ("LAKE COUNTY", 28_764_000, -81_712_000, 12),
    ("LEE COUNTY", 26_578_000, -81_921_000, 26),
    ("LEON COUNTY", 30_458_000, -84_278_000, 11),
    ("MANATEE COUNTY", 27_481_000, -82_366_000, 13),
    ("MARION COUNTY", 29_210_000, -82_057_000, 13),
    ("MARTIN COUNTY", 27_080_000, -80_398_000, 6),
    ("MIAMI DADE COUNTY", 25_611_000, -80_497_000, 102),
    ("MONROE COUNTY", 25_109_000, -81_157_000, 4),
    ("NASSAU COUNTY", 30_606_000, -81_765_000, 3),
    ("OKALOOSA COUNTY", 30_665_000, -86_594_000, 7),
    ("ORANGE COUNTY", 28_514_000, -81_323_000, 46),
    ("OSCEOLA COUNTY", 28_059_000, -81_139_000, 11),
    ("PALM BEACH COUNTY", 26_647_000, -80_449_000, 54),
    ("PASCO COUNTY", 28_302_000, -82_439_000, 19),
    ("PINELLAS COUNTY", 27_903_000, -82_739_000, 37),
    ("POLK COUNTY", 27_950_000, -81_698_000, 25),
    ("PUTNAM COUNTY", 29_606_000, -81_741_000, 3),
    ("SAINT JOHNS COUNTY", 29_912_000, -81_410_000, 8),
    ("SAINT LUCIE COUNTY", 27_381_000, -80_443_000, 11),
    ("SANTA ROSA COUNTY", 30_704_000, -87_014_000, 6),
    ("SARASOTA COUNTY", 27_184_000, -82_366_000, 15),
    ("SEMINOLE COUNTY", 28_690_000, -81_132_000, 17),
    ("SUMTER COUNTY", 28_714_000, -82_075_000, 4),
    ("VOLUSIA COUNTY", 29_058_000, -81_162_000, 20),
]

const LINES = [("Residential", 83), ("Commercial", 17)]

# The two with a comma make the file need its quotes.
const CONSTRUCTIONS = [
    ("Wood", 58), ("Masonry", 26), ("\"Masonry, reinforced\"", 9),
    ("\"Concrete, reinforced\"", 4), ("Steel Frame", 3),
]

# Knuth's linear congruential generator MMIX; only its high bits are used.
mutable struct Generator
    state::UInt64
end

# A whole number from 0 to `below - 1`.
function draw!(generator::Generator, below::Integer)
    generator.state = generator.state * 0x5851f42d4c957f2d + 0x14057b7ef767814f
    return Int64((generator.state >> 33) % UInt64(below))
end

# One of `choices`, each a tuple that ends in its weight.
function choose!(generator, choices)
    remaining = draw!(generator, sum(last, choices))
    for choice in choices
        remaining -= last(choice)
        remaining < 0 && return choice
    end
end

# `number` in units of 10^-places, as a decimal number with no trailing zeros.
function decimal(number, places)
    whole, rest = divrem(abs(number), Int64(10)^places)
    digits = rstrip(lpad(rest, places, '0'), '0')
    return string(number < 0 ? "-" : "", whole, isempty(digits) ? "" : ".", digits)
end

function writepolicy(io, generator, id)
    county, latitude, longitude, _ = choose!(generator, COUNTIES)
    line, _ = choose!(generator, LINES)
    construction, _ = choose!(generator, CONSTRUCTIONS)

    # Insured values in cents, spread over the decades like real ones: many houses, few towers.
    doublings = sum(draw!(generator, 4) for _ in 1:3) + (line == "Commercial" ? 2 : 0)
    value = (Int64(1_000_000) + draw!(generator, 1_000_000)) << doublings
    later = value * (860 + draw!(generator, 390) + draw!(generator, 250)) ÷ 1000

    # Earthquake, hurricane, flood, fire: what is covered, up to which limit, from which loss on.
    covered = [draw!(generator, 100) < share for share in (48, 92, 31, 74)]
    limits = map(covered) do iscovered
        !iscovered ? Int64(0) : draw!(generator, 4) > 0 ? value : value * 9 ÷ 10
    end
    deductibles = map(limits) do limit
        limit > 0 && draw!(generator, 8) == 0 ? limit * draw!(generator, 6) ÷ 100 : Int64(0)
    end

    latitude += draw!(generator, 400_001) - 200_000
    longitude += draw!(generator, 400_001) - 200_000
    year, month, day = draw!(generator, 10), draw!(generator, 12), draw!(generator, 28)
    issued = string(2001 + year, '-', lpad(1 + month, 2, '0'), '-', lpad(1 + day, 2, '0'))

    amounts = decimal.([limits; value; later; deductibles], 2)
    point = decimal.([latitude, longitude], 6)
    fields = [string(id); "FL"; county; amounts; point; line; construction; issued]
    print(io, join(fields, ','), '\n')
end

# The file appears whole or not at all, also when two processes write it at the same time.
function generate(path)
    generator = Generator(36_634)
    partial, io = mktemp(dirname(abspath(path)))
    print(io, HEADER, '\n')
    id = 100_000
    for _ in 1:ROWS
        id += 1 + draw!(generator, 24)
        writepolicy(io, generator, id)
    end
    close(io)
    chmod(partial, 0o644)
    mv(partial, path; force = true)
end

generate(isempty(ARGS) ? joinpath(@__DIR__, "florida.csv") : ARGS[1])
