# The sample data, made on first use.

"""
    samplefile(generator) -> path

The file that the script `generator` writes: beside the script or, where that folder is read-only,
in the temporary folder. It is written on first use, and anew where the script has become newer.
"""
function samplefile(generator)
    beside = joinpath(dirname(generator), "florida.csv")
    elsewhere = joinpath(tempdir(), "InsuranceStats-florida.csv")
    for path in (beside, elsewhere)
        mtime(path) >= mtime(generator) && return path # of a file that is not there it is 0
    end
    path = iswritablefolder(dirname(beside)) ? beside : elsewhere
    # In a process of its own, so that it leaves nothing compiled in this one.
    run(`$(Base.julia_cmd()) --startup-file=no $generator $path`)
    return path
end

function iswritablefolder(folder)
    try
        mktemp((path, io) -> true, folder)
    catch
        false
    end
end
