//! The launcher, and the description that it reads.

use std::collections::HashSet;
use std::path::Path;

use sysforge_plan::app::{Call, EntryPoint};

/// The executable of the launcher, for the platform that this Sysforge was built for.
pub const EXECUTABLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/launcher"));

/// The Julia module that the launcher of an app and the init code of a library call. It is evaluated in the
/// `Main` of the image that they share.
pub const START: &str = include_str!("../../launcher/src/start.jl");

/// The Julia functions that [`START`] calls. Julia's own image contains code for most of them, but an image
/// that is built on it does not always keep that code.
pub const STATEMENTS: &[&str] = &[
    "precompile(Tuple{typeof(Base.empty!), Array{String, 1}})",
    "precompile(Tuple{typeof(Base.push!), Array{String, 1}, String})",
    "precompile(Tuple{typeof(Base.flush), IOStream})",
    "precompile(Tuple{typeof(Base.haskey), Base.Dict{Base.PkgId, Module}, Base.PkgId})",
];

/// The types of standard input, output and error: a terminal, a pipe and a file.
const STREAMS: [&str; 3] = ["Base.TTY", "Base.PipeEndpoint", "IOStream"];

/// The functions that read a stream, with `STREAM` for its type.
const READERS: [&str; 7] = [
    "precompile(Tuple{typeof(Base.eachline), STREAM})",
    "precompile(Tuple{typeof(Base.eof), STREAM})",
    "precompile(Tuple{typeof(Base.iterate), Base.EachLine{STREAM}})",
    "precompile(Tuple{typeof(Base.read), STREAM})",
    "precompile(Tuple{typeof(Base.read), STREAM, Type{String}})",
    "precompile(Tuple{typeof(Base.readline), STREAM})",
    "precompile(Tuple{typeof(Base.readlines), STREAM})",
];

/// Returns statements for reading standard input, for each kind of stream. An app is run with one kind, and
/// what the base contains is not recorded: Julia 1.12's own image has code for reading a pipe to its end, and
/// none for a file.
pub fn readers_of_standard_input() -> Vec<String> {
    let of = |stream: &&str| READERS.map(|text| text.replace("STREAM", stream));
    STREAMS.iter().flat_map(of).collect()
}

/// Returns further statements, for the kinds of standard streams that the recorded runs did not have.
///
/// - A run reads its standard input from one kind of stream. The functions that read it are compiled for
///   the other kinds, too.
/// - Up to Julia 1.6, TerminalMenus creates a terminal from the three streams when it is loaded. If the
///   recorded statements contain that, it is compiled for all combinations.
pub fn variants_of_streams(recorded: &[String]) -> Vec<String> {
    const TERMINAL: &str = "precompile(Tuple{Type{REPL.Terminals.TTYTerminal}, String, ";
    let mut variants: Vec<String> = recorded.iter().flat_map(|text| readers(text)).collect();
    if recorded.iter().any(|text| text.starts_with(TERMINAL)) {
        let combined = STREAMS.iter().flat_map(|input| {
            STREAMS.iter().flat_map(move |output| {
                let error = STREAMS.iter();
                error.map(move |error| format!("{TERMINAL}{input}, {output}, {error}}})"))
            })
        });
        variants.extend(combined);
    }
    let mut known: HashSet<String> = recorded.iter().cloned().collect();
    variants.retain(|text| known.insert(text.clone()));
    variants
}

/// Returns a statement for each kind of stream if it calls one of the functions that read any stream.
fn readers(statement: &str) -> Vec<String> {
    const FUNCTIONS: [&str; 9] = [
        "typeof(Base.eachline), ",
        "typeof(Base.eof), ",
        "typeof(Base.iterate), Base.EachLine{",
        "typeof(Base.read), ",
        "typeof(Base.readline), ",
        "typeof(Base.readlines), ",
        "typeof(Base.readuntil), ",
        "Type{Base.EachLine{",
        "Type{Base.EachLine}, ",
    ];
    let Some(signature) = statement.strip_prefix("precompile(Tuple{") else {
        return Vec::new();
    };
    let called = FUNCTIONS
        .iter()
        .find_map(|name| signature.strip_prefix(name));
    let stream = called.and_then(|first| STREAMS.iter().find(|name| first.starts_with(**name)));
    match stream {
        Some(stream) => STREAMS.map(|other| statement.replace(stream, other)).into(),
        None => Vec::new(),
    }
}

/// The facts about an app that its launcher needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The name of the executable.
    pub name: String,
    /// The package with the entry point.
    pub package: String,
    /// Its UUID.
    pub uuid: String,
    /// The entry point.
    pub entry: EntryPoint,
    /// Julia options that are always set for the app.
    pub options: Vec<String>,
}

impl Described {
    /// Returns the text of the description, which `crates/launcher/src/description.rs` parses. Both
    /// paths are relative to the root of the bundle.
    pub fn text(&self, library: &str, preload: &[String], image: &str) -> String {
        let call = match self.entry.call {
            Call::Plain => "plain",
            Call::WithArguments => "with-arguments",
        };
        let mut lines = vec![
            "format 1".to_owned(),
            format!("name {}", self.name),
            format!("library {library}"),
            format!("image {image}"),
            format!("package {}", self.package),
            format!("uuid {}", self.uuid),
            format!("entry {}", self.entry.path),
            format!("call {call}"),
        ];
        lines.extend(preload.iter().map(|path| format!("preload {path}")));
        lines.extend(self.options.iter().map(|option| format!("option {option}")));
        lines.join("\n") + "\n"
    }

    /// Returns the name of the executable file.
    pub fn file_name(&self, exe_suffix: &str) -> String {
        format!("{}{exe_suffix}", self.name)
    }
}

/// Writes the launcher to `path` as an executable file.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write(path: &Path) -> std::io::Result<()> {
    sysforge_files::write_program(path, EXECUTABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_launcher_is_well_under_one_megabyte() {
        assert!(EXECUTABLE.len() > 10_000, "{}", EXECUTABLE.len());
        assert!(EXECUTABLE.len() < 700_000, "{}", EXECUTABLE.len());
    }

    #[test]
    fn standard_input_is_read_from_each_kind_of_stream_even_if_nothing_was_recorded() {
        let all = readers_of_standard_input();
        assert_eq!(all.len(), 21);
        for stream in ["Base.TTY", "Base.PipeEndpoint", "IOStream"] {
            let text = format!("precompile(Tuple{{typeof(Base.read), {stream}, Type{{String}}}})");
            assert!(all.contains(&text), "{text}");
        }
        assert!(!all.iter().any(|text| text.contains("STREAM")), "{all:?}");
    }

    #[test]
    fn reading_standard_input_is_compiled_for_each_kind_of_stream() {
        let recorded = [
            "precompile(Tuple{typeof(Base.read), Base.PipeEndpoint, Type{String}})",
            "precompile(Tuple{typeof(Base.iterate), Base.EachLine{IOStream}})",
            "precompile(Tuple{typeof(Base.read), String, Type{String}})",
            "precompile(Tuple{typeof(Base.uv_status_string), Base.PipeEndpoint})",
        ];
        assert_eq!(
            variants_of_streams(&recorded.map(str::to_owned)),
            [
                "precompile(Tuple{typeof(Base.read), Base.TTY, Type{String}})",
                "precompile(Tuple{typeof(Base.read), IOStream, Type{String}})",
                "precompile(Tuple{typeof(Base.iterate), Base.EachLine{Base.TTY}})",
                "precompile(Tuple{typeof(Base.iterate), Base.EachLine{Base.PipeEndpoint}})",
            ]
        );
    }

    #[test]
    fn a_terminal_of_three_streams_is_compiled_for_all_combinations() {
        let terminal = "precompile(Tuple{Type{REPL.Terminals.TTYTerminal}, String, Base.TTY, Base.TTY, Base.TTY})";
        let variants = variants_of_streams(&[terminal.to_owned()]);
        assert_eq!(variants.len(), 26);
        assert!(!variants.contains(&terminal.to_owned()));
    }

    #[test]
    fn the_description_has_a_line_for_each_option() {
        let app = Described {
            name: "tally".to_owned(),
            package: "Tally".to_owned(),
            uuid: "11111111-2222-4333-8444-555555555555".to_owned(),
            entry: "Cli.julia_main".parse().unwrap(),
            options: vec!["--threads=2".to_owned()],
        };
        let text = app.text(
            "lib/libjulia.so.1",
            &["lib/libgcc_s.so.1".to_owned()],
            "lib/julia/t.so",
        );
        assert_eq!(
            text,
            "format 1\nname tally\nlibrary lib/libjulia.so.1\nimage lib/julia/t.so\npackage Tally\n\
             uuid 11111111-2222-4333-8444-555555555555\nentry Cli.julia_main\ncall plain\n\
             preload lib/libgcc_s.so.1\noption --threads=2\n"
        );
    }
}
