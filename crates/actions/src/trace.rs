//! Finds the file and line of a workload that failed, in Julia's last lines of output.

use crate::command::Location;

/// Finds the line of a workload that Julia's error message refers to. Prefers stack frames, the
/// innermost first; without any, uses the expression that was being evaluated. `workloads` are
/// paths relative to the project, with `/`; so is the path in the result.
pub fn locate(said: &[String], workloads: &[String]) -> Option<Location> {
    let lines: Vec<String> = said.iter().map(|line| line.replace('\\', "/")).collect();
    let (outer, frames): (Vec<_>, Vec<_>) = lines
        .iter()
        .partition(|line| line.contains("in expression starting at"));
    let mut all = frames.into_iter().chain(outer);
    all.find_map(|line| workloads.iter().find_map(|workload| place(line, workload)))
}

/// Finds `…/workload.jl:7` or `…/workload.jl:7:3` in a line.
fn place(line: &str, workload: &str) -> Option<Location> {
    let wanted = format!("{workload}:");
    line.match_indices(&wanted).find_map(|(at, _)| {
        let before = line[..at].chars().next_back();
        if before.is_some_and(|c| !matches!(c, '/' | ' ' | '"' | '`')) {
            return None;
        }
        let mut numbers = line[at + wanted.len()..].split(|c: char| !c.is_ascii_digit());
        let line_number = numbers.next()?.parse().ok().filter(|line| *line > 0)?;
        let rest = &line[at + wanted.len()..];
        let column = rest
            .split_once(':')
            .filter(|(digits, _)| digits.chars().all(|c| c.is_ascii_digit()))
            .and_then(|_| numbers.next()?.parse().ok());
        Some(Location {
            file: workload.to_owned(),
            line: line_number,
            column,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(said: &str) -> Option<(String, usize, Option<usize>)> {
        let said: Vec<String> = said.lines().map(str::to_owned).collect();
        let workloads = ["workload.jl".to_owned(), "test/more.jl".to_owned()];
        locate(&said, &workloads).map(|place| (place.file, place.line, place.column))
    }

    #[test]
    fn the_innermost_frame_in_a_workload_counts() {
        let julia_1_5 = "ERROR: LoadError: oh no\n\
            Stacktrace:\n \
            [1] error(::String) at ./error.jl:33\n \
            [2] f() at /home/me/a b/workload.jl:3\n \
            [3] top-level scope at /home/me/a b/workload.jl:9\n \
            in expression starting at /home/me/a b/workload.jl:9";
        assert_eq!(at(julia_1_5), Some(("workload.jl".to_owned(), 3, None)));
        let julia_1_12 = "ERROR: LoadError: oh no\nStacktrace:\n \
            [1] error(s::String)\n   @ Base ./error.jl:44\n \
            [2] top-level scope\n   @ C:\\proj\\test\\more.jl:12\n\
            in expression starting at C:\\proj\\test\\more.jl:12";
        assert_eq!(at(julia_1_12), Some(("test/more.jl".to_owned(), 12, None)));
    }

    #[test]
    fn without_a_frame_the_expression_counts() {
        let said = "ERROR: LoadError: UndefVarError: x\nin expression starting at /p/workload.jl:2";
        assert_eq!(at(said), Some(("workload.jl".to_owned(), 2, None)));
        let parse = "ERROR: ParseError:\n# Error @ /p/workload.jl:4:11\nf(";
        assert_eq!(at(parse), Some(("workload.jl".to_owned(), 4, Some(11))));
    }

    #[test]
    fn other_files_are_not_mistaken_for_the_workload() {
        assert_eq!(at("at /p/not-the-workload.jl:3"), None);
        assert_eq!(at("at /p/workload.jl:x"), None);
        assert_eq!(at("killed"), None);
    }
}
