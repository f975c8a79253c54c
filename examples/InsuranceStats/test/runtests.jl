using InsuranceStats
using InsuranceStats: MalformedCSV, quantile, parsecsv
using Dates
using SHA
using Test
import Statistics

const GENERATOR = joinpath(@__DIR__, "..", "data", "generate.jl")

tableof(text; schema...) = parsecsv(Vector{UInt8}(text), values(schema))

@testset "InsuranceStats" begin
    @testset "columns have the types that the schema gives" begin
        table = tableof(
            "id,value,day,name\n1,2.5,2011-12-31,Lee\n-20,-0.125,2012-02-29,Bay\n";
            id = Int, value = Float64, day = Date, name = String,
        )
        @test length(table) == 2
        @test propertynames(table) == (:id, :value, :day, :name)
        @test table.id == [1, -20] && table.id isa Vector{Int}
        @test table.value == [2.5, -0.125] && table.value isa Vector{Float64}
        @test table.day == [Date(2011, 12, 31), Date(2012, 2, 29)] && table.day isa Vector{Date}
        @test table.name == ["Lee", "Bay"] && table.name isa PooledVector{String}
    end

    @testset "columns are found by name" begin
        table = tableof("a,b,c\n1,2,3\n"; c = Int, a = Int)
        @test (table.c, table.a) == ([3], [1])
    end

    @testset "quotes, line ends, empty fields" begin
        column(text) = tableof("name,n\n" * text; name = String).name
        @test column("\"Masonry, reinforced\",1\n") == ["Masonry, reinforced"]
        @test column("\"the \"\"old\"\" house\",1\n") == ["the \"old\" house"]
        @test column("\"two\nlines\",1\n") == ["two\nlines"]
        @test column("Wood,1\r\n\"Steel\",2\r\n") == ["Wood", "Steel"]
        @test column("Wood,1") == ["Wood"]
        @test column(",1\n\"\",2\n") == ["", ""]
        @test column("Wood,1\n\"Wood\",2\nWood,3\n").pool == ["Wood"]
        @test column("") == String[]
    end

    @testset "numbers are rounded as Base rounds them" begin
        texts = [
            "0", "-0.0", "7", "792148.9", "498960", "26.187979", "-80.5948", "0.1", ".5", "5.",
            "123456789012345", "1234567890123456", "0.1234567890123456789",
            "1e3", "6.02e-23", "Inf",
        ]
        column = tableof("x\n" * join(texts, '\n'); x = Float64).x
        @test all(column .=== parse.(Float64, texts))
    end

    @testset "malformed: $reason" for (text, record, reason) in [
        ("", 1, "the file is empty"),
        ("id\n1\n", 1, "there is no column value"),
        ("id,value\n1,1\n2\n", 3, "1 fields instead of 2"),
        ("value\n1\nx\n", 3, "value: \"x\" is not of type Float64"),
        ("value\n\"1\n", 2, "a quote is not closed"),
        ("value\n\"1\"2\n", 2, "a field goes on behind its quote"),
    ]
        @test_throws MalformedCSV(record, reason) tableof(text; value = Float64)
    end

    @testset "not of its type: $text" for (T, text) in [
        (Int, ""), (Int, "-"), (Int, "1.0"), (Int, "1234567890123456789"),
        (Float64, ""), (Float64, "."), (Float64, "1,5"), (Float64, "--1"),
        (Date, "2011-02-29"), (Date, "31/12/2011"),
    ]
        @test_throws MalformedCSV tableof("x\n\"$text\"\n"; x = T)
    end

    @testset "an error names its place" begin
        @test sprint(showerror, MalformedCSV(3, "the reason")) == "malformed CSV, record 3: the reason"
    end

    @testset "groups are sorted and have all rows" begin
        county, line = ["Lee", "Bay", "Lee", "Bay"], [2, 1, 1, 1]
        @test groupby(county) == ["Bay" => [2, 4], "Lee" => [1, 3]]
        @test groupby(county, line) == [("Bay", 1) => [2, 4], ("Lee", 1) => [3], ("Lee", 2) => [1]]
        @test combine(rows -> (n = length(rows),), groupby(county)) ==
              [(group = "Bay", n = 2), (group = "Lee", n = 2)]
    end

    @testset "statistics agree with the standard library" begin
        for values in ([3, 1, 2], [0.5, 8.25, -3.0, 1e3], collect(1.0:100) .^ 2)
            summary = describe(values)
            @test summary.count == length(values)
            @test summary.total ≈ sum(values)
            @test summary.mean ≈ Statistics.mean(values)
            @test summary.std ≈ Statistics.std(values)
            @test summary.median ≈ Statistics.median(values)
            @test (summary.minimum, summary.maximum) == extrema(values)
            for p in 0:0.05:1
                @test quantile(sort(values), p) ≈ Statistics.quantile(values, p)
            end
        end
        x, y = [1.0, 2, 3, 5], [2.0, 1, 4, 4]
        @test correlation(x, y) ≈ Statistics.cor(x, y)
        @test_throws ArgumentError describe(Float64[])
        @test isnan(describe([1.0]).std)
    end

    mktempdir() do folder
        @testset "the sample is the same bytes everywhere" begin
            copied = cp(GENERATOR, joinpath(folder, "generate.jl"))
            path = samplefile(copied)
            @test path == joinpath(folder, "florida.csv")
            @test bytes2hex(open(sha256, path)) ==
                  "677e803ae36392c20492100157a23b5bd4b3f7afc58969db8125da6dae5a3c2e"
            written = mtime(path)
            @test samplefile(copied) == path && mtime(path) == written
        end

        policies = readpolicies(joinpath(folder, "florida.csv"))

        @testset "the answers are about all policies" begin
            total = sum(policies.tiv_2012)
            @test length(policies) == 36_634 && length(propertynames(policies)) == 18
            @test allunique(policies.policyID)
            for groups in (
                exposure(policies, policies.county),
                exposure(policies, policies.construction, policies.line),
                accumulation(policies),
                issued(policies),
            )
                @test sum(group.summary.count for group in groups) == length(policies)
                @test sum(group.summary.total for group in groups) ≈ total
            end
            @test sum(row.total for row in bands(policies, [1e5, 1e6])) ≈ total
            @test sum(sum(row.quarters) for row in issued(policies)) == length(policies)
            @test length(perils(policies)) == 4
            @test all(peril -> 0 < peril.share < 1, perils(policies))
            @test all(peril -> 0.9 < peril.correlation <= 1, perils(policies))
        end

        @testset "growth is of the sums" begin
            counties = exposure(policies, policies.county)
            row = only(filter(row -> row.group == "MONROE COUNTY", counties))
            rows = findall(isequal("MONROE COUNTY"), policies.county)
            @test row.growth ≈ sum(policies.tiv_2012[rows]) / sum(policies.tiv_2011[rows]) - 1
        end

        @testset "the report" begin
            lines = split(report(policies), '\n')
            @test first(lines) == "36,634 policies, issued from 1 January 2001 to 28 December 2010"
            @test "  Miami Dade County       4,978  6860.8 M  +17.9 %  1,378,232  492,369  " *
                  "2,903,177  5,401,901  52,818,132" in lines
            @test "  Masonry, reinforced   residential     2,660   2483.6 M  +18.7 %  " *
                  "151,931    404,165  1,044,551" in lines
            @test "  2010  908  868  933  897  5279.9 M  501,905       Apr 2010" in lines
            @test all(line -> line == rstrip(line), lines)
        end
    end
end
