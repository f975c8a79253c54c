//! `[workflow]` in `Sysimage.toml`: the settings of the generated GitHub workflow. All have
//! defaults, and none changes the contents of an image.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Sha256;
use crate::text::{Rule as _, WebAddress, is_deceptive, shortened};

/// The `[workflow]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Workflow {
    /// Tags that are released, as globs in GitHub's syntax; none if the list is empty. Default:
    /// `["v*"]`.
    pub tags: Vec<String>,
    /// Whether pull requests are built and checked; they never publish anything.
    pub pull_request: bool,
    /// When to look for new Julia releases, in the syntax of cron (UTC); images for them are added to
    /// the newest release. Empty for never. Default: Mondays, 4:23.
    pub schedule: String,
    /// Whether the workflow can be started manually for an existing tag.
    pub manual: bool,
    /// Whether images are published. If not, they are only built and checked.
    pub publish: bool,
    /// Whether each system installs from the draft release and runs the workload before the release
    /// becomes public.
    pub verify: bool,
    /// Whether provenance is attested (public repositories, or GitHub Enterprise Cloud).
    pub attest: bool,
    /// Whether Julias, toolchains and packages are cached between runs that do not release anything.
    pub cache: bool,
    /// The GitHub environment in which a release becomes public; its protection rules apply. Empty
    /// for none.
    pub environment: String,
    /// The command that signs the programs and libraries of apps and C libraries before they are
    /// published, for instance `bash sign.sh`. Its keys are written between the marks `sign-env` of
    /// the workflow. Default: none.
    pub sign: Option<String>,
    /// How many days the runners' results are kept (1 to 90).
    pub retention_days: u8,
    /// The Sysforge that the runners use.
    pub tool: Tool,
}

impl Default for Workflow {
    fn default() -> Self {
        Self {
            tags: vec!["v*".to_owned()],
            pull_request: true,
            schedule: "23 4 * * 1".to_owned(),
            manual: true,
            publish: true,
            verify: true,
            attest: true,
            cache: true,
            environment: "release".to_owned(),
            sign: None,
            retention_days: 7,
            tool: Tool::default(),
        }
    }
}

/// The `[workflow.tool]` table: which Sysforge the runners use, by version and checksum.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Tool {
    /// The version. Default: that of the Sysforge which writes the workflow.
    pub version: Option<String>,
    /// SHA-256 of the release's `SHA256SUMS`, which has the checksum of every binary.
    /// `sysforge workflow --pin` writes it.
    #[schemars(with = "Option<String>")]
    pub sums: Option<Sha256>,
    /// The address of the folder with the release's files. Default: Sysforge's own releases.
    pub from: Option<String>,
    /// Instead of all of these: the folder of Sysforge's source in the repository, which each runner
    /// compiles.
    pub source: Option<String>,
}

impl Workflow {
    /// Returns what is wrong with a value, if anything: the key and the message.
    pub fn complaint(&self) -> Option<(&'static str, String)> {
        // Expressions that GitHub would evaluate when the workflow runs.
        let expression = |text: &str| text.contains("${{");
        // Characters that git does not allow in tag names (git-check-ref-format), except GitHub's
        // globs.
        let never = |c: char| c.is_control() || " ~^:\\".contains(c);
        if let Some(tag) = self
            .tags
            .iter()
            .find(|tag| tag.is_empty() || tag.contains(never) || expression(tag))
        {
            return Some((
                "tags",
                format!("`{}` is no glob of tags", tag.escape_debug()),
            ));
        }
        let fields = self.schedule.split_whitespace().count();
        let of_cron = |c: char| c.is_ascii_alphanumeric() || "*/,- ".contains(c);
        if !self.schedule.is_empty() && (fields != 5 || !self.schedule.chars().all(of_cron)) {
            let schedule = &self.schedule;
            return Some((
                "schedule",
                format!("`{schedule}` is no time in cron's five fields, such as `23 4 * * 1`"),
            ));
        }
        if !(1..=90).contains(&self.retention_days) {
            return Some((
                "retention-days",
                format!(
                    "GitHub keeps results for 1 to 90 days, not {}",
                    self.retention_days
                ),
            ));
        }
        let environment = &self.environment;
        if environment.len() > 255 || environment.contains(is_deceptive) || expression(environment)
        {
            return Some((
                "environment",
                format!(
                    "`{}` is no name of an environment",
                    shortened(environment, 60)
                ),
            ));
        }
        let sign = self.sign.as_deref().unwrap_or("x");
        if sign.trim().is_empty() || sign.contains(is_deceptive) || expression(sign) {
            return Some((
                "sign",
                format!(
                    "`{}` is not a command that signs: write a program and its arguments, such as \
                     `bash sign.sh`",
                    shortened(sign, 60)
                ),
            ));
        }
        self.tool.complaint()
    }
}

impl Tool {
    fn complaint(&self) -> Option<(&'static str, String)> {
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-+_".contains(c);
        let version = self.version.as_deref().unwrap_or("0");
        if version.is_empty() || !version.chars().all(plain) {
            return Some(("version", format!("`{version}` is no version of Sysforge")));
        }
        let from = self.from.as_deref().unwrap_or("https://");
        let web = from.starts_with("https://") || from.starts_with("http://");
        if !web || from.contains('$') || (self.from.is_some() && WebAddress::check(from).is_err()) {
            return Some((
                "from",
                format!(
                    "`{}` is no address of a release's files",
                    shortened(from, 60)
                ),
            ));
        }
        let source = self.source.as_deref().unwrap_or(".");
        let inside = !source.starts_with('/') && !source.split('/').any(|part| part == "..");
        if source.is_empty() || !inside || !source.chars().all(|c| plain(c) || c == '/') {
            return Some((
                "source",
                format!("`{source}` is no folder of this repository, written with `/`"),
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, FILE_NAME};

    fn fails(text: &str) -> String {
        Config::from_toml(FILE_NAME, text).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_table_is_all_defaults() {
        let config = Config::from_toml(FILE_NAME, "[workflow]\n").unwrap();
        assert_eq!(config.workflow, super::Workflow::default());
    }

    #[test]
    fn wrong_values_point_at_their_key() {
        insta::assert_snapshot!(fails("[workflow]\nschedule = \"weekly\"\n"), @r#"
        `weekly` is no time in cron's five fields, such as `23 4 * * 1`
          --> Sysimage.toml:2:1
          |
        2 | schedule = "weekly"
          | ^
        "#);
        for (text, said) in [
            ("tags = [\"\"]", "no glob of tags"),
            ("tags = [\"v 1\"]", "no glob of tags"),
            ("retention-days = 91", "1 to 90 days"),
            ("tool = { version = \"1 2\" }", "no version"),
            ("tool = { from = \"ftp://x\" }", "no address"),
            (
                "tool = { from = \"https://x/${{ secrets.A }}\" }",
                "no address",
            ),
            ("tool = { from = \"https://x/a\\nb\" }", "no address"),
            (
                "environment = \"${{ secrets.A }}\"",
                "no name of an environment",
            ),
            ("environment = \"a\\u001bb\"", "no name of an environment"),
            ("tags = [\"${{github.ref}}\"]", "no glob of tags"),
            (
                "tool = { source = \"../x\" }",
                "no folder of this repository",
            ),
            ("sign = \" \"", "is not a command that signs"),
            (
                "sign = \"sign ${{ secrets.A }}\"",
                "is not a command that signs",
            ),
            ("sign = \"sign\\nit\"", "is not a command that signs"),
            ("verfy = true", "did you mean `verify`?"),
        ] {
            let error = fails(&format!("[workflow]\n{text}\n"));
            assert!(error.contains(said), "{error}");
        }
    }
}
