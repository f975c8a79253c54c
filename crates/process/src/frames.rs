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
    /// Whether Julia ended itself, and native frames follow.
    in_fatal: bool,
    count: usize,
}

impl LastLines {
    pub(crate) fn add(&mut self, line: String) {
        self.count += 1;
        push(&mut self.plain, line.clone());
        let text = without_border(&line);
        if self.in_fatal && is_native_frame(text) {
            return;
        }
        self.in_fatal |= text.starts_with(FATAL);
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
        let is_message = |line: &String| {
            let text = without_border(line);
            text.starts_with("ERROR: ") || text.starts_with(FATAL)
        };
        match self.essential.iter().position(is_message) {
            Some(start) => self.essential.into_iter().skip(start).collect(),
            None => self.plain.into(),
        }
    }
}

/// What Julia writes when it ends itself because of an exception that nothing catches, for example in
/// an initialization function of an image.
const FATAL: &str = "fatal: error thrown and no exception handler available";

/// Returns whether a line is a frame as Julia's runtime prints it: `compile at ./pcre.jl:124`, `jl_init
/// at /lib/libjulia.so.1 (unknown line)` or `unknown function (ip: 0x7f301caecc49)`.
fn is_native_frame(text: &str) -> bool {
    let is_line = |location: &str| {
        let number = location.trim_end_matches(" [inlined]").rsplit_once(':');
        number.is_some_and(|(_, digits)| digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let location = text.rsplit_once(" at ").map(|(_, location)| location);
    text.starts_with("unknown function (ip: ")
        || location.is_some_and(|at| at.ends_with("(unknown line)") || is_line(at))
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
    fn native_frames_do_not_hide_the_exception_that_ended_julia() {
        let stack = frames(25, |n| match n % 3 {
            0 => "jl_init at /a b/libjulia.so.1.5 (unknown line)".to_owned(),
            1 => format!("compile at ./pcre.jl:{n} [inlined]"),
            _ => format!("unknown function (ip: 0x7f30{n})"),
        });
        let message = "fatal: error thrown and no exception handler available.\n\
                       ErrorException(\"could not load library \"libpcre2-8\"\nlibpcre2-8.so: cannot open \
                       shared object file: No such file or directory\")";
        assert_eq!(
            shown(&format!("some progress\n{message}\n{stack}")),
            message
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
