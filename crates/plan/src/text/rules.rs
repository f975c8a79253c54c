//! The rules for each kind of text, and the types of text that satisfy one.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{InvalidText, Rule, is_deceptive, is_windows_device, validated};

/// The maximum length of a file name, in bytes, on any supported file system.
const LONGEST_NAME: usize = 255;

/// The reason why a text is refused.
type Checked = Result<(), &'static str>;

fn refuse_if(is_wrong: bool, why: &'static str) -> Checked {
    if is_wrong { Err(why) } else { Ok(()) }
}

/// Checks that the name of a file or folder means the same on every system.
fn portable(name: &str) -> Checked {
    refuse_if(name.is_empty(), "it is empty")?;
    refuse_if(name.len() > LONGEST_NAME, "it is longer than 255 bytes")?;
    refuse_if(name.starts_with('.'), "it begins with a dot")?;
    refuse_if(
        name.ends_with(['.', ' ']),
        "Windows does not keep the dot or space at its end",
    )?;
    refuse_if(name.contains(['/', '\\']), "it contains a path separator")?;
    visible(name)?;
    refuse_if(
        name.contains(['<', '>', ':', '"', '|', '?', '*']),
        "it contains one of `<>:\"|?*`, which Windows has in no file name",
    )?;
    refuse_if(
        is_windows_device(name),
        "it is the name of a device on Windows",
    )
}

fn visible(text: &str) -> Checked {
    refuse_if(
        text.contains(is_deceptive),
        "it contains a control character or an invisible one",
    )
}

/// Returns whether a text contains only ASCII letters and digits and characters of `more`.
fn only(text: &str, more: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

fn begins_with_letter_or_digit(text: &str) -> Checked {
    refuse_if(
        !text.starts_with(|c: char| c.is_ascii_alphanumeric()),
        "it does not begin with a letter or digit",
    )
}

fn no_option(text: &str) -> Checked {
    refuse_if(text.starts_with('-'), "it begins like an option")
}

fn length(text: &str, least: usize, most: usize) -> Checked {
    refuse_if(text.len() < least, "it is too short")?;
    refuse_if(text.len() > most, "it is too long")
}

fn no_shell(text: &str) -> Checked {
    refuse_if(
        text.contains(['\'', '"', '`', '$']),
        "it contains a quote, a backtick or a dollar sign",
    )
}

validated! {
    /// A file name without folders that means the same on every system. In quotes, a shell takes it
    /// literally.
    FileName,
    "a portable file name",
    |text| {
        portable(text)?;
        no_shell(text)?;
        no_option(text)
    }
}

validated! {
    /// The name of an image, which becomes part of file names, identifiers and release assets.
    ImageName,
    "the name of an image",
    |text| {
        length(text, 1, 64)?;
        let allowed = only(text, "._-");
        refuse_if(!allowed, "only letters, digits, `.`, `_` and `-` may be in it")?;
        begins_with_letter_or_digit(text)?;
        portable(text)
    }
}

validated! {
    /// A CPU tier: the part of a build identifier that distinguishes the images of one platform.
    CpuTier,
    "the name of a CPU tier",
    |text| {
        length(text, 1, 64)?;
        let allowed = only(text, "._+,-");
        refuse_if(!allowed, "only letters, digits and `.`, `_`, `+`, `,`, `-` may be in it")?;
        begins_with_letter_or_digit(text)?;
        portable(text)
    }
}

validated! {
    /// The tag of a release, valid as a git tag and, part by part, as a folder name on every
    /// system.
    Tag,
    "the tag of a release",
    |text| {
        length(text, 1, 200)?;
        let is_reference = text.starts_with("refs/");
        refuse_if(is_reference, "it begins with `refs/`, which is a reference and no tag of a release")?;
        text.split('/').try_for_each(portable)?;
        no_shell(text)?;
        let excluded = text.contains(|c: char| c.is_whitespace() || "~^[".contains(c));
        refuse_if(excluded, "it contains a space or one of `~^[`, which git has in no tag")?;
        let excluded = text.contains("..") || text.contains("@{");
        refuse_if(excluded, "it contains `..` or `@{`, which git has in no tag")?;
        no_option(text)
    }
}

impl Tag {
    /// Returns the tag name in user input: `refs/tags/v1`, the form of `${{ github.ref }}`, is the
    /// tag `v1`.
    pub fn name_in(typed: &str) -> &str {
        typed.strip_prefix("refs/tags/").unwrap_or(typed)
    }
}

validated! {
    /// A git tree hash, which is the name of an artifact's folder.
    TreeHash,
    "a git tree hash",
    |text| {
        let is_hash = text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
        refuse_if(!is_hash, "it does not have 40 hexadecimal digits")
    }
}

validated! {
    /// A repository of a host, as `OWNER/NAME`.
    Repository,
    "a repository (OWNER/NAME)",
    |text| {
        length(text, 3, 200)?;
        let (owner, name) = text.split_once('/').ok_or("it has no `/`")?;
        for part in [owner, name] {
            let allowed = only(part, "._-") && !part.is_empty();
            refuse_if(!allowed, "only letters, digits, `.`, `_` and `-` may be in it")?;
            refuse_if(matches!(part, "." | ".."), "it leads to another folder")?;
        }
        Ok(())
    }
}

/// Defines a rule for text that is only compared or shown.
macro_rules! rule {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}

        impl Rule for $name {
            const WHAT: &'static str = $what;

            fn check(text: &str) -> Checked {
                let check: fn(&str) -> Checked = $check;
                check(text)
            }
        }
    };
}

rule! {
    /// The name of a file in an archive, without folders: like [`FileName`], but quotes and dollar
    /// signs are allowed.
    PlainName,
    "a portable file name",
    portable
}

rule! {
    /// The name of an executable or of a shared library, without folders. Programs and shells need no
    /// quotes for it.
    ProgramName,
    "the name of a program",
    |text| {
        portable(text)?;
        length(text, 1, 64)?;
        let allowed = only(text, "._+-");
        refuse_if(!allowed, "only letters and digits of ASCII, `.`, `_`, `+` and `-` may be in it")?;
        begins_with_letter_or_digit(text)
    }
}

rule! {
    /// The path of a file in an archive, relative to its root, with `/` between the parts.
    RelativePath,
    "a path in an archive",
    |text| {
        length(text, 1, 4096)?;
        let of_windows = text.contains(['\\', ':']);
        refuse_if(of_windows, "it contains a backslash or a colon, which are part of a path on Windows")?;
        let leads_away = text.split('/').any(|part| matches!(part, "" | "." | ".."));
        refuse_if(leads_away, "it is absolute, leads to another folder, or has an empty part")?;
        visible(text)
    }
}

rule! {
    /// One line of text for display.
    Line,
    "a line of text",
    |text| {
        length(text, 0, 1000)?;
        visible(text)
    }
}

rule! {
    /// The name of a Julia package, which is an identifier.
    PackageName,
    "the name of a package",
    |text| {
        length(text, 1, 128)?;
        visible(text)?;
        let begins = text.starts_with(|c: char| c.is_alphabetic() || c == '_');
        refuse_if(!begins, "it does not begin with a letter")?;
        let allowed = text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '!');
        refuse_if(!allowed, "only letters, digits, `_` and `!` may be in it")
    }
}

rule! {
    /// A channel of juliaup.
    ChannelName,
    "the name of a channel",
    |text| {
        length(text, 1, 128)?;
        no_option(text)?;
        let allowed = only(text, "._+-/~@");
        refuse_if(!allowed, "only letters, digits and `.`, `_`, `+`, `-`, `/`, `~`, `@` may be in it")
    }
}

rule! {
    /// A UUID.
    Uuid,
    "a UUID",
    |text| {
        let hyphens = [8, 13, 18, 23];
        let digit = |(at, byte): (usize, u8)| match hyphens.contains(&at) {
            true => byte == b'-',
            false => byte.is_ascii_hexdigit(),
        };
        let is_uuid = text.len() == 36 && text.bytes().enumerate().all(digit);
        refuse_if(!is_uuid, "it is not of the form 8dfed614-e22c-5e08-85e1-65c5234f0b40")
    }
}

rule! {
    /// The version of a package or a program.
    PlainVersion,
    "a version",
    |text| {
        length(text, 1, 64)?;
        let allowed = only(text, ".+-_");
        refuse_if(!allowed, "only letters, digits, `.`, `+`, `-` and `_` may be in it")
    }
}

rule! {
    /// A git commit; empty if unknown.
    Commit,
    "a commit",
    |text| {
        let is_hash = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        refuse_if(!is_hash, "it does not have at most 64 hexadecimal digits")
    }
}

rule! {
    /// A `--cpu-target` string.
    CpuTargets,
    "a CPU target of Julia",
    |text| {
        length(text, 0, 2000)?;
        let allowed = only(text, "._+,;()= -");
        refuse_if(
            !allowed,
            "only letters, digits and `.`, `_`, `+`, `-`, `,`, `;`, `=`, `(`, `)` may be in it",
        )
    }
}

rule! {
    /// The address of a file.
    WebAddress,
    "an address",
    |text| {
        length(text, 1, 4000)?;
        let is_excluded =
            |c: char| is_deceptive(c) || c.is_whitespace() || "<>\"'`{}|\\^".contains(c);
        refuse_if(text.contains(is_excluded), "it contains a character that no address may contain")?;
        let url = text.parse::<url::Url>().map_err(|_| "it cannot be read as one")?;
        let known = matches!(url.scheme(), "http" | "https" | "file");
        refuse_if(!known, "it begins with none of `https://`, `http://`, `file://`")
    }
}
