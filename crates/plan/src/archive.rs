//! The archive formats that Julias and toolchains are published in.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ArchiveFormat {
    /// A tar file, compressed with gzip. Comes first: Windows installs measured 12 s with
    /// tar.gz against 42 s with zip (setup-julia).
    #[serde(rename = "tar.gz")]
    TarGz,
    /// A tar file, compressed with Zstandard.
    #[serde(rename = "tar.zst")]
    TarZst,
    /// A tar file, compressed with xz.
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
    /// Those that images are packed in, the default first. What packs, looks through, sends and
    /// installs images asks this list.
    pub const IMAGES: [Self; 3] = [Self::TarGz, Self::TarZst, Self::Zip];

    const ALL: [(Self, &'static str); 5] = [
        (Self::TarGz, "tar.gz"),
        (Self::TarZst, "tar.zst"),
        (Self::TarXz, "tar.xz"),
        (Self::Zip, "zip"),
        (Self::SevenZ, "7z"),
    ];

    /// The format of an image's archive with this name.
    #[must_use]
    pub fn of_image(name: &str) -> Option<Self> {
        Self::of_name(name).filter(|format| Self::IMAGES.contains(format))
    }

    /// The extension, without the leading dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(format, _)| *format == self)
            .map_or("tar.gz", |(_, extension)| extension)
    }

    /// The format of an archive with this extension.
    #[must_use]
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

    /// The format of a file with this name.
    #[must_use]
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

/// Reads the format that a user wants images in.
///
/// # Errors
///
/// If it is none, or one that Sysforge reads but does not pack images in.
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
            // As serde itself says it of an enumeration.
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
