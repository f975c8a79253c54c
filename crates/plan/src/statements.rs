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
            let line = line
                .rsplit_once(" # ")
                .map_or(line, |(statement, _)| statement.trim_end());
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
