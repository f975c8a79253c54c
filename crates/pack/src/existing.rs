//! Looks for existing results, so that a build whose inputs have not changed is not repeated.

use std::path::Path;

use sysforge_plan::archive::ArchiveFormat;
use sysforge_plan::{BuildId, Receipt, Sha256};

use crate::archive::Packed;
use crate::sums;

/// Returns the result of the build `id` in `dist`, if the archive and the receipt match
/// `SHA256SUMS` and were made from these inputs. Otherwise returns `None`. `unchanged` is the result of
/// packing, if its files have not been touched since: the archive then need not be hashed again.
pub fn existing(
    dist: &Path,
    id: &BuildId,
    format: ArchiveFormat,
    inputs: Sha256,
    unchanged: Option<&Packed>,
) -> Option<(Packed, Receipt)> {
    let name = format!("{id}.{}", format.extension());
    let receipt_name = format!("{id}.receipt.json");
    let (archive, receipt_file) = (dist.join(&name), dist.join(&receipt_name));
    let text = sysforge_files::read_text(&receipt_file).ok()?;
    let receipt = Receipt::from_json(&text).ok()?;
    if receipt.inputs_digest != inputs {
        return None;
    }
    let sums = sums::read(dist).ok()?;
    let (receipt_sha256, _) = crate::sha256_of(&receipt_file).ok()?;
    let (sha256, size) = match unchanged {
        Some(packed) if packed.archive == archive => (packed.sha256, packed.size),
        _ => crate::sha256_of(&archive).ok()?,
    };
    let whole =
        sums.get(&name) == Some(&sha256) && sums.get(&receipt_name) == Some(&receipt_sha256);
    whole.then_some((
        Packed {
            archive,
            size,
            sha256,
            receipt: receipt_file,
        },
        receipt,
    ))
}
