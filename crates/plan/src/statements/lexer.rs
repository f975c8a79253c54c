//! Julia's tokens, as far as they are needed to find the end of an expression: strings, characters,
//! comments, brackets and names. The lexer ignores precedence and the meaning of names.

/// The maximum depth of strings with interpolated expressions with strings.
const DEEPEST: usize = 32;

/// How the text of `Symbol("…")` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symbols {
    /// With escapes, as in every string of Julia.
    Escaped,
    /// Without escapes. Older Julias print recorded statements in this way, so `Symbol("a"b")` and
    /// `Symbol("a\")` are complete.
    Raw,
}

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or a keyword.
    Name,
    /// A number, a string, a character or a command.
    Literal,
    /// One of `(`, `[` and `{`.
    Open,
    /// One of `)`, `]` and `}`.
    Close,
    /// A line end.
    Newline,
    /// `;`
    Semicolon,
    /// Any other character.
    Operator,
}

/// One token; `text[start..end]` is its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Reads tokens from an offset in a text.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    symbols: Symbols,
    last: Option<Token>,
    /// In how many strings this expression is interpolated.
    depth: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str, at: usize, symbols: Symbols) -> Self {
        Self {
            text,
            at,
            symbols,
            last: None,
            depth: 0,
        }
    }

    /// Returns the next token, skipping blanks and comments; `None` at the end of the text.
    ///
    /// # Errors
    ///
    /// If a string, a comment or a command is not closed.
    pub(super) fn next(&mut self) -> Result<Option<Token>, &'static str> {
        self.at = skip_blanks(self.text, self.at)?;
        let Some(first) = self.byte(self.at) else {
            return Ok(None);
        };
        let start = self.at;
        let (kind, end) = match first {
            0 => return Err("it contains a NUL character, which Julia refuses"),
            _ if is_invisible(&self.text[start..]) => {
                return Err("it contains an invisible character, which Julia refuses");
            }
            b'\n' => (Kind::Newline, start + 1),
            b';' => (Kind::Semicolon, start + 1),
            b'(' | b'[' | b'{' => (Kind::Open, start + 1),
            b')' | b']' | b'}' => (Kind::Close, start + 1),
            b'"' | b'`' => (Kind::Literal, self.string(start)?),
            b'\'' if !self.follows_value() => match character(&self.text[start..]) {
                Some(length) => (Kind::Literal, start + length),
                None => (Kind::Operator, start + 1),
            },
            byte if byte.is_ascii_digit() => (Kind::Literal, number_end(self.text, start)),
            _ if let Some(length) = operator(&self.text[start..]) => {
                (Kind::Operator, start + length)
            }
            byte if begins_name(byte) => (Kind::Name, name_end(self.text, start)),
            _ => (Kind::Operator, start + 1),
        };
        self.at = end;
        let token = Token { kind, start, end };
        self.last = Some(token);
        Ok(Some(token))
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// Returns whether a value ends directly before this offset. Then `'` is an adjoint, and a name
    /// before a string is its macro.
    fn follows_value(&self) -> bool {
        self.last.is_some_and(|last| {
            last.end == self.at
                && (matches!(last.kind, Kind::Name | Kind::Literal | Kind::Close)
                    || &self.text[last.start..last.end] == "'")
        })
    }

    /// Returns the end of the string or command that begins at `start`.
    fn string(&self, start: usize) -> Result<usize, &'static str> {
        let bytes = self.text.as_bytes();
        let quote = bytes[start];
        if self.symbols == Symbols::Raw && self.text[..start].ends_with("Symbol(") {
            let rest = &self.text[start + 1..];
            return rest
                .find("\")")
                .map(|length| start + 1 + length + 1)
                .ok_or("a string has no end");
        }
        // `raw"…"`, `r"…"`, `var"…"` have no interpolation.
        let plain = self.follows_value();
        let triple = bytes[start..].starts_with(&[quote; 3]);
        let length = if triple { 3 } else { 1 };
        let mut at = start + length;
        while at < bytes.len() {
            match bytes[at] {
                b'\\' => at += 2,
                b'$' if !plain && bytes.get(at + 1) == Some(&b'(') => at = self.group(at + 1)?,
                byte if byte == quote && (!triple || bytes[at..].starts_with(&[quote; 3])) => {
                    return Ok(at + length);
                }
                _ => at += 1,
            }
        }
        Err("a string has no end")
    }

    /// Returns the end of the bracketed group that begins at `start`.
    fn group(&self, start: usize) -> Result<usize, &'static str> {
        if self.depth == DEEPEST {
            return Err("strings are nested too deeply");
        }
        let mut inside = Self::new(self.text, start, Symbols::Escaped);
        inside.depth = self.depth + 1;
        let mut brackets = Brackets::default();
        while let Some(token) = inside.next()? {
            brackets.take(self.text, token)?;
            if brackets.is_empty() {
                return Ok(token.end);
            }
        }
        Err("a bracket is not closed")
    }
}

/// The brackets that are open at an offset.
#[derive(Debug, Default)]
pub(super) struct Brackets(Vec<u8>);

impl Brackets {
    /// Updates the brackets with a token.
    ///
    /// # Errors
    ///
    /// If it closes a bracket that is not open.
    pub(super) fn take(&mut self, text: &str, token: Token) -> Result<(), &'static str> {
        let byte = text.as_bytes()[token.start];
        match token.kind {
            Kind::Open => self.0.push(byte),
            Kind::Close => {
                let wanted = match byte {
                    b')' => b'(',
                    b']' => b'[',
                    _ => b'{',
                };
                if self.0.pop() != Some(wanted) {
                    return Err("a bracket is closed that is not open");
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Returns the first offset from `at` on that is not a blank, a comment or a terminal colour. Line
/// ends are not skipped.
pub(super) fn skip_blanks(text: &str, mut at: usize) -> Result<usize, &'static str> {
    let bytes = text.as_bytes();
    loop {
        match bytes.get(at) {
            Some(b' ' | b'\t' | b'\r' | b'\x0b' | b'\x0c') => at += 1,
            // Julia takes the spaces of Unicode and a byte order mark for blanks.
            Some(0x80..) => match text[at..].chars().next() {
                Some(c) if (c.is_whitespace() && !is_separator(c)) || c == '\u{feff}' => {
                    at += c.len_utf8();
                }
                _ => return Ok(at),
            },
            Some(b'#') if bytes.get(at + 1) == Some(&b'=') => at = comment(bytes, at)?,
            Some(b'#') => {
                let rest = bytes[at..].iter().position(|byte| *byte == b'\n');
                at = rest.map_or(bytes.len(), |length| at + length);
            }
            // `\e[33m`: Julia 1.12 colours statements that it compiles a second time.
            Some(b'\x1b') => {
                let rest = bytes[at..].iter().position(u8::is_ascii_alphabetic);
                at = rest.map_or(bytes.len(), |length| at + length + 1);
            }
            _ => return Ok(at),
        }
    }
}

/// Returns the end of the `#= … =#` that begins at `start`; such comments nest.
fn comment(bytes: &[u8], start: usize) -> Result<usize, &'static str> {
    let (mut at, mut depth) = (start, 0);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"#=") {
            (depth, at) = (depth + 1, at + 2);
        } else if bytes[at..].starts_with(b"=#") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return Ok(at);
            }
        } else {
            at += 1;
        }
    }
    Err("a comment has no end")
}

/// Returns the length of a character literal at the start of `text`, if there is one.
fn character(text: &str) -> Option<usize> {
    let inner = text.get(1..)?;
    let length = match inner.strip_prefix('\\') {
        // `'\''`, `'\n'`, `'\u2200'`
        Some(escaped) => {
            let first = escaped.chars().next()?.len_utf8();
            1 + first + escaped.get(first..)?.find('\'')?
        }
        None => inner.chars().next().filter(|c| *c != '\'')?.len_utf8(),
    };
    (length <= 12 && inner[length..].starts_with('\'')).then_some(length + 2)
}

/// Returns whether Julia, unlike Unicode, does not take this character for a space.
fn is_separator(c: char) -> bool {
    ['\u{2028}', '\u{2029}'].contains(&c)
}

/// Returns whether a text begins with a character that is not seen and that Julia refuses.
fn is_invisible(text: &str) -> bool {
    let first = text.chars().next().filter(|c| !c.is_ascii());
    first.is_some_and(|c| {
        is_separator(c)
            || matches!(
                c,
                '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2060}'..='\u{2064}'
            )
    })
}

/// Returns the length of the operator at the start of a text if it is not an ASCII character: `≥`, `∈`.
fn operator(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    is_operator(first).then_some(first.len_utf8())
}

/// Returns whether Julia takes this character for an operator (`julia-parser.scm`). The mathematical symbols
/// that can begin a name, such as `∂` and `∑`, are those of `jl_id_start_char` in `flisp/julia_extensions.c`.
fn is_operator(c: char) -> bool {
    let begins_name = matches!(
        c,
        '∀' | '∂'..='∄' | '∅'..='∇' | '∎'..='∑' | '∞' | '∟' | '∫'..='∳' | '∿' | '⊤' | '⊥' | '⊾' | '⊿'
            | '⋀'..='⋃' | '\u{27c0}' | '\u{27c1}' | '\u{27d8}' | '\u{27d9}' | '\u{29b0}'..='\u{29b4}'
            | '\u{2a00}'..='\u{2a06}' | '\u{2a09}'..='\u{2a16}' | '\u{2a1b}' | '\u{2a1c}'
    );
    let symbol = matches!(
        c,
        '¬' | '±' | '×' | '÷' | '…' | '\u{2190}'..='\u{22ff}' | '\u{27c0}'..='\u{27ff}'
            | '\u{2900}'..='\u{2aff}'
    );
    symbol && !begins_name
}

fn begins_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

/// Returns the end of the name that begins at `start`, which is `start` if there is none.
pub(super) fn name_end(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        if *byte >= 0x80 {
            let next = text[at..].chars().next();
            let Some(next) = next
                .filter(|c| !c.is_whitespace() && !is_invisible(&text[at..]) && *c != '\u{feff}')
                .filter(|c| !is_operator(*c))
            else {
                break;
            };
            at += next.len_utf8();
            continue;
        }
        let belongs = begins_name(*byte)
            || byte.is_ascii_digit()
            || (*byte == b'!' && bytes.get(at + 1) != Some(&b'='));
        if !belongs {
            break;
        }
        at += 1;
    }
    at
}

fn number_end(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        let fraction = *byte == b'.' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        if !byte.is_ascii_alphanumeric() && *byte != b'_' && !fraction {
            break;
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Result<Vec<&str>, &'static str> {
        let mut lexer = Lexer::new(text, 0, Symbols::Escaped);
        let mut found = Vec::new();
        while let Some(token) = lexer.next()? {
            found.push(&text[token.start..token.end]);
        }
        Ok(found)
    }

    #[test]
    fn strings_characters_and_comments_are_whole() {
        assert_eq!(
            tokens("f(\"a)\\\"\", '\\'', x', ')') # )\n").unwrap(),
            [
                "f",
                "(",
                "\"a)\\\"\"",
                ",",
                "'\\''",
                ",",
                "x",
                "'",
                ",",
                "')'",
                ")",
                "\n"
            ]
        );
        assert_eq!(tokens("#= a #= b =# =# x").unwrap(), ["x"]);
        assert_eq!(
            tokens("\"\"\"a \" b\"\"\"y").unwrap(),
            ["\"\"\"a \" b\"\"\"", "y"]
        );
        assert_eq!(
            tokens("\"a $(g(\"b\")) c\"").unwrap(),
            ["\"a $(g(\"b\")) c\""]
        );
        // Operators need not be ASCII.
        assert_eq!(
            tokens("x≥v\"1\" a ∉ ∂b ÷ ∑").unwrap(),
            ["x", "≥", "v", "\"1\"", "a", "∉", "∂b", "÷", "∑"]
        );
        // Strings of macros have no interpolation.
        assert_eq!(tokens("r\"$(\"").unwrap(), ["r", "\"$(\""]);
        assert_eq!(tokens("x!=y; push!(a)").unwrap().len(), 9);
        assert!(tokens("\"open").is_err());
        assert!(tokens("#= open").is_err());
    }
}
