# Tests of replay.jl, whose path is the argument: how one statement is read, resolved and replayed.
module S
Base.include(@__MODULE__, ARGS[1])
end
using Test, Dates

module P
struct D{T} end
@noinline f(x) = sum([sizeof(x), 1])
@noinline small(x) = sum([sizeof(x), 2])
struct Only{T}; Only{T}(x) where T = new{T}(); end
struct Bounds; low::Float32; high::Int8; Bounds(x, ::Val{N}) where N = new(x, N); end
struct Unit; Unit(x) = new(); end
primitive type Flag 8 end
g(x; a = 1, b = "s") = sum([x, a]) + length(b)
@noinline wide(f::Function, @nospecialize(x)) = x
many(x, xs...) = length(xs)
many(x::String, y::Int, z::Int) = 1
const hidden = Ref{Any}('x')
@noinline general(x, n::Integer) = sum([sizeof(x), n])
general(x::Char, n::Int) = invoke(general, Tuple{Any,Integer}, hidden[], n)
end
module Q; module X; f(x) = 1; struct T end; end; end
module R; module X; f(x, y) = 1; g(x) = 2; struct U end; end; end
S.bind_modules(Module[Dates, P, Q.X, R.X])
push!(S.project_packages, "Absent")
recorded(text; ineffective = false) = S.replay(text, true, ineffective)
given(text) = S.replay(text, false, false)
const replayed = ("replayed", "", false)
const mended = ("replayed", "", true)
const false_answer = "precompile answered false: no single method fits this signature"


@testset "printed forms are mended" begin
    for form in [
        raw"""Symbol("a\T")""", raw"""Symbol("a"b")""", raw"""Symbol("a$b")""", "Char(0x79000000)", "0.125f", "1e-06f",
        "-inff", "nan", "Float16(0x3800)", "P.Bounds(low=2f, high=3)", "P.Unit()", "P.Flag(0x03)",
    ]
        @test recorded("precompile(Tuple{typeof(P.f), P.D{$form}})") == mended
    end
    for form in [":\\", "Symbol(\"a\nb\")", "3", "true", "(a=1,)", ":end", "nothing"]
        @test recorded("precompile(Tuple{typeof(P.f), P.D{$form}})") == replayed
    end
    # The very values.
    value(text) = Core.eval(S.names, S.readings("precompile(P.D{$text})")[end][1].args[2]).parameters[1]
    @test value(raw"""Symbol("a\T")""") === Symbol("a\\T")
    @test value(raw"""Symbol("a\nb")""") === Symbol("a\\nb")
    @test value("Float16(0x3800)") === Float16(0.5)
    @test value("-inff") === -Inf32
    @test value("P.Bounds(low=2f, high=3)") === P.Bounds(2, Val(3))
    @test value("P.Flag(0x03)") === reinterpret(P.Flag, 0x03)
end

@testset "a call of precompile has many forms" begin
    @test given("precompile(P.f, (Int,))") == replayed
    @test given("precompile(P.f, (Int, Int))") == ("failed", false_answer, false)
    @test given("isdefined(P, :f) && precompile(P.f, (Int,))") == replayed
    @test given("isdefined(P, :ff) && precompile(P.ff, (Int,))")[1:2] ==
        ("skipped", "precompile was not called: a condition does not hold here, or a loop is empty")
    @test given("(VERSION >= v\"1.0\") && Base.precompile(P.f, (Int, Int))") == ("failed", false_answer, false)
    @test given("@assert precompile(P.many, (Int, Int))") == replayed
    @test given("@assert(precompile(P.f, (Int, Int)))") == ("failed", false_answer, false)
    @test given("@warnpcfail(precompile(P.f, (Int, Int)))") == ("failed", false_answer, false)
    @test given("map(precompile, [P.f, P.small], [(Int,), (Int,)])") == replayed
    @test given("precompile.([P.f, P.small], [(Int,), (Int, Int)])")[2] ==
        "precompile answered false for 1 of 2 calls: no single method fits this signature"
    @test given("(precompile)(P.f, (Int,))") == replayed
    @test given("Main.Base.precompile(P.f, (Int,)) === true") == replayed
    @test given("let\np = precompile\np(P.f, (Int,))\nend") == replayed
    @test given("let\nf(T) = precompile(P.f, (T,))\nforeach(f, (Int, Char))\nend") == replayed
    @test given("try precompile(P.f, (Int, Int)) || error(1) catch end")[1] == "failed"
    @test given("for T in (Int, String)\nprecompile(P.f, (T,)) || @warn \"no\"\nend") == replayed
    @test given("for n in (1, 2)\nprecompile(P.f, ntuple(_ -> Int, n))\nend")[2] ==
        "precompile answered false for 1 of 2 calls: no single method fits this signature"
    @test given("""
        let fbody = try __lookup_kwbody__(which(P.g, (Int,))) catch missing end
            if !ismissing(fbody)
                precompile(fbody, (Int, String, typeof(P.g), Int))
            end
        end""") == replayed
    @test given("eval(:(precompile(P.f, (Int,))))") == replayed
    @test given("for T in (:Int, :Char)\neval(:(precompile(P.f, (\$T,))))\nend") == replayed
    @test given("precompile(P.f, (") == ("failed", "it does not parse", false)
    # What tuple assignments and imports of a file become.
    @test given("let\nC = P.f\na, b = Int, Char\nprecompile(C, (a,))\nend") == replayed
    @test given("let\n(c, d) = P.f, Int\nK = c\nprecompile(K, (d,))\nend") == replayed
    @test given("let\nC = Zz.D\nprecompile(C, (Int,))\nend") ==
        ("failed", "Zz is not defined in the image", false)
end

@testset "a statement has its definitions in a module of its own" begin
    definition = "p(::Type{T}) where T = precompile(P.f, (T,))"
    @test given("$definition\np(Int)") == replayed
    @test given("p(Int)") == ("failed", "p is not defined in the image", false)
    @test given("p = 1\nprecompile(P.f, (typeof(p),))") == replayed
    @test given("L = Any[Int]\nappend!(L, [Char])\nfor T in L precompile(P.f, (T,)) end") == replayed
    @test given("i = 0\nwhile i < 2\n    precompile(P.f, (Val{i},))\n    global i += 1\nend") == replayed
    @test given("struct Foo end\nconst Vec{T} = Vector{T}\nprecompile(P.f, (Vec{Foo},))") == replayed
    @test given("macro pc(f) :(precompile(\$(esc(f)), (Int,))) end\n@pc P.f") == replayed
    @test given("module A\np(T) = precompile(P.f, (T,))\nend\nA.p(Int)") == replayed
    @test given("s = \"precompile(P.f, (Int, Int))\"\neval(Meta.parse(s))") == ("failed", false_answer, false)
    @test given("getfield(Base, :precompile)(P.f, (Int, Int))") == ("failed", false_answer, false)
    @test given("@assert precompile(P.f, (Int,)) && precompile(P.f, (Int, Int))")[2] ==
        "precompile answered false for 1 of 2 calls: no single method fits this signature"
    @test given("fs = [T -> precompile(P.f, (T,))]")[2] ==
        "precompile was not called: the function that calls it is not called, a condition does not hold here, or a loop is empty"
    # Packages are imported if they are in the image.
    @test given("module A\nusing Dates\nprecompile(day, (Date,))\nend") == replayed
    @test given("module A\nimport Dates: Date, day\nprecompile(day, (Date,))\nend") == replayed
    @test given("module A\nusing Profile\nprecompile(Profile.print, ())\nend") ==
        ("failed", "the package Profile is not in the image", false)
end

@testset "a loss has its true reason" begin
    own = ("skipped", "the workload itself defines what it names", false)
    @test recorded("precompile(Tuple{typeof(Main.zz)})") == own
    @test recorded("precompile(Tuple{typeof(Team.zz)})") == own
    @test recorded("precompile(Tuple{typeof(P.f), getfield(Main, Symbol(\"#3#4\"))})") == own
    # Nobody ran what the user gave.
    @test given("precompile(Tuple{typeof(Main.zz)})") == ("failed", "zz is not defined in the image", false)
    # It would be if the statement were in a file with `using Dates`.
    @test given("precompile(Dates.day, (Date,))") ==
        ("failed", "Date has no module: write it as `Dates.Date`", false)
    @test given("precompile(Tuple{typeof(Team.zz)})") == ("failed", "Team is not defined in the image", false)
    @test recorded("precompile(Tuple{typeof(Absent.zz)})") == ("failed", "the package Absent is not in the image", false)
    @test recorded("precompile(Tuple{P.var\"#3#4\"})") == ("failed", "#3#4 is not defined in the image", false)
end

@testset "two packages of one name" begin
    @test recorded("precompile(Tuple{typeof(X.f), X.T})") == replayed
    @test recorded("precompile(Tuple{typeof(X.g), X.T})") == replayed
    @test recorded("precompile(Tuple{typeof(X.g), X.U})") == replayed
    @test recorded("precompile(Tuple{typeof(X.h), X.U})")[1] == "failed"
    @test given("isdefined(X, :g) && precompile(X.g, (Int,))") == replayed
end

@testset "widened signatures" begin
    @test recorded("precompile(Tuple{typeof(P.many), String, Int64, Vararg{Any}})") == replayed
    @test recorded("precompile(Tuple{typeof(Base.string), String, Int64, Vararg{Any}})") == replayed
    @test recorded("precompile(Tuple{typeof(P.wide), Function, Any})") == replayed
    @test S.narrowed(Tuple{typeof(P.wide),Function,Any}) == Tuple{typeof(P.wide),typeof(identity),Int}
    @test S.narrowed(Tuple{typeof(P.many),String,Vararg{Any}}) == Tuple{typeof(P.many),String,Int,String}
    @test S.narrowed(Tuple{typeof(P.f),Int}) === nothing
    @test recorded("precompile(Tuple{typeof(Dates.day), Dates.Date})"; ineffective = true) == replayed
end

@testset "other integers" begin
    function compiled()
        list = first(methods(P.small)).specializations
        # Since Julia 1.10 a place may hold `nothing`.
        return [list[i].specTypes.parameters[2] for i in 1:length(list) if isassigned(list, i) && list[i] isa Core.MethodInstance]
    end
    @test recorded("precompile(Tuple{typeof(P.small), P.D{3}})") == replayed
    @test P.D{Int8(3)} ∉ compiled()
    @test recorded("precompile(Tuple{typeof(P.small), P.D{3}})"; ineffective = true) == replayed
    @test P.D{Int8(3)} in compiled() && P.D{0x0000000000000003} in compiled()
end

@testset "a method that is called by invoke" begin
    # The more special method answers for the signature; the general one is compiled for it, too, if the statement
    # had no effect. Older Julias have no `precompile` of a method.
    @test recorded("precompile(Tuple{typeof(P.general), Char, Int64})") == replayed
    if VERSION >= v"1.10"
        method = which(P.general, (Any, Integer))
        has_code() = any(Bool[one isa Core.MethodInstance && isdefined(one, :cache) && one.cache.invoke != C_NULL for one in Base.specializations(method) if one.specTypes == Tuple{typeof(P.general),Char,Int}])
        @test !has_code()
        @test recorded("precompile(Tuple{typeof(P.general), Char, Int64})"; ineffective = true) == replayed
        @test has_code()
    end
end

# The calls of functions that take any number of values, with two or more of them. The first of `print` and
# `println` is the stream.
function calls_with_many_values(x, found = Any[])
    x isa Expr || return found
    x.head === :string && push!(found, x)
    limit = x.head === :call ? get(Dict(:println => 1, :print => 2, :string => 1), x.args[1], nothing) : nothing
    limit !== nothing && length(x.args) - 1 > limit && push!(found, x)
    foreach(arg -> calls_with_many_values(arg, found), x.args)
    return found
end

@testset "texts leave no entry in the dispatch caches" begin
    @test S.text_of("a", 1, 'c', :d) == "a1cd"
    file = joinpath(mktempdir(), "lines")
    open(io -> S.print_all(io, 1, '\t', "a", '\n'), file, "w")
    @test read(file, String) == "1\ta\n"
    # Every text is put together by these two: calls of `println` and of `string` with several values leave entries.
    for script in ("replay.jl", "stage.jl", "inits.jl", "script.jl")
        code = Meta.parse(string("begin\n", read(joinpath(dirname(ARGS[1]), script), String), "\nend"))
        @test isempty(calls_with_many_values(code))
    end
end

@testset "extensions" begin
    parent = Base.PkgId(Base.UUID("5b7d4c1e-0000-4000-8000-000000000001"), "Parent")
    other = Base.PkgId(Base.UUID("5b7d4c1e-0000-4000-8000-000000000002"), "Other")
    extension = Base.PkgId(Base.uuid5(parent.uuid, "ParentExt"), "ParentExt")
    ids = [other, parent, extension, Base.PkgId(nothing, "Main")]
    @test S.extended(extension, ids) == parent
    @test [S.extended(id, ids) for id in (parent, other, ids[4])] == [nothing, nothing, nothing]
end
