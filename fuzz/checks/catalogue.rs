//! Catalogues and requests: the first line of the input is a request, the rest a catalogue. For any
//! input, choosing must end, and the chosen Julia must be for the platform.

use sysforge_plan::{Catalogue, Request, Triplet};

/// Checks one input.
pub(crate) fn check(input: &[u8]) {
    let (line, json) = match input.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (input, &b"{}"[..]),
    };
    let request = std::str::from_utf8(line)
        .ok()
        .and_then(|text| text.parse::<Request>().ok());
    if let Some(request) = &request {
        // What is printed is understood again.
        let printed = request.to_string();
        assert!(printed.parse::<Request>().is_ok(), "{printed}");
    }
    let Ok(catalogue) = Catalogue::parse(json) else {
        return;
    };
    // Every address can be one of a file, whose name leads nowhere else.
    for file in catalogue
        .releases()
        .iter()
        .flat_map(|release| &release.files)
    {
        assert!(matches!(file.url.scheme(), "http" | "https" | "file"));
        assert!(!file.name().contains(['/', '\n', '\0']));
    }
    if let Some(request) = request {
        for triplet in Triplet::all() {
            if let Ok(choice) = catalogue.choose(&request, triplet) {
                assert_eq!(choice.file.triplet, triplet);
            }
        }
    }
}
