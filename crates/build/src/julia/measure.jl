# Measures what a user waits for, in one fresh process: loading the packages, the first run of the
# workloads, the second run in the same process; and memory. Arguments: the file for the result, an empty script,
# how many package names follow, the names, then the workloads' paths. Works from Julia 1.5 on.
const sysforge_result = open(ARGS[1], "w")
const sysforge_count = parse(Int, ARGS[3])
const sysforge_using = [Meta.parse("using $name: $name") for name in ARGS[4:3+sysforge_count]]
const sysforge_workloads = ARGS[4+sysforge_count:end]

function sysforge_load(statements)
    for statement in statements
        Core.eval(Main, statement)
    end
end

function sysforge_run(workloads)
    for workload in workloads
        # In a module of its own: what a workload defines must not clash with its second run.
        Base.include(Module(:Workload), workload)
    end
end

# Memory before anything is loaded: what Julia and the image take by themselves.
println(sysforge_result, "start_bytes\t", Sys.maxrss())

# What the image brought along, before anything is loaded from elsewhere.
for id in keys(Base.loaded_modules)
    println(sysforge_result, "loaded\t", id.name)
end

# Once for nothing, so that what measuring itself compiles is not measured.
sysforge_load([:(using Base: Base)])
sysforge_run([ARGS[2]])

const sysforge_times = UInt64[]
push!(sysforge_times, time_ns())
sysforge_load(sysforge_using)
push!(sysforge_times, time_ns())
sysforge_run(sysforge_workloads)
push!(sysforge_times, time_ns())
sysforge_run(sysforge_workloads)
push!(sysforge_times, time_ns())

println(sysforge_result, "load_ns\t", sysforge_times[2] - sysforge_times[1])
if !isempty(sysforge_workloads)
    println(sysforge_result, "first_ns\t", sysforge_times[3] - sysforge_times[2])
    println(sysforge_result, "second_ns\t", sysforge_times[4] - sysforge_times[3])
end
println(sysforge_result, "peak_bytes\t", Sys.maxrss())
close(sysforge_result)
