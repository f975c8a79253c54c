# The answers as text.

"""
    report(policies) -> String

All that this package knows to say of the policies.
"""
report(policies) = sprint(report, policies)

function report(io::IO, policies)
    from, to = map(date -> Dates.format(date, dateformat"d U yyyy"), extrema(policies.issued))
    println(io, thousands(length(policies)), " policies, issued from ", from, " to ", to)
    printcounties(io, policies)
    printconstructions(io, policies)
    printbands(io, policies)
    printperils(io, policies)
    printissued(io, policies)
    printaccumulation(io, policies)
end

function printcounties(io, policies)
    rows = exposure(policies, policies.county)
    printtable(
        io, "Insured value by county, 2012", rows,
        "county" => row -> titlecase(row.group),
        "policies" => row -> thousands(row.summary.count),
        "total" => row -> millions(row.summary.total),
        "growth" => row -> @sprintf("%+.1f %%", 100row.growth),
        "mean" => row -> thousands(row.summary.mean),
        "median" => row -> thousands(row.summary.median),
        "std" => row -> thousands(row.summary.std),
        "95 %" => row -> thousands(row.summary.q95),
        "largest" => row -> thousands(row.summary.maximum),
    )
end

function printconstructions(io, policies)
    rows = exposure(policies, policies.construction, policies.line)
    printtable(
        io, "Insured value by construction and line, 2012", rows,
        "construction" => row -> row.group[1],
        "line" => row -> lowercase(row.group[2]),
        "policies" => row -> thousands(row.summary.count),
        "total" => row -> millions(row.summary.total),
        "growth" => row -> @sprintf("%+.1f %%", 100row.growth),
        "25 %" => row -> thousands(row.summary.q25),
        "median" => row -> thousands(row.summary.median),
        "75 %" => row -> thousands(row.summary.q75),
    )
end

function printbands(io, policies)
    edges = [50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000, 10_000_000]
    rows = bands(policies, edges)
    largest = maximum(row.count for row in rows)
    printtable(
        io, "Policies by insured value, 2012", rows,
        "up to" => row -> row.group > length(edges) ? "above" : thousands(edges[row.group]),
        "policies" => row -> thousands(row.count),
        "total" => row -> millions(row.total),
        "" => row -> rpad(repeat('#', cld(40row.count, largest)), 40),
    )
end

function printperils(io, policies)
    printtable(
        io, "Cover by peril", perils(policies),
        "peril" => row -> row.peril,
        "covered" => row -> percent(row.share),
        "limits" => row -> millions(row.limits.total),
        "median limit" => row -> thousands(row.limits.median),
        "deductible" => row -> percent(row.deductible),
        "limit ~ value" => row -> @sprintf("%.4f", row.correlation),
    )
end

function printissued(io, policies)
    printtable(
        io, "Policies by year of issue", issued(policies),
        "year" => row -> string(row.group),
        "I" => row -> thousands(row.quarters[1]),
        "II" => row -> thousands(row.quarters[2]),
        "III" => row -> thousands(row.quarters[3]),
        "IV" => row -> thousands(row.quarters[4]),
        "total" => row -> millions(row.summary.total),
        "median" => row -> thousands(row.summary.median),
        "busiest month" => row -> Dates.format(row.busiest.group, dateformat"u yyyy"),
    )
end

function printaccumulation(io, policies)
    rows = accumulation(policies)
    printtable(
        io, "Largest accumulations in half a degree", rows[1:min(10, end)],
        "south-west corner" => row -> compass(row.corner),
        "policies" => row -> thousands(row.summary.count),
        "total" => row -> millions(row.summary.total),
        "largest" => row -> thousands(row.summary.maximum),
    )
end

# A table with one column for each pair of a heading and a function from row to text; the first
# column is flush left, the others flush right.
function printtable(io, title, rows, columns::Pair{String}...)
    texts = map(collect(enumerate(columns))) do (number, (heading, text))
        cells = [heading; map(text, rows)]
        width = maximum(textwidth, cells)
        return number == 1 ? rpad.(cells, width) : lpad.(cells, width)
    end
    @printf(io, "\n%s\n\n", title)
    for line in zip(texts...)
        println(io, "  ", rstrip(join(line, "  ")))
    end
end

thousands(value) = replace(string(round(Int, value)), r"(?<=\d)(?=(\d{3})+$)" => ",")
millions(value) = @sprintf("%.1f M", value / 1e6)
compass(point) = @sprintf("%.1f° N  %.1f° W", point.latitude, -point.longitude)
percent(share) = @sprintf("%.1f %%", 100share)
