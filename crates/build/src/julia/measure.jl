# Measures what a user waits for, in one fresh process: loading the packages, the first run of the
# workloads, the second run in the same process. Arguments: the file for the result, how many
# package names follow, the names, then the workloads' paths. Works from Julia 1.5 on.
#
# Everything is at top level and in `let` blocks without loops over closures, so that measuring
# itself compiles next to nothing.
const sysforge_result = open(ARGS[1], "w")
const sysforge_packages = ARGS[3:2+parse(Int, ARGS[2])]
const sysforge_workloads = ARGS[3+parse(Int, ARGS[2]):end]

# What the image brought along, before anything is loaded from elsewhere.
for id in keys(Base.loaded_modules)
    println(sysforge_result, "loaded\t", id.name)
end

const sysforge_times = UInt64[time_ns()]
for name in sysforge_packages
    Core.eval(Main, Meta.parse("using $name: $name"))
end
push!(sysforge_times, time_ns())
for run in 1:2
    for workload in sysforge_workloads
        # In a module of its own: what it defines must not clash with the second run.
        Base.include(Module(:Workload), workload)
    end
    push!(sysforge_times, time_ns())
end

println(sysforge_result, "load_ns\t", sysforge_times[2] - sysforge_times[1])
if !isempty(sysforge_workloads)
    println(sysforge_result, "first_ns\t", sysforge_times[3] - sysforge_times[2])
    println(sysforge_result, "second_ns\t", sysforge_times[4] - sysforge_times[3])
end
close(sysforge_result)
