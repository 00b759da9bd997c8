//! The Go modules in the built programs, and their licences.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::build::{self, Programs};
use crate::machine;

/// What Go modules may be under. Their programs are linked of them as they are: so that of the Mozilla Public License, which
/// asks for the sources of its own files alone, fits as well.
const ALLOWED: [&str; 6] = [
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MPL-2.0",
];
/// Modules that may come in without one of these, and why.
const EXCEPTIONS: [(&str, &str); 1] = [(
    "github.com/aavaz-ai/pii-scrubber",
    "it names no licence at all; Dapr's runtime links it for its conversations, which Docket does not use",
)];
/// How the text of a licence is known, its white space put aside.
const MARKS: [(&str, &str); 6] = [
    ("Apache-2.0", "Apache License Version 2.0"),
    ("BSD-3-Clause", "may be used to endorse or promote products"),
    (
        "BSD-2-Clause",
        "Redistribution and use in source and binary forms",
    ),
    ("ISC", "Permission to use, copy, modify, and"),
    ("MIT", "Permission is hereby granted, free of charge"),
    ("MPL-2.0", "Mozilla Public License"),
];

/// A Go module that is in a built program.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Module {
    /// Its path.
    pub path: String,
    /// Its version.
    pub version: String,
    /// The licences that its licence file has the text of, as SPDX names them.
    pub licences: BTreeSet<&'static str>,
}

impl Module {
    /// What is wrong with its licence, if something is.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        let is_excepted = EXCEPTIONS.iter().any(|(path, _)| *path == self.path);
        let what = match self.licences.first() {
            _ if is_excepted => return None,
            None => "it has no licence that is known".to_owned(),
            Some(_) => {
                let odd = self.licences.iter().find(|one| !ALLOWED.contains(one))?;
                format!("its licence is {odd}")
            }
        };
        Some(format!("{} {}: {what}", self.path, self.version))
    }
}

/// The modules that are linked into the programs, out of Go's cache.
///
/// # Errors
/// Go does not tell what is in them.
pub async fn linked(sidecars: &Path, programs: &Programs) -> anyhow::Result<BTreeSet<Module>> {
    let go = machine::find_on_path("go").context("Go is missing: see `cargo docket doctor`")?;
    let mut version = build::go::command(&go, sidecars);
    version.args(["version", "-m"]).args([
        &programs.broker,
        &programs.sentry,
        &programs.scheduler,
        &programs.daprd,
    ]);
    let inside = inside(&output(version).await?);
    ensure!(!inside.is_empty(), "Go tells of no modules in the programs");
    let mut list = build::go::command(&go, sidecars);
    const FORM: &str = "{{with .Replace}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{else}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}";
    list.args(["list", "-m", "-f", FORM, "all"]);
    let folders = folders(&output(list).await?);
    let module = |(path, version): (String, String)| {
        let folder = folders.get(&(path.clone(), version.clone()));
        Module {
            licences: folder.map(|folder| licences(folder)).unwrap_or_default(),
            path,
            version,
        }
    };
    Ok(inside.into_iter().map(module).collect())
}

async fn output(mut command: Command) -> anyhow::Result<String> {
    let output = command.output().await.context("cannot run go")?;
    ensure!(
        output.status.success(),
        "go: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Paths and versions out of what `go version -m` says. A module that was replaced is told as what took its place.
fn inside(said: &str) -> BTreeSet<(String, String)> {
    let mut modules = Vec::new();
    for line in said.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [kind @ ("dep" | "=>"), path, version, ..] = words.as_slice() {
            if *kind == "=>" {
                modules.pop();
            }
            modules.push(((*path).to_owned(), (*version).to_owned()));
        }
    }
    modules.into_iter().collect()
}

/// Where the modules are, by path and version.
fn folders(said: &str) -> BTreeMap<(String, String), PathBuf> {
    let lines = said.lines().map(|line| line.split('\t'));
    lines
        .filter_map(|mut words| {
            let (path, version, folder) = (words.next()?, words.next()?, words.next()?);
            let folder = (!folder.is_empty()).then(|| PathBuf::from(folder))?;
            Some(((path.to_owned(), version.to_owned()), folder))
        })
        .collect()
}

/// The licences of a folder: those whose texts its `LICENSE` has.
fn licences(folder: &Path) -> BTreeSet<&'static str> {
    const NAMES: [&str; 9] = [
        "LICENSE",
        "LICENSE.txt",
        "LICENSE.md",
        "License",
        "LICENCE",
        "COPYING",
        "license",
        "license.md",
        "LICENSE.MIT",
    ];
    let texts = NAMES.map(|name| std::fs::read(folder.join(name)));
    let text = texts.into_iter().find_map(Result::ok).unwrap_or_default();
    of_text(&String::from_utf8_lossy(&text))
}

fn of_text(text: &str) -> BTreeSet<&'static str> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let has = |mark: &str| text.contains(mark);
    let start: String = text.chars().take(100).collect();
    if start.contains("GENERAL PUBLIC LICENSE") {
        return BTreeSet::from(["GPL"]);
    }
    let mut found: BTreeSet<&str> = MARKS
        .iter()
        .filter(|(_, mark)| has(mark))
        .map(|(name, _)| *name)
        .collect();
    // The longer one has all of the shorter one.
    if found.contains("BSD-3-Clause") {
        found.remove("BSD-2-Clause");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_tells_what_is_in_a_program() {
        let said = "sidecars/bin/daprd: go1.26.8\n\tpath\tdocket/sidecars/cmd/daprd\n\tmod\tdocket/sidecars\t(devel)\t\n\
                    \tdep\tgithub.com/a/b\tv1.2.3\th1:x=\n\tdep\tgithub.com/c/d\tv0.1.0\n\t=>\tgithub.com/e/d\tv0.2.0\th1:y=\n\
                    \tbuild\t-compiler=gc\n";
        let modules = inside(said);
        let names: Vec<(&str, &str)> = modules
            .iter()
            .map(|(path, version)| (path.as_str(), version.as_str()))
            .collect();
        assert_eq!(
            names,
            [("github.com/a/b", "v1.2.3"), ("github.com/e/d", "v0.2.0")]
        );
    }

    #[test]
    fn go_tells_where_modules_are() {
        let folders = folders("docket/sidecars\t\t.\na\tv1\t/m/a@v1\nb\tv1\t\n");
        let a = ("a".to_owned(), "v1".to_owned());
        assert_eq!(folders.get(&a), Some(&PathBuf::from("/m/a@v1")));
        assert_eq!(folders.len(), 2);
    }

    #[test]
    fn licences_are_known_by_their_texts() {
        let bsd = "Redistribution  and use in source and binary forms, with …";
        for (text, expected) in [
            (
                "The MIT License\nPermission is hereby granted, free\nof charge, to any",
                &["MIT"][..],
            ),
            (
                "  Apache License\n   Version 2.0, January 2004",
                &["Apache-2.0"],
            ),
            (bsd, &["BSD-2-Clause"]),
            (
                &format!("{bsd} Neither … may be used to endorse or promote products"),
                &["BSD-3-Clause"],
            ),
            (
                "Mozilla Public License, version 2.0 … GNU General Public License",
                &["MPL-2.0"],
            ),
            (
                "GNU AFFERO GENERAL PUBLIC LICENSE Version 3 … Apache License Version 2.0",
                &["GPL"],
            ),
            ("Do as you like.", &[]),
            ("", &[]),
        ] {
            let found: Vec<&str> = of_text(text).into_iter().collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_module_without_a_good_licence_is_told() {
        for (path, licences, is_good) in [
            ("a", &["MIT"][..], true),
            ("a", &["Apache-2.0", "MIT"], true),
            ("a", &["MPL-2.0"], true),
            ("a", &["GPL"], false),
            ("a", &["GPL", "MIT"], false),
            ("a", &[], false),
            ("github.com/aavaz-ai/pii-scrubber", &[], true),
        ] {
            let module = Module {
                path: path.to_owned(),
                version: "v1".to_owned(),
                licences: licences.iter().copied().collect(),
            };
            assert_eq!(module.complaint().is_none(), is_good, "{module:?}");
        }
    }
}
