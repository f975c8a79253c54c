//! A bill of materials per image, as CycloneDX 1.6: its packages in the versions of the manifest,
//! the Julia that it belongs to, and the tool that made it.

use serde_cyclonedx::cyclonedx::v_1_6 as cdx;
use serde_json::json;
use sysforge_plan::Receipt;
use sysforge_plan::receipt::JuliaOrigin;

use crate::error::PublishError;

/// Returns the name of an image's bill of materials.
pub fn name(receipt: &Receipt) -> String {
    format!("{}.cdx.json", receipt.build_id)
}

/// Returns the bill of materials of the image with this receipt.
///
/// # Errors
///
/// If the document would not be valid, which is a bug.
pub fn write(receipt: &Receipt) -> Result<String, PublishError> {
    let components: Vec<_> = std::iter::once(julia(receipt))
        .chain(receipt.packages.iter().map(package))
        .collect();
    let references: Vec<_> = components.iter().map(|c| c["bom-ref"].clone()).collect();
    let root = receipt.build_id.as_str();
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", serial(receipt)),
        "version": 1,
        "metadata": {
            "tools": {"components": [{
                "type": "application",
                "name": receipt.tool.name,
                "version": receipt.tool.version,
            }]},
            "component": {
                "type": "library",
                "bom-ref": root,
                "name": receipt.image.name,
                "version": receipt.project_version.clone().unwrap_or_else(|| "0".to_owned()),
                "hashes": [{"alg": "SHA-256", "content": receipt.image.sha256.to_string()}],
            },
        },
        "components": components,
        "dependencies": [{"ref": root, "dependsOn": references}],
    });
    // Use the types of the standard, which only serialize to valid documents.
    let invalid = |error: serde_json::Error| PublishError::Document {
        document: "the bill of materials",
        why: error.to_string(),
    };
    let typed: cdx::CycloneDx = serde_json::from_value(document).map_err(invalid)?;
    let mut text = serde_json::to_string_pretty(&typed).map_err(invalid)?;
    text.push('\n');
    Ok(text)
}

fn julia(receipt: &Receipt) -> serde_json::Value {
    let version = receipt.julia.version.to_string();
    let mut component = json!({
        "type": "platform",
        "bom-ref": format!("julia@{version}"),
        "name": "julia",
        "version": version,
        "purl": format!("pkg:generic/julia@{version}"),
        "cpe": format!("cpe:2.3:a:julialang:julia:{version}:*:*:*:*:*:*:*"),
    });
    if let JuliaOrigin::Catalogue { url, sha256, .. } | JuliaOrigin::Nightly { url, sha256 } =
        &receipt.julia_origin
    {
        component["externalReferences"] = json!([{
            "type": "distribution",
            "url": url,
            "hashes": [{"alg": "SHA-256", "content": sha256.to_string()}],
        }]);
    }
    component
}

fn package(package: &sysforge_plan::receipt::PackageRecord) -> serde_json::Value {
    let version = package.version.clone().unwrap_or_default();
    let at = if version.is_empty() {
        String::new()
    } else {
        format!("@{}", version.replace('+', "%2B"))
    };
    // The package-url of Julia packages (purl-spec, type `julia`) carries the UUID.
    let purl = format!("pkg:julia/{}{at}?uuid={}", package.name, package.uuid);
    let mut component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "purl": purl,
        "scope": "required",
    });
    if !version.is_empty() {
        component["version"] = version.into();
    }
    if let Some(tree) = &package.tree {
        component["hashes"] = json!([{"alg": "SHA-1", "content": tree}]);
    }
    component
}

/// Returns a UUID (version 8, RFC 9562) derived from the image's digest: the same image has the
/// same UUID.
fn serial(receipt: &Receipt) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&receipt.image.sha256.as_bytes()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex::encode(bytes);
    format!(
        "{}-{}-{}-{}-{}",
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..]
    )
}
