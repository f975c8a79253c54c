//! Parses a file of statements written by Julia's `--trace-compile`, SnoopCompile or a person.
//! Blocks are followed (`if`, `begin`, `let`, `module`, and functions without arguments), and each statement
//! takes along the expressions of the file that it needs, so that it is self-contained; anything else is
//! listed with its reason.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::bindings::{Binding, Definitions, Site};
use super::effects::{self, Effect, Effects, after_macros, has_call_in_string, names_in};
use super::lexer::{self, Brackets, Kind, Lexer, Symbols, Token, skip_blanks};
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

/// The maximum number of readings of a file. Each knows the definitions that the one before it found, which
/// decide what calls `precompile`; the second is the last unless functions call each other.
const MOST_READINGS: usize = 8;

/// How many bytes of definitions statements may take along. A file in which they would take more is one
/// statement.
const MOST_TAKEN: usize = 1 << 22;

/// Words that end the preceding part of a block.
const CLOSERS: [&str; 5] = ["end", "else", "elseif", "catch", "finally"];

pub(super) fn read(text: &str) -> Recording {
    let mut known = Definitions::default();
    for reading in 1.. {
        let mut reader = Reader::new(text, &known);
        reader.file();
        let found = Definitions::of(std::mem::take(&mut reader.found));
        if found == known || reading == MOST_READINGS {
            return reader.recording();
        }
        known = found;
    }
    unreachable!("the number of readings is limited")
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
}

struct Reader<'a, 'k> {
    text: &'a str,
    /// What an earlier reading found.
    known: &'k Definitions<'a>,
    /// What this reading finds.
    found: Vec<Binding<'a>>,
    at: usize,
    statements: Vec<String>,
    /// Other expressions, each with its offset.
    ignored: Vec<(usize, Ignored)>,
    /// The places of expressions that became parts of statements.
    taken: BTreeMap<usize, usize>,
    /// How many bytes of definitions became parts of statements.
    taken_bytes: usize,
    /// Where the names that are bound here begin to be visible.
    scope: usize,
    /// Whether they are variables of a function or a `let`.
    is_local: bool,
    /// The start of the outermost function around.
    function: Option<usize>,
    /// How many blocks are open.
    depth: usize,
    /// An offset and its line, from which the next line is counted.
    counted: (usize, usize),
    /// How many bytes were read in vain; see [`LONGEST_IN_VAIN`].
    in_vain: Cell<usize>,
}

impl<'a, 'k> Reader<'a, 'k> {
    fn new(text: &'a str, known: &'k Definitions<'a>) -> Self {
        Self {
            text,
            known,
            found: Vec::new(),
            at: 0,
            statements: Vec::new(),
            ignored: Vec::new(),
            taken: BTreeMap::new(),
            taken_bytes: 0,
            scope: 0,
            is_local: false,
            function: None,
            depth: 0,
            counted: (0, 1),
            in_vain: Cell::new(0),
        }
    }

    fn file(&mut self) {
        while self.block(&[]) == Ended::Closer {
            // Julia would refuse this word outside of a block, but the following statements still
            // count.
            let word = self.word(self.at);
            self.ignore(self.at, self.at + word.len(), "no block is open here");
            self.at += word.len();
        }
    }

    fn recording(self) -> Recording {
        if self.taken_bytes > MOST_TAKEN {
            return Recording {
                statements: vec![format!("nothing\n{}", self.text.trim())],
                ignored: Vec::new(),
            };
        }
        let ignored = self.ignored.into_iter();
        let mut taken: Vec<(usize, usize)> = Vec::new();
        for (start, end) in self.taken {
            // One may contain others.
            let before = taken.last().map_or(0, |(_, end)| *end);
            taken.push((start, end.max(before)));
        }
        let ignored = ignored.filter(|(start, _)| {
            let index = taken.partition_point(|(taken, _)| taken <= start);
            index == 0 || taken[index - 1].1 <= *start
        });
        Recording {
            statements: self.statements,
            ignored: ignored.map(|(_, ignored)| ignored).collect(),
        }
    }

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
                self.keep(start, guards, statement);
                continue;
            }
            let item = match self.item(start) {
                Ok(item) => item,
                Err(reason) => {
                    let end = self.line_end(start);
                    self.ignore(start, end, reason);
                    self.at = end;
                    continue;
                }
            };
            let calls = self.calls(start, &item);
            if calls && self.was_read(start, &item, guards) {
                self.ignore(
                    start,
                    item.end,
                    "its statements are read where it is defined",
                );
            } else if calls && self.inside(start, guards) {
                self.bind_block(start, guards);
                continue;
            } else {
                self.expression(start, &item, calls, guards);
            }
            self.at = item.end;
        }
    }

    /// Reads an expression that is not followed.
    fn expression(&mut self, start: usize, item: &Item, calls: bool, guards: &[String]) {
        let effects = effects::of(self.text, start, item.end);
        let in_string = || has_call_in_string(&self.text[start..item.end]);
        let is_text = effects.effect == Effect::Assigns && !(item.calls || item.mentions);
        if !calls || (is_text && in_string()) {
            return self.other(start, item, effects, guards);
        }
        let is_definition = match effects.effect {
            Effect::Defines => true,
            // `p = precompile` and `p = T -> precompile(f, (T,))` call nothing yet.
            Effect::Assigns => effects.is_function || (effects.is_value && !item.calls),
            Effect::Changes => false,
        };
        if is_definition {
            return self.definition(start, item, effects, guards);
        }
        let whole = self.text[start..item.end].trim();
        // The text may contain several expressions, which an operator cannot join.
        let statement = match guards.is_empty() {
            true => whole.to_owned(),
            false => format!("(begin\n{whole}\nend)"),
        };
        self.keep(start, guards, statement);
        if !effects.names.is_empty() || effects.mutates {
            self.bind(start, item, effects, guards);
        }
    }

    /// Returns whether evaluating an expression, or a name that it defines, may call `precompile`.
    fn calls(&self, start: usize, item: &Item) -> bool {
        let text = &self.text[start..item.end];
        if ["using", "import", "export", "public"].contains(&self.word(start)) {
            return false;
        }
        if item.calls || item.mentions || self.known.precompiles(text) {
            return true;
        }
        // `s = "precompile(f, ())"` calls nothing yet.
        has_call_in_string(text)
            && effects::of(self.text, start, item.end).effect != Effect::Assigns
    }

    /// Returns whether an expression only calls a function whose statements were read.
    fn was_read(&self, start: usize, item: &Item, guards: &[String]) -> bool {
        let text = &self.text[start..item.end];
        let called = text.strip_suffix("()").unwrap_or_default();
        let name = called.rsplit('.').next().unwrap_or_default();
        !name.is_empty()
            && lexer::name_end(name, 0) == name.len()
            && guards.is_empty()
            && self.known.was_read(name, self.site(start))
    }

    fn site(&self, at: usize) -> Site {
        Site {
            at,
            function: self.function,
        }
    }

    /// Takes note of the definition of a function that calls `precompile`.
    fn definition(&mut self, start: usize, item: &Item, effects: Effects<'a>, guards: &[String]) {
        let is_macro = self.word(after_macros(self.text, start)) == "macro";
        let reason = match is_macro {
            true => "it defines a macro that is not used here",
            false => "it defines a function that is not called here",
        };
        self.bind(start, item, effects, guards);
        self.ignore(start, item.end, reason);
    }

    /// Takes note of the effects of an expression.
    fn bind(&mut self, start: usize, item: &Item, effects: Effects<'a>, guards: &[String]) {
        let text = &self.text[start..item.end];
        let text = match self.is_local {
            true => text.trim(),
            // Outside of a function it would be visible nowhere.
            false => text.trim_start_matches("local ").trim(),
        };
        let mentions = item.calls || item.mentions || has_call_in_string(text);
        let is_defined = effects.effect == Effect::Defines;
        let delays = match effects.effect {
            Effect::Defines => true,
            Effect::Changes => effects.delays,
            Effect::Assigns => {
                let is_value = effects.is_value && !item.calls;
                effects.delays || effects.is_function || is_value || has_call_in_string(text)
            }
        };
        // An expression that is only evaluated may change all that it names, unless it is only a name.
        let is_bare = effects.effect == Effect::Changes && !item.calls;
        if is_bare && lexer::name_end(text, 0) == text.len() {
            return;
        }
        self.found.push(Binding {
            effect: effects.effect,
            names: effects.names,
            touched: BTreeSet::new(),
            uses: names_in(text),
            text: Cow::Borrowed(text),
            place: start..item.end,
            scope: self.scope..usize::MAX,
            is_local: self.is_local,
            level: guards.len(),
            mutates: !is_defined && !effects.is_function && (is_bare || effects.mutates),
            mutates_when_called: effects.mutates,
            mentions,
            delays,
            is_read: false,
        });
    }

    /// Takes note of the effects of a block whose contents were read, which ends here.
    fn bind_block(&mut self, start: usize, guards: &[String]) {
        // What these contain was noted by itself.
        if ["begin", "return"].contains(&self.word(start)) {
            return;
        }
        let effects = effects::of(self.text, start, self.at);
        let item = Item {
            end: self.at,
            calls: true,
            mentions: false,
        };
        if !effects.names.is_empty() || effects.mutates {
            let is_read = self.word(start) == "function";
            self.bind(start, &item, effects, guards);
            if let Some(bound) = self.found.last_mut() {
                bound.is_read = is_read;
            }
        }
    }

    /// Records an expression that is not a statement.
    fn other(&mut self, start: usize, item: &Item, effects: Effects<'a>, guards: &[String]) {
        let text = &self.text[start..item.end];
        let word = self.word(start);
        let imported = imports::of(self.text, start, item.end);
        let exports = imported.is_empty();
        for (name, path) in imported {
            // Every statement has this name already.
            if name == "precompile" {
                continue;
            }
            let effects = Effects {
                effect: Effect::Assigns,
                names: vec![name],
                mutates: false,
                delays: path == "Base.precompile",
                is_function: false,
                is_value: false,
            };
            self.bind(start, item, effects, guards);
            if let Some(bound) = self.found.last_mut() {
                bound.text = Cow::Owned(format!("{name} = {path}"));
                bound.uses = HashSet::new();
                bound.mentions = path == "Base.precompile";
            }
        }
        match word {
            "using" | "import" if exports => self.bind_relative(start, item, guards),
            "using" | "import" | "export" | "public" => {}
            _ => self.bind(start, item, effects, guards),
        }
        let includes = ["include(", "Base.include("]
            .iter()
            .any(|call| text.starts_with(call));
        let reason = match word {
            _ if includes => "it includes another file: list that file in `statements`",
            "using" if exports => {
                "which names a module exports is not known here: write them with the module, as `A.b`"
            }
            _ => "it is not a call of precompile",
        };
        self.ignore(start, item.end, reason);
    }

    /// Takes note of `using .A` and `import .A: b`, where `A` is a module of this file.
    fn bind_relative(&mut self, start: usize, item: &Item, guards: &[String]) {
        let text = &self.text[start..item.end];
        let Some((_, path)) = text.split_once([' ', '\t']) else {
            return;
        };
        let Some(module) = path.trim_start().strip_prefix('.') else {
            return;
        };
        let module = &module[..lexer::name_end(module, 0)];
        let names = match path.split_once(':') {
            Some((_, names)) => names_in(names).into_iter().collect(),
            None => self.known.names_of_module(module),
        };
        let effects = Effects {
            effect: Effect::Assigns,
            names,
            mutates: false,
            delays: true,
            is_function: true,
            is_value: false,
        };
        self.bind(start, item, effects, guards);
        if let Some(bound) = self.found.last_mut() {
            bound.names.sort_unstable();
            bound.uses = HashSet::from([module]);
        }
    }

    /// Reads the block that begins at `start`, if its statements can be evaluated separately.
    fn inside(&mut self, start: usize, guards: &[String]) -> bool {
        if self.depth == DEEPEST {
            return false;
        }
        self.depth += 1;
        let entered = self.inside_here(start, guards);
        self.depth -= 1;
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
                let body = name + self.word(name).len();
                self.scoped(start, false, |reader| reader.enter(start, body, guards));
            }
            "let" if self.is_line_end(behind) => {
                self.scoped(start, true, |reader| reader.enter(start, behind, guards));
            }
            "function" => match self.function_body(behind) {
                Some(body) => {
                    let outer = self.function;
                    self.function = outer.or(Some(start));
                    self.scoped(body, true, |reader| reader.enter(start, body, guards));
                    self.function = outer;
                }
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

    /// Reads something whose names are visible only in it.
    fn scoped<T>(&mut self, start: usize, is_local: bool, read: impl FnOnce(&mut Self) -> T) -> T {
        let opened = self.found.len();
        let outer = (self.scope, self.is_local);
        (self.scope, self.is_local) = (start, is_local || self.is_local);
        let result = read(self);
        (self.scope, self.is_local) = outer;
        for binding in &mut self.found[opened..] {
            binding.scope.end = binding.scope.end.min(self.at);
        }
        result
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
                let item = self.item_before(begin, end);
                let calls = item.is_ok_and(|item| self.calls(begin, &item));
                if calls {
                    self.keep(begin, &others, format!("({text})"));
                }
                now.push(format!("({text})"));
                others.push(format!("!({text})"));
                self.at = end;
            }
            let (begin, is_local) = (self.at, self.is_local);
            let ended = self.scoped(begin, is_local, |reader| reader.block(&now));
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
                    blocks += usize::from(effects::opens_block(word));
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
            let behind = match asserted {
                Some(_) => self.after_message(end),
                None => end,
            };
            self.ends_statement(behind).then_some((end, behind))
        });
        let (end, behind) = ends.into_iter().flatten().min()?;
        Some((self.text[name..end].to_owned(), behind))
    }

    /// Returns the offset after the message that may follow an asserted expression.
    fn after_message(&self, at: usize) -> usize {
        let limit = self.limit(at);
        let token = Lexer::new(&self.text[..limit], at, Symbols::Escaped).next();
        let message = token
            .ok()
            .flatten()
            .filter(|token| self.text[token.start..].starts_with('"'));
        message.map_or(at, |message| message.end)
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
                blocks += usize::from(kind || (keyword && effects::opens_block(word)));
            }
            if word == "precompile" && token.kind == Kind::Name {
                let qualifier = last[0].map_or("", |last| self.spell(last));
                let foreign = before == "." && !["Main", "Base", "Core"].contains(&qualifier);
                let rest = &self.text[token.end..];
                let keyword =
                    rest.trim_start().starts_with('=') && !rest.trim_start().starts_with("==");
                if !foreign && !keyword && before != "function" {
                    item.calls |= rest.starts_with('(') || rest.starts_with(".(");
                    item.mentions = true;
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
        &self.text[at..lexer::name_end(self.text, at)]
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

    /// Keeps a statement, which begins at `start`, with the expressions of the file that it needs. They are
    /// evaluated in their order, each under the conditions that it depends on.
    fn keep(&mut self, start: usize, guards: &[String], statement: String) {
        let parts = guards.iter().cloned().chain([statement.clone()]);
        let whole = parts.collect::<Vec<_>>().join(" && ");
        if self.taken_bytes > MOST_TAKEN {
            return;
        }
        let needed = self.known.needed(&whole, self.site(start));
        if needed.is_empty() {
            return self.statements.push(whole);
        }
        let texts = |level: usize, is_local: bool| {
            let texts = needed.iter().filter(|binding| {
                binding.level == level && (level > 0 || binding.is_local == is_local)
            });
            texts
                .map(|binding| &*binding.text)
                .collect::<Vec<_>>()
                .join("\n")
        };
        let mut all = statement;
        for (index, guard) in guards.iter().enumerate().rev() {
            let before = texts(index + 1, false);
            if !before.is_empty() {
                all = format!("(begin\n{before}\n{all}\nend)");
            }
            all = format!("{guard} && {all}");
        }
        let variables = texts(0, true);
        if !variables.is_empty() {
            all = format!("let\n{variables}\n{all}\nend");
        }
        let before = texts(0, false);
        if !before.is_empty() {
            all = format!("{before}\n{all}");
        }
        if super::is_plain(&all) {
            all.insert_str(0, "nothing\n");
        }
        self.taken_bytes += all.len() - whole.len();
        // They are part of a statement now.
        for place in needed.iter().map(|binding| &binding.place) {
            let end = self.taken.entry(place.start).or_default();
            *end = place.end.max(*end);
        }
        self.statements.push(all);
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
            mentions_precompile: text.contains("precompile"),
        };
        self.ignored.push((start, ignored));
    }
}
