//! Questions to the user on a terminal.

use std::io::{BufRead, IsTerminal};

use crate::printer::Terminal;

/// Asks a yes-or-no question; an empty answer means yes. `None` if there is no terminal, as in
/// scripts and on CI runners.
pub fn confirm(question: &str, terminal: Terminal) -> Option<bool> {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return None;
    }
    terminal.ask(question);
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    // The end of the input is not an answer, and must not count as yes.
    let read = read.ok().filter(|bytes| *bytes > 0);
    read.map(|_| is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "" | "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for (answer, yes) in [
            ("\n", true),
            ("Y\n", true),
            ("yes", true),
            ("n\n", false),
            ("maybe", false),
        ] {
            assert_eq!(is_yes(answer), yes, "{answer:?}");
        }
    }
}
