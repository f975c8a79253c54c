"""
Counts words. An example of two apps that share one image: `tally`, whose entry point is `julia_main`, and
`shout`, whose entry point is a function that gets the arguments.
"""
module Tally

using Pkg.Artifacts

const USAGE = """
    usage: tally [--top N] [--skip-common] [FILE…]
           tally --arguments [ARGUMENT…]
           tally --about

    Counts the words of the files, or of standard input, and prints the most frequent ones."""

struct UsageError <: Exception
    message::String
end

"What the command line asks for."
Base.@kwdef mutable struct Options
    top::Int = 5
    skip_common::Bool = false
    files::Vector{String} = String[]
end

function parse_options(arguments)
    options = Options()
    index = 1
    while index <= length(arguments)
        argument = arguments[index]
        if argument == "--top"
            index += 1
            index <= length(arguments) || throw(UsageError("--top needs a number"))
            top = tryparse(Int, arguments[index])
            top === nothing && throw(UsageError("$(arguments[index]) is not a number"))
            options.top = top
        elseif argument == "--skip-common"
            options.skip_common = true
        elseif startswith(argument, "--")
            throw(UsageError("unknown option $argument"))
        else
            push!(options.files, argument)
        end
        index += 1
    end
    return options
end

"The words that are too common to be counted. They are an artifact."
common_words() = Set(readlines(joinpath(artifact"common_words", "common_words.txt")))

words(text) = (lowercase(found.match) for found in eachmatch(r"\pL+", text))

"Counts the words of each text in a thread of its own."
function count_words(texts, skipped)
    counts = [Dict{String,Int}() for _ in texts]
    Threads.@threads for index in eachindex(texts)
        count = counts[index]
        for word in words(texts[index])
            word in skipped || (count[word] = get(count, word, 0) + 1)
        end
    end
    return reduce((a, b) -> merge(+, a, b), counts; init = Dict{String,Int}())
end

function tally(arguments)
    options = parse_options(arguments)
    texts = isempty(options.files) ? [read(stdin, String)] : read.(options.files, String)
    skipped = options.skip_common ? common_words() : Set{String}()
    counts = sort!(collect(count_words(texts, skipped)); by = pair -> (-pair.second, pair.first))
    for (word, count) in Iterators.take(counts, options.top)
        println(count, '\t', word)
    end
    return 0
end

"Where the app runs, one `name<TAB>value` a line."
function about()
    println("threads\t", Threads.nthreads())
    println("program\t", PROGRAM_FILE)
    for depot in DEPOT_PATH
        println("depot\t", depot)
    end
    return 0
end

function julia_main()::Cint
    try
        isempty(ARGS) || ARGS[1] != "--arguments" || return print_arguments(ARGS[2:end])
        isempty(ARGS) || ARGS[1] != "--about" || return about()
        isempty(ARGS) || ARGS[1] != "--help" || (println(USAGE); return 0)
        return tally(ARGS)
    catch problem
        problem isa UsageError && (println(stderr, "tally: ", problem.message, "\n", USAGE); return 2)
        problem isa SystemError || rethrow()
        println(stderr, "tally: ", sprint(showerror, problem))
        return 1
    end
end

"Each argument as the hexadecimal digits of its bytes: what was typed, beyond doubt."
function print_arguments(arguments)
    for argument in arguments
        println(bytes2hex(codeunits(argument)))
    end
    return 0
end

module Shout

"Prints its arguments in capitals; the exit code is 0, as nothing is returned."
function main(arguments)
    isempty(arguments) && return 1
    println(uppercase(join(arguments, ' ')))
    return nothing
end

end # module Shout

end # module Tally
