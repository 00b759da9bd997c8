//! The project's own rules, which no linter knows: headers, one name per capability, manifests that
//! agree, documents that name what exists. One small function a rule, each finding one line.

mod documents;
mod engines;
mod files;
mod manifests;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

/// What breaks a rule.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Finding {
    /// The file, relative to the root.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// The files of a checkout: what git tracks, and what it would with `git add`.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, Vec<u8>>,
}

impl Tree {
    /// Reads a checkout.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let output = Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(root)
            .output()
            .context("cannot run git")?;
        ensure!(
            output.status.success(),
            "git does not list the files: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        let mut files = BTreeMap::new();
        for path in String::from_utf8(output.stdout)?.split_terminator('\0') {
            let file = root.join(path);
            // What was deleted and is not committed yet is still listed; links are not followed.
            if file.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
                let bytes = std::fs::read(&file)
                    .with_context(|| format!("cannot read {}", file.display()))?;
                files.insert(path.to_owned(), bytes);
            }
        }
        Ok(Self { files })
    }

    /// Every path.
    fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Every text file with its text.
    fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter_map(|(path, bytes)| Some((path.as_str(), std::str::from_utf8(bytes).ok()?)))
    }

    fn text(&self, path: &str) -> Option<&str> {
        std::str::from_utf8(self.files.get(path)?).ok()
    }

    fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// Whether there is such a file or folder.
    fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let folder = format!("{path}/");
        self.files.contains_key(path) || self.paths().any(|file| file.starts_with(&folder))
    }

    #[cfg(test)]
    fn of(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
            .collect();
        Self { files }
    }
}

/// A rule's name and what checks it.
type Rule = (&'static str, fn(&Tree) -> Vec<Finding>);

/// Every rule.
const RULES: [Rule; 19] = [
    ("headers", files::headers),
    ("component owners", files::owners),
    ("shell options", files::shell_options),
    ("nothing built", files::nothing_built),
    ("machine paths", files::machine_paths),
    ("reasons", files::reasons),
    ("unchecked code", files::unchecked_code),
    ("versions", manifests::versions),
    ("names", manifests::names),
    ("routes", manifests::routes),
    ("dependencies", manifests::dependencies),
    ("outbound hosts", manifests::outbound_hosts),
    ("grants", manifests::grants),
    ("scopes", manifests::scopes),
    ("configurations", manifests::configurations),
    ("documents", documents::paths),
    ("engines", engines::alike),
    ("secrets", engines::secrets),
    ("claims", documents::claims),
];

/// How many rules there are.
#[must_use]
pub fn rules() -> usize {
    RULES.len()
}

/// Checks every rule; the findings by path and line.
#[must_use]
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|(_, rule)| rule(tree)).collect();
    findings.sort();
    findings.dedup();
    findings
}

/// The first line of `text` (from 1) that contains `needle`; 1 if none does.
fn line_of(text: &str, needle: &str) -> usize {
    text.lines()
        .position(|line| line.contains(needle))
        .map_or(1, |index| index + 1)
}

fn extension(path: &str) -> &str {
    Path::new(path)
        .extension()
        .and_then(|end| end.to_str())
        .unwrap_or("")
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Checks a rule on a small tree: `expected` has a finding a line as `path:line`.
#[cfg(test)]
fn check_rule(rule: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)], expected: &[&str]) {
    let found: Vec<String> = rule(&Tree::of(files))
        .iter()
        .map(|finding| format!("{}:{}", finding.path, finding.line))
        .collect();
    assert_eq!(found, expected, "{files:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_is_tidy() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let findings: Vec<String> = check(&Tree::read(root).unwrap())
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    }

    #[test]
    fn findings_are_sorted_and_told_in_a_line() {
        let findings = check(&Tree::of(&[
            ("b.rs", "fn b() {}\n"),
            ("a.rs", "fn a() {}\n"),
        ]));
        let places: Vec<_> = findings.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(places, ["a.rs", "b.rs"]);
        let line = findings[0].to_string();
        assert!(line.starts_with("a.rs:1: "), "{line}");
    }
}
