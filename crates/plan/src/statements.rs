//! Precompile statements, as text. Reading and sorting out what `--trace-compile` recorded is
//! decided here; what a statement means only Julia can tell.

use std::collections::BTreeSet;

/// The statements in a file that `--trace-compile` wrote or a user gave: each once, in the order
/// of their first appearance. Comments, blank lines and the marks that Julia 1.12 puts behind a
/// statement (`# recompile`) are dropped, as is a last line that was cut off in the middle.
#[must_use]
pub fn parse(text: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    text.lines()
        .filter_map(|line| {
            // Julia ≥1.12 may put the time in front: `#=   12.3 ms =# precompile(…)`.
            let line = line.trim();
            let line = match line.strip_prefix("#=") {
                Some(rest) => rest
                    .split_once("=#")
                    .map_or("", |(_, statement)| statement.trim()),
                None => line,
            };
            // A statement may itself hold ` # `, in a Symbol.
            let line = match line.rsplit_once(" # ") {
                Some((statement, _)) if !line.ends_with(')') => statement.trim_end(),
                _ => line,
            };
            (line.starts_with("precompile(") && line.ends_with(')')).then(|| line.to_owned())
        })
        .filter(|statement| seen.insert(statement.clone()))
        .collect()
}

/// What standard output may be. Tracing has it at a pipe; a user will have it at a terminal, in a
/// file or at a pipe, and Julia compiles its printing code for each of the three.
const STREAMS: [&str; 3] = ["Base.PipeEndpoint", "Base.TTY", "Base.IOStream"];

/// The likes of `statements` for the other kinds of standard output, so that an image traced at a
/// pipe is as fast at a terminal. They are guesses: not every one need exist.
#[must_use]
pub fn for_other_streams(statements: &[String]) -> Vec<String> {
    let mut seen: BTreeSet<&str> = statements.iter().map(String::as_str).collect();
    let printing = statements
        .iter()
        .filter(|statement| statement.contains(STREAMS[0]));
    let likes: Vec<String> = printing
        .flat_map(|statement| {
            STREAMS[1..]
                .iter()
                .map(|s| statement.replace(STREAMS[0], s))
        })
        .collect();
    likes
        .iter()
        .filter(|like| seen.insert(like))
        .cloned()
        .collect()
}

/// The outermost module names in a statement: `Dates` and `Main` in
/// `precompile(Tuple{typeof(Dates.day), Main.T})`.
fn roots(statement: &str) -> BTreeSet<&str> {
    let mut roots = BTreeSet::new();
    let bytes = statement.as_bytes();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_!".contains(&byte) || byte >= 0x80;
    let (mut at, mut quoted) = (0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            byte if !quoted && is_name(byte) && !byte.is_ascii_digit() => {
                let start = at;
                while at < bytes.len() && is_name(bytes[at]) {
                    at += 1;
                }
                // A name with a dot behind it, which is not itself behind a dot. `…` is no ASCII.
                let follows = bytes.get(at) == Some(&b'.') && bytes.get(at + 1) != Some(&b'.');
                if follows && (start == 0 || bytes[start - 1] != b'.') {
                    roots.insert(&statement[start..at]);
                }
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    roots
}

/// Whether a statement is for something that a workload defines itself: in `Main`, or in a module
/// that is neither Julia's nor one of the packages in `known`. No image of the packages can hold
/// its code.
#[must_use]
pub fn is_own(statement: &str, known: &BTreeSet<String>) -> bool {
    roots(statement)
        .into_iter()
        .any(|root| root == "Main" || (!["Base", "Core"].contains(&root) && !known.contains(root)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_statement_once_and_nothing_else() {
        let text = "precompile(Tuple{typeof(f), Int64})\r\n\
                    # a comment\n\n\
                    precompile(Tuple{typeof(g)}) # recompile\n\
                    #=    1.2 ms =# precompile(Tuple{typeof(h)})\n\
                    precompile(Tuple{typeof(f), Int64})\n\
                    precompile(Tuple{typeof(cut.of";
        assert_eq!(
            parse(text),
            [
                "precompile(Tuple{typeof(f), Int64})",
                "precompile(Tuple{typeof(g)})",
                "precompile(Tuple{typeof(h)})",
            ]
        );
    }

    #[test]
    fn what_a_workload_defines_itself_is_told_from_what_packages_define() {
        let known: BTreeSet<String> = ["Dates", "Rota"].map(str::to_owned).into();
        let own = |statement: &str| is_own(statement, &known);
        assert!(own("precompile(Tuple{Type{Main.P}, Int64})"));
        assert!(own("precompile(Tuple{typeof(Rota.f), Main.var\"#3#4\"})"));
        assert!(own("precompile(Tuple{typeof(Base.vect), Team.Person})"));
        assert!(!own(
            "precompile(Tuple{Rota.var\"#f##kw\", Dates.DateFormat{Symbol(\"e Main.x\\\" mm.yyyy\")}})"
        ));
        assert!(!own(
            "precompile(Tuple{typeof(Base.f), Vararg{Any, N} where N, Val{1.5}, Val{0.125f}})"
        ));
        assert!(!own(
            "precompile(Tuple{typeof(getfield(Dates, Symbol(\"x\")))})"
        ));
    }

    #[test]
    fn printing_is_compiled_for_every_kind_of_output() {
        let likes = for_other_streams(&parse(
            "precompile(Tuple{typeof(Base.println), Base.PipeEndpoint, String})\n\
             precompile(Tuple{typeof(Base.println), Base.IOStream, String})\n\
             precompile(Tuple{typeof(f)})",
        ));
        assert_eq!(
            likes,
            ["precompile(Tuple{typeof(Base.println), Base.TTY, String})"]
        );
    }
}
