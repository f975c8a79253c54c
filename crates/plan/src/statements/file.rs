//! Parses a file of statements written by Julia's `--trace-compile`, SnoopCompile or a person.
//! Blocks are followed (`if`, `begin`, `let`, `module`, and functions without arguments), so that
//! each statement is self-contained; anything else is listed with its reason.

use std::cell::Cell;
use std::collections::HashSet;

use super::lexer::{Brackets, Kind, Lexer, Symbols, Token, skip_blanks};
use super::{Ignored, Recording, imports};

/// The maximum length of a plain statement, in bytes. It limits the search for a missing closing
/// bracket, which would otherwise be repeated over the rest of the file.
const LONGEST: usize = 1 << 16;

/// How many bytes may be read in vain, in search of the end of strings, brackets and blocks. After that
/// only the rest of the line is searched, so that a damaged file takes no more than linear time.
const LONGEST_IN_VAIN: usize = 1 << 25;

/// The maximum depth of blocks that are followed. Deeper ones are not read: following a block needs a
/// part of the stack.
const DEEPEST: usize = 64;

/// Words that open a block, which `end` closes.
const OPENERS: [&str; 13] = [
    "begin",
    "if",
    "let",
    "function",
    "macro",
    "module",
    "baremodule",
    "struct",
    "while",
    "for",
    "try",
    "quote",
    "do",
];
/// Words that end the preceding part of a block.
const CLOSERS: [&str; 5] = ["end", "else", "elseif", "catch", "finally"];

pub(super) fn read(text: &str) -> Recording {
    let mut reader = Reader {
        text,
        at: 0,
        statements: Vec::new(),
        ignored: Vec::new(),
        bindings: Vec::new(),
        depth: 0,
        counted: (0, 1),
        in_vain: Cell::new(0),
    };
    while reader.block(&[]) == Ended::Closer {
        // Julia would refuse this word outside of a block, but the following statements still
        // count.
        let word = reader.word(reader.at);
        reader.ignore(reader.at, reader.at + word.len(), "no block is open here");
        reader.at += word.len();
    }
    Recording {
        statements: reader.statements,
        ignored: reader
            .ignored
            .into_iter()
            .map(|(_, ignored)| ignored)
            .collect(),
    }
}

/// Where a block ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// At one of [`CLOSERS`], which was not consumed.
    Closer,
    /// At the end of the text.
    File,
}

/// An expression, up to the end of its line or `;`.
struct Item {
    end: usize,
    /// Whether it contains a call of `precompile`.
    calls: bool,
    /// Whether it names `precompile` without calling it, as in `map(precompile, …)`.
    mentions: bool,
    /// Whether it defines a function, `f(x) = …`.
    defines: bool,
}

/// An assignment to names, an import of a name, or a function that calls `precompile`, which later
/// statements may use.
struct Binding<'a> {
    names: Vec<&'a str>,
    /// The assignment.
    text: String,
    /// The offset of the expression.
    start: usize,
    /// Whether calling it may call `precompile`: a function, or another name for `precompile`.
    precompiles: bool,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    statements: Vec<String>,
    /// Other expressions, each with its offset.
    ignored: Vec<(usize, Ignored)>,
    /// The assignments in the blocks that are open.
    bindings: Vec<Binding<'a>>,
    /// How many blocks are open.
    depth: usize,
    /// An offset and its line, from which the next line is counted.
    counted: (usize, usize),
    /// How many bytes were read in vain; see [`LONGEST_IN_VAIN`].
    in_vain: Cell<usize>,
}

impl<'a> Reader<'a> {
    /// Reads the contents of a block. `guards` are the conditions under which it is evaluated.
    fn block(&mut self, guards: &[String]) -> Ended {
        loop {
            self.skip_empty();
            let start = self.at;
            if start >= self.text.len() {
                return Ended::File;
            }
            if CLOSERS.contains(&self.word(start)) {
                return Ended::Closer;
            }
            if let Some((statement, end)) = self.plain(start) {
                self.at = end;
                self.keep(guards, statement);
                continue;
            }
            let item = match self.item(start) {
                Ok(item) => self.resolved(start, item),
                Err(reason) => {
                    let end = self.line_end(start);
                    self.ignore(start, end, reason);
                    self.at = end;
                    continue;
                }
            };
            if !item.calls {
                self.other(start, item.end);
                self.at = item.end;
                continue;
            }
            if !self.inside(start, guards) {
                self.at = item.end;
                let whole = self.text[start..item.end].trim();
                match item.defines {
                    true => self.definition(start, item.end),
                    // The text may contain several expressions, which an operator cannot join.
                    false if guards.is_empty() => self.keep(guards, whole.to_owned()),
                    false => self.keep(guards, format!("(begin\n{whole}\nend)")),
                }
            }
        }
    }

    /// Decides about an expression that names `precompile`, or a function that calls it.
    fn resolved(&self, start: usize, item: Item) -> Item {
        let text = &self.text[start..item.end];
        let names_only = ["using", "import", "export", "public"].contains(&self.word(start));
        let mut precompilers = self.bindings.iter().filter(|binding| binding.precompiles);
        let used = precompilers.clone().next().is_some() && {
            let names = names_in(text);
            precompilers.any(|binding| binding.names.iter().any(|name| names.contains(name)))
        };
        let calls = !names_only && (item.calls || item.mentions || used);
        // `p = precompile` and `p = T -> precompile(f, (T,))` call nothing yet.
        let value = self.assigned(start, item.end).and(text.split_once('='));
        let function = value.is_some_and(|(_, value)| {
            (item.mentions && !item.calls) || is_anonymous_function(value.trim_start())
        });
        Item {
            calls,
            defines: item.defines || (calls && function),
            ..item
        }
    }

    /// Takes note of the definition of a function that calls `precompile`.
    fn definition(&mut self, start: usize, end: usize) {
        let function = self.after_macros(start);
        if self.word(function) == "macro" {
            return self.ignore(start, end, "it defines a macro, which is not expanded here");
        }
        let name = match self.word(function) {
            "function" => skip_blanks(self.text, function + "function".len()).unwrap_or(function),
            _ => function,
        };
        let names = match self.assigned(start, end) {
            Some(names) => names,
            None => vec![self.word(name)],
        };
        self.bind(names, start, end, true);
        self.ignore(start, end, "it defines a function that is not called here");
    }

    /// Takes note of a definition of names.
    fn bind(&mut self, names: Vec<&'a str>, start: usize, end: usize, precompiles: bool) {
        let text = self.text[start..end].trim_start_matches("const ").trim();
        self.bindings.push(Binding {
            names,
            text: text.to_owned(),
            start,
            precompiles,
        });
    }

    /// Returns the offset after the names of macros, as in `@noinline function f(x) … end`.
    fn after_macros(&self, start: usize) -> usize {
        let mut at = start;
        while self.text[at..].starts_with('@') {
            let name = self.text[at + 1..].find([' ', '\t', '\n']);
            let next = name.and_then(|length| skip_blanks(self.text, at + 1 + length).ok());
            let Some(next) = next.filter(|next| *next > at) else {
                return start;
            };
            at = next;
        }
        at
    }

    /// Records an expression that is not a statement.
    fn other(&mut self, start: usize, end: usize) {
        if let Some(names) = self.assigned(start, end) {
            self.bind(names, start, end, false);
        }
        let imported = imports::of(self.text, start, end);
        let exports = imported.is_empty();
        for (name, path) in imported {
            // Every statement has this name already.
            if name == "precompile" {
                continue;
            }
            self.bindings.push(Binding {
                names: vec![name],
                text: format!("{name} = {path}"),
                start,
                precompiles: path == "Base.precompile",
            });
        }
        let includes = ["include(", "Base.include("]
            .iter()
            .any(|call| self.text[start..end].starts_with(call));
        let reason = match self.word(start) {
            _ if includes => "it includes another file: list that file in `statements`",
            "using" if exports => {
                "which names a module exports is not known here: write them with the module, as `A.b`"
            }
            _ => "it is not a call of precompile",
        };
        self.ignore(start, end, reason);
    }

    /// Returns the names that an expression assigns to, as in `T = Int`, `const T = Int` and
    /// `const (a, b) = Int, Char`.
    fn assigned(&self, start: usize, end: usize) -> Option<Vec<&'a str>> {
        let mut lexer = Lexer::new(&self.text[..end], start, Symbols::Escaped);
        let mut token = lexer.next().ok()??;
        if ["const", "local", "global"].contains(&self.spell(token)) {
            token = lexer.next().ok()??;
        }
        let mut names = Vec::new();
        loop {
            let spelled = self.spell(token);
            match token.kind {
                Kind::Name => names.push(spelled),
                Kind::Open | Kind::Close if ["(", ")"].contains(&spelled) => {}
                Kind::Operator if spelled == "," => {}
                Kind::Operator if spelled == "=" => break,
                _ => return None,
            }
            let next = lexer.next().ok()??;
            // `f(x) = …` and `a b` assign to nothing.
            let follows_name = token.kind == Kind::Name;
            if follows_name && matches!(next.kind, Kind::Name | Kind::Open) {
                return None;
            }
            token = next;
        }
        let compares = self.text[token.end..].starts_with('=');
        (!names.is_empty() && !compares).then_some(names)
    }

    /// Returns the assignments that an expression needs, in their order.
    fn needed(&self, expression: &str) -> Vec<&Binding<'a>> {
        if self.bindings.is_empty() {
            return Vec::new();
        }
        let mut names = names_in(expression);
        let mut needed = Vec::new();
        for binding in self.bindings.iter().rev() {
            // Each method of a function is needed, but only the last assignment of a value.
            let used = binding
                .names
                .iter()
                .filter(|name| match binding.precompiles {
                    true => names.contains(*name),
                    false => names.remove(*name),
                });
            if used.count() > 0 {
                names.extend(names_in(&binding.text));
                needed.push(binding);
            }
        }
        needed.reverse();
        needed
    }

    /// Reads the block that begins at `start`, if its statements can be evaluated separately.
    fn inside(&mut self, start: usize, guards: &[String]) -> bool {
        if self.depth == DEEPEST {
            return false;
        }
        let open = self.bindings.len();
        self.depth += 1;
        let entered = self.inside_here(start, guards);
        self.depth -= 1;
        self.bindings.truncate(open);
        entered
    }

    fn inside_here(&mut self, start: usize, guards: &[String]) -> bool {
        let word = self.word(start);
        let behind = start + word.len();
        match word {
            "begin" => self.enter(start, behind, guards),
            "return" => self.at = behind,
            "module" | "baremodule" => {
                let name = skip_blanks(self.text, behind).unwrap_or(behind);
                self.enter(start, name + self.word(name).len(), guards);
            }
            "let" if self.is_line_end(behind) => self.enter(start, behind, guards),
            "function" => match self.function_body(behind) {
                Some(body) => self.enter(start, body, guards),
                None => return false,
            },
            "if" => self.conditional(start, behind, guards),
            _ if self.text[start..].starts_with("@static") => {
                let next = start + "@static".len();
                let next = skip_blanks(self.text, next).unwrap_or(next);
                if self.word(next) != "if" {
                    return false;
                }
                self.conditional(start, next + "if".len(), guards);
            }
            _ => return false,
        }
        true
    }

    /// Reads a block that begins at `start`, from `body` to its `end`.
    fn enter(&mut self, start: usize, body: usize, guards: &[String]) {
        self.at = body;
        loop {
            let ended = self.block(guards);
            let word = self.word(self.at);
            match (ended, word) {
                (Ended::File, _) => {
                    return self.ignore(start, body, "the block that begins here has no end");
                }
                (Ended::Closer, "end") => {
                    self.at += word.len();
                    return;
                }
                (Ended::Closer, _) => {
                    self.ignore(self.at, self.at + word.len(), "no block is open here");
                    self.at += word.len();
                }
            }
        }
    }

    /// Reads `if … elseif … else … end`, whose first condition begins at `condition`.
    fn conditional(&mut self, start: usize, condition: usize, guards: &[String]) {
        let mut others = guards.to_vec();
        let mut condition = Some(condition);
        loop {
            let mut now = others.clone();
            if let Some(begin) = condition {
                let end = self.condition_end(begin);
                let text = self.text[begin..end].trim();
                let calls = self
                    .item_before(begin, end)
                    .is_ok_and(|item| self.resolved(begin, item).calls);
                if calls {
                    self.keep(&others, format!("({text})"));
                }
                now.push(format!("({text})"));
                others.push(format!("!({text})"));
                self.at = end;
            }
            let ended = self.block(&now);
            let word = self.word(self.at);
            if ended == Ended::File {
                return self.ignore(start, condition.unwrap_or(start), "this `if` has no end");
            }
            self.at += word.len();
            match word {
                "elseif" => condition = Some(self.at),
                "else" => condition = None,
                _ => return,
            }
        }
    }

    /// Returns the end of a condition: the end of its line, or the start of the next value (`if
    /// isdefined(A, :f) precompile(…) end`). Blocks in it (`if let x = 1; x == 1 end`) are a part of it, and
    /// so is the rest of the line after the name of a macro that has no brackets (`if @isdefined f`).
    fn condition_end(&self, start: usize) -> usize {
        let mut lexer = Lexer::new(self.text, start, Symbols::Escaped);
        let mut brackets = Brackets::default();
        let mut last: Option<Token> = None;
        let mut blocks = 0_usize;
        let mut is_macro = false;
        while let Ok(Some(token)) = lexer.next() {
            let word = self.spell(token);
            if brackets.is_empty() {
                let continues = token.kind == Kind::Newline && self.awaits_operand(last);
                if continues {
                    continue;
                }
                let ends = matches!(token.kind, Kind::Newline | Kind::Semicolon)
                    || (!is_macro && self.begins_value(token, last));
                if ends && blocks == 0 {
                    return last.map_or(start, |last| last.end);
                }
                let before = last.map_or("", |last| self.spell(last));
                if token.kind == Kind::Name && ![".", ":", "@"].contains(&before) {
                    blocks += usize::from(OPENERS.contains(&word));
                    blocks = blocks.saturating_sub(usize::from(word == "end"));
                }
                let called = self.text[token.end..].starts_with(['(', '.']);
                is_macro |= before == "@" && !called;
            }
            if brackets.take(self.text, token).is_err() {
                return token.start;
            }
            last = Some(token);
        }
        self.line_end(start)
    }

    /// Returns whether a token begins a value after a complete one, so that it is no part of the same
    /// expression.
    fn begins_value(&self, token: Token, last: Option<Token>) -> bool {
        // Operators that are words, and the word that gives the call before it a function.
        let joins = |token| ["in", "isa", "where", "do"].contains(&self.spell(token));
        matches!(token.kind, Kind::Name | Kind::Literal)
            && !joins(token)
            && last.is_some_and(|last| {
                matches!(last.kind, Kind::Name | Kind::Literal | Kind::Close)
                    && last.end < token.start
                    && !joins(last)
            })
    }

    /// Returns the start of the body of a function without arguments; `behind` is the offset after
    /// `function`.
    fn function_body(&self, behind: usize) -> Option<usize> {
        let mut lexer = Lexer::new(self.text, behind, Symbols::Escaped);
        loop {
            let token = lexer.next().ok()??;
            match token.kind {
                Kind::Name => {}
                Kind::Open if self.spell(token) == "(" => break,
                _ => return None,
            }
        }
        let close = lexer.next().ok()??;
        let behind = self.text[close.end..].trim_start_matches([' ', '\t']);
        // The type of its result: `function f()::Nothing`.
        let end = match behind.starts_with("::") {
            true => self.line_end(close.end),
            false => close.end,
        };
        (close.kind == Kind::Close && !behind.starts_with("where")).then_some(end)
    }

    /// Returns a plain call of `precompile` and the offset after it. It must be alone on the rest
    /// of its line or be asserted (`@assert precompile(…)`).
    fn plain(&self, start: usize) -> Option<(String, usize)> {
        let asserted = self.asserted(start);
        let call = asserted.unwrap_or(start);
        let rest = &self.text[call..];
        let qualified = ["Main.Base.", "Main.", "Base.", "Core."]
            .iter()
            .find(|name| rest.starts_with(**name));
        let name = call + qualified.map_or(0, |name| name.len());
        let arguments = self.text[name..].strip_prefix("precompile(")?;
        let open = self.text.len() - arguments.len() - 1;
        // A symbol may be read in two ways: the one that ends the statement first is correct.
        let ends = [Symbols::Escaped, Symbols::Raw].map(|symbols| {
            let end = self.call_end(open, symbols)?;
            (asserted.is_some() || self.ends_statement(end)).then_some(end)
        });
        let end = ends.into_iter().flatten().min()?;
        let statement = self.text[name..end].to_owned();
        // A message may follow the asserted expression.
        let behind = asserted.and_then(|_| Some(self.item(start).ok()?.end));
        Some((statement, behind.unwrap_or(end)))
    }

    /// Returns the offset of the argument of the macro call at `start`, if the macro only checks
    /// its result.
    fn asserted(&self, start: usize) -> Option<usize> {
        let is_macro = self.text[start..].starts_with(['@', 'B']);
        if !is_macro {
            return None;
        }
        let line = &self.text[start..self.line_end(start)];
        let (name, argument) = line.split_once([' ', '\t'])?;
        let name = name.rsplit_once('.').map_or(name, |(_, name)| name);
        let known = ["@assert", "@warnpcfail"].contains(&name);
        known.then(|| start + line.len() - argument.trim_start().len())
    }

    /// Returns the offset after the bracket that closes `open`.
    fn call_end(&self, open: usize, symbols: Symbols) -> Option<usize> {
        let text = &self.text[..self.limit(open)];
        let mut lexer = Lexer::new(text, open, symbols);
        let mut brackets = Brackets::default();
        let mut at = open;
        while let Ok(Some(token)) = lexer.next() {
            at = token.end;
            if brackets.take(text, token).is_err() || at - open > LONGEST {
                break;
            }
            if brackets.is_empty() {
                return Some(at);
            }
        }
        self.waste(at - open);
        None
    }

    /// Returns up to where the end of what begins at `start` is searched.
    fn limit(&self, start: usize) -> usize {
        match self.in_vain.get() > LONGEST_IN_VAIN {
            true => self.line_end(start),
            false => self.text.len(),
        }
    }

    /// Counts bytes that were read in vain.
    fn waste(&self, bytes: usize) {
        self.in_vain.set(self.in_vain.get().saturating_add(bytes));
    }

    /// Returns whether only a comment or the end of a block follows on the line.
    fn ends_statement(&self, at: usize) -> bool {
        let next = skip_blanks(self.text, at);
        self.is_line_end(at) || next.is_ok_and(|next| CLOSERS.contains(&self.word(next)))
    }

    /// Returns the expression that begins at `start`.
    fn item(&self, start: usize) -> Result<Item, &'static str> {
        let limit = self.limit(start);
        let item = self.item_before(start, limit);
        if item.is_err() {
            self.waste(limit - start);
        }
        item
    }

    fn item_before(&self, start: usize, limit: usize) -> Result<Item, &'static str> {
        let mut lexer = Lexer::new(&self.text[..limit], start, Symbols::Escaped);
        let mut brackets = Brackets::default();
        let mut item = Item {
            end: start,
            calls: false,
            mentions: false,
            defines: ["function", "macro"].contains(&self.word(self.after_macros(start))),
        };
        let mut blocks = 0_usize;
        // The last two tokens.
        let mut last: [Option<Token>; 2] = [None, None];
        while let Some(token) = lexer.next()? {
            let word = self.spell(token);
            let before = last[1].map_or("", |last| self.spell(last));
            if brackets.is_empty() {
                let ends = matches!(token.kind, Kind::Newline | Kind::Semicolon);
                if ends && blocks == 0 {
                    match (self.awaits_operand(last[1]), token.kind) {
                        (false, _) => return Ok(item),
                        (true, Kind::Newline) => {}
                        (true, _) => return Err("an operand is missing"),
                    }
                }
                let keyword = token.kind == Kind::Name && ![".", ":", "@"].contains(&before);
                if keyword && CLOSERS.contains(&word) {
                    match (blocks, word) {
                        (0, _) => return Ok(item),
                        (_, "end") => blocks -= 1,
                        _ => {}
                    }
                }
                let kind = word == "type" && ["abstract", "primitive"].contains(&before);
                blocks += usize::from(kind || (keyword && OPENERS.contains(&word)));
                let assigns = word == "=" && !self.text[token.end..].starts_with('=');
                if assigns && before == ")" && !item.calls && blocks == 0 {
                    item.defines = true;
                }
            }
            if word == "precompile" && token.kind == Kind::Name {
                let qualifier = last[0].map_or("", |last| self.spell(last));
                let foreign = before == "." && !["Main", "Base", "Core"].contains(&qualifier);
                let quoted = before == ":" && qualifier != ".";
                let rest = &self.text[token.end..];
                let keyword =
                    rest.trim_start().starts_with('=') && !rest.trim_start().starts_with("==");
                if !foreign && !keyword && before != "function" {
                    item.calls |= rest.starts_with('(') || rest.starts_with(".(");
                    item.mentions |= !quoted;
                }
            }
            brackets.take(self.text, token)?;
            item.end = token.end;
            last = [last[1], Some(token)];
        }
        if self.awaits_operand(last[1]) {
            return Err("an operand is missing");
        }
        match (blocks, brackets.is_empty()) {
            (0, true) => Ok(item),
            (_, true) => Err("a block has no end"),
            _ => Err("a bracket is not closed"),
        }
    }

    /// Returns whether the last token is an operator, so that the expression continues on the next
    /// line.
    fn awaits_operand(&self, last: Option<Token>) -> bool {
        last.is_some_and(|last| {
            last.kind == Kind::Operator && !["'", "."].contains(&self.spell(last))
        })
    }

    fn spell(&self, token: Token) -> &'a str {
        &self.text[token.start..token.end]
    }

    /// Returns the name at an offset, or an empty string.
    fn word(&self, at: usize) -> &'a str {
        let rest = &self.text[at..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '!');
        &rest[..end.unwrap_or(rest.len())]
    }

    fn is_line_end(&self, at: usize) -> bool {
        skip_blanks(self.text, at)
            .is_ok_and(|at| matches!(self.text.as_bytes().get(at), None | Some(b'\n' | b';')))
    }

    fn line_end(&self, at: usize) -> usize {
        let length = self.text[at..].find('\n');
        length.map_or(self.text.len(), |length| at + length)
    }

    /// Skips blanks, comments, line ends and semicolons.
    fn skip_empty(&mut self) {
        loop {
            match skip_blanks(self.text, self.at) {
                Ok(at) => self.at = at,
                Err(reason) => {
                    self.ignore(self.at, self.text.len(), reason);
                    self.at = self.text.len();
                }
            }
            match self.text.as_bytes().get(self.at) {
                Some(b'\n' | b';') => self.at += 1,
                _ => return,
            }
        }
    }

    fn keep(&mut self, guards: &[String], statement: String) {
        let parts = guards.iter().cloned().chain([statement]);
        let mut statement = parts.collect::<Vec<_>>().join(" && ");
        let needed = self.needed(&statement);
        if !needed.is_empty() {
            let texts: Vec<_> = needed.iter().map(|binding| &*binding.text).collect();
            let starts: Vec<usize> = needed.iter().map(|binding| binding.start).collect();
            let before = texts.join("\n");
            statement = format!("let\n{before}\n{statement}\nend");
            // They are part of a statement now.
            self.ignored.retain(|(start, _)| !starts.contains(start));
        }
        self.statements.push(statement);
    }

    /// Returns the line of an offset.
    fn line(&mut self, at: usize) -> usize {
        let (from, line) = self.counted;
        let line = match at >= from {
            true => line + self.text[from..at].matches('\n').count(),
            false => 1 + self.text[..at].matches('\n').count(),
        };
        self.counted = (at, line);
        line
    }

    fn ignore(&mut self, start: usize, end: usize, reason: &str) {
        let text = self.text[start..end.max(start)].trim();
        let first = text.lines().next().unwrap_or_default();
        let mut shown: String = first.chars().take(120).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        let line = self.line(start);
        let ignored = Ignored {
            file: String::new(),
            line,
            text: shown,
            reason: reason.to_owned(),
        };
        self.ignored.push((start, ignored));
    }
}

/// Returns whether a value is a function without a name: `T -> …`, `(a, b) -> …`, `function (T) … end`.
fn is_anonymous_function(value: &str) -> bool {
    let names = |text: &str| {
        text.chars()
            .all(|c| c.is_alphanumeric() || "_,:. ".contains(c))
    };
    value.starts_with("function")
        || value.split_once("->").is_some_and(|(arguments, _)| {
            let arguments = arguments.trim();
            let inner = arguments
                .strip_prefix('(')
                .and_then(|rest| rest.strip_suffix(')'));
            names(inner.unwrap_or(arguments))
        })
}

/// Returns the names that an expression uses, without those behind a dot.
fn names_in(expression: &str) -> HashSet<&str> {
    let mut lexer = Lexer::new(expression, 0, Symbols::Escaped);
    let mut names = HashSet::new();
    let mut last = "";
    while let Ok(Some(token)) = lexer.next() {
        let text = &expression[token.start..token.end];
        if token.kind == Kind::Name && ![".", ":"].contains(&last) {
            names.insert(text);
        }
        last = text;
    }
    names
}
