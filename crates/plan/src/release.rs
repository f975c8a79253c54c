//! The release index: one JSON document in a release, merged from the receipts of all builds.
//! `sysforge install` reads only this file before it decides what to download.
//!
//! It contains name, size and digest of every file. [`choose`] selects an image; [`asset_name`]
//! predicts how hosts rename files.

pub mod asset_name;
pub mod choose;
pub mod cpu;
pub mod sums;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::build_id::BuildId;
use crate::json;
use crate::receipt::{FileRecord, Receipt, Unaccounted};
use crate::text::{self, FileName, Rule as _, Tag};

/// The schema that this Sysforge writes. A reader refuses any other.
pub const SCHEMA: &str = "sysforge-release/1";

/// The file name of the index on every host.
pub const INDEX_NAME: &str = "sysforge-release.json";

/// The file name of the checksum list on every host.
pub const SUMS_NAME: &str = "SHA256SUMS";

/// The file name of the list of releases on a plain host, in the parent of the release folders.
pub const SITE_NAME: &str = "sysforge-site.json";

/// The schema of that list.
pub const SITE_SCHEMA: &str = "sysforge-site/1";

/// The names of the files next to the image in an installed image and an unpacked archive.
const BESIDE_IMAGES: [&str; 4] = [
    "receipt.json",
    "installed.json",
    "artifacts",
    "manifest.toml",
];

/// The maximum number of parts of an archive. A GitHub release has at most 1000 files.
const MAX_PARTS: usize = 1000;

/// The maximum size of an archive, in bytes. Unpacked archives have the same limit, and a larger
/// download could fill the disk before the limit is noticed.
const MAX_ARCHIVE_BYTES: u64 = 16 << 30;

/// All images of one release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Sysforge release index")]
pub struct ReleaseIndex {
    /// Always `sysforge-release/1`.
    pub schema: String,
    /// The tag of the release.
    pub tag: Tag,
    /// The images, by build identifier.
    pub images: Vec<ReleaseImage>,
}

/// One image of a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseImage {
    /// The archive that holds the image and its receipt.
    pub archive: FileRecord,
    /// The parts of the archive, in order, if the host does not accept a file of its size. Empty if
    /// the archive is one file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<FileRecord>,
    /// The bill of materials (CycloneDX), if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sbom: Option<FileRecord>,
    /// The image's receipt.
    pub receipt: Receipt,
}

/// The releases on a plain host, newest last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Sysforge site")]
pub struct Site {
    /// Always `sysforge-site/1`.
    pub schema: String,
    /// The tags, each the name of a folder; by default the last one is installed.
    #[serde(deserialize_with = "valid_tags")]
    pub tags: Vec<Tag>,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            schema: SITE_SCHEMA.to_owned(),
            tags: Vec::new(),
        }
    }
}

/// A list of releases cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum SiteError {
    #[error("not a list of Sysforge releases")]
    Malformed(#[source] json::JsonError),
    #[error("the list has the schema `{}`, and this Sysforge reads `{SITE_SCHEMA}`", crate::text::shortened(.0, 60))]
    Schema(String),
}

impl Site {
    /// Parses a list.
    ///
    /// # Errors
    ///
    /// If the text is not a list, or has another schema.
    pub fn from_json(text: impl AsRef<[u8]>) -> Result<Self, SiteError> {
        let text = text.as_ref();
        let schema = json::schema(text).map_err(SiteError::Malformed)?;
        match schema == SITE_SCHEMA {
            true => json::parse(text).map_err(SiteError::Malformed),
            false => Err(SiteError::Schema(schema)),
        }
    }
}

/// An index cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum IndexError {
    #[error("not a Sysforge release index")]
    Malformed(#[source] json::JsonError),
    #[error("the release index has the schema `{}`, and this Sysforge reads `{SCHEMA}`", crate::text::shortened(.0, 60))]
    Schema(String),
    #[error("the release index names an image `{0}`, which is the name of another file next to it")]
    Name(FileName),
    #[error("the release index names parts of `{archive}` that cannot make it: {why}")]
    Parts { archive: FileName, why: String },
    #[error(
        "the release index gives `{archive}` {size} bytes, and an archive has at most {MAX_ARCHIVE_BYTES}"
    )]
    TooLarge {
        archive: FileName,
        /// Its size in bytes.
        size: u64,
    },
    #[error("the release index contains {0} twice")]
    Twice(BuildId),
    #[error("the release index calls an image {found}, and its parts make {expected}")]
    Identifier { found: BuildId, expected: String },
    #[error("the counts of the statements of {image} in the release index do not add up")]
    Unaccounted {
        image: BuildId,
        #[source]
        source: Unaccounted,
    },
}

/// Deserialises a list of tags. Invalid tags are dropped, so that they do not make the others
/// unusable.
fn valid_tags<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Tag>, D::Error> {
    let tags = Vec::<String>::deserialize(from)?;
    Ok(tags
        .into_iter()
        .filter_map(|tag| Tag::new(tag).ok())
        .collect())
}

impl ReleaseImage {
    /// Returns the build identifier.
    pub fn build_id(&self) -> &BuildId {
        &self.receipt.build_id
    }

    /// Checks that the parts can make up the archive: every part costs a request, whatever its
    /// size.
    fn check_parts(&self) -> Result<(), IndexError> {
        let refuse = |why: String| {
            let archive = self.archive.name.clone();
            Err(IndexError::Parts { archive, why })
        };
        if self.parts.is_empty() {
            return Ok(());
        }
        if self.parts.len() > MAX_PARTS {
            return refuse(format!("there are more than {MAX_PARTS}"));
        }
        let mut names = BTreeSet::new();
        for part in &self.parts {
            if part.size == 0 {
                return refuse(format!("`{}` is empty", part.name));
            }
            if !names.insert(&part.name) {
                return refuse(format!("`{}` is listed twice", part.name));
            }
        }
        let sizes = self.parts.iter().map(|part| part.size);
        match sizes.fold(0, u64::saturating_add) {
            total if total == self.archive.size => Ok(()),
            total => refuse(format!(
                "they have {total} bytes, the archive {}",
                self.archive.size
            )),
        }
    }

    /// Returns the files to download for this image, in order: the archive or its parts.
    pub fn pieces(&self) -> &[FileRecord] {
        if self.parts.is_empty() {
            std::slice::from_ref(&self.archive)
        } else {
            &self.parts
        }
    }
}

impl ReleaseIndex {
    /// Creates the index of these images, sorted by build identifier, so that the same images
    /// always give the same bytes.
    pub fn new(tag: &Tag, mut images: Vec<ReleaseImage>) -> Self {
        images.sort_by(|a, b| a.build_id().cmp(b.build_id()));
        Self {
            schema: SCHEMA.to_owned(),
            tag: tag.clone(),
            images,
        }
    }

    /// Returns the index as indented JSON with a final newline.
    pub fn to_json(&self) -> String {
        text::json(self)
    }

    /// Parses an index. Unknown fields are ignored, so that later versions of Sysforge can add
    /// some.
    ///
    /// # Errors
    ///
    /// If the text is not an index, has another schema, or contradicts itself.
    pub fn from_json(text: impl AsRef<[u8]>) -> Result<Self, IndexError> {
        let text = text.as_ref();
        let schema = json::schema(text).map_err(IndexError::Malformed)?;
        if schema != SCHEMA {
            return Err(IndexError::Schema(schema));
        }
        let index: Self = json::parse(text).map_err(IndexError::Malformed)?;
        let mut ids = BTreeSet::new();
        for image in &index.images {
            if !ids.insert(image.build_id()) {
                return Err(IndexError::Twice(image.build_id().clone()));
            }
            let archive = &image.archive;
            if archive.size > MAX_ARCHIVE_BYTES {
                let (archive, size) = (archive.name.clone(), archive.size);
                return Err(IndexError::TooLarge { archive, size });
            }
            image.check_parts()?;
            let name = &image.receipt.image.name;
            if BESIDE_IMAGES
                .iter()
                .any(|taken| name.eq_ignore_ascii_case(taken))
            {
                return Err(IndexError::Name(name.clone()));
            }
            if let Some(expected) = image.receipt.other_build_id() {
                let found = image.build_id().clone();
                return Err(IndexError::Identifier { found, expected });
            }
            let unaccounted = |source| IndexError::Unaccounted {
                image: image.build_id().clone(),
                source,
            };
            image.receipt.statements.check().map_err(unaccounted)?;
        }
        Ok(index)
    }

    /// Returns the JSON Schema of indexes, for other tools that read them.
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }
}

/// Returns whether `tag` can name a release on every host.
pub fn is_good_tag(tag: &str) -> bool {
    Tag::check(tag).is_ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::digest::Sha256;
    use crate::julia::JuliaBuild;
    use crate::platform::Triplet;
    use crate::receipt::{
        CheckRecord, JuliaOrigin, LinkRecord, StatementCounts, Targets, ToolRecord,
    };
    use crate::version::JuliaVersion;

    /// Creates an image for the tests of this crate.
    pub(crate) fn image(
        triplet: &str,
        julia: &str,
        tier: Option<&str>,
        requested: &str,
    ) -> ReleaseImage {
        let triplet: Triplet = triplet.parse().unwrap();
        let version: JuliaVersion = julia.parse().unwrap();
        let build_id = BuildId::of("demo", &version, triplet, tier).unwrap();
        let file = |name: String| FileRecord {
            name: FileName::new(name).unwrap(),
            size: 3,
            sha256: Sha256::new([7; 32]),
        };
        ReleaseImage {
            archive: file(format!("{build_id}.tar.gz")),
            parts: Vec::new(),
            sbom: None,
            receipt: Receipt {
                schema: crate::receipt::SCHEMA.to_owned(),
                image: file(format!("{build_id}.so")),
                name: "demo".parse().unwrap(),
                project_version: None,
                julia: JuliaBuild {
                    version,
                    commit: String::new(),
                    triplet,
                },
                julia_origin: JuliaOrigin::Given,
                targets: Targets {
                    tier: tier.map(str::to_owned),
                    requested: requested.to_owned(),
                    held: None,
                },
                packages: Vec::new(),
                extensions: Vec::new(),
                preferences: Vec::new(),
                manifest: None,
                statements: StatementCounts::default(),
                check: CheckRecord::default(),
                link: LinkRecord::default(),
                timings: Vec::new(),
                bundle: None,
                objects: Vec::new(),
                tool: ToolRecord {
                    name: "sysforge".to_owned(),
                    version: "0.1.0".to_owned(),
                    recipe: 1,
                },
                julia_options: Vec::new(),
                inputs_digest: Sha256::new([1; 32]),
                build_id,
            },
        }
    }

    #[test]
    fn an_index_reads_back_and_is_in_order_whatever_the_order_of_the_runners() {
        let linux = image("x86_64-linux-gnu", "1.12.7", None, "generic");
        let mac = image("aarch64-apple-darwin", "1.12.7", None, "generic");
        let one = ReleaseIndex::new(&"v1".parse().unwrap(), vec![linux.clone(), mac.clone()]);
        let other = ReleaseIndex::new(&"v1".parse().unwrap(), vec![mac, linux]);
        assert_eq!(one.to_json(), other.to_json());
        assert_eq!(ReleaseIndex::from_json(one.to_json()).unwrap(), one);
    }

    #[test]
    fn an_index_of_another_schema_is_refused() {
        let error = ReleaseIndex::from_json(r#"{"schema":"sysforge-release/9"}"#).unwrap_err();
        assert!(error.to_string().contains("sysforge-release/9"), "{error}");
    }

    #[test]
    fn a_list_of_another_schema_and_one_that_is_cut_short_are_refused() {
        let read = |text: &str| Site::from_json(text).map(|site| site.tags.len());
        assert_eq!(
            read(r#"{"schema":"sysforge-site/1","tags":["v1"]}"#).unwrap(),
            1
        );
        let other = read(r#"{"schema":"sysforge-site/9"}"#).unwrap_err();
        assert!(other.to_string().contains("sysforge-site/9"), "{other}");
        for text in [
            r#"{"schema":"sysforge-site/1","tags":["v1""#,
            r#"{"schema":"sysforge-site/1"}"#,
        ] {
            assert!(matches!(read(text), Err(SiteError::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn an_index_that_names_a_path_is_refused() {
        let image = image("x86_64-linux-gnu", "1.12.7", None, "generic");
        let text = ReleaseIndex::new(&"v1".parse().unwrap(), vec![image]).to_json();
        let read = |from: &str, to: &str| {
            assert!(text.contains(from), "{text}");
            ReleaseIndex::from_json(text.replace(from, to))
        };
        let image = "demo-julia1.12.7-x86_64-linux-gnu.so";
        assert!(matches!(
            read(image, "../../.bashrc"),
            Err(IndexError::Malformed(_))
        ));
        for taken in ["installed.json", "Receipt.JSON", "Manifest.toml"] {
            assert!(matches!(read(image, taken), Err(IndexError::Name(_))));
        }
        // Valid, but the identifier of another image.
        let id = r#""build_id": "demo-julia1.12.7-x86_64-linux-gnu""#;
        let other = r#""build_id": "demo-julia1.12.7-x86_64-linux-musl""#;
        assert!(matches!(
            read(id, other),
            Err(IndexError::Identifier { .. })
        ));
    }

    #[test]
    fn an_index_whose_parts_do_not_make_the_archive_is_refused() {
        let with = |sizes: &[u64], name: &dyn Fn(usize) -> String| {
            let mut image = image("x86_64-linux-gnu", "1.12.7", None, "generic");
            let part = |(number, size): (usize, &u64)| FileRecord {
                name: FileName::new(name(number)).unwrap(),
                size: *size,
                sha256: Sha256::new([7; 32]),
            };
            image.parts = sizes.iter().enumerate().map(part).collect();
            let index = ReleaseIndex::new(&"v1".parse().unwrap(), vec![image]);
            ReleaseIndex::from_json(index.to_json()).map_err(|error| error.to_string())
        };
        let numbered = |number| format!("part{number}");
        assert!(with(&[1, 2], &numbered).is_ok());
        for (sizes, why) in [
            (&[0, 3][..], "`part0` is empty"),
            (&[1, 1], "they have 2 bytes, the archive 3"),
            (&[4], "they have 4 bytes"),
            (&[u64::MAX, u64::MAX], "the archive 3"),
            (&[1; 1001], "more than 1000"),
        ] {
            let error = with(sizes, &numbered).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        let error = with(&[1, 2], &|_| "part".to_owned()).unwrap_err();
        assert!(error.contains("listed twice"), "{error}");
    }

    #[test]
    fn an_index_with_an_archive_that_could_fill_the_disk_is_refused() {
        let with = |size| {
            let mut image = image("x86_64-linux-gnu", "1.12.7", None, "generic");
            image.archive.size = size;
            let index = ReleaseIndex::new(&"v1".parse().unwrap(), vec![image]);
            ReleaseIndex::from_json(index.to_json())
        };
        assert!(with(MAX_ARCHIVE_BYTES).is_ok());
        for size in [MAX_ARCHIVE_BYTES + 1, u64::MAX] {
            let error = with(size).unwrap_err();
            assert!(matches!(error, IndexError::TooLarge { .. }), "{error}");
        }
    }

    #[test]
    fn an_index_with_statements_that_do_not_add_up_is_refused() {
        let mut image = image("x86_64-linux-gnu", "1.12.7", None, "generic");
        image.receipt.statements.recorded = usize::MAX;
        let index = ReleaseIndex::new(&"v1".parse().unwrap(), vec![image]);
        let error = ReleaseIndex::from_json(index.to_json()).unwrap_err();
        assert!(matches!(error, IndexError::Unaccounted { .. }), "{error}");
    }

    #[test]
    fn an_index_with_two_images_of_one_identifier_is_refused() {
        let image = image("x86_64-linux-gnu", "1.12.7", None, "generic");
        let index = ReleaseIndex::new(&"v1".parse().unwrap(), vec![image.clone(), image]);
        let error = ReleaseIndex::from_json(index.to_json()).unwrap_err();
        assert!(matches!(error, IndexError::Twice(_)), "{error}");
    }

    #[test]
    fn tags_are_those_that_git_and_every_file_system_take() {
        for good in ["v1.0.0", "images/v1", "1.5.3+2"] {
            assert!(is_good_tag(good), "{good}");
        }
        for bad in [
            "", "a b", "../v1", "v1/..", "-v", "v1.", "a//b", "a\\b", "v1@{0}", "a/CON", "v1$(id)",
        ] {
            assert!(!is_good_tag(bad), "{bad}");
        }
    }
}
