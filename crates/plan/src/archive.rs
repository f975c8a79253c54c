//! The archive formats in which Julia releases and toolchains are published.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An archive format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ArchiveFormat {
    /// A tar file compressed with gzip. First in the order: on Windows, installing took 12 s from
    /// tar.gz and 42 s from zip (measured by setup-julia).
    #[serde(rename = "tar.gz")]
    TarGz,
    /// A tar file compressed with Zstandard.
    #[serde(rename = "tar.zst")]
    TarZst,
    /// A tar file compressed with xz.
    #[serde(rename = "tar.xz")]
    TarXz,
    /// A zip file.
    #[serde(rename = "zip")]
    Zip,
    /// A 7-Zip file.
    #[serde(rename = "7z")]
    SevenZ,
}

impl ArchiveFormat {
    /// The formats in which images are packed, the default first. Packing, searching, uploading and
    /// installing all use this list.
    pub const IMAGES: [Self; 3] = [Self::TarGz, Self::TarZst, Self::Zip];

    const ALL: [(Self, &'static str); 5] = [
        (Self::TarGz, "tar.gz"),
        (Self::TarZst, "tar.zst"),
        (Self::TarXz, "tar.xz"),
        (Self::Zip, "zip"),
        (Self::SevenZ, "7z"),
    ];

    /// Returns the format of the image archive with this name.
    pub fn of_image(name: &str) -> Option<Self> {
        Self::of_name(name).filter(|format| Self::IMAGES.contains(format))
    }

    /// Returns the extension, without the leading dot.
    pub fn extension(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(format, _)| *format == self)
            .map_or("tar.gz", |(_, extension)| extension)
    }

    /// Returns the format of an archive with this extension.
    pub fn of_extension(extension: &str) -> Option<Self> {
        match extension {
            "tgz" => Some(Self::TarGz),
            "txz" => Some(Self::TarXz),
            _ => Self::ALL
                .iter()
                .find(|(_, known)| *known == extension)
                .map(|(format, _)| *format),
        }
    }

    /// Returns the format of a file with this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, extension)| {
                name.strip_suffix(extension)
                    .is_some_and(|stem| stem.ends_with('.'))
            })
            .map(|(format, _)| *format)
            .or_else(|| Self::of_extension(name.rsplit('.').next()?))
    }
}

/// Deserialises the format in which the user wants images.
///
/// # Errors
///
/// If the text is not a format, or is one that Sysforge only reads.
pub(crate) fn for_images<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<ArchiveFormat>, D::Error> {
    let text = String::deserialize(from)?;
    let mut formats = ArchiveFormat::IMAGES.into_iter();
    formats
        .find(|format| format.extension() == text)
        .map(Some)
        .ok_or_else(|| {
            let known = ArchiveFormat::IMAGES.map(|format| format!("`{format}`"));
            // The same text as serde's own error for an enumeration.
            serde::de::Error::custom(format!(
                "unknown variant `{text}`, expected one of {}",
                known.join(", ")
            ))
        })
}

impl fmt::Display for ArchiveFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.extension())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_their_format() {
        for (name, format) in [
            (
                "julia-1.12.7-linux-x86_64.tar.gz",
                Some(ArchiveFormat::TarGz),
            ),
            ("llvm-mingw.tar.xz", Some(ArchiveFormat::TarXz)),
            ("a.tgz", Some(ArchiveFormat::TarGz)),
            ("winlibs.7z", Some(ArchiveFormat::SevenZ)),
            ("julia.dmg", None),
        ] {
            assert_eq!(ArchiveFormat::of_name(name), format, "{name}");
        }
        assert_eq!(ArchiveFormat::of_image("winlibs.7z"), None);
        for format in ArchiveFormat::IMAGES {
            assert_eq!(
                ArchiveFormat::of_image(&format!("a.{format}")),
                Some(format)
            );
        }
    }
}
