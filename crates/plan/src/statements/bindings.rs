//! The definitions, assignments and changes in a file that later statements may depend on, and which of them
//! a statement needs.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

use super::effects::{Effect, names_in};

/// Names that the staging script defines, better than the files that SnoopCompile writes.
const PROVIDED: [&str; 2] = ["__lookup_kwbody__", "warnpcfail"];

/// An expression that binds names or changes their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binding<'a> {
    pub(super) effect: Effect,
    /// The names that it binds.
    pub(super) names: Vec<&'a str>,
    /// The names whose values it may change.
    pub(super) touched: BTreeSet<&'a str>,
    /// The names that it uses.
    pub(super) uses: HashSet<&'a str>,
    pub(super) text: Cow<'a, str>,
    /// Its place in the file.
    pub(super) place: Range<usize>,
    /// Where its names are visible.
    pub(super) scope: Range<usize>,
    /// Whether its names are variables of a function or a `let`.
    pub(super) is_local: bool,
    /// How many conditions it depends on.
    pub(super) level: usize,
    /// Whether it changes what it uses: it is no assignment, or contains a call such as `push!`.
    pub(super) mutates: bool,
    /// Whether it contains a call of a function such as `push!` that runs when the name is called.
    pub(super) mutates_when_called: bool,
    /// Whether it names `precompile`.
    pub(super) mentions: bool,
    /// Whether using one of its names may evaluate its code.
    pub(super) delays: bool,
    /// Whether it is a function whose statements were read where it is defined.
    pub(super) is_read: bool,
}

impl Binding<'_> {
    fn is_module(&self) -> bool {
        let rest = self.text.strip_prefix("bare").unwrap_or(&self.text);
        let rest = rest.strip_prefix("module");
        rest.is_some_and(|rest| rest.starts_with(char::is_whitespace))
    }
}

/// Where a statement is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site {
    pub(super) at: usize,
    /// The start of the function that contains it, which may be called after the rest of the file.
    pub(super) function: Option<usize>,
}

/// What a reading of the file found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Definitions<'a> {
    bindings: Vec<Binding<'a>>,
    /// Names whose use may call `precompile`.
    precompilers: HashSet<&'a str>,
    /// The bindings of each name, and those that change its value.
    by_name: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Definitions<'a> {
    pub(super) fn of(mut bindings: Vec<Binding<'a>>) -> Self {
        bindings.sort_by_key(|binding| (binding.place.start, binding.place.end));
        let touched = touched(&bindings);
        for (binding, touched) in bindings.iter_mut().zip(touched) {
            binding.touched = touched;
        }
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, binding) in bindings.iter().enumerate() {
            let names: BTreeSet<&str> = binding
                .names
                .iter()
                .chain(&binding.touched)
                .copied()
                .collect();
            for name in names {
                if !PROVIDED.contains(&name) {
                    by_name.entry(name).or_default().push(index);
                }
            }
        }
        let precompilers = closure(
            &bindings,
            |binding| binding.delays,
            |binding| binding.mentions,
        );
        Self {
            bindings,
            precompilers,
            by_name,
        }
    }

    /// Returns whether an expression uses a name that may call `precompile`.
    pub(super) fn precompiles(&self, expression: &str) -> bool {
        !self.precompilers.is_empty()
            && names_in(expression)
                .iter()
                .any(|name| self.precompilers.contains(name))
    }

    /// Returns whether an expression only calls the function of this name, whose statements were read
    /// where it is defined: none of the values that they use has changed since.
    pub(super) fn was_read(&self, name: &str, site: Site) -> bool {
        let changed = |name: &&str, since: usize| {
            let bindings = self.by_name.get(*name).into_iter().flatten();
            bindings.map(|index| &self.bindings[*index]).any(|binding| {
                binding.effect != Effect::Defines
                    && (since..site.at).contains(&binding.place.start)
                    && !binding.is_local
            })
        };
        let functions = self.by_name.get(name).into_iter().flatten();
        let mut functions = functions.map(|index| &self.bindings[*index]).peekable();
        functions.peek().is_some()
            && functions.all(|function| {
                function.is_read
                    && !function
                        .uses
                        .iter()
                        .any(|name| changed(name, function.place.end))
            })
    }

    /// Returns the names that are bound inside of a module of this file.
    pub(super) fn names_of_module(&self, module: &str) -> Vec<&'a str> {
        let modules = self.by_name.get(module).into_iter().flatten();
        let mut names: Vec<&str> = modules
            .map(|index| &self.bindings[*index])
            .filter(|binding| binding.is_module())
            .flat_map(|module| {
                let inside = self.bindings.iter().filter(|binding| {
                    module.place.contains(&binding.place.start)
                        && binding.place != module.place
                        && !binding.is_local
                });
                inside.flat_map(|binding| binding.names.iter().copied())
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Returns the bindings that an expression needs, in their order.
    pub(super) fn needed(&self, expression: &str, site: Site) -> Vec<&Binding<'a>> {
        if self.by_name.is_empty() {
            return Vec::new();
        }
        let mut seeds: HashSet<&str> = names_in(expression);
        seeds.retain(|name| self.by_name.contains_key(name));
        if seeds.is_empty() {
            return Vec::new();
        }
        let candidates = self.reachable(&seeds, site);
        // Functions use the values that variables have when they are called, wherever the function is.
        let mut taken: BTreeSet<usize> = BTreeSet::new();
        loop {
            let mut functions: BTreeSet<usize> = BTreeSet::new();
            let mut names = seeds.clone();
            let is_function = |index: &usize| self.bindings[*index].effect == Effect::Defines;
            functions.extend(taken.iter().copied().filter(is_function));
            self.with_functions(&candidates, &mut names, &mut functions);
            let mut now = functions.clone();
            for index in candidates.iter().rev() {
                let binding = &self.bindings[*index];
                let wanted = |name: &&str| names.contains(*name);
                let binds = binding.names.iter().any(&wanted);
                if is_function(index) || !(binds || binding.touched.iter().any(&wanted)) {
                    continue;
                }
                if binding.effect == Effect::Assigns {
                    names.retain(|name| !binding.names.contains(name));
                }
                names.extend(&binding.uses);
                now.insert(*index);
                self.with_functions(&candidates, &mut names, &mut functions);
                now.extend(&functions);
            }
            if now == taken {
                break;
            }
            // The functions found grow with each turn.
            let grew = now.iter().filter(|index| is_function(index)).count()
                > taken.iter().filter(|index| is_function(index)).count();
            taken = now;
            if !grew {
                break;
            }
        }
        taken.iter().map(|index| &self.bindings[*index]).collect()
    }

    /// Adds the functions with these names, and the names that they use.
    fn with_functions<'s>(
        &'s self,
        candidates: &BTreeSet<usize>,
        names: &mut HashSet<&'s str>,
        functions: &mut BTreeSet<usize>,
    ) {
        let mut used: Vec<&str> = names.iter().copied().collect();
        for index in functions.iter() {
            used.extend(&self.bindings[*index].uses);
        }
        let mut seen: HashSet<&str> = HashSet::new();
        while let Some(name) = used.pop() {
            if !seen.insert(name) {
                continue;
            }
            names.insert(name);
            for index in self.by_name.get(name).into_iter().flatten() {
                let binding = &self.bindings[*index];
                if binding.effect == Effect::Defines
                    && candidates.contains(index)
                    && functions.insert(*index)
                {
                    used.extend(&binding.uses);
                }
            }
        }
    }

    /// Returns the bindings that may be needed, in whatever order they are.
    fn reachable(&self, seeds: &HashSet<&str>, site: Site) -> BTreeSet<usize> {
        let mut names: Vec<&str> = seeds.iter().copied().collect();
        let mut seen: HashSet<&str> = seeds.clone();
        let mut found = BTreeSet::new();
        while let Some(name) = names.pop() {
            let all = self.by_name.get(name).into_iter().flatten().copied();
            let visible: Vec<usize> = all.filter(|index| self.is_visible(*index, site)).collect();
            let is_before = |index: &usize| {
                let binding = &self.bindings[*index];
                binding.effect == Effect::Defines || binding.place.start < site.at
            };
            let any_before = visible.iter().any(is_before);
            for index in visible {
                if (is_before(&index) || !any_before) && found.insert(index) {
                    let uses = self.bindings[index].uses.iter().copied();
                    names.extend(
                        uses.filter(|name| self.by_name.contains_key(name) && seen.insert(*name)),
                    );
                }
            }
        }
        found
    }

    fn is_visible(&self, index: usize, site: Site) -> bool {
        let binding = &self.bindings[index];
        let later = site
            .function
            .is_some_and(|function| binding.scope.start <= function);
        binding.scope.contains(&site.at)
            && !binding.place.contains(&site.at)
            && (binding.place.start < site.at || later)
    }
}

/// Among the bindings for which `of` holds, returns the names of those for which `is` holds, and of those
/// that use such a name, directly or not.
fn closure<'a>(
    bindings: &[Binding<'a>],
    of: impl Fn(&Binding<'a>) -> bool,
    is: impl Fn(&Binding<'a>) -> bool,
) -> HashSet<&'a str> {
    let mut users: HashMap<&str, Vec<&Binding<'a>>> = HashMap::new();
    let mut queue: Vec<&Binding<'a>> = Vec::new();
    for binding in bindings.iter().filter(|binding| of(binding)) {
        for name in &binding.uses {
            users.entry(name).or_default().push(binding);
        }
        if is(binding) {
            queue.push(binding);
        }
    }
    let mut found = HashSet::new();
    while let Some(binding) = queue.pop() {
        for name in &binding.names {
            if !PROVIDED.contains(name) && found.insert(*name) {
                queue.extend(users.remove(name).into_iter().flatten());
            }
        }
    }
    found
}

/// Returns for each binding the names whose values it may change: those that it uses, also in functions that
/// it calls.
fn touched<'a>(bindings: &[Binding<'a>]) -> Vec<BTreeSet<&'a str>> {
    let is_value = |binding: &&Binding| binding.effect != Effect::Defines;
    let values = bindings.iter().filter(is_value);
    let values: HashSet<&str> = values
        .flat_map(|binding| binding.names.iter().copied())
        .collect();
    let mutators = closure(
        bindings,
        |binding| binding.delays,
        |binding| binding.mutates_when_called,
    );
    let mut functions: HashMap<&str, Vec<&Binding<'a>>> = HashMap::new();
    for binding in bindings.iter().filter(|binding| binding.delays) {
        for name in &binding.names {
            functions.entry(name).or_default().push(binding);
        }
    }
    let of = |binding: &Binding<'a>| {
        let calls = || binding.uses.iter().any(|name| mutators.contains(name));
        if binding.effect == Effect::Defines || !(binding.mutates || calls()) {
            return BTreeSet::new();
        }
        let mut names: Vec<&str> = binding.uses.iter().copied().collect();
        let mut seen: HashSet<&str> = binding.uses.clone();
        while let Some(name) = names.pop() {
            for function in functions.get(name).into_iter().flatten() {
                names.extend(function.uses.iter().filter(|name| seen.insert(name)));
            }
        }
        seen.into_iter()
            .filter(|name| values.contains(name))
            .collect()
    };
    bindings.iter().map(of).collect()
}
