//! Receipts: reading, writing and reading again gives the same value, and the identifier is made of
//! the receipt's own parts.

use sysforge_plan::{BuildId, Receipt};

/// Checks one input.
pub(crate) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let Ok(receipt) = Receipt::from_json(text) else {
        return;
    };
    let (julia, tier) = (&receipt.julia, receipt.targets.tier.as_deref());
    let id = BuildId::of(&receipt.name, &julia.version, julia.triplet, tier).unwrap();
    assert_eq!(id, receipt.build_id);
    assert_eq!(Receipt::from_json(receipt.to_json()).unwrap(), receipt);
}
