//! `deny.toml`: licences, sources, and what is banned, in the form of cargo-deny, which reads the same file.

use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use super::{Crate, Crates};

/// What deny.toml says, in as much as it is looked at here; what else there is makes it unreadable, so that nobody takes a
/// rule for kept that is not.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    licenses: Licences,
    bans: Bans,
    sources: Sources,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Bans {
    /// Which versions there may be is cargo-deny's to say, and tidy's: ours are said once.
    #[serde(rename = "multiple-versions")]
    _multiple_versions: String,
    #[serde(rename = "wildcards")]
    _wildcards: String,
    #[serde(rename = "allow-wildcard-paths")]
    _allow_wildcard_paths: bool,
    deny: Vec<Banned>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Sources {
    unknown_registry: Deny,
    unknown_git: Deny,
    allow_registry: Vec<String>,
}

/// The only thing that may be said of what is unknown.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Deny {
    Deny,
}

impl Rules {
    /// Reads deny.toml.
    ///
    /// # Errors
    /// It has rules that are not known here.
    pub fn read(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// What breaks a rule, a line each. The project's own packages are its own affair.
    ///
    /// # Errors
    /// A licence in the rules is none of SPDX's.
    pub fn broken_by(&self, crates: &Crates) -> anyhow::Result<Vec<String>> {
        let allowed = self.licenses.allow.iter();
        let allowed = allowed.map(|text| Licensee::parse(text));
        let allowed: Vec<Licensee> = allowed.collect::<Result<_, _>>()?;
        let Sources {
            unknown_registry: Deny::Deny,
            unknown_git: Deny::Deny,
            allow_registry,
        } = &self.sources;
        let mut findings = Vec::new();
        for one in crates.iter() {
            let Some(source) = &one.source else { continue };
            let mut wrong =
                |what: String| findings.push(format!("{} {}: {what}", one.name, one.version));
            if let Err(why) = licence(one, &allowed) {
                wrong(why);
            }
            if let Some(banned) = self.bans.deny.iter().find(|banned| banned.name == one.name) {
                wrong(format!("it is banned: {}", banned.reason));
            }
            let registry = source.strip_prefix("registry+");
            if !registry.is_some_and(|registry| allow_registry.iter().any(|one| one == registry)) {
                wrong(format!("it comes from {source}"));
            }
            if crates.hash(one).is_none() {
                wrong("Cargo.lock has no hash of it".to_owned());
            }
        }
        Ok(findings)
    }
}

fn licence(one: &Crate, allowed: &[Licensee]) -> Result<(), String> {
    let text = one.license.as_deref().ok_or("it names no licence")?;
    // With `/` for OR, as crates once had it.
    let expression = Expression::parse_mode(text, ParseMode::LAX)
        .map_err(|error| format!("its licence cannot be read: {error}"))?;
    let fits = expression.evaluate(|wanted| allowed.iter().any(|one| one.satisfies(wanted)));
    fits.then_some(()).ok_or(format!("its licence is {text}"))
}

#[cfg(test)]
mod tests {
    use super::super::crates::tests::crates;
    use super::*;

    const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

    fn rules() -> Rules {
        Rules::read(include_str!("../../../deny.toml")).unwrap()
    }

    #[test]
    fn what_may_come_in_and_what_not() {
        for (name, licence, source, findings) in [
            ("a", Some("MIT"), REGISTRY, 0),
            ("a", Some("MIT/Apache-2.0"), REGISTRY, 0),
            ("a", Some("Apache-2.0 WITH LLVM-exception"), REGISTRY, 0),
            ("a", Some("MIT OR GPL-3.0-only"), REGISTRY, 0),
            (
                "a",
                Some("(MIT OR Apache-2.0) AND Unicode-3.0"),
                REGISTRY,
                0,
            ),
            ("a", Some("MIT AND GPL-3.0-only"), REGISTRY, 1),
            ("a", Some("GPL-3.0-only"), REGISTRY, 1),
            ("a", Some("AGPL-3.0-or-later"), REGISTRY, 1),
            ("a", Some("as you like"), REGISTRY, 1),
            ("a", None, REGISTRY, 1),
            ("openssl-sys", Some("MIT"), REGISTRY, 1),
            ("a", Some("MIT"), "git+https://github.com/a/a", 1),
            (
                "a",
                Some("MIT"),
                "registry+https://elsewhere.example/index",
                1,
            ),
            ("openssl-sys", None, "git+https://github.com/a/a", 3),
        ] {
            let found = rules().broken_by(&crates(name, licence, source)).unwrap();
            assert_eq!(
                found.len(),
                findings,
                "{name} {licence:?} {source}: {found:?}"
            );
        }
    }

    #[test]
    fn a_rule_that_is_not_known_is_no_rule() {
        let text = include_str!("../../../deny.toml");
        for (from, to) in [
            ("unknown-git = \"deny\"", "unknown-git = \"allow\""),
            ("[licenses]", "[licenses]\nconfidence = 1"),
        ] {
            assert!(text.contains(from));
            assert!(Rules::read(&text.replacen(from, to, 1)).is_err());
        }
    }
}
