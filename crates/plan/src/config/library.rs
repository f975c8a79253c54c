//! `[library]`: the C library made from an image.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app::bad_option;
use super::list::one_or_many;
use crate::app::{Call, EntryPoint};
use crate::library::{
    Argument, CompatLevel, INIT_HEADER, LibraryCall, LibraryVersion, check_name, is_c_identifier,
};
use crate::text::{PackageName, Rule as _, shortened};

/// The `[library]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Library {
    /// The name of the library, without `lib` and without an ending: `measure` is linked with `-lmeasure`.
    pub name: String,
    /// The package with the `@ccallable` functions. Default: the project itself.
    #[serde(default)]
    pub package: Option<String>,
    /// The version, three numbers. Default: the version of the project.
    #[serde(default)]
    pub version: Option<String>,
    /// How much of the version a program that was linked against the library depends on: `major`,
    /// `minor` or `patch`. The name that the loader looks for ends with that part: `libmeasure.so.1`,
    /// `libmeasure.so.1.2` or `libmeasure.so.1.2.3`. Default: `major`.
    #[serde(default, rename = "compat-level")]
    pub compat_level: CompatLevel,
    /// Further header files of the project, which are copied into `include`.
    #[serde(default, deserialize_with = "one_or_many")]
    #[schemars(with = "super::list::Loose")]
    pub headers: Vec<String>,
    /// Functions of the package that `init_julia` calls after Julia has started, in this order and
    /// without arguments. A function of a module in the package is `Module.function`.
    #[serde(default, deserialize_with = "one_or_many")]
    #[schemars(with = "super::list::Loose")]
    pub init: Vec<String>,
    /// Whether Julia installs its signal handlers in the process that uses the library. Julia needs them
    /// for more than one thread. Default: false.
    #[serde(default, rename = "handle-signals")]
    pub handle_signals: bool,
    /// Options that Julia always gets in the library, for instance `--heap-size-hint=2G`.
    #[serde(default, rename = "julia-args", deserialize_with = "one_or_many")]
    #[schemars(with = "super::list::Loose")]
    pub julia_args: Vec<String>,
    /// Calls of the library's functions, which are traced like workloads, and repeated from C with
    /// the unpacked archive. Default: one call of the first function without parameters.
    #[serde(default)]
    pub calls: Vec<LibraryCall>,
}

/// The maximum number of arguments of a call: the program that makes the calls is compiled without
/// knowing the functions.
pub const MOST_ARGUMENTS: usize = 4;

/// Returns what is wrong with the table, if anything: the key and the message.
pub(super) fn complaint(library: &Library) -> Option<(&'static str, String)> {
    let name = shortened(&library.name, 60);
    if let Err(problem) = check_name(&library.name) {
        let message = format!("`{name}` cannot be the name of a library: {problem}");
        return Some(("name", message));
    }
    if let Some(Err(error)) = library.package.as_deref().map(PackageName::validate) {
        return Some(("package", error.to_string()));
    }
    if let Some(Err(error)) = library.version.as_deref().map(str::parse::<LibraryVersion>) {
        return Some(("version", error.to_string()));
    }
    if let Some(message) = bad_headers(library) {
        return Some(("headers", message));
    }
    for entry in &library.init {
        match entry.parse::<EntryPoint>() {
            Ok(point) if point.call == Call::Plain => {}
            _ => {
                let entry = shortened(entry, 60);
                let message = format!(
                    "`{entry}` is not an init function: write the name of a function of the package, \
                     such as `setup`, or of a module in it, such as `Cache.setup`"
                );
                return Some(("init", message));
            }
        }
    }
    if let Some(entry) = repeated(&library.init) {
        return Some(("init", format!("`{entry}` is listed twice")));
    }
    if let Some(message) = library.julia_args.iter().find_map(|text| {
        bad_option(text).or_else(|| {
            let is_threads = text.starts_with("--threads") || text.starts_with("-t");
            let is_signals = text.starts_with("--handle-signals");
            if is_signals {
                Some("the key `handle-signals` decides about Julia's signal handlers".to_owned())
            } else if is_threads && !library.handle_signals {
                Some(format!(
                    "`{}` needs Julia's signal handlers, which stop its threads: add `handle-signals = \
                     true`",
                    shortened(text, 60)
                ))
            } else {
                None
            }
        })
    }) {
        return Some(("julia-args", message));
    }
    library
        .calls
        .iter()
        .find_map(|call| Some(("function", bad_call(call)?)))
}

fn bad_headers(library: &Library) -> Option<String> {
    let mut names = BTreeSet::new();
    let generated = format!("{}.h", library.name).to_lowercase();
    library.headers.iter().find_map(|path| {
        let shown = shortened(path, 60);
        if super::app::leaves_project(path) {
            return Some(format!(
                "`{shown}` is not the path of a file below the project, written with `/`"
            ));
        }
        let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
        if ![".h", ".hh", ".hpp", ".hxx"]
            .iter()
            .any(|end| name.ends_with(end))
        {
            return Some(format!(
                "`{shown}` is not a header file, whose name ends with .h"
            ));
        }
        if name == generated || name == INIT_HEADER {
            return Some(format!(
                "`{shown}` has the name of a header that Sysforge writes: give it another one"
            ));
        }
        // The file systems of macOS and Windows ignore case.
        match names.insert(name) {
            true => None,
            false => Some(format!(
                "two headers have the name of `{shown}`, and `include` can contain only one of them"
            )),
        }
    })
}

fn bad_call(call: &LibraryCall) -> Option<String> {
    let name = shortened(&call.function, 60);
    if !is_c_identifier(&call.function) {
        return Some(format!("`{name}` is not the name of a function in C"));
    }
    if call.args.len() > MOST_ARGUMENTS {
        return Some(format!(
            "the call of `{name}` has {} arguments, and at most {MOST_ARGUMENTS} are possible: call the \
             function in a workload instead",
            call.args.len()
        ));
    }
    let scalars = call.args.iter().flat_map(|value| match value {
        Argument::One(one) => std::slice::from_ref(one),
        Argument::Many(many) => many.as_slice(),
    });
    let mut scalars = scalars.chain(&call.result);
    scalars
        .any(|scalar| scalar.0.contains(['\0', '\n', '\r']))
        .then(|| format!("the call of `{name}` has a text with a line break or a zero byte"))
}

fn repeated(texts: &[String]) -> Option<&String> {
    let mut seen = BTreeSet::new();
    texts.iter().find(|text| !seen.insert(text.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, FILE_NAME};
    use crate::library::Scalar;

    fn fails(text: &str) -> String {
        Config::from_toml(FILE_NAME, text).unwrap_err().to_string()
    }

    #[test]
    fn a_library_has_defaults_for_everything_but_its_name() {
        let config = Config::from_toml(FILE_NAME, "[library]\nname = \"measure\"\n").unwrap();
        let library = config.library.unwrap();
        assert_eq!(library.compat_level, CompatLevel::Major);
        assert!(!library.handle_signals && library.version.is_none());
        let missing = fails("[library]\nversion = \"1.0.0\"\n");
        assert!(missing.contains("the key `name` is missing"), "{missing}");
    }

    #[test]
    fn calls_take_numbers_texts_and_lists() {
        let text = "[library]\nname = \"m\"\n[[library.calls]]\nfunction = \"mean\"\n\
                    args = [[1.0, 2], 2, \"a\", true]\nresult = 1.5\n";
        let config = Config::from_toml(FILE_NAME, text).unwrap();
        let call = &config.library.unwrap().calls[0];
        let scalar = |text: &str| Scalar(text.to_owned());
        assert_eq!(
            call.args[0],
            Argument::Many(vec![scalar("1.0"), scalar("2")])
        );
        assert_eq!(call.args[1], Argument::One(scalar("2")));
        assert_eq!(call.args[3], Argument::One(scalar("1")));
        assert_eq!(call.result, Some(scalar("1.5")));
    }

    #[test]
    fn bad_libraries_are_refused_with_the_place() {
        for (table, wanted) in [
            ("name = \"a/b\"", "cannot be the name of a library"),
            ("name = \"\"", "it is empty"),
            ("name = \"libx.so\"", "cannot be the name of a library"),
            ("name = \"julia\"", "Julia's own library"),
            ("name = \"1x\"", "begins with a letter"),
            ("name = \"con\"", "cannot be the name of a library"),
            (
                "name = \"x\"\npackage = \"A B\"",
                "is not the name of a package",
            ),
            (
                "name = \"x\"\nversion = \"1.2\"",
                "is not the version of a library",
            ),
            (
                "name = \"x\"\nversion = \"1.2.300\"",
                "is not the version of a library",
            ),
            (
                "name = \"x\"\nversion = \"a.b.c\"",
                "is not the version of a library",
            ),
            (
                "name = \"x\"\ncompat-level = \"micro\"",
                "unknown value `micro`",
            ),
            ("name = \"x\"\nheaders = \"/a.h\"", "below the project"),
            ("name = \"x\"\nheaders = \"../a.h\"", "below the project"),
            ("name = \"x\"\nheaders = \"a.txt\"", "is not a header file"),
            (
                "name = \"x\"\nheaders = [\"a/b.h\", \"c/B.h\"]",
                "two headers",
            ),
            (
                "name = \"x\"\nheaders = \"include/x.h\"",
                "that Sysforge writes",
            ),
            (
                "name = \"x\"\nheaders = \"julia_init.h\"",
                "that Sysforge writes",
            ),
            ("name = \"x\"\ninit = \"@main\"", "is not an init function"),
            ("name = \"x\"\ninit = \"f()\"", "is not an init function"),
            ("name = \"x\"\ninit = [\"f\", \"f\"]", "listed twice"),
            (
                "name = \"x\"\njulia-args = \"--threads=2\"",
                "handle-signals = true",
            ),
            (
                "name = \"x\"\njulia-args = \"-t2\"",
                "handle-signals = true",
            ),
            (
                "name = \"x\"\njulia-args = \"--handle-signals=yes\"",
                "the key `handle-signals`",
            ),
            (
                "name = \"x\"\njulia-args = \"--project\"",
                "cannot have the option",
            ),
            (
                "name = \"x\"\ncalls = [{ function = \"f!\" }]",
                "is not the name of a function",
            ),
            (
                "name = \"x\"\ncalls = [{ function = \"f\", args = [1,2,3,4,5] }]",
                "at most 4",
            ),
            ("name = \"x\"\nheader = \"a.h\"", "did you mean `headers`?"),
        ] {
            let error = fails(&format!("# x\n[library]\n{table}\n"));
            assert!(error.contains(wanted), "{table}: {error}");
            assert!(error.contains("Sysimage.toml:"), "{table}: {error}");
        }
    }
}
