//! What an expression of a file does to names: whether it defines them, assigns to them or changes their
//! values. This is decided by tokens alone; in doubt an expression changes what it names.

use std::collections::HashSet;

use super::lexer::{Kind, Lexer, Symbols, Token, skip_blanks};

/// How an expression affects the names that it binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It defines a function, a macro, a type or a module.
    Defines,
    /// It assigns a new value, which does not depend on an older one unless it names it.
    Assigns,
    /// It may change the values of names, or assign to them under conditions.
    Changes,
}

/// The effects of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Effects<'a> {
    pub(super) effect: Effect,
    /// The names that it binds.
    pub(super) names: Vec<&'a str>,
    /// Whether it contains a call of a function such as `push!`, or an assignment to an element, a field
    /// or a global variable.
    pub(super) mutates: bool,
    /// Whether it contains code that is evaluated later: a function, a macro or a quoted expression.
    pub(super) delays: bool,
    /// Whether it assigns a function without a name.
    pub(super) is_function: bool,
    /// Whether it assigns a value that is made without any call, as in `p = precompile`.
    pub(super) is_value: bool,
}

/// Words that open a block with variables of its own.
const LOCAL: [&str; 8] = [
    "let", "for", "while", "try", "do", "function", "macro", "struct",
];
/// Words that open other blocks.
const SHARED: [&str; 5] = ["begin", "if", "quote", "module", "baremodule"];

/// Whether this word opens a block, which `end` closes.
pub(super) fn opens_block(word: &str) -> bool {
    LOCAL.contains(&word) || SHARED.contains(&word)
}

/// Returns the effects of the expression in `text[start..end]`.
pub(super) fn of(text: &str, start: usize, end: usize) -> Effects<'_> {
    let begin = after_macros(text, start);
    let mut scan = Scan {
        text,
        side: Vec::new(),
        brackets: Vec::new(),
        calls: 0,
        blocks: Vec::new(),
        local_blocks: 0,
        last: None,
        found: Effects {
            effect: Effect::Changes,
            names: Vec::new(),
            mutates: false,
            delays: false,
            is_function: false,
            is_value: false,
        },
        begin,
        has_assigned: false,
        called: false,
    };
    if let Some(names) = defined(text, begin, end) {
        scan.found.effect = Effect::Defines;
        scan.found.names = names;
    }
    let mut lexer = Lexer::new(&text[..end], begin, Symbols::Escaped);
    while let Ok(Some(token)) = lexer.next() {
        scan.take(token);
    }
    let mut found = scan.found;
    found.is_value = found.effect == Effect::Assigns && !scan.called;
    found
}

/// Returns what a definition that begins with a keyword defines: nothing if it is a method of a function
/// of another module.
fn defined(text: &str, begin: usize, end: usize) -> Option<Vec<&str>> {
    let mut lexer = Lexer::new(&text[..end], begin, Symbols::Escaped);
    let mut next = || {
        let token = lexer.next().ok().flatten()?;
        Some((token.kind, &text[token.start..token.end]))
    };
    let name = match next()?.1 {
        "function" | "macro" | "struct" | "module" | "baremodule" => next()?,
        "mutable" | "abstract" | "primitive" => {
            next()?;
            next()?
        }
        _ => return None,
    };
    let is_qualified = next().is_some_and(|(_, token)| token == ".");
    match name {
        (Kind::Name, name) if !is_qualified => Some(vec![name]),
        _ => Some(Vec::new()),
    }
}

struct Scan<'a> {
    text: &'a str,
    /// The start of the expression.
    begin: usize,
    /// The tokens of the left side of an assignment, if one follows.
    side: Vec<Token>,
    /// For each open bracket, whether it only groups.
    brackets: Vec<bool>,
    /// How many of them do not.
    calls: usize,
    /// For each open block, how many brackets it is in and whether it has variables of its own.
    blocks: Vec<(usize, bool)>,
    /// How many of them have variables of their own.
    local_blocks: usize,
    last: Option<Token>,
    found: Effects<'a>,
    has_assigned: bool,
    /// Whether the value of the first assignment contains a call outside of a function.
    called: bool,
}

impl<'a> Scan<'a> {
    fn spell(&self, token: Token) -> &'a str {
        &self.text[token.start..token.end]
    }

    fn is_local(&self) -> bool {
        self.local_blocks > 0
    }

    fn is_in_call(&self) -> bool {
        self.calls > 0
    }

    fn take(&mut self, token: Token) {
        let word = self.spell(token);
        let last = self.last.map_or("", |last| self.spell(last));
        let adjacent = self.last.is_some_and(|last| last.end == token.start);
        let after_value = self.last.is_some_and(|last| {
            matches!(last.kind, Kind::Name | Kind::Close) && !is_keyword(self.spell(last))
        });
        let is_call = adjacent && (after_value || last == ".");
        let is_keyword = token.kind == Kind::Name && last != "." && is_keyword(word);
        match token.kind {
            Kind::Open => {
                self.called |= is_call && word == "(" && !self.found.is_function;
                let groups = word == "(" && !is_call;
                self.brackets.push(groups);
                self.calls += usize::from(!groups);
                self.found.delays |= word == "(" && last == ":" && adjacent;
            }
            Kind::Close => {
                let groups = self.brackets.pop();
                self.calls -= usize::from(groups == Some(false));
            }
            Kind::Name if last != "." => self.name(word, last, after_value),
            Kind::Operator => match word {
                "=" => self.assignment(token, last, adjacent),
                ">" if last == "-" && adjacent => {
                    self.found.delays = true;
                    self.found.is_function |= self.brackets.is_empty()
                        && self.found.effect == Effect::Assigns
                        && !self.called;
                }
                ">" if last == "|" && adjacent => self.called = true,
                "@" => self.called = true,
                _ => {}
            },
            _ => {}
        }
        let separates = matches!(token.kind, Kind::Newline | Kind::Semicolon)
            || (token.kind == Kind::Operator && word == "=")
            || (is_keyword && !["where", "in", "isa"].contains(&word));
        match separates && !self.is_in_call() {
            true => self.side.clear(),
            false => self.side.push(token),
        }
        self.last = Some(token);
    }

    fn name(&mut self, word: &'a str, last: &str, after_value: bool) {
        let is_local = self.is_local();
        let in_generator = after_value && !self.brackets.is_empty();
        if word == "end" {
            let depth = self.brackets.len();
            let closed = self.blocks.pop_if(|(brackets, _)| *brackets == depth);
            self.local_blocks -= usize::from(closed.is_some_and(|(_, is_local)| is_local));
        } else if (LOCAL.contains(&word) || SHARED.contains(&word)) && !in_generator {
            let opens_local = LOCAL.contains(&word);
            self.blocks.push((self.brackets.len(), opens_local));
            self.local_blocks += usize::from(opens_local);
        }
        self.found.delays |= ["function", "macro", "quote"].contains(&word);
        self.found.mutates |= word.ends_with('!') || (word == "global" && is_local);
        if word == "function" && last == "=" && self.found.effect == Effect::Assigns {
            self.found.is_function = true;
        }
        let defines = ["function", "macro", "struct", "module"].contains(&last);
        if defines && self.found.effect != Effect::Defines && !is_keyword(word) {
            self.found.names.push(word);
        }
    }

    /// Takes note of `=` unless it is a part of another operator or names an argument.
    fn assignment(&mut self, token: Token, last: &str, adjacent: bool) {
        let next = self.text[token.end..].chars().next();
        let compares =
            matches!(next, Some('=' | '>')) || (adjacent && ["=", "<", ">", "!"].contains(&last));
        if compares || self.is_in_call() {
            return;
        }
        let updates = adjacent && self.last.is_some_and(|last| last.kind == Kind::Operator);
        let tokens = std::mem::take(&mut self.side);
        let words: Vec<&str> = tokens.iter().map(|token| self.spell(*token)).collect();
        let side = Side::of(&tokens, &words);
        let side_start = tokens.first().map_or(token.start, |first| first.start);
        let before = self.text[self.begin..side_start].trim();
        let is_first = !self.has_assigned && ["", "const", "local", "global"].contains(&before);
        self.has_assigned = true;
        self.called &= !is_first;
        if self.found.effect == Effect::Defines {
            self.found.mutates |= updates || side.changes;
            return;
        }
        if side.is_function {
            self.found.delays = true;
            if is_first {
                self.found.effect = Effect::Defines;
            }
        } else if updates || side.changes {
            self.found.mutates = true;
        } else if is_first {
            self.found.effect = Effect::Assigns;
        }
        if !self.is_local() || before.ends_with("global") {
            self.found.names.extend(side.names);
        }
    }
}

/// The left side of an assignment.
struct Side<'a> {
    names: Vec<&'a str>,
    /// Whether it is a function with its arguments.
    is_function: bool,
    /// Whether it is an element or a field.
    changes: bool,
}

impl<'a> Side<'a> {
    fn of(tokens: &[Token], words: &[&'a str]) -> Self {
        let adjacent = |index: usize| {
            index > 0
                && index < tokens.len()
                && tokens[index - 1].end == tokens[index].start
                && matches!(tokens[index - 1].kind, Kind::Name | Kind::Close)
        };
        let called = (0..words.len()).find(|index| words[*index] == "(" && adjacent(*index));
        let mut names = Vec::new();
        let mut changes = false;
        let mut depth = 0_usize;
        for (index, word) in words.iter().enumerate() {
            let before = index.checked_sub(1).map_or("", |before| words[before]);
            match tokens[index].kind {
                Kind::Open if depth > 0 || *word != "(" || adjacent(index) => depth += 1,
                Kind::Close => depth = depth.saturating_sub(1),
                Kind::Name if depth == 0 && ![".", ":"].contains(&before) => names.push(*word),
                _ => {}
            }
            let is_field =
                *word == "." && ![before, words.get(index + 1).unwrap_or(&"")].contains(&".");
            changes |= is_field || (*word == "[" && adjacent(index));
        }
        match called {
            // `f(x) = …`, `A.f(x) = …`, `(f::T)(x) = …`
            Some(index) => Self {
                names: match (index, tokens[0].kind) {
                    (1, Kind::Name) => vec![words[0]],
                    (_, Kind::Name) if words.get(1) == Some(&"{") => vec![words[0]],
                    _ => Vec::new(),
                },
                is_function: true,
                changes: false,
            },
            None => Self {
                names,
                is_function: false,
                changes,
            },
        }
    }
}

fn is_keyword(word: &str) -> bool {
    [
        "const",
        "global",
        "local",
        "begin",
        "if",
        "elseif",
        "else",
        "let",
        "for",
        "while",
        "try",
        "catch",
        "finally",
        "do",
        "quote",
        "return",
        "end",
        "in",
        "isa",
        "where",
        "function",
        "macro",
        "struct",
        "module",
        "baremodule",
        "mutable",
    ]
    .contains(&word)
}

/// Returns the names that an expression uses, without those behind a dot and without symbols. The names in
/// a string with interpolations count.
pub(super) fn names_in(expression: &str) -> HashSet<&str> {
    let mut names = HashSet::new();
    collect(expression, &mut names, 0);
    names
}

fn collect<'a>(expression: &'a str, names: &mut HashSet<&'a str>, depth: usize) {
    let mut lexer = Lexer::new(expression, 0, Symbols::Escaped);
    // The last two tokens.
    let mut last: [Option<Token>; 2] = [None, None];
    while let Ok(Some(token)) = lexer.next() {
        let text = &expression[token.start..token.end];
        let before = last[1].map_or("", |last| &expression[last.start..last.end]);
        let adjacent = last[1].is_some_and(|last| last.end == token.start);
        // `a:b` is a range, `:b` a symbol.
        let is_range = last[1].zip(last[0]).is_some_and(|(colon, value)| {
            value.end == colon.start
                && matches!(value.kind, Kind::Name | Kind::Literal | Kind::Close)
        });
        let is_symbol = before == ":" && adjacent && !is_range;
        let splats = before == "." && !adjacent;
        match token.kind {
            Kind::Name if (before != "." || splats) && !is_symbol => {
                names.insert(text);
            }
            Kind::Literal if depth < 2 && text.starts_with(['"', '`']) => {
                if let Some((_, inner)) = text.split_once('$') {
                    collect(inner, names, depth + 1);
                }
            }
            _ => {}
        }
        last = [last[1], Some(token)];
    }
}

/// Returns whether a string in an expression, which is not only that string, contains a call of
/// `precompile`.
pub(super) fn has_call_in_string(text: &str) -> bool {
    if !text.contains("precompile(") {
        return false;
    }
    let mut lexer = Lexer::new(text, 0, Symbols::Escaped);
    let (mut tokens, mut found) = (0_usize, false);
    while let Ok(Some(token)) = lexer.next() {
        let word = &text[token.start..token.end];
        found |= token.kind == Kind::Literal && word.contains("precompile(");
        tokens += usize::from(token.kind != Kind::Newline);
    }
    found && tokens > 1
}

/// Returns the offset after the names of macros, as in `@noinline function f(x) … end`.
pub(super) fn after_macros(text: &str, start: usize) -> usize {
    let mut at = start;
    while text[at..].starts_with(['@']) || text[at..].starts_with("Base.@") {
        let name = text[at + 1..].find([' ', '\t', '\n']);
        let next = name.and_then(|length| skip_blanks(text, at + 1 + length).ok());
        let Some(next) = next.filter(|next| *next > at) else {
            return start;
        };
        at = next;
    }
    at
}
