//! The output about an image that was just built.

use std::time::Duration;

use sysforge_plan::Receipt;
use sysforge_plan::receipt::Unreplayed;
use sysforge_report::built::{artifacts, headline, warnings};

fn receipt() -> Receipt {
    let mut receipt = Receipt::from_json(include_str!("receipt.json")).expect("a receipt");
    receipt.statements.failed.clear();
    receipt.targets.requested = "generic".to_owned();
    receipt.targets.held = None;
    receipt.check.portability = None;
    receipt.check.residuals.clear();
    receipt
}

#[test]
fn an_image_without_faults_has_no_warnings() {
    assert_eq!(warnings(&receipt()), []);
    assert_eq!(artifacts(&receipt()), None);
}

#[test]
fn the_headline_names_time_sizes_and_residuals() {
    let mut receipt = receipt();
    receipt.image.size = 170_000_000;
    let id = receipt.build_id.to_string();
    let line = |receipt: &Receipt| headline(receipt, 41_000_000, Duration::from_secs(90));
    assert_eq!(
        line(&receipt),
        format!("Built {id} in 90.0 s: image 170 MB, archive 41 MB, nothing left to compile")
    );
    receipt.check.residuals.push("f(::Int64)".to_owned());
    assert!(line(&receipt).ends_with(", 1 statement left to compile"));
}

#[test]
fn statements_that_failed_are_listed_up_to_a_limit() {
    let mut receipt = receipt();
    let failed = |number| Unreplayed {
        statement: format!("precompile(f{number})"),
        reason: "no method".to_owned(),
    };
    receipt.statements.failed = (0..8).map(failed).collect();
    let warnings = warnings(&receipt);
    assert_eq!(warnings.len(), 6);
    assert_eq!(warnings[0].text, "not replayed: no method: precompile(f0)");
    assert_eq!(
        warnings[5].text,
        "and 3 more statements; the receipt lists them"
    );
}

#[test]
fn a_cpu_target_that_julia_left_out_is_a_warning() {
    let mut receipt = receipt();
    receipt.targets.requested = "generic;haswell".to_owned();
    receipt.targets.held = Some(vec!["generic".to_owned()]);
    let [warning] = &warnings(&receipt)[..] else {
        panic!("{:?}", warnings(&receipt));
    };
    assert!(warning.text.starts_with("of the 2 CPU targets"));
    assert!(warning.text.ends_with("into the image: generic"));
}
