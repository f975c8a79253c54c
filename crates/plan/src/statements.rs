//! Precompile statements as text: reading them from files, and finding those that belong to a
//! workload itself. Only Julia knows the meaning of a statement.

use std::collections::{BTreeSet, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod bindings;
mod effects;
mod file;
mod imports;
mod lexer;

use lexer::{Kind, Lexer, Symbols, Token};

/// The content of a file of statements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recording {
    /// The statements, without duplicates, in order of first appearance. A plain call begins with
    /// `precompile(`; anything else is an expression to evaluate that calls `precompile`, such as
    /// `isdefined(A, :f) && precompile(A.f, (Int,))`.
    pub statements: Vec<String>,
    /// Text that is not a statement.
    pub ignored: Vec<Ignored>,
}

/// Text in a file of statements that is not a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ignored {
    /// The file, relative to the project.
    #[serde(default)]
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The beginning of the text.
    pub text: String,
    /// Why it is not a statement.
    pub reason: String,
    /// Whether the whole text contains the word `precompile`: then it may have been meant as a statement.
    #[serde(skip)]
    pub mentions_precompile: bool,
}

/// Reads a file of statements written by `--trace-compile`, SnoopCompile or a person. Drops
/// comments, such as the times and the `# recompile` marks of Julia 1.12, and follows blocks: `if
/// c; precompile(f, (Int,)); end` becomes `(c) && precompile(f, (Int,))`.
pub fn read(text: &str) -> Recording {
    let mut found = file::read(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut seen = HashSet::new();
    found
        .statements
        .retain(|statement| seen.insert(statement.clone()));
    found
}

/// Returns the statements in a file; see [`read`].
pub fn parse(text: &str) -> Vec<String> {
    read(text).statements
}

/// Returns whether a statement is only a call of `precompile`.
pub fn is_plain(statement: &str) -> bool {
    statement.starts_with("precompile(")
}

/// Returns the outermost module names in a statement: `Dates` and `Main` in
/// `precompile(Tuple{typeof(Dates.day), Main.T})`.
fn roots(statement: &str) -> BTreeSet<&str> {
    let read = |symbols| {
        let mut tokens = Vec::new();
        let mut lexer = Lexer::new(statement, 0, symbols);
        while let Some(token) = lexer.next()? {
            tokens.push(token);
        }
        Ok::<_, &str>(tokens)
    };
    let tokens = read(Symbols::Escaped).or_else(|_| read(Symbols::Raw));
    let tokens = tokens.unwrap_or_default();
    let text = |token: &Token| &statement[token.start..token.end];
    let dot = |at: usize, beside: usize| {
        tokens.get(at).is_some_and(|token| {
            text(token) == "." && (token.start == beside || token.end == beside)
        })
    };
    let mut roots = BTreeSet::new();
    for (index, token) in tokens.iter().enumerate() {
        // A name followed by a dot and not preceded by one. `f(x...)` has two dots.
        let first = index == 0 || !dot(index - 1, token.start);
        let followed = dot(index + 1, token.end) && !dot(index + 2, token.end + 1);
        if token.kind == Kind::Name && first && followed {
            roots.insert(text(token));
        }
    }
    roots
}

/// Returns whether a statement is for something that a workload defines: in `Main`, or in a module
/// that is neither Julia's nor one of the packages in `known`. No image of the packages can contain
/// its code.
///
/// This includes Julia's lookup of an entry point in `Main` after a script (1.12 and later): a
/// script that defines `main` invalidates that code.
pub fn is_own(statement: &str, known: &BTreeSet<String>) -> bool {
    let asks_for_main = statement.contains("typeof(Base.should_use_main_entrypoint)");
    asks_for_main
        || roots(statement).into_iter().any(|root| {
            root == "Main" || (!["Base", "Core"].contains(&root) && !known.contains(root))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_statement_once_and_nothing_else() {
        let text = "\u{feff}precompile(Tuple{typeof(f), Int64})\r\n\
                    # a comment\n\n\
                    precompile(Tuple{typeof(g)}) # recompile\n\
                    #=    1.2 ms =# precompile(Tuple{typeof(h)})\n\
                    \u{1b}[33mprecompile(Tuple{typeof(k)}) # recompile\u{1b}[39m\n\
                    precompile(Tuple{typeof(f), Int64})\n\
                    precompile(Tuple{typeof(cut.of";
        let found = read(text);
        assert_eq!(
            found.statements,
            [
                "precompile(Tuple{typeof(f), Int64})",
                "precompile(Tuple{typeof(g)})",
                "precompile(Tuple{typeof(h)})",
                "precompile(Tuple{typeof(k)})",
            ]
        );
        let [cut] = &found.ignored[..] else {
            panic!("{:?}", found.ignored)
        };
        assert_eq!(
            (cut.line, cut.text.as_str()),
            (8, "precompile(Tuple{typeof(cut.of")
        );
    }

    #[test]
    fn a_call_may_be_qualified_and_followed_by_a_comment() {
        let text = "    Base.precompile(Tuple{typeof(Dates.now)})   # time: 0.1312\n\
                    precompile(Tuple{typeof(Dates.day), Dates.Date}) #called at ./a.jl:12\n\
                    precompile(Tuple{typeof(Dates.month), Dates.Date});\n\
                    @assert precompile(f, (Int,)) \"message\"\n\
                    Base.@assert Base.precompile(f, (Int, String), method)\n\
                    precompile(a, ()); precompile(b, ())\n\
                    Other.precompile(c)\n\
                    using Dates\n";
        let found = read(text);
        assert_eq!(
            found.statements,
            [
                "precompile(Tuple{typeof(Dates.now)})",
                "precompile(Tuple{typeof(Dates.day), Dates.Date})",
                "precompile(Tuple{typeof(Dates.month), Dates.Date})",
                "precompile(f, (Int,))",
                "precompile(f, (Int, String), method)",
                "precompile(a, ())",
                "precompile(b, ())",
            ]
        );
        let ignored: Vec<_> = found.ignored.iter().map(|i| (i.line, &*i.text)).collect();
        assert_eq!(ignored, [(7, "Other.precompile(c)"), (8, "using Dates")]);
    }

    #[test]
    fn a_statement_may_go_over_several_lines() {
        let text = "precompile(Tuple{typeof(f), P{Symbol(\"yyyy\nmm\")}})\n\
                    precompile(Tuple{typeof(g)})\n\
                    precompile(h, # the first\n    (Int,\n     String))\n\
                    isdefined(A, :f) &&\n    precompile(A.f, ())\n";
        assert_eq!(
            parse(text),
            [
                "precompile(Tuple{typeof(f), P{Symbol(\"yyyy\nmm\")}})",
                "precompile(Tuple{typeof(g)})",
                "precompile(h, # the first\n    (Int,\n     String))",
                "isdefined(A, :f) &&\n    precompile(A.f, ())",
            ]
        );
    }

    #[test]
    fn symbols_that_julia_prints_without_escapes_are_whole() {
        // As Julia 1.5.3 records them.
        let lines = [
            r#"precompile(Tuple{typeof(M.f), M.P{Symbol("a"b")}})"#,
            r#"precompile(Tuple{typeof(M.f), M.P{Symbol("a\b")}})"#,
            r#"precompile(Tuple{typeof(M.f), M.P{Symbol("a\")}})"#,
            r#"precompile(Tuple{typeof(M.f), M.P{Symbol("\")}, M.P{Symbol("$(")}})"#,
            "precompile(Tuple{typeof(M.f), M.P{Symbol(\"a # b\nprecompile(c\")}})",
            r"precompile(Tuple{typeof(M.f), M.P{:\}})",
            "precompile(Tuple{typeof(M.f), M.P{:'}})",
            r#"precompile(Tuple{typeof(M.f), M.P{Symbol("a\"b")}})"#,
            r#"precompile(Tuple{M.var"\#3\#4", Base.Val{'"'}})"#,
        ];
        assert_eq!(read(&lines.join("\n")).statements, lines);
    }

    #[test]
    fn blocks_are_followed() {
        let text = "module P\n\
                    function _precompile_()\n\
                    \x20   ccall(:jl_generating_output, Cint, ()) == 1 || return nothing\n\
                    \x20   precompile(a, ())\n\
                    \x20   if VERSION >= v\"1.6\" # newer\n\
                    \x20       Base.precompile(b, ()) # time: 0.1\n\
                    \x20       x = [1, 2][end]; precompile(c, ())\n\
                    \x20   elseif isdefined(A, :end)\n\
                    \x20       precompile(d, ())\n\
                    \x20   else precompile(e, ()) end\n\
                    \x20   if isdefined(A, :f) precompile(A.f, ()) end\n\
                    \x20   let fbody = try __lookup_kwbody__(which(g, (Int,))) catch missing end\n\
                    \x20       if !ismissing(fbody)\n\
                    \x20           precompile(fbody, (Bool, typeof(g), Int,))\n\
                    \x20       end\n\
                    \x20   end   # time: 0.01\n\
                    \x20   for T in (Int, Float64)\n        precompile(h, (T,))\n    end\n\
                    end\nend\n\
                    function __lookup_kwbody__(m)\n    return m\nend\n\
                    f(x) = precompile(k, (x,))\n\
                    s = \"precompile(l, ())\"\n\
                    @static if Sys.iswindows(); precompile(m, ()); end\n";
        let found = read(text);
        insta::assert_snapshot!(found.statements.join("\n"), @r#"
        precompile(a, ())
        (VERSION >= v"1.6") && precompile(b, ())
        (VERSION >= v"1.6") && precompile(c, ())
        !(VERSION >= v"1.6") && (isdefined(A, :end)) && precompile(d, ())
        !(VERSION >= v"1.6") && !(isdefined(A, :end)) && precompile(e, ())
        (isdefined(A, :f)) && precompile(A.f, ())
        let fbody = try __lookup_kwbody__(which(g, (Int,))) catch missing end
                if !ismissing(fbody)
                    precompile(fbody, (Bool, typeof(g), Int,))
                end
            end
        for T in (Int, Float64)
                precompile(h, (T,))
            end
        (Sys.iswindows()) && precompile(m, ())
        "#);
        let ignored: Vec<_> = found
            .ignored
            .iter()
            .map(|i| format!("{}: {}: {}", i.line, i.reason, i.text))
            .collect();
        insta::assert_snapshot!(ignored.join("\n"), @r#"
        3: it is not a call of precompile: ccall(:jl_generating_output, Cint, ()) == 1 || return nothing
        7: it is not a call of precompile: x = [1, 2][end]
        22: it is not a call of precompile: function __lookup_kwbody__(m)…
        25: it defines a function that is not called here: f(x) = precompile(k, (x,))
        26: it is not a call of precompile: s = "precompile(l, ())"
        "#);
    }

    #[test]
    fn a_statement_takes_along_the_assignments_that_it_uses() {
        let text = "const T = Int\nU = Vector{T}\nunused = 1\n\
                    precompile(f, (U,))\nprecompile(g, (Float64,))\n\
                    let\n    V = String\n    precompile(h, (V,))\nend\nprecompile(k, (A.V,))\n\
                    function p()\n    x = Bool\n    precompile(l, (x, T))\nend\nprecompile(m, (x,))\n";
        let found = read(text);
        assert_eq!(
            found.statements,
            [
                "const T = Int\nU = Vector{T}\nprecompile(f, (U,))",
                "precompile(g, (Float64,))",
                "let\nV = String\nprecompile(h, (V,))\nend",
                "precompile(k, (A.V,))",
                "const T = Int\nlet\nx = Bool\nprecompile(l, (x, T))\nend",
                "precompile(m, (x,))",
            ]
        );
        let ignored: Vec<_> = found.ignored.iter().map(|i| &*i.text).collect();
        assert_eq!(ignored, ["unused = 1"]);
    }

    #[test]
    fn another_expression_on_the_line_of_a_used_assignment_is_still_reported() {
        let found = read("T = Int; other(1); precompile(f, (T,))\n");
        assert_eq!(found.statements.len(), 1, "{found:?}");
        let ignored: Vec<_> = found.ignored.iter().map(|i| &*i.text).collect();
        assert_eq!(ignored, ["other(1)"]);
    }

    #[test]
    fn a_statement_takes_along_tuple_assignments_and_imports() {
        let text = "using A: B as C, D\nimport E.F\nusing G\nconst a, b = Int, Char\n\
                    (c, d) = a, C\n\
                    module M\n    using H: I as J\n    module N\n        const K = J\n        \
                    precompile(f, (K, a))\n    end\nend\n\
                    precompile(f, (C,))\nprecompile(F.g, (b, d))\nprecompile(J, (D.x,))\n\
                    f(x) = a\nprecompile(f, (x == b,))\n";
        let read = read(text);
        assert_eq!(
            read.statements,
            [
                "const a, b = Int, Char\nJ = H.I\nconst K = J\nprecompile(f, (K, a))",
                "C = A.B\nprecompile(f, (C,))",
                "C = A.B\nF = E.F\nconst a, b = Int, Char\n(c, d) = a, C\nprecompile(F.g, (b, d))",
                // `J` was imported into another module.
                "D = A.D\nprecompile(J, (D.x,))",
                "const a, b = Int, Char\nf(x) = a\nprecompile(f, (x == b,))",
            ]
        );
        let ignored: Vec<_> = read
            .ignored
            .iter()
            .map(|one| (one.line, &*one.text))
            .collect();
        assert_eq!(ignored, [(3, "using G")]);
        assert!(
            read.ignored[0]
                .reason
                .contains("write them with the module")
        );
    }

    #[test]
    fn a_file_that_is_included_is_named_as_such() {
        let found = read("include(\"more.jl\")\n");
        let [ignored] = &found.ignored[..] else {
            panic!("{found:?}")
        };
        assert!(ignored.reason.contains("list that file in `statements`"));
    }

    #[test]
    fn calls_of_a_function_of_the_file_take_along_its_definition() {
        let text = "function p(T)\n    precompile(f, (T,))\nend\n\
                    p(T, U) = precompile(f, (T, U))\n\
                    p(Int)\nforeach(p, (Char, Bool))\n\
                    @noinline function q(T)\n    precompile(g, (T,))\nend\n\
                    if x\n    q(Int)\nend\n\
                    r = T -> precompile(h, (T,))\nr(Int)\n\
                    const s = precompile\ns(k, ())\n\
                    import Base: precompile as t\nt(l, ())\n\
                    unused(T) = precompile(m, (T,))\nexport p\n\
                    ok = map(T -> precompile(n, (T,)), (Int,))\n\
                    macro u(T) :(precompile(o, ($T,))) end\n";
        let read = read(text);
        let both = "function p(T)\n    precompile(f, (T,))\nend\n\
                    p(T, U) = precompile(f, (T, U))\n";
        assert_eq!(
            read.statements,
            [
                format!("{both}p(Int)"),
                format!("{both}foreach(p, (Char, Bool))"),
                "@noinline function q(T)\n    precompile(g, (T,))\nend\n\
                 (x) && (begin\nq(Int)\nend)"
                    .to_owned(),
                "r = T -> precompile(h, (T,))\nr(Int)".to_owned(),
                "const s = precompile\ns(k, ())".to_owned(),
                "t = Base.precompile\nt(l, ())".to_owned(),
                "ok = map(T -> precompile(n, (T,)), (Int,))".to_owned(),
            ]
        );
        let ignored: Vec<_> = read
            .ignored
            .iter()
            .map(|one| (&*one.text, &*one.reason))
            .collect();
        assert_eq!(
            ignored,
            [
                (
                    "unused(T) = precompile(m, (T,))",
                    "it defines a function that is not called here"
                ),
                ("export p", "it is not a call of precompile"),
                (
                    "macro u(T) :(precompile(o, ($T,))) end",
                    "it defines a macro that is not used here"
                ),
            ]
        );
    }

    /// Asserts that everything in a file becomes one statement, as it stands.
    fn assert_whole(text: &str) {
        let found = read(text);
        assert_eq!(found.statements, [text.trim_end()]);
        assert_eq!(found.ignored, [], "{text}");
    }

    #[test]
    fn an_assertion_of_more_than_one_call_is_evaluated_as_a_whole() {
        for rest in ["&&", "||", "&", "|", "=="] {
            assert_whole(&format!(
                "@assert precompile(f, ()) {rest} precompile(g, ())\n"
            ));
            assert_whole(&format!(
                "@warnpcfail precompile(f, ()) {rest} precompile(g, ())\n"
            ));
        }
        assert_whole("@assert precompile(f, ()), precompile(g, ())\n");
        assert_whole("@assert precompile(f, ()) string(precompile(g, ()))\n");
        assert_eq!(
            parse("@assert precompile(f, ()) \"no\"; precompile(g, ())\n"),
            ["precompile(f, ())", "precompile(g, ())"]
        );
    }

    #[test]
    fn several_calls_in_one_expression_are_evaluated_as_a_whole() {
        assert_whole("(precompile(f, ()), precompile(g, ()))\n");
        assert_whole("precompile(f, ()), precompile(g, ())\n");
        assert_whole("precompile(f, ()) ? precompile(g, ()) : precompile(h, ())\n");
        assert_whole("precompile(f, ()) + precompile(g, ())\n");
    }

    #[test]
    fn a_statement_takes_along_every_change_of_a_variable_that_it_uses() {
        let uses = "for T in L precompile(f, (T,)) end\n";
        for changes in [
            "append!(L, [Char])",
            "L[2] = Char",
            "L = (L..., Char)",
            "if x\n    L = [Char]\nelse\n    L = [Bool]\nend",
            "for T in (Int, Char)\n    push!(L, T)\nend",
            "for _ in 1:2\n    global L = [Char]\nend",
            "add(T) = push!(L, T)\nadd(Char)",
            "n = push!(L, Char)",
            "fill_it(L)",
        ] {
            assert_whole(&format!("L = Any[Int]\n{changes}\n{uses}"));
        }
        assert_whole("begin\n    L = [Int]\nend\nfor T in L precompile(f, (T,)) end\n");
        assert_whole("i = 0\nwhile i < 2\n    precompile(f, (Val{i},))\n    global i += 1\nend\n");
    }

    #[test]
    fn a_loop_that_changes_a_variable_is_part_of_later_statements() {
        let first = "M = []\nfor T in (Int, Char)\n    precompile(f, (T,)); push!(M, T)\nend";
        let second = format!("{first}\nfor T in M precompile(g, (T,)) end");
        assert_eq!(parse(&second), [first.to_owned(), second]);
    }

    #[test]
    fn functions_in_every_form_are_part_of_the_statements_that_call_them() {
        for definition in [
            "p(::Type{T}) where T = precompile(f, (T,))",
            "p(::Type{T}) where {T} = precompile(f, (T,))",
            "p(T)::Bool = precompile(f, (T,))",
            "p(T; x = 1) = precompile(f, (T,))",
            "@inline p(T) = precompile(f, (T,))",
            "p = (T; x = 1) -> precompile(f, (T,))",
            "p = ((T, x),) -> precompile(f, (T,))",
            "p = (T::Type{<:Any}) -> precompile(f, (T,))",
            "p = function (T) precompile(f, (T,)) end",
            "p(T) = q(T)\nq(T) = precompile(f, (T,))",
            "if x\n    p(T) = precompile(f, (T,))\nend",
            "macro p(T) :(precompile(f, ($T,))) end",
        ] {
            let call = if definition.starts_with("macro") {
                "@p Int"
            } else {
                "p(Int)"
            };
            assert_whole(&format!("{definition}\n{call}\n"));
        }
        assert_whole("module A\np(T) = precompile(f, (T,))\nend\nA.p(Int)\n");
        assert_whole("module A\np(T) = precompile(f, (T,))\nend\nusing .A: p\np(Int)\n");
        assert_whole("module A\nexport p\np(T) = precompile(f, (T,))\nend\nusing .A\np(Int)\n");
    }

    #[test]
    fn a_function_without_arguments_may_use_what_is_defined_after_it() {
        let found = read("function all()\n    p(Int)\nend\np(T) = precompile(f, (T,))\nall()\n");
        assert_eq!(found.statements, ["p(T) = precompile(f, (T,))\np(Int)"]);
        let [call] = &found.ignored[..] else {
            panic!("{found:?}")
        };
        assert_eq!(call.reason, "its statements are read where it is defined");
    }

    #[test]
    fn a_statement_takes_along_the_definitions_that_it_uses() {
        assert_whole("types() = (Int, Char)\nfor T in types() precompile(f, (T,)) end\n");
        assert_whole("const Vec{T} = Vector{T}\nprecompile(f, (Vec{Int},))\n");
        assert_whole("struct Foo end\nprecompile(f, (Foo,))\n");
        assert_whole("a, b... = Int, Char\nprecompile(f, (a, b...))\n");
        assert_whole("a = b = Int\nprecompile(f, (b,))\n");
        assert_whole("T = Int\nU = x ? Char : T\nprecompile(f, (U,))\n");
        assert_whole("n = 2\nfor i in 1:n precompile(f, (Val{i},)) end\n");
        assert_whole("s = \"precompile(f, ())\"\neval(Meta.parse(s))\n");
    }

    #[test]
    fn a_variable_is_assigned_under_the_condition_of_its_block() {
        let text = "if isdefined(A, :B)\n    T = A.B\n    precompile(f, (T,))\nend\n";
        assert_eq!(
            parse(text),
            ["(isdefined(A, :B)) && (begin\nT = A.B\nprecompile(f, (T,))\nend)"]
        );
    }

    #[test]
    fn names_may_have_primes_and_combining_marks() {
        for name in ["p\u{302}", "p′", "p₁"] {
            assert_whole(&format!("{name}(T) = precompile(f, (T,))\n{name}(Int)\n"));
            assert_whole(&format!(
                "function {name}(T)\n    precompile(f, (T,))\nend\n{name}(Int)\n"
            ));
        }
    }

    #[test]
    fn a_file_whose_statements_would_take_along_too_much_is_one_statement() {
        let long = "x".repeat(20_000);
        let text = format!("push!(L, {long}); precompile(f, (L[1],))\n").repeat(60);
        let found = read(&format!("L = []\n{text}"));
        assert_eq!(found.statements.len(), 1);
        assert_eq!(found.statements[0].matches("precompile(").count(), 60);
        assert_eq!(found.ignored, []);
    }

    #[test]
    fn precompile_may_be_an_argument_or_have_any_qualifier_that_means_it() {
        let text = "map(precompile, [(f, (Int,))])\nprecompile.([f], [(Int,)])\n\
                    (precompile)(g, ())\nMain.precompile(h, ())\nMain.Base.precompile(k, ())\n\
                    Pkg.precompile()\n__precompile__(false)\nusing Base: precompile\nf(precompile = true)\n\
                    precompile(l, ())\n";
        let read = read(text);
        assert_eq!(
            read.statements,
            [
                "map(precompile, [(f, (Int,))])",
                "precompile.([f], [(Int,)])",
                "(precompile)(g, ())",
                "precompile(h, ())",
                "precompile(k, ())",
                "precompile(l, ())",
            ]
        );
        assert_eq!(read.ignored.len(), 4, "{:?}", read.ignored);
    }

    #[test]
    fn a_condition_may_go_over_several_lines() {
        let text = "if a &&\n   b ||\n   c\n    precompile(f, ())\nend\n";
        assert_eq!(parse(text), ["(a &&\n   b ||\n   c) && precompile(f, ())"]);
    }

    #[test]
    fn a_condition_may_contain_blocks_and_operators_that_are_not_ascii() {
        let condition = |text: &str| {
            let read = parse(&format!("if {text}\n    precompile(f, ())\nend\n"));
            assert_eq!(read, [format!("({text}) && precompile(f, ())")], "{text}");
        };
        condition("let x = 1; x == 1 end");
        condition("begin true end");
        condition("any((1, 2)) do x; x > 1 end");
        condition("a && let\n  x = b\n  x\nend || c");
        condition("VERSION ≥ v\"1.6\"");
        condition("a ∈ b && c ≠ d");
        condition("@isdefined f");
        condition("Base.@isdefined(f)");
        condition("T <: Vector{S} where S");
        assert_eq!(
            parse("if 1 ≤ 2 precompile(f, ()) elseif any(a) do x; x end precompile(g, ()) end\n"),
            [
                "(1 ≤ 2) && precompile(f, ())",
                "!(1 ≤ 2) && (any(a) do x; x end) && precompile(g, ())"
            ]
        );
    }

    #[test]
    fn a_condition_that_calls_precompile_is_a_statement() {
        let text = "if !precompile(f, ())\n    @warn \"no\"\nend\n\
                    if a\n    nothing\nelseif precompile(g, ()) precompile(h, ())\nend\n";
        assert_eq!(
            parse(text),
            [
                "(!precompile(f, ()))",
                "!(a) && (precompile(g, ()))",
                "!(a) && (precompile(g, ())) && precompile(h, ())",
            ]
        );
    }

    #[test]
    fn a_function_may_name_the_type_of_its_result() {
        let read = read("function p()::Nothing\n    precompile(f, ())\nend\n");
        assert_eq!(read.statements, ["precompile(f, ())"]);
        assert_eq!(read.ignored, []);
    }

    #[test]
    fn characters_that_are_not_seen_end_no_statement_silently() {
        let text = "precompile(a, ())\0\nprecompile(b, ())\u{a0}\n\u{feff}precompile(c, ())\n\
                    \u{200b}precompile(d, ())\nprecompile(e,\u{2003}())\u{b}\x0c\nprecompile(f, ())\u{2028}\n";
        let found = read(text);
        assert_eq!(
            found.statements,
            [
                "precompile(b, ())",
                "precompile(c, ())",
                "precompile(e,\u{2003}())"
            ]
        );
        let ignored = found.ignored.iter().map(|i| (i.line, &*i.reason));
        assert_eq!(
            ignored.collect::<Vec<_>>(),
            [
                (1, "it contains a NUL character, which Julia refuses"),
                (4, "it contains an invisible character, which Julia refuses"),
                (6, "it contains an invisible character, which Julia refuses"),
            ]
        );
    }

    #[test]
    fn damaged_and_huge_files_take_linear_time() {
        // Each would take hours in quadratic time.
        let broken = "precompile(f, (Int,)\n".repeat(50_000);
        assert_eq!(read(&broken).ignored.len(), 50_000);
        let in_one_line = "precompile(f, ()); ".repeat(500_000);
        assert_eq!(read(&in_one_line).statements.len(), 1);
    }

    #[test]
    fn deep_nesting_needs_no_stack_and_many_lines_no_time() {
        let deep = "begin\n".repeat(100_000) + "precompile(f, ())\n" + &"end\n".repeat(100_000);
        let _ = read(&deep);
        let _ = read(&"\"$(".repeat(100_000));
        let _ = read(&"(".repeat(100_000));
        let _ = read(&"#=".repeat(100_000));
        let many = "nothing\n".repeat(200_000);
        assert_eq!(read(&many).ignored.last().unwrap().line, 200_000);
    }

    #[test]
    fn what_is_broken_is_listed_and_the_rest_is_read() {
        let text = "precompile(f, (Int,)\nprecompile(g, ())\n\"open\nprecompile(h, ())\nend\n\
                    if x\nprecompile(k, ())\n";
        let found = read(text);
        assert!(
            found.statements.contains(&"precompile(g, ())".to_owned()),
            "{found:?}"
        );
        assert!(
            found.statements.contains(&"precompile(h, ())".to_owned()),
            "{found:?}"
        );
        assert!(found.ignored.iter().any(|i| i.line == 1), "{found:?}");
    }

    #[test]
    fn what_a_workload_defines_itself_is_told_from_what_packages_define() {
        let known: BTreeSet<String> = ["Dates", "Rota"].map(str::to_owned).into();
        let own = |statement: &str| is_own(statement, &known);
        assert!(own("precompile(Tuple{Type{Main.P}, Int64})"));
        assert!(own(
            "precompile(Tuple{typeof(Base.should_use_main_entrypoint)})"
        ));
        assert!(own("precompile(Tuple{typeof(Rota.f), Main.var\"#3#4\"})"));
        assert!(own("precompile(Tuple{typeof(Base.vect), Team.Person})"));
        assert!(!own(
            "precompile(Tuple{Rota.var\"#f##kw\", Dates.DateFormat{Symbol(\"e Main.x\\\" mm.yyyy\")}})"
        ));
        assert!(!own(
            "precompile(Tuple{typeof(Base.f), Vararg{Any, N} where N, Val{1.5}, Val{0.125f}})"
        ));
        assert!(!own(
            "precompile(Tuple{typeof(getfield(Dates, Symbol(\"x\")))})"
        ));
        // As Julia 1.5 prints a symbol with a quote.
        assert!(own("precompile(Tuple{Rota.P{Symbol(\"a\"b\")}, Main.P})"));
        assert!(!own(
            "precompile(Tuple{Rota.P{Symbol(\"a\"Main.b\")}, Dates.P})"
        ));
    }
}
