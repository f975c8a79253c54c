//! Workloads: the scripts that are traced, checked and measured, with their arguments.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A script, the arguments that it is run with, as in `julia PATH ARGS…`, and the command that starts that
/// Julia, if any.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(with = "Form")]
pub struct Workload {
    /// The script, relative to the folder of `Sysimage.toml`, with `/` on every system.
    pub path: String,
    /// Its arguments (`ARGS` in Julia).
    pub args: Vec<String>,
    /// The command before `julia`, such as `srun -n1`; empty if Julia is started directly.
    pub prefix: Vec<String>,
}

/// How a workload is written: the path alone, or a table.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Form {
    /// The path alone.
    Path(String),
    /// With arguments.
    Table(Table),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Table {
    /// The script.
    path: String,
    /// Its arguments.
    #[serde(default)]
    args: Vec<String>,
    /// The command that starts Julia, with its arguments, such as `["srun", "-n1"]`. A command with `/` is
    /// relative to the project.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    prefix: Vec<String>,
}

impl Workload {
    /// Creates a workload for this script without arguments.
    pub fn new(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            args: Vec::new(),
            prefix: Vec::new(),
        }
    }

    /// Returns why the arguments or the prefix cannot be used, if so.
    pub(super) fn complaint(&self) -> Option<String> {
        let words = self.args.iter().chain(&self.prefix);
        let mut words = words.filter(|word| word.contains(char::is_control));
        if let Some(word) = words.next() {
            return Some(format!(
                "the argument {word:?} holds a control character, which it cannot"
            ));
        }
        let is_empty = self
            .prefix
            .first()
            .is_some_and(|word| word.trim().is_empty());
        is_empty.then(|| "`prefix` begins with an empty word: name a command".to_owned())
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.prefix
            .iter()
            .try_for_each(|word| write!(f, "{word} "))?;
        f.write_str(&self.path)?;
        self.args.iter().try_for_each(|arg| write!(f, " {arg}"))
    }
}

impl Serialize for Workload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = match self.args.is_empty() && self.prefix.is_empty() {
            true => Form::Path(self.path.clone()),
            false => Form::Table(Table {
                path: self.path.clone(),
                args: self.args.clone(),
                prefix: self.prefix.clone(),
            }),
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Workload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(One)
    }
}

/// Deserialises a list of workloads or a single one.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Workload>, D::Error> {
    deserializer.deserialize_any(Many)
}

// Not `#[serde(untagged)]`, whose errors neither name an unknown key nor contain its position.
struct One;

impl<'de> Visitor<'de> for One {
    type Value = Workload;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the path of a script, or a table with `path` and `args`")
    }

    fn visit_str<E>(self, path: &str) -> Result<Workload, E> {
        Ok(Workload::new(path))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Workload, A::Error> {
        let table = Table::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Workload {
            path: table.path,
            args: table.args,
            prefix: table.prefix,
        })
    }
}

struct Many;

impl<'de> Visitor<'de> for Many {
    type Value = Vec<Workload>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of scripts, each a path or a table with `path` and `args`")
    }

    fn visit_str<E>(self, path: &str) -> Result<Self::Value, E> {
        Ok(vec![Workload::new(path)])
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Ok(vec![One.visit_map(map)?])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut workloads = Vec::new();
        while let Some(workload) = list.next_element()? {
            workloads.push(workload);
        }
        Ok(workloads)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, FILE_NAME};

    fn workloads(text: &str) -> Vec<String> {
        let config = Config::from_toml(FILE_NAME, text).unwrap();
        config.workloads.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_workload_is_a_path_or_a_table_with_arguments() {
        let text = "workloads = [\"a.jl\", { path = \"b.jl\", args = [\"--year\", \"2020\"] }]\n";
        assert_eq!(workloads(text), ["a.jl", "b.jl --year 2020"]);
        assert_eq!(workloads("workloads = \"a.jl\"\n"), ["a.jl"]);
        let table = "[[workloads]]\npath = \"a.jl\"\n[[workloads]]\npath = \"b.jl\"\n";
        assert_eq!(workloads(table), ["a.jl", "b.jl"]);
    }

    #[test]
    fn a_workload_may_have_a_prefix() {
        let text =
            "workloads = [{ path = \"a.jl\", args = [\"x\"], prefix = [\"srun\", \"-n1\"] }]\n";
        assert_eq!(workloads(text), ["srun -n1 a.jl x"]);
        let config = Config::from_toml(FILE_NAME, text).unwrap();
        let json = serde_json::to_value(&config.workloads).unwrap();
        let expected = serde_json::json!([
            { "path": "a.jl", "args": ["x"], "prefix": ["srun", "-n1"] }
        ]);
        assert_eq!(json, expected);
        for (prefix, why) in [
            ("[\"\"]", "empty word"),
            ("[\"a\\tb\"]", "control character"),
        ] {
            let text = format!("workloads = [{{ path = \"a.jl\", prefix = {prefix} }}]\n");
            let error = Config::from_toml(FILE_NAME, &text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn it_is_written_as_it_was_read() {
        let text = "workloads = [\"a.jl\", { path = \"b.jl\", args = [\"x\"] }]\n";
        let config = Config::from_toml(FILE_NAME, text).unwrap();
        let json = serde_json::to_value(&config.workloads).unwrap();
        let expected = serde_json::json!(["a.jl", { "path": "b.jl", "args": ["x"] }]);
        assert_eq!(json, expected);
    }

    #[test]
    fn errors_in_a_workload_point_at_it() {
        let fails = |text| Config::from_toml(FILE_NAME, text).unwrap_err().to_string();
        let unknown = fails("workloads = [{ path = \"a.jl\", arg = [] }]\n");
        assert!(unknown.contains("did you mean `args`?"), "{unknown}");
        assert!(unknown.contains("Sysimage.toml:1:"), "{unknown}");
        let kind = fails("workloads = [1]\n");
        assert!(kind.contains("the path of a script, or a table"), "{kind}");
        let path = fails("workloads = [{ args = [\"x\"] }]\n");
        assert!(path.contains("the key `path` is missing"), "{path}");
        let control = fails("workloads = [{ path = \"a.jl\", args = [\"a\\tb\"] }]\n");
        assert!(control.contains("control character"), "{control}");
        let folder = fails("workloads = [{ path = 'a\\b.jl' }]\n");
        assert!(folder.contains("with `/`"), "{folder}");
    }
}
