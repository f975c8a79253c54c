//! Snapshots of the chart and the page of a real receipt, and properties of every report.

use sysforge_plan::Receipt;
use sysforge_plan::app::{AppRecord, BundleRecord, BundledFile, RunRecord};
use sysforge_plan::library::{CallRecord, FunctionRecord, LibraryRecord};
use sysforge_plan::receipt::Unreplayed;
use sysforge_report::{Report, Sample, html, svg};

fn sample(startup_s: f64, load_s: f64, calls_s: (f64, f64), memory: u64) -> Sample {
    Sample {
        startup_s,
        load_s,
        first_call_s: Some(calls_s.0),
        second_call_s: Some(calls_s.1),
        start_memory: memory,
        peak_memory: memory + 90_000_000,
    }
}

fn report() -> Report {
    Report {
        build_id: "insurance-julia1.5.3-x86_64-linux-gnu".to_owned(),
        julia: "Julia 1.5.3 on x86_64-linux-gnu".to_owned(),
        without: vec![
            sample(0.21, 0.0315, (6.4, 0.0657), 150_000_000),
            sample(0.22, 0.0331, (6.9, 0.0701), 151_000_000),
            sample(0.20, 0.0302, (6.3, 0.0644), 150_500_000),
        ],
        with: vec![
            sample(0.19, 0.0123, (0.0819, 0.0619), 171_000_000),
            sample(0.18, 0.0119, (0.0905, 0.0633), 170_000_000),
            sample(0.20, 0.0128, (0.0802, 0.0601), 172_000_000),
        ],
        residuals: vec!["precompile(Tuple{typeof(Base.show), Base.IOStream, Symbol})".to_owned()],
        sections: vec![
            (".text".to_owned(), 31_000_000),
            (".rodata".to_owned(), 4_000_000),
            (".data".to_owned(), 118_000_000),
            (".eh_frame".to_owned(), 9_000_000),
            (".dynsym".to_owned(), 312),
            (".hash".to_owned(), 84),
        ],
        receipt: Some(Receipt::from_json(include_str!("receipt.json")).expect("a receipt")),
        bundles: Vec::new(),
    }
}

#[test]
fn the_chart() {
    insta::assert_snapshot!(svg(&report()));
}

#[test]
fn the_page() {
    let page = html(&report());
    // The style sheets are separate files.
    let body = page.split_once("</head>").expect("a head").1;
    insta::assert_snapshot!(body.replace("><", ">\n<"));
}

fn bundle() -> BundleRecord {
    let file = |path: &str, size, why: &str| BundledFile {
        path: path.to_owned(),
        size,
        why: why.to_owned(),
    };
    BundleRecord {
        library: None,
        apps: vec![AppRecord {
            name: "tally".to_owned(),
            entry: "Tally.julia_main()".to_owned(),
            runs: vec![RunRecord {
                args: vec!["--top".to_owned(), "3".to_owned()],
                exit: 0,
                wall_ms: 412.6,
                peak_memory: Some(171_000_000),
                residuals: vec!["precompile(Tuple{typeof(f)})".to_owned()],
            }],
        }],
        files: vec![
            file("bin/tally", 339_192, "the launcher of the app"),
            file("lib/julia/tally.so", 155_000_000, "the image"),
            file("lib/libLLVM-9.so.1", 74_000_000, "libjulia.so.1 needs it"),
            file("share/julia/Project.toml", 200, "the names of the packages"),
        ],
        isolated: true,
        system: vec!["libc.so.6".to_owned()],
        oldest_system: Some("glibc 2.36".to_owned()),
    }
}

#[test]
fn the_page_lists_the_files_of_apps_by_size_and_says_why_each_is_there() {
    let page = html(&Report {
        bundles: vec![bundle()],
        ..report()
    });
    let at = |text: &str| {
        page.find(text)
            .unwrap_or_else(|| panic!("{text} is missing"))
    };
    assert!(at("lib/julia/tally.so") < at("lib/libLLVM-9.so.1"));
    assert!(at("libjulia.so.1 needs it") < at("2 smaller files"));
    assert!(!page.contains("share/julia/Project.toml"));
    at("<code>tally --top 3</code>");
    at("171.0 MB");
    at("1 statement compiled");
    at("It needs glibc 2.36 or newer.");
}

/// The archive of a C library.
fn library() -> BundleRecord {
    let function = |name: &str, undeclared: Option<&str>| FunctionRecord {
        name: name.to_owned(),
        undeclared: undeclared.map(str::to_owned),
    };
    BundleRecord {
        apps: Vec::new(),
        library: Some(LibraryRecord {
            name: "measure".to_owned(),
            version: "1.2.0".to_owned(),
            soname: "libmeasure.so.1".to_owned(),
            functions: vec![
                function("measure_mean", None),
                function("measure_any", Some("its result is Any")),
            ],
            calls: vec![CallRecord {
                call: "measure_mean({1, 2, 6}, 3)".to_owned(),
                result: "3.0".to_owned(),
                wall_ms: 0.02,
            }],
            init_ms: 99.0,
            residuals: Vec::new(),
        }),
        ..bundle()
    }
}

#[test]
fn the_page_shows_the_calls_of_a_library_and_why_each_of_its_files_is_there() {
    let page = html(&Report {
        bundles: vec![bundle(), library()],
        ..report()
    });
    let (apps, library) = page.split_once("C library measure").expect("a library");
    assert!(apps.contains("Size of the apps, by file"));
    for text in [
        "Version 1.2.0, found as <code>libmeasure.so.1</code>: 2 functions. Julia was running after 99.0 ms, \
         and the calls compiled 0 statements.",
        "<code>measure_mean({1, 2, 6}, 3)</code>",
        "returned <code>3.0</code>",
        "not in the header: its result is Any",
        "Size of the library, by file",
        "libjulia.so.1 needs it",
    ] {
        assert!(library.contains(text), "{text} is missing in {library}");
    }
}

#[test]
fn hostile_names_and_statements_are_shown_as_text() {
    let hostile = "</style><script>x\u{1b}[2J\u{0}\u{202e}\u{9b}";
    let mut report = report();
    report.residuals = vec![hostile.to_owned()];
    report.build_id = hostile.to_owned();
    report.sections.push((hostile.to_owned(), 1));
    let mut bundle = bundle();
    bundle.files[1].why = hostile.to_owned();
    bundle.apps[0].runs[0].args = vec![hostile.to_owned()];
    let mut library = library();
    library.files[0].why = hostile.to_owned();
    if let Some(record) = &mut library.library {
        record.name = hostile.to_owned();
        record.calls[0].result = hostile.to_owned();
        record.functions[1].undeclared = Some(hostile.to_owned());
    }
    report.bundles = vec![bundle, library];
    if let Some(receipt) = &mut report.receipt {
        receipt.packages[0].name = hostile.to_owned();
        receipt.statements.failed.push(Unreplayed {
            statement: hostile.to_owned(),
            reason: hostile.to_owned(),
        });
    }
    for text in [svg(&report), html(&report)] {
        let deceptive = |c: char| c != '\n' && sysforge_plan::text::is_deceptive(c);
        assert!(!text.contains(deceptive));
        assert!(!text.contains("<script"), "{text}");
    }
}

/// Returns the places of all texts in a document.
fn texts(value: &serde_json::Value, at: &str, found: &mut Vec<String>) {
    match value {
        serde_json::Value::String(_) => found.push(at.to_owned()),
        serde_json::Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                texts(value, &format!("{at}/{index}"), found);
            }
        }
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                texts(value, &format!("{at}/{key}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn markup_in_any_text_of_a_receipt_changes_nothing_of_the_page() {
    let document = serde_json::to_value(report().receipt).unwrap();
    let mut places = Vec::new();
    texts(&document, "", &mut places);
    let page = |place: &str, text: &str| {
        let mut changed = document.clone();
        *changed.pointer_mut(place).unwrap() = text.into();
        // Many fields do not take such a text at all.
        let receipt = serde_json::from_value(changed).ok()?;
        let report = Report {
            receipt: Some(receipt),
            ..report()
        };
        Some([html(&report), svg(&report)])
    };
    let mut taken = 0;
    for place in &places {
        for markup in [
            "</td></table></style><script>alert(1)</script>",
            "\"><img src=x onerror=alert(1)>",
            "' onload='alert(1)' x='",
            "]]></text></svg><!--",
        ] {
            let plain = "x".repeat(markup.len());
            let (Some(hostile), Some(plain)) = (page(place, markup), page(place, &plain)) else {
                continue;
            };
            taken += 1;
            for (hostile, plain) in hostile.iter().zip(&plain) {
                for mark in ["<", ">", "\"", "<!--", "]]>"] {
                    let count = |page: &str| page.matches(mark).count();
                    assert_eq!(count(hostile), count(plain), "{place}: {markup}");
                }
            }
        }
    }
    assert!(taken > 20, "{taken}");
}

#[test]
fn the_output_refers_to_nothing_outside() {
    for text in [svg(&report()), html(&report())] {
        let text = text.replace("http://www.w3.org/2000/svg", "");
        for word in [
            "http:", "https:", "src=", "url(", "@import", "<script", "<link",
        ] {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }
}

#[test]
fn names_and_statements_are_escaped() {
    let mut report = report();
    report.build_id = "<script>alert(1)</script>".to_owned();
    report.residuals = vec!["<img src=x onerror=alert(1)>".to_owned()];
    report.sections = vec![("\"><b>".to_owned(), 1)];
    let receipt = report.receipt.as_mut().expect("a receipt");
    receipt.statements.failed = vec![Unreplayed {
        statement: "precompile(Tuple{typeof(<), Int})".to_owned(),
        reason: "</li><script>".to_owned(),
    }];
    for text in [svg(&report), html(&report)] {
        for word in ["<script", "<img", "<b>\"", "typeof(<)"] {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }
}

#[test]
fn a_report_without_receipt_is_rendered() {
    let report = Report {
        without: Vec::new(),
        with: Vec::new(),
        residuals: Vec::new(),
        sections: Vec::new(),
        receipt: None,
        ..report()
    };
    for text in [svg(&report), html(&report)] {
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }
    assert!(html(&report).contains("No receipt was found"));
}
