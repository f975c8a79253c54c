//! The jobs: plan, build, publish, verify, release. Values of expressions are passed to scripts
//! only through `env`, so that names from outside cannot become code.

use sysforge_plan::config::Workflow;

use super::{Tool, quoted};
use crate::handmade;
use crate::pins;

/// The inputs of the jobs.
pub(super) struct Jobs<'a> {
    pub(super) options: &'a Workflow,
    pub(super) tool: &'a Tool,
    pub(super) project: &'a str,
}

/// The runner of jobs that do not build.
const SMALL: &str = "ubuntu-24.04";

/// Jobs with their own `if` run even after a failed job, unless the run was cancelled; this
/// condition states their requirement on the build job.
const BUILT: &str = "(needs.build.result == 'success' || needs.build.result == 'skipped')";

impl Jobs<'_> {
    pub(super) fn all(&self) -> String {
        let mut jobs = vec![self.plan(), self.build()];
        if self.options.publish {
            jobs.push(self.publish());
            if self.options.verify {
                jobs.push(self.verify());
            }
            jobs.push(self.release());
        }
        jobs.join("\n")
    }

    fn plan(&self) -> String {
        let permission = match self.options.publish {
            true => "write # drafts are visible only with write access",
            false => "read # checks out the project",
        };
        let mut text = job(
            "plan",
            "Plan",
            SMALL,
            "15",
            &format!("contents: {permission}"),
        );
        text.push_str(
            "    outputs:\n      \
             matrix: ${{ steps.plan.outputs.matrix }}\n      \
             legs: ${{ steps.plan.outputs.legs }}\n      \
             verify: ${{ steps.plan.outputs.verify }}\n      \
             tag: ${{ steps.plan.outputs.tag }}\n      \
             ref: ${{ steps.plan.outputs.ref }}\n",
        );
        text.push_str("    steps:\n");
        let typed = self.options.publish && self.options.manual;
        text.push_str(&checkout(
            typed.then_some("${{ inputs.tag || github.ref }}"),
        ));
        text.push_str(&self.get_tool());
        text.push_str(CHECK);
        if self.options.publish {
            text.push_str(TAG);
            if typed {
                text.push_str("          SYSFORGE_TAG: ${{ inputs.tag }}\n");
            }
            text.push_str("        run: sysforge workflow --tag\n");
        }
        if self.options.publish && !self.options.schedule.is_empty() {
            text.push_str(NEWEST);
            text.push_str(&format!(
                "        uses: {}\n{WITH_REF}",
                pins::CHECKOUT.uses()
            ));
        }
        text.push_str(if self.options.publish { PLAN_TAG } else { PLAN });
        text.push_str(&self.upload("Upload the plan", "sysimage-plan", "sysforge-plan.json", ""));
        text
    }

    fn build(&self) -> String {
        let mut text = String::from(
            "  build:\n    \
             name: Build ${{ matrix.name }}\n    \
             needs: plan\n    \
             if: needs.plan.outputs.legs != '0'\n    \
             strategy:\n      \
             fail-fast: false\n      \
             matrix: ${{ fromJSON(needs.plan.outputs.matrix) }}\n    \
             runs-on: ${{ matrix.runner }}\n    \
             timeout-minutes: ${{ matrix.timeout }}\n    \
             permissions:\n      \
             contents: read # checks out the project\n    \
             steps:\n",
        );
        text.push_str(&checkout(Some("${{ needs.plan.outputs.ref }}")));
        text.push_str(&self.get_tool());
        if self.options.cache {
            text.push_str(&format!(
                "      - name: Restore Julia, the toolchain and packages from the cache\n        \
                 if: github.ref_type != 'tag'\n        \
                 id: cache\n        \
                 uses: {}\n{CACHED}{NEAREST}",
                pins::RESTORE.uses()
            ));
        }
        text.push_str(&handmade::markers(6, "packages-before"));
        text.push_str(PACKAGES);
        text.push_str(SECRETS);
        text.push_str(&handmade::markers(10, "packages-env"));
        text.push_str(match self.options.cache {
            true => INSTANTIATE_AND_PRUNE,
            false => INSTANTIATE,
        });
        text.push_str(&handmade::markers(6, "build-before"));
        text.push_str(BUILD);
        if let Some(command) = self.options.sign.as_ref().filter(|_| self.options.publish) {
            // Pull requests and runs that publish nothing need no signatures, and get no keys.
            text.push_str(SIGN);
            text.push_str(&format!("          SIGN: {}\n", quoted(command)));
            text.push_str(KEYS);
            text.push_str(&handmade::markers(10, "sign-env"));
            text.push_str(SIGN_AND_PACK);
        }
        text.push_str(&handmade::markers(6, "build-after"));
        if self.options.cache {
            text.push_str(&format!(
                "      - name: Save Julia, the toolchain and packages to the cache\n        \
                 if: ${{{{ !cancelled() && github.ref_type != 'tag' && steps.cache.outputs.cache-hit != 'true' }}}}\n        \
                 uses: {}\n{CACHED}",
                pins::SAVE.uses()
            ));
        }
        let name = "sysimage-${{ matrix.name }}";
        text.push_str(&self.upload("Upload the images", name, "dist/", ""));
        let logs = quoted(&format!("{}.sysforge/**/*.log", below(self.project)));
        let name = "logs-${{ matrix.name }}";
        text.push_str(&self.upload("Upload the logs", name, &logs, "failure()"));
        text
    }

    fn publish(&self) -> String {
        let mut permissions =
            String::from("contents: write # creates the draft and uploads the files");
        if self.options.attest {
            permissions.push_str(
                "\n      id-token: write # signs the attestation\n      \
                 attestations: write # stores it",
            );
        }
        let mut text = job("publish", "Upload to a draft", SMALL, "120", &permissions);
        // A scheduled run that finds no new Julia release ends here.
        let news = match self.options.schedule.is_empty() {
            true => "",
            false => " && (needs.plan.outputs.legs != '0' || github.event_name != 'schedule')",
        };
        text.push_str(&format!(
            "    needs: [plan, build]\n    \
             if: ${{{{ !cancelled() && needs.plan.result == 'success' && needs.plan.outputs.tag != ''{news} }}}}\n    \
             cache-mode: none\n    \
             outputs:\n      \
             sums-digest: ${{{{ steps.publish.outputs.sums-digest }}}}\n    \
             steps:\n"
        ));
        text.push_str(&self.checkout_for_source());
        text.push_str(&self.get_tool());
        text.push_str(&format!(
            "      - name: Download the images\n        \
             uses: {}\n        \
             with:\n          \
             pattern: sysimage-*\n          \
             path: dist\n",
            pins::DOWNLOAD.uses()
        ));
        text.push_str(PUBLISH);
        if self.options.attest {
            text.push_str(&format!(
                "      - name: Attest the provenance of the images\n        \
                 uses: {}\n        \
                 with:\n          \
                 subject-checksums: SHA256SUMS\n",
                pins::ATTEST.uses()
            ));
        }
        text
    }

    fn verify(&self) -> String {
        let mut text = String::from(
            "  verify:\n    \
             name: Verify on ${{ matrix.triplet }}\n    \
             needs: [plan, build, publish]\n",
        );
        text.push_str(&format!(
            "    if: ${{{{ !cancelled() && needs.publish.result == 'success' && {BUILT} }}}}\n"
        ));
        text.push_str(
            "    strategy:\n      \
             fail-fast: false\n      \
             matrix: ${{ fromJSON(needs.plan.outputs.verify) }}\n    \
             runs-on: ${{ matrix.runner }}\n    \
             timeout-minutes: ${{ matrix.timeout }}\n    \
             permissions:\n      \
             contents: write # drafts are visible only with write access\n    \
             cache-mode: none\n    \
             steps:\n",
        );
        text.push_str(&checkout(Some("${{ needs.plan.outputs.ref }}")));
        text.push_str(&self.get_tool());
        text.push_str(&handmade::markers(6, "verify-before"));
        text.push_str(VERIFY);
        text
    }

    fn release(&self) -> String {
        let permission = "contents: write # makes the release public";
        let mut text = job(
            "release",
            "Make the release public",
            SMALL,
            "15",
            permission,
        );
        let (needs, verified) = match self.options.verify {
            true => (
                "[plan, build, publish, verify]",
                " && needs.verify.result == 'success'",
            ),
            false => ("[plan, build, publish]", ""),
        };
        text.push_str(&format!(
            "    needs: {needs}\n    \
             if: ${{{{ !cancelled() && needs.publish.result == 'success'{verified} && {BUILT} }}}}\n"
        ));
        if !self.options.environment.is_empty() {
            text.push_str(&format!(
                "    environment: {}\n",
                quoted(&self.options.environment)
            ));
        }
        text.push_str("    cache-mode: none\n    steps:\n");
        text.push_str(&self.checkout_for_source());
        text.push_str(&self.get_tool());
        text.push_str(RELEASE);
        text
    }

    fn get_tool(&self) -> String {
        match self.tool {
            Tool::Release { .. } => {
                let script: String = super::INSTALL
                    .lines()
                    .map(|line| format!("          {line}\n"))
                    .collect();
                format!("      - name: Get Sysforge\n        run: |\n{script}")
            }
            Tool::Source(_) => SOURCE.to_owned(),
        }
    }

    /// Jobs that do not need the project need a checkout only if Sysforge is compiled on the
    /// runner.
    fn checkout_for_source(&self) -> String {
        match self.tool {
            Tool::Release { .. } => String::new(),
            Tool::Source(_) => checkout(Some("${{ needs.plan.outputs.ref }}")),
        }
    }

    fn upload(&self, title: &str, name: &str, path: &str, condition: &str) -> String {
        let mut text = format!("      - name: {title}\n");
        if !condition.is_empty() {
            text.push_str(&format!("        if: {condition}\n"));
        }
        let missing = if condition.is_empty() {
            "error"
        } else {
            "ignore"
        };
        let days = self.options.retention_days;
        text.push_str(&format!(
            "        uses: {}\n        \
             with:\n          \
             name: {name}\n          \
             path: {path}\n          \
             if-no-files-found: {missing}\n          \
             compression-level: 0\n          \
             retention-days: {days}\n          \
             overwrite: true\n",
            pins::UPLOAD.uses()
        ));
        if !condition.is_empty() {
            text.push_str("          include-hidden-files: true\n");
        }
        text
    }
}

fn below(project: &str) -> String {
    match project {
        "" => String::new(),
        folder => format!("{}/", folder.trim_end_matches('/')),
    }
}

fn job(id: &str, name: &str, runner: &str, minutes: &str, permissions: &str) -> String {
    format!(
        "  {id}:\n    \
         name: {name}\n    \
         runs-on: {runner}\n    \
         timeout-minutes: {minutes}\n    \
         permissions:\n      \
         {permissions}\n"
    )
}

fn checkout(reference: Option<&str>) -> String {
    let mut text = format!(
        "      - name: Check out the project\n        uses: {}\n        with:\n",
        pins::CHECKOUT.uses()
    );
    if let Some(reference) = reference {
        text.push_str(&format!("          ref: {reference}\n"));
    }
    text.push_str("          persist-credentials: false\n");
    text
}

const SOURCE: &str = r#"      - name: Compile Sysforge
        run: |
          cargo install --locked --path "$SYSFORGE_SOURCE/crates/cli" --root "$RUNNER_TEMP/sysforge"
          echo "$RUNNER_TEMP/sysforge/bin" >>"$GITHUB_PATH"
"#;

const CHECK: &str = "      - name: Check that this file is up to date
        if: github.event_name == 'pull_request'
        run: sysforge workflow --check
";

const TAG: &str = "      - name: Determine the tag to release
        id: tag
        env:
          GITHUB_TOKEN: ${{ github.token }}
";

const NEWEST: &str = "      - name: Check out the newest release
        if: github.event_name == 'schedule' && steps.tag.outputs.tag != ''
";

const WITH_REF: &str = "        with:
          ref: ${{ steps.tag.outputs.tag }}
          persist-credentials: false
";

const PLAN: &str = "      - name: Plan
        id: plan
        run: sysforge plan --matrix --out sysforge-plan.json
";

const PLAN_TAG: &str = "      - name: Plan
        id: plan
        env:
          GITHUB_TOKEN: ${{ github.token }}
          SYSFORGE_TAG: ${{ steps.tag.outputs.tag }}
        run: sysforge plan --matrix --out sysforge-plan.json
";

/// Both folders belong to the workflow. The cached part of the depot is the same as for
/// `julia-actions/cache`: `servers` may contain a token, and `clones` and `config` may contain URLs
/// with a token.
const CACHED: &str = "        with:
          path: |
            .sysforge-store
            .sysforge-depot/artifacts
            .sysforge-depot/compiled
            .sysforge-depot/packages
            .sysforge-depot/registries
            .sysforge-depot/scratchspaces
          key: sysforge-${{ matrix.store }}-${{ matrix.packages }}
";

/// Even a cache for an earlier manifest avoids most of the download.
const NEAREST: &str = "          restore-keys: |
            sysforge-${{ matrix.store }}-
";

/// A separate step, so that only it receives the secrets of a private registry.
const PACKAGES: &str = r#"      - name: Install the packages
        env:
          BUILDS: ${{ matrix.builds }}
          SYSFORGE_JULIA: ${{ matrix.julia }}
"#;

const SECRETS: &str =
    "          # Secrets of private registries, which only this step needs, go here:\n";

const INSTANTIATE: &str = r#"        run: |
          read -r -a builds <<<"$BUILDS"
          sysforge instantiate "${builds[@]}"
"#;

/// Without pruning, packages that were removed from the manifest would stay in the cache forever.
const INSTANTIATE_AND_PRUNE: &str = r#"        run: |
          read -r -a builds <<<"$BUILDS"
          sysforge instantiate --prune "${builds[@]}"
"#;

const BUILD: &str = r#"      - name: Build, check and pack
        env:
          BUILDS: ${{ matrix.builds }}
          SYSFORGE_JULIA: ${{ matrix.julia }}
          SYSFORGE_RUNNER: ${{ matrix.runner }}
        run: |
          read -r -a builds <<<"$BUILDS"
          sysforge build --out dist "${builds[@]}"
"#;

/// A separate step, so that only it receives the keys.
const SIGN: &str = r#"      - name: Sign the apps and libraries
        if: needs.plan.outputs.tag != ''
        env:
          BUILDS: ${{ matrix.builds }}
          SYSFORGE_JULIA: ${{ matrix.julia }}
"#;

const KEYS: &str = "          # The keys, as variables SYSFORGE_CODESIGN_…, which only this step needs, go here:\n";

const SIGN_AND_PACK: &str = r#"        run: |
          read -r -a builds <<<"$BUILDS"
          sysforge pack --out dist --sign "$SIGN" "${builds[@]}"
"#;

const PUBLISH: &str = r#"      - name: Upload the images to a draft
        id: publish
        env:
          GITHUB_TOKEN: ${{ github.token }}
          TAG: ${{ needs.plan.outputs.tag }}
        run: >-
          sysforge publish --draft --complete --tag "$TAG" --dist dist
          --plan dist/sysimage-plan/sysforge-plan.json --sums SHA256SUMS
"#;

const VERIFY: &str = r#"      - name: Install from the draft and run the workload
        env:
          GITHUB_TOKEN: ${{ github.token }}
          TAG: ${{ needs.plan.outputs.tag }}
        run: sysforge verify --draft "$GITHUB_REPOSITORY@$TAG"
"#;

/// Another run for the same tag may have changed the draft since it was verified.
const RELEASE: &str = r#"      - name: Make the release public
        env:
          GITHUB_TOKEN: ${{ github.token }}
          TAG: ${{ needs.plan.outputs.tag }}
          SUMS: ${{ needs.publish.outputs.sums-digest }}
        run: sysforge publish --undraft --tag "$TAG" --sums-digest "$SUMS"
"#;
