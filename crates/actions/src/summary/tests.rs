use sysforge_plan::matrix::{Leg, Matrix};
use sysforge_plan::receipt::{
    CheckRecord, FileRecord, JuliaOrigin, Latency, LinkRecord, SCHEMA, StatementCounts, Targets,
    Timing, ToolRecord,
};
use sysforge_plan::{BuildId, JuliaBuild, JuliaVersion, Step, Triplet};

use super::*;

fn receipt(tier: &str, residuals: usize) -> Receipt {
    let version = JuliaVersion::new(1, 12, 7);
    let triplet = Triplet::X86_64_LINUX_GNU;
    let build_id = BuildId::of("insurance", &version, triplet, Some(tier)).unwrap();
    Receipt {
        schema: SCHEMA.to_owned(),
        name: "insurance".parse().unwrap(),
        project_version: None,
        julia: JuliaBuild {
            version,
            commit: String::new(),
            triplet,
        },
        julia_origin: JuliaOrigin::Given,
        image: FileRecord {
            name: format!("{build_id}.so").parse().unwrap(),
            size: 171_000_000,
            sha256: Sha256::new([1; 32]),
        },
        build_id,
        targets: Targets {
            tier: Some(tier.to_owned()),
            requested: tier.to_owned(),
            held: None,
        },
        packages: Vec::new(),
        extensions: Vec::new(),
        preferences: Vec::new(),
        manifest: None,
        statements: StatementCounts::default(),
        check: CheckRecord {
            loaded: Vec::new(),
            residuals: (0..residuals)
                .map(|n| format!("precompile(Tuple{{f{n}}})"))
                .collect(),
            latency: Some(Latency {
                load_s: 0.0123,
                first_call_s: 0.0819,
                second_call_s: Some(0.0619),
            }),
            ..CheckRecord::default()
        },
        link: LinkRecord::default(),
        timings: vec![Timing {
            step: Step::Emit,
            seconds: 83.04,
            peak_memory: Some(812_000_000),
        }],
        bundle: None,
        objects: Vec::new(),
        tool: ToolRecord {
            name: "sysforge".to_owned(),
            version: "0.1.0".to_owned(),
            recipe: 1,
        },
        julia_options: Vec::new(),
        inputs_digest: Sha256::new([2; 32]),
    }
}

fn image(receipt: &Receipt) -> Image {
    Image {
        receipt: receipt.clone(),
        size: 41_250_000,
        sha256: Sha256::new([3; 32]),
        reused: false,
    }
}

#[test]
fn a_successful_job() {
    let (one, two) = (receipt("generic", 0), receipt("haswell", 2));
    insta::assert_snapshot!(build(&[image(&one), image(&two)], None));
}

#[test]
fn a_failed_job_shows_the_error_and_the_finished_images() {
    let one = receipt("generic", 0);
    let failed = Failed {
        subject: "insurance-julia1.12.7-x86_64-linux-gnu-haswell".to_owned(),
        causes: vec![
            "the workload `workload.jl` failed".to_owned(),
            "`julia` ended with exit code 1".to_owned(),
        ],
        place: Some("workload.jl:3".to_owned()),
        tail: vec![
            "ERROR: LoadError: ```oh no```".to_owned(),
            "::error::fake".to_owned(),
        ],
        hints: vec!["a workload must run by itself".to_owned()],
    };
    insta::assert_snapshot!(build(&[image(&one)], Some(&failed)));
}

#[test]
fn an_incomplete_draft_lists_the_missing_builds() {
    let builds = |names: &[&str]| {
        names
            .iter()
            .map(|&name| name.to_owned())
            .collect::<Vec<_>>()
    };
    insta::assert_snapshot!(
        release("Draft of v1.0.0", "https://example.org/r/1", &builds(&["a-x"]), &builds(&["a-y"])),
        @r"
    ## Draft of v1.0.0

    <https://example.org/r/1>

    - a-x

    **It stays a draft**, because these builds are missing; their jobs show why. Run the failed jobs again to complete it:

    - missing: a-y
    "
    );
}

#[test]
fn a_plan_is_a_table() {
    let matrix = Matrix {
        legs: vec![Leg {
            name: "x-and-1-more".to_owned(),
            runner: "ubuntu-24.04".to_owned(),
            triplet: Triplet::X86_64_LINUX_GNU,
            julia: "1.12.7".to_owned(),
            builds: "x y".to_owned(),
            timeout: 60,
            store: String::new(),
            packages: String::new(),
        }],
        existing: vec![
            BuildId::of(
                "z",
                &JuliaVersion::new(1, 12, 7),
                Triplet::X86_64_LINUX_GNU,
                None,
            )
            .unwrap(),
        ],
        ..Matrix::default()
    };
    let notes = ["Julia 1.5.3 is not published for aarch64-apple-darwin".to_owned()];
    insta::assert_snapshot!(plan(Some("v1"), &matrix, &notes), @r"
    ## Plan for v1

    | builds | runner | Julia | time limit |
    |---|---|---|---:|
    | x<br>y | ubuntu-24.04 | 1.12.7 | 60 min |

    already there: z-julia1.12.7-x86_64-linux-gnu

    Julia 1.5.3 is not published for aarch64-apple-darwin
    ");
}

#[test]
fn a_summary_has_at_most_one_mebibyte() {
    let mut long = receipt("generic", 0);
    long.check.residuals = vec!["ä".repeat(100_000); 20];
    let text = build(&[image(&long)], None);
    assert!(text.len() <= 1 << 20, "{}", text.len());
    assert!(text.ends_with("a step may write 1 MiB\n"));
}

#[test]
fn text_of_a_host_is_no_markup_of_the_summary() {
    let text = failure(&Failed {
        subject: "a`b\n# c".to_owned(),
        causes: vec![
            "> quoted".to_owned(),
            "- item ![x](https://example.org) @octo $x$".to_owned(),
        ],
        place: Some("a.jl:1`\n## b".to_owned()),
        tail: vec!["```".to_owned(), "<script>".to_owned()],
        hints: vec!["| x |".to_owned()],
    });
    assert_eq!(
        text,
        "## Failed: a`b \\# c\n\n\
         \\> quoted\n\n\
         cause: \\- item !\\[x\\](https://example.org) &#64;octo &#36;x&#36;\n\n\
         at `` a.jl:1` ## b ``\n\n\
         Its last lines:\n\n````text\n```\n<script>\n````\n\n\
         - hint: \\| x \\|\n\n"
    );
}
