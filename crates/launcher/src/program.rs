//! The Julia code that calls the entry point. It is evaluated at top level and has no loops, so
//! Julia interprets it and compiles nothing of it.

use crate::description::{Call, Description};

/// The value that stands for a standard output whose reader has closed it.
pub(crate) const BROKEN_PIPE: i32 = i32::MIN;

/// Returns the code that calls the entry point. Its value is an `Int32`. An exception is shown as
/// `julia` shows it.
///
/// Output to a file is still in a buffer when the entry point returns. Julia would write it when it ends,
/// where a full disk cannot change the exit code any more, so it is written here.
pub(crate) fn entry(description: &Description) -> String {
    let Description {
        package,
        uuid,
        entry,
        call,
        ..
    } = description;
    let (function, modules) = entry
        .split_last()
        .map_or(("", &[][..]), |(f, m)| (f.as_str(), m));
    let shown = format!("{package}.{}", entry.join("."));
    let mut lookup = String::new();
    for module in modules.iter().map(String::as_str).chain([function]) {
        lookup.push_str(&format!(
            "isdefined(found, :{module}) || error(\"{shown} is not defined\")\n\
             found = getfield(found, :{module})\n"
        ));
    }
    let (parameters, nothing) = match call {
        Call::Plain => ("", "false"),
        Call::WithArguments => ("Base.ARGS", "result === nothing"),
    };
    format!(
        "try
            local found = get(Base.loaded_modules, Base.PkgId(Base.UUID(\"{uuid}\"), \"{package}\"), nothing)
            found === nothing && error(\"the image does not contain the package {package}\")
            {lookup}
            local result = Base.invokelatest(found{comma}{parameters})
            try
                Base.stdout isa Base.IOStream && Base.flush(Base.stdout)
            catch
                try
                    Base.close(Base.stdout)
                catch
                end
                Base.rethrow()
            end
            if result isa Int32
                result
            elseif {nothing}
                Int32(0)
            elseif result isa Integer && !(result isa Bool)
                convert(Int32, result)
            else
                error(string(\"{shown} returned a value of type \", typeof(result), \
                    \" instead of an integer, the exit code\"))
            end
        catch problem
            if problem isa Base.IOError && problem.code == Base.UV_EPIPE
                typemin(Int32)
            else
                Base.invokelatest(Base.display_error,
                    isdefined(Base, :current_exceptions) ? Base.current_exceptions() : Base.catch_stack())
                Int32(1)
            end
        end",
        comma = if parameters.is_empty() { "" } else { ", " },
    )
}

/// Moves the first of `ARGS`, which is the executable, to `PROGRAM_FILE`.
pub(crate) const SET_PROGRAM_FILE: &str =
    "Core.eval(Base, :(global PROGRAM_FILE = popfirst!(ARGS)))";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::tests::TEXT;

    #[test]
    fn modules_on_the_way_to_the_function_are_looked_up_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(crate::description::FOLDER);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("tally.app"), TEXT).unwrap();
        let read = Description::read(dir.path(), &dir.path().join("bin/tally")).unwrap();
        let code = entry(&read);
        let first = code.find("getfield(found, :Cli)").unwrap();
        let second = code.find("getfield(found, :julia_main)").unwrap();
        assert!(first < second, "{code}");
        assert!(code.contains("invokelatest(found)"), "{code}");
    }
}
