# Arguments: Sysforge's script that calls Pkg, and the folder of a project. Installs the packages of the
# project in a new depot, from JULIA_PKG_SERVER, so that what Pkg compiles for that is recorded.
const script, project = abspath.(ARGS)
const folder = mktempdir()
empty!(DEPOT_PATH)
push!(DEPOT_PATH, joinpath(folder, "depot"))
mkpath(joinpath(folder, "environment"))
# Its dependencies alone: with its name, the environment would be a package without code.
text = read(joinpath(project, "Project.toml"), String)
dependencies = text[first(findfirst("[deps]", text)):end]
for name in ("Project.toml", "Project.final.toml")
    write(joinpath(folder, "environment", name), dependencies)
end
write(
    joinpath(folder, "job"),
    """
    install\t1
    environment\t$(joinpath(folder, "environment"))
    journal\t$(joinpath(folder, "journal"))
    lazy\tused
    resolve\t1
    """,
)
empty!(ARGS)
append!(ARGS, [joinpath(folder, "job"), joinpath(folder, "report")])
cd(folder)
ENV["JULIA_PROJECT"] = joinpath(folder, "environment")
include(script)
