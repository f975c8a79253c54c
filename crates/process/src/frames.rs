//! The last lines of a child, as an error shows them. If a Julia exits with a long stack trace, its
//! message comes first, and frames in Julia's own code are omitted.

use std::collections::VecDeque;

/// The maximum number of lines in an error.
pub(crate) const TAIL: usize = 20;

/// Collects the last lines while a child writes them.
#[derive(Debug, Default)]
pub(crate) struct LastLines {
    /// The last lines, unchanged.
    plain: VecDeque<String>,
    /// The last lines without the frames of Julia's own code.
    essential: VecDeque<String>,
    /// A frame whose location is on the next line, as in Julia 1.6 and later.
    frame: Option<String>,
    in_stack: bool,
    count: usize,
}

impl LastLines {
    pub(crate) fn add(&mut self, line: String) {
        self.count += 1;
        push(&mut self.plain, line.clone());
        let text = without_border(&line);
        if text == "Stacktrace:" {
            self.in_stack = true;
            return;
        }
        if let Some(frame) = self.frame.take() {
            match text.strip_prefix("@ ") {
                Some(location) if is_julias_own(location) => return,
                _ => push(&mut self.essential, frame),
            }
        } else if self.in_stack && is_frame(text) {
            match text.rsplit_once(" at ") {
                Some((_, location)) if is_julias_own(location) => {}
                Some(_) => push(&mut self.essential, line),
                None => self.frame = Some(line),
            }
            return;
        }
        if !text.starts_with("@ ") && !text.starts_with("in expression") {
            self.in_stack = false;
        }
        push(&mut self.essential, line);
    }

    /// Returns the lines for an error: all lines if they are few, otherwise the lines from Julia's
    /// own message on, if there is one.
    pub(crate) fn shown(mut self) -> Vec<String> {
        if let Some(frame) = self.frame.take() {
            push(&mut self.essential, frame);
        }
        if self.count <= TAIL {
            return self.plain.into();
        }
        let is_message = |line: &String| without_border(line).starts_with("ERROR: ");
        match self.essential.iter().position(is_message) {
            Some(start) => self.essential.into_iter().skip(start).collect(),
            None => self.plain.into(),
        }
    }
}

fn push(lines: &mut VecDeque<String>, line: String) {
    if lines.len() == TAIL {
        lines.pop_front();
    }
    lines.push_back(line);
}

/// Removes the indentation of a line, and the border that Julia's logging draws.
fn without_border(line: &str) -> &str {
    line.trim_matches(|c: char| c.is_whitespace() || matches!(c, '│' | '┌' | '└'))
}

/// Returns whether a line is a frame, `[3] f(::Int64) at ./file.jl:3`, or the first line of a frame
/// of two lines.
fn is_frame(text: &str) -> bool {
    let number = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    number.is_some_and(|(number, _)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Returns whether a location is in Julia's own code: Base (`./loading.jl:1278`; since 1.6 after
/// the module, `Base ./loading.jl:1278`) or a standard library.
fn is_julias_own(location: &str) -> bool {
    let location = location.replace('\\', "/");
    let path = location
        .split_once(' ')
        .map_or(&*location, |(_, path)| path);
    [&*location, path].iter().any(|path| path.starts_with("./"))
        || location.contains("/share/julia/")
        || location.contains("/usr/share/julia")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut lines = LastLines::default();
        for line in text.lines() {
            lines.add(line.to_owned());
        }
        lines.shown().join("\n")
    }

    fn frames(count: usize, frame: fn(usize) -> String) -> String {
        (1..=count)
            .map(|number| frame(number) + "\n")
            .collect::<Vec<_>>()
            .concat()
    }

    #[test]
    fn a_message_is_read_before_the_frames_of_loading() {
        let stack = frames(25, |n| {
            format!(" [{n}] require(::Base.PkgId) at ./loading.jl:{n}")
        });
        let text = format!(
            "some progress\nERROR: LoadError: no build on Tuesdays\nStacktrace:\n \
             [1] error(::String) at ./error.jl:33\n [2] f() at /home/me/p/src/Tiny.jl:3\n{stack}\
             in expression starting at /home/me/p/src/Tiny.jl:4\n\
             ERROR: LoadError: Failed to precompile Tiny\nStacktrace:\n{stack}\
             in expression starting at /home/me/p/workload.jl:1"
        );
        assert_eq!(
            shown(&text).lines().collect::<Vec<_>>(),
            [
                "ERROR: LoadError: no build on Tuesdays",
                " [2] f() at /home/me/p/src/Tiny.jl:3",
                "in expression starting at /home/me/p/src/Tiny.jl:4",
                "ERROR: LoadError: Failed to precompile Tiny",
                "in expression starting at /home/me/p/workload.jl:1",
            ]
        );
    }

    #[test]
    fn frames_of_two_lines_are_one() {
        let stack = frames(15, |n| {
            format!(" [{n}] require(uuidkey::PkgId)\n   @ Base ./loading.jl:{n}")
        });
        let text = format!(
            "ERROR: LoadError: no build on Tuesdays\nStacktrace:\n [1] f()\n   \
             @ Tiny ~/p/src/Tiny.jl:3\n{stack}in expression starting at /p/src/Tiny.jl:4"
        );
        assert_eq!(
            shown(&text).lines().collect::<Vec<_>>(),
            [
                "ERROR: LoadError: no build on Tuesdays",
                " [1] f()",
                "   @ Tiny ~/p/src/Tiny.jl:3",
                "in expression starting at /p/src/Tiny.jl:4",
            ]
        );
    }

    #[test]
    fn few_lines_and_lines_of_other_programs_stay_as_they_are() {
        let few = "ERROR: x\nStacktrace:\n [1] error(::String) at ./error.jl:33";
        assert_eq!(shown(few), few);
        let many = frames(30, |n| format!("line {n}"));
        assert_eq!(shown(&many).lines().count(), TAIL);
        assert!(shown(&many).ends_with("line 30"));
    }
}
