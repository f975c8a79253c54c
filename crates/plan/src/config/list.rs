//! Lists that may be written as a single string.

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::julia_option::JuliaOption;

/// A string, or a list of strings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Loose", into = "Vec<String>")]
#[schemars(with = "Loose")]
pub struct OneOrMany(pub Vec<String>);

#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
pub(super) enum Loose {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// Deserialises a list that may be written as a single string.
pub(super) fn one_or_many<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    OneOrMany::deserialize(deserializer).map(|many| many.0)
}

/// Deserialises a number whose range is checked with the other values: one outside of `u32` becomes one
/// that is outside of every range.
pub(super) fn whole_number<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u32>, D::Error> {
    let number = i64::deserialize(deserializer)?;
    Ok(Some(number.max(0).try_into().unwrap_or(u32::MAX)))
}

pub(super) fn julia_options<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<JuliaOption>, D::Error> {
    let texts = one_or_many(deserializer)?.into_iter();
    let options = texts.map(JuliaOption::try_from);
    options.collect::<Result<_, _>>().map_err(D::Error::custom)
}

pub(super) fn some_julia_options<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<JuliaOption>>, D::Error> {
    julia_options(deserializer).map(Some)
}

pub(super) fn some_or_one<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    one_or_many(deserializer).map(Some)
}

/// Deserialises a list that has an entry, and that may be written as a single string.
pub(super) fn at_least_one<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<OneOrMany, D::Error> {
    let many = OneOrMany::deserialize(deserializer)?;
    match many.0.is_empty() {
        true => Err(D::Error::custom(
            "this list is empty: add an entry, or leave the key out",
        )),
        false => Ok(many),
    }
}

impl From<Loose> for OneOrMany {
    fn from(loose: Loose) -> Self {
        match loose {
            Loose::One(one) => Self(vec![one]),
            Loose::Many(many) => Self(many),
        }
    }
}

impl From<OneOrMany> for Vec<String> {
    fn from(many: OneOrMany) -> Self {
        many.0
    }
}
