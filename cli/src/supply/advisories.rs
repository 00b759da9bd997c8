//! Known holes in crates: the advisories of RustSec, out of a copy of their database.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use semver::{Version, VersionReq};
use serde::Deserialize;

use super::{Crate, Crates};

/// One advisory, as RustSec writes it: TOML in front of prose.
#[derive(Clone, Debug, Deserialize)]
pub struct Advisory {
    advisory: About,
    #[serde(default)]
    versions: Versions,
}

#[derive(Clone, Debug, Deserialize)]
struct About {
    id: String,
    package: String,
    withdrawn: Option<toml::Value>,
    /// What is no hole: `unmaintained`, `unsound` or `notice`.
    informational: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Versions {
    patched: Vec<VersionReq>,
    unaffected: Vec<VersionReq>,
}

/// The advisories that were not withdrawn, by the crate that they are about.
#[derive(Clone, Debug, Default)]
pub struct Advisories {
    all: BTreeMap<String, Vec<Advisory>>,
}

impl Advisories {
    /// Reads a copy of the database: a folder that has `crates/<name>/RUSTSEC-….md`.
    ///
    /// # Errors
    /// It cannot be read, or an advisory is not as it should be.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let mut texts = Vec::new();
        let crates = folder.join("crates");
        let list = |folder: &Path| {
            std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))
        };
        for name in list(&crates)? {
            for file in list(&name?.path())? {
                let file = file?.path();
                let text = std::fs::read_to_string(&file)
                    .with_context(|| format!("cannot read {}", file.display()))?;
                texts.push(text);
            }
        }
        ensure!(!texts.is_empty(), "{} has no advisories", crates.display());
        Self::of(texts.iter().map(String::as_str))
    }

    fn of<'a>(texts: impl Iterator<Item = &'a str>) -> anyhow::Result<Self> {
        let mut all: BTreeMap<String, Vec<Advisory>> = BTreeMap::new();
        for text in texts {
            let front = text.trim_start().strip_prefix("```toml");
            let front = front.and_then(|rest| rest.split_once("```"));
            let (front, _) = front.context("an advisory begins with TOML")?;
            let one: Advisory = toml::from_str(front)?;
            if one.advisory.withdrawn.is_none() {
                all.entry(one.advisory.package.clone())
                    .or_default()
                    .push(one);
            }
        }
        Ok(Self { all })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.all.values().map(Vec::len).sum()
    }

    /// What is known of the crates, a line each: holes first, then remarks, which are no reason to stop.
    ///
    /// # Errors
    /// A crate's version is none.
    pub fn look_up(&self, crates: &Crates) -> anyhow::Result<(Vec<String>, Vec<String>)> {
        let (mut holes, mut remarks) = (Vec::new(), Vec::new());
        for one in crates.iter().filter(|one| one.source.is_some()) {
            for advisory in self.all.get(&one.name).into_iter().flatten() {
                if advisory.affects(one)? {
                    let kind = advisory.advisory.informational.as_deref();
                    let line = format!(
                        "{} {}: {} {}",
                        one.name,
                        one.version,
                        advisory.advisory.id,
                        kind.unwrap_or("is a hole")
                    );
                    let list = if kind.is_some() {
                        &mut remarks
                    } else {
                        &mut holes
                    };
                    list.push(line);
                }
            }
        }
        Ok((holes, remarks))
    }
}

impl Advisory {
    fn affects(&self, one: &Crate) -> anyhow::Result<bool> {
        let version = Version::parse(&one.version)?;
        let Versions {
            patched,
            unaffected,
        } = &self.versions;
        let mut good = patched.iter().chain(unaffected);
        Ok(!good.any(|range| range.matches(&version)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::crates::tests::crates;
    use super::*;

    fn found(name: &str, about: &str, versions: &str) -> (usize, usize) {
        let text = format!(
            "```toml\n[advisory]\nid = \"RUSTSEC-2026-0001\"\npackage = \"{name}\"\ndate = \"2026-01-01\"\n{about}\n\
             [versions]\n{versions}\n```\n# A hole\n"
        );
        let advisories = Advisories::of(std::iter::once(text.as_str())).unwrap();
        let (holes, remarks) = advisories
            .look_up(&crates("a", Some("MIT"), "registry+x"))
            .unwrap();
        (holes.len(), remarks.len())
    }

    #[test]
    fn versions_that_have_a_hole_are_found() {
        // The crates have a 1.2.3.
        for (name, about, versions, expected) in [
            ("a", "", "patched = []", (1, 0)),
            ("a", "", "patched = [\">= 1.2.4\"]", (1, 0)),
            ("a", "", "patched = [\">= 1.2.3\"]", (0, 0)),
            ("a", "", "patched = [\"^0.9.1\", \">= 1.3\"]", (1, 0)),
            (
                "a",
                "",
                "patched = [\">= 2\"]\nunaffected = [\"< 1.3.0\"]",
                (0, 0),
            ),
            ("a", "withdrawn = \"2026-02-01\"", "patched = []", (0, 0)),
            (
                "a",
                "informational = \"unmaintained\"",
                "patched = []",
                (0, 1),
            ),
            ("b", "", "patched = []", (0, 0)),
            ("own", "", "patched = []", (0, 0)),
        ] {
            assert_eq!(
                found(name, about, versions),
                expected,
                "{name} {about} {versions}"
            );
        }
    }

    #[test]
    fn what_is_no_advisory_is_no_good_news() {
        for text in ["# prose", "```toml\n[advisory]\n```", ""] {
            assert!(Advisories::of(std::iter::once(text)).is_err(), "{text}");
        }
    }
}
