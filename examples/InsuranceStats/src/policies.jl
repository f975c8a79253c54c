# What the columns of the policies mean, and the questions that one asks of them. Each answer is a
# vector of named tuples, one for each row of the table that `report` makes of it.

const POLICY = (
    policyID = Int, statecode = String, county = String,
    eq_site_limit = Float64, hu_site_limit = Float64,
    fl_site_limit = Float64, fr_site_limit = Float64,
    tiv_2011 = Float64, tiv_2012 = Float64, # total insured value, dollars
    eq_site_deductible = Float64, hu_site_deductible = Float64,
    fl_site_deductible = Float64, fr_site_deductible = Float64,
    point_latitude = Float64, point_longitude = Float64,
    line = String, construction = String, issued = Date,
)

const PERILS = (eq = "earthquake", hu = "hurricane", fl = "flood", fr = "fire")

"""
    readpolicies(path) -> Table

The policies of a CSV file with the columns of the Florida sample.
"""
readpolicies(path) = readcsv(path, POLICY)

"""
    exposure(policies, columns...)

Total insured values for each combination of the columns' values, the largest first.
"""
function exposure(policies, columns...)
    groups = combine(groupby(columns...)) do rows
        before, after = view(policies.tiv_2011, rows), view(policies.tiv_2012, rows)
        return (summary = describe(after), growth = growth(sum(before), sum(after)))
    end
    return sort!(groups, by = group -> group.summary.total, rev = true)
end

"What was gained, as a share of what was there before."
growth(before, after) = after / before - 1

"""
    perils(policies)

For each peril: how many are covered and up to how much, the mean deductible of those who have
one as a share of the limit, and how closely the limit follows the insured value.
"""
function perils(policies)
    return map(collect(pairs(PERILS))) do (prefix, name)
        limits = getproperty(policies, Symbol(prefix, :_site_limit))
        deductibles = getproperty(policies, Symbol(prefix, :_site_deductible))
        return peril(name, limits, deductibles, policies.tiv_2011)
    end
end

# Behind this call the columns' types are known: which ones they are depends on a name.
function peril(name, limits, deductibles, insured)
    rows = findall(limits .> 0)
    bearing = findall(deductibles .> 0)
    covered = view(limits, rows)
    return (
        peril = name,
        share = length(rows) / length(insured),
        limits = describe(covered),
        deductible = mean(view(deductibles, bearing) ./ view(limits, bearing)),
        correlation = correlation(covered, view(insured, rows)),
    )
end

"""
    issued(policies)

For each year of issue: the number of policies by quarter, their insured value, and the month
that brought the most.
"""
function issued(policies)
    return combine(groupby(year.(policies.issued))) do rows
        dates, values = view(policies.issued, rows), view(policies.tiv_2012, rows)
        months = combine(groupby(firstdayofmonth.(dates))) do inmonth
            (total = sum(view(values, inmonth)),)
        end
        busiest = last(sort!(months, by = month -> month.total))
        quarters = ntuple(number -> count(date -> quarterofyear(date) == number, dates), 4)
        return (quarters = quarters, summary = describe(values), busiest = busiest)
    end
end

"""
    accumulation(policies; degrees = 0.5)

Insured values in each cell of a grid over the map, the largest first: what one event could hit.
"""
function accumulation(policies; degrees = 0.5)
    cell(coordinate) = floor(Int, coordinate / degrees)
    cells = exposure(policies, cell.(policies.point_latitude), cell.(policies.point_longitude))
    return map(cells) do row
        corner = (latitude = row.group[1] * degrees, longitude = row.group[2] * degrees)
        return (corner = corner, summary = row.summary)
    end
end

"""
    bands(policies, edges)

Number and value of the policies by insured value; band `i` ends below `edges[i]`.
"""
function bands(policies, edges)
    band = map(value -> searchsortedlast(edges, value) + 1, policies.tiv_2012)
    return combine(groupby(band)) do rows
        (count = length(rows), total = sum(view(policies.tiv_2012, rows)))
    end
end
