//! Linker strategies, and the order in which they are tried.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::generation::Generation;
use crate::platform::Os;

/// How a linker is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The user's choice: `--cc` or `JULIA_CC`.
    Chosen,
    /// The lld that Julia ships (since 1.9), after a probe.
    JuliaLld,
    /// lld, through a compiler driver.
    DriverLld,
    /// mold, through a compiler driver.
    DriverMold,
    /// A compiler driver with its own linker.
    Driver,
    /// An installed lld, without a compiler driver.
    Lld,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Self; 6] = [
        Self::Chosen,
        Self::JuliaLld,
        Self::DriverLld,
        Self::DriverMold,
        Self::Driver,
        Self::Lld,
    ];

    /// Returns the strategies for this system and generation, in the order in which they are tried.
    ///
    /// Julia's own lld comes first. lld and mold come before GNU ld, which takes time quadratic in
    /// the number of sections of a Windows object (211 s against 0.46 s for one image with a
    /// section for each function). mold comes before lld: for an image of 158 MB it takes 0.23 s
    /// and 24 MB of memory, lld 14 takes 0.39 s and 411 MB (`ci/link-lab`).
    pub fn order(os: Os, generation: &Generation) -> Vec<Self> {
        let shipped = generation.ships_lld.then_some(Self::JuliaLld);
        let rest: &[Self] = match os {
            Os::Linux | Os::FreeBsd => {
                &[Self::DriverMold, Self::DriverLld, Self::Driver, Self::Lld]
            }
            // Apple's clang finds the SDK and signs; it needs no other linker.
            Os::MacOs => &[Self::Driver, Self::Lld],
            // mold does not support PE.
            Os::Windows => &[Self::DriverLld, Self::Lld, Self::Driver],
        };
        std::iter::once(Self::Chosen)
            .chain(shipped)
            .chain(rest.iter().copied())
            .collect()
    }

    /// Returns a short description, as printed by the documentation and `sysforge plan`.
    pub const fn title(self, os: Os) -> &'static str {
        match (self, os) {
            (Self::Chosen, _) => "`--cc` or `JULIA_CC`",
            (Self::JuliaLld, _) => "the lld that Julia ships",
            (Self::DriverLld, _) => "lld through a compiler driver",
            (Self::DriverMold, _) => "mold through a compiler driver",
            (Self::Driver, Os::MacOs) => "the Command Line Tools' clang",
            (Self::Driver, Os::Windows) => "an msvcrt gcc with its own linker",
            (Self::Driver, _) => "the compiler driver's own linker",
            (Self::Lld, Os::MacOs) => "ld64.lld",
            (Self::Lld, _) => "ld.lld",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Chosen => "chosen",
            Self::JuliaLld => "julia-lld",
            Self::DriverLld => "driver-lld",
            Self::DriverMold => "driver-mold",
            Self::Driver => "driver",
            Self::Lld => "lld",
        })
    }
}

/// The text is not the name of a strategy.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a linker strategy ({})", Strategy::ALL.map(|s| s.to_string()).join(", "))]
pub struct NotAStrategy {
    text: String,
}

impl std::str::FromStr for Strategy {
    type Err = NotAStrategy;

    fn from_str(text: &str) -> Result<Self, NotAStrategy> {
        let named = |strategy: &Self| strategy.to_string() == text;
        Self::ALL
            .into_iter()
            .find(named)
            .ok_or_else(|| NotAStrategy {
                text: text.to_owned(),
            })
    }
}
