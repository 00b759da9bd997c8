//! The crates, as cargo tells of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::build::cargo;

/// A crate.
#[derive(Clone, Debug, Deserialize)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it comes from, as Cargo.lock says it; `None` for the project's own.
    pub source: Option<String>,
    /// Its licence, an SPDX expression; old crates have `/` for `OR`.
    pub license: Option<String>,
    id: String,
}

/// Crates, what each of them needs when it runs, and the hashes that Cargo.lock has of their archives.
#[derive(Clone, Debug, Default)]
pub struct Crates {
    /// By cargo's ids.
    all: BTreeMap<String, Crate>,
    needs: BTreeMap<String, BTreeSet<String>>,
    hashes: BTreeMap<(String, String), String>,
}

impl Crates {
    /// Those that are in what is built of these packages for these platforms.
    ///
    /// # Errors
    /// Cargo.lock does not fit the manifests, or cannot be read.
    pub async fn built(root: &Path, platforms: &[&str], roots: &[&str]) -> anyhow::Result<Self> {
        let mut command = cargo::native();
        command.args(["metadata", "--format-version", "1", "--locked"]);
        for platform in platforms {
            command.args(["--filter-platform", platform]);
        }
        let output = command.current_dir(root).output().await;
        let output = output.context("cannot run cargo")?;
        ensure!(
            output.status.success(),
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        let lock = root.join("Cargo.lock");
        let lock = std::fs::read_to_string(&lock)
            .with_context(|| format!("cannot read {}", lock.display()))?;
        Ok(Self::of(&output.stdout, &lock)?.reached_from(roots))
    }

    fn of(metadata: &[u8], lock: &str) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Metadata {
            packages: Vec<Crate>,
            resolve: Resolve,
        }
        #[derive(Deserialize)]
        struct Resolve {
            nodes: Vec<Node>,
        }
        #[derive(Deserialize)]
        struct Node {
            id: String,
            deps: Vec<Need>,
        }
        #[derive(Deserialize)]
        struct Need {
            pkg: String,
            dep_kinds: Vec<Kind>,
        }
        #[derive(Deserialize)]
        struct Kind {
            kind: Option<String>,
        }
        #[derive(Deserialize)]
        struct Lock {
            package: Vec<Locked>,
        }
        #[derive(Deserialize)]
        struct Locked {
            name: String,
            version: String,
            checksum: Option<String>,
        }
        let metadata: Metadata = serde_json::from_slice(metadata)?;
        let lock: Lock = toml::from_str(lock)?;
        let needs = |node: Node| {
            // What only builds or tests want has a kind.
            let at_run = |need: &Need| need.dep_kinds.iter().any(|kind| kind.kind.is_none());
            let needs = node.deps.into_iter().filter(at_run).map(|need| need.pkg);
            (node.id, needs.collect())
        };
        let packages = metadata.packages.into_iter();
        let locked = lock.package.into_iter();
        Ok(Self {
            all: packages.map(|one| (one.id.clone(), one)).collect(),
            needs: metadata.resolve.nodes.into_iter().map(needs).collect(),
            hashes: locked
                .filter_map(|one| Some(((one.name, one.version), one.checksum?)))
                .collect(),
        })
    }

    /// Only what these packages of the project need, and they.
    fn reached_from(mut self, roots: &[&str]) -> Self {
        let own = self.all.values().filter(|one| one.source.is_none());
        let mut open: Vec<String> = own
            .filter(|one| roots.contains(&one.name.as_str()))
            .map(|one| one.id.clone())
            .collect();
        let mut reached = BTreeSet::new();
        while let Some(id) = open.pop() {
            if reached.insert(id.clone()) {
                open.extend(self.needs.get(&id).into_iter().flatten().cloned());
            }
        }
        self.all.retain(|id, _| reached.contains(id));
        self
    }

    /// The crates, in an order that is always the same.
    pub fn iter(&self) -> impl Iterator<Item = &Crate> {
        self.all.values()
    }

    /// The SHA-256 of a crate's archive; the project's own have none.
    #[must_use]
    pub fn hash(&self, one: &Crate) -> Option<&str> {
        let key = (one.name.clone(), one.version.clone());
        self.hashes.get(&key).map(String::as_str)
    }

    /// What a crate needs when it runs.
    pub fn needs(&self, one: &Crate) -> impl Iterator<Item = &Crate> {
        let needs = self.needs.get(&one.id).into_iter().flatten();
        needs.filter_map(|id| self.all.get(id))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

    /// An own crate that needs one of a registry, with this licence and source, and another for its tests alone.
    pub(in super::super) fn crates(name: &str, license: Option<&str>, source: &str) -> Crates {
        let package = |name: &str, source: Option<&str>, license: Option<&str>| json!({ "name": name, "version": "1.2.3", "source": source, "license": license, "id": name });
        let need = |name: &str, kind: Option<&str>| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let metadata = json!({
            "packages": [
                package("own", None, None),
                package(name, Some(source), license),
                package("for-tests", Some(REGISTRY), Some("MIT")),
            ],
            "resolve": { "nodes": [
                { "id": "own", "deps": [need(name, None), need("for-tests", Some("dev"))] },
                { "id": name, "deps": [need(name, None)] },
                { "id": "for-tests", "deps": [] },
            ] },
        });
        let locked = |name: &str, more: &str| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"1.2.3\"\n{more}\n")
        };
        let hash = "checksum = \"ab12\"";
        let lock = [
            locked("own", ""),
            locked(name, hash),
            locked("for-tests", hash),
        ];
        Crates::of(metadata.to_string().as_bytes(), &lock.concat()).unwrap()
    }

    #[test]
    fn what_cargo_tells_is_read() {
        let crates = crates("a", Some("MIT"), REGISTRY);
        let own = crates.iter().find(|one| one.source.is_none()).unwrap();
        let needs: Vec<&str> = crates.needs(own).map(|one| one.name.as_str()).collect();
        assert_eq!((needs, crates.hash(own)), (vec!["a"], None));
        let other = crates.needs(own).next().unwrap();
        assert_eq!(crates.hash(other), Some("ab12"));
    }

    #[test]
    fn what_tests_need_is_not_built() {
        for (roots, expected) in [(&["own"][..], &["a", "own"][..]), (&[], &[])] {
            let built = crates("a", Some("MIT"), REGISTRY).reached_from(roots);
            let names: Vec<&str> = built.iter().map(|one| one.name.as_str()).collect();
            assert_eq!(names, expected);
        }
    }
}
