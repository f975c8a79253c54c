//! The names that `using` and `import` bring into a file of statements, with what each stands for.

use super::lexer::{Kind, Lexer, Symbols};

/// Returns the names that an expression imports, each with its path from a package: `C` and `A.B` for
/// `using A: B as C`. The names that a module exports are not among them, because only Julia knows them;
/// nor are those of modules of the file itself (`using .A: B`).
pub(super) fn of(text: &str, start: usize, end: usize) -> Vec<(&str, String)> {
    let mut words = Vec::new();
    let mut lexer = Lexer::new(&text[..end], start, Symbols::Escaped);
    while let Ok(Some(token)) = lexer.next() {
        if token.kind != Kind::Newline {
            words.push((token.kind, &text[token.start..token.end]));
        }
    }
    let Some((_, "using" | "import")) = words.first() else {
        return Vec::new();
    };
    let mut words = Words(&words[1..]);
    let mut found = Vec::new();
    loop {
        let Some(module) = words.path() else {
            return found;
        };
        let alias = words.alias();
        if words.takes(":") {
            let module = module.join(".");
            loop {
                // A macro or an operator is not what a statement names.
                let Some(path) = words.path() else {
                    return found;
                };
                let name = words.alias().or(path.last().copied());
                found.extend(name.map(|name| (name, format!("{module}.{}", path.join(".")))));
                if !words.takes(",") {
                    return found;
                }
            }
        }
        // The name of a package itself needs no assignment.
        let name = alias.or(path_end(&module));
        found.extend(name.map(|name| (name, module.join("."))));
        if !words.takes(",") {
            return found;
        }
    }
}

fn path_end<'t>(path: &[&'t str]) -> Option<&'t str> {
    path.last().copied().filter(|_| path.len() > 1)
}

/// The rest of the expression.
struct Words<'w, 't>(&'w [(Kind, &'t str)]);

impl<'t> Words<'_, 't> {
    /// Takes the next word if it is this one.
    fn takes(&mut self, word: &str) -> bool {
        match self.0 {
            [(_, next), rest @ ..] if *next == word => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn name(&mut self) -> Option<&'t str> {
        match self.0 {
            [(Kind::Name, name), rest @ ..] => {
                self.0 = rest;
                Some(name)
            }
            _ => None,
        }
    }

    /// Takes `A.B.C`.
    fn path(&mut self) -> Option<Vec<&'t str>> {
        let mut path = vec![self.name()?];
        while self.takes(".") {
            path.push(self.name()?);
        }
        Some(path)
    }

    /// Takes `as C`.
    fn alias(&mut self) -> Option<&'t str> {
        match self.takes("as") {
            true => self.name(),
            false => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_imported_name_is_known_with_its_path() {
        let imports = |text: &'static str| {
            let found = of(text, 0, text.len()).into_iter();
            let shown = found.map(|(name, path)| format!("{name} = {path}"));
            shown.collect::<Vec<_>>()
        };
        assert_eq!(imports("using A: B as C"), ["C = A.B"]);
        assert_eq!(
            imports("import A.B: c, D as E, F.g"),
            ["c = A.B.c", "E = A.B.D", "g = A.B.F.g"]
        );
        assert_eq!(imports("import A as C, B.D, E"), ["C = A", "D = B.D"]);
        assert_eq!(imports("import A.B as C"), ["C = A.B"]);
        assert_eq!(imports("using A: b,\n    c"), ["b = A.b", "c = A.c"]);
        assert_eq!(imports("using A: b, @m, c"), ["b = A.b"]);
        for none in [
            "using A",
            "using A, B",
            "using .A: B",
            "import ..A",
            "x = using",
            "using",
        ] {
            assert_eq!(imports(none), Vec::<String>::new(), "{none}");
        }
    }
}
