# Measures what a user waits for, in one fresh process: loading the packages, the first run of a
# workload, its second run in the same process; and memory. Arguments: the file for the result, how
# many package names follow, the names, then the workload and its arguments, if there is one. Works
# from Julia 1.5 on.
#
# The result is a file of lines `key<TAB>value`. Each is written as soon as it is known, so that it is
# there even if the workload ends Julia.
module SysforgeMeasure

Base.include(@__MODULE__, joinpath(@__DIR__, "script.jl"))

const result = open(ARGS[1], "w")
const count_of_packages = parse(Int, ARGS[2])
const packages = ARGS[3:2+count_of_packages]
const workload = ARGS[3+count_of_packages:end]
const empty_script = joinpath(@__DIR__, "empty.jl")
const folder = pwd()

function write_line(key, value)
    println(result, key, '\t', value)
    flush(result)
end

# In a module of its own: a script's Main holds nothing but what the script brings.
const loading = Module(:SysforgeLoading)
load(names) = foreach(name -> Core.eval(loading, Meta.parse("using $name: $name")), names)

# The runs of the workload. The first is in Main, as in `julia workload.jl`; the second cannot be, as
# it would meet the constants and types of the first.
const runs = ("first", "second")
const current = Ref(0)
const started = Ref(UInt64(0))

function write_time()
    write_line(runs[current[]] * "_ns", time_ns() - started[])
    write_line("peak_bytes", Sys.maxrss())
end

function run_from(index)
    for current[] in index:length(runs)
        mod = current[] == 1 ? Main : main_like_module()
        cd(folder)
        write_line("run", runs[current[]])
        started[] = time_ns()
        try
            run_script(mod, workload[1], workload[2:end])
        catch err
            current[] == 1 && rethrow()
            write_line("second_failed", replace(sprint(showerror, err), r"\s+" => ' '))
            break
        end
        write_time()
    end
    current[] = 0
end

# A workload that calls `exit` is measured up to there. Julia calls its exit hooks then, and in the
# hook the other runs follow.
function resume_after_exit()
    current[] == 0 && return
    write_time()
    current[] == length(runs) && return
    atexit(resume_after_exit)
    run_from(current[] + 1)
end

function measure()
    # Memory before anything is loaded: what Julia and the image take by themselves.
    write_line("start_bytes", Sys.maxrss())
    # What the image brought along, before anything is loaded from elsewhere.
    foreach(id -> write_line("loaded", id.name), keys(Base.loaded_modules))
    # Once for nothing, so that what measuring itself compiles is not measured.
    load(["Base"])
    run_script(main_like_module(), empty_script, String[])
    since = time_ns()
    load(packages)
    write_line("load_ns", time_ns() - since)
    write_line("peak_bytes", Sys.maxrss())
    isempty(workload) && return
    atexit(resume_after_exit)
    run_from(1)
end

end

SysforgeMeasure.measure()
# Not back to Julia's own client, which would call a `main` of the workload's once more.
exit(0)
