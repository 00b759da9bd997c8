//! Rules on single files.

use super::{Finding, Tree, extension, file_name};

/// Every source and configuration file says at its top what it is for.
pub(super) fn headers(tree: &Tree) -> Vec<Finding> {
    tree.texts()
        // What a test feeds to a program is as the program finds it elsewhere.
        .filter(|(path, _)| !is_test_data(path))
        .filter(|(path, text)| !has_header(path, text))
        .map(|(path, _)| {
            Finding::new(
                path,
                1,
                "open with a comment that says what this file is for",
            )
        })
        .collect()
}

fn is_test_data(path: &str) -> bool {
    !matches!(extension(path), "rs" | "go")
        && file_name(path) != "Cargo.toml"
        && path
            .split('/')
            .any(|folder| matches!(folder, "tests" | "testdata"))
}

fn has_header(path: &str, text: &str) -> bool {
    let first = text.lines().next().unwrap_or("");
    match extension(path) {
        "rs" => first.starts_with("//! "),
        // A build constraint is no header.
        "go" => first.starts_with("// ") || first.starts_with("/* "),
        "yaml" | "yml" => first.starts_with("# "),
        // A package's manifest may say it by its description.
        "toml" => first.starts_with("# ") || has_description(text),
        _ if is_shell(path, text) => text
            .lines()
            .skip_while(|line| line.starts_with("#!"))
            .find(|line| !line.trim().is_empty())
            .is_some_and(|line| line.starts_with("# ")),
        _ => true,
    }
}

fn has_description(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("description = "))
}

fn is_shell(path: &str, text: &str) -> bool {
    let first = text.lines().next().unwrap_or("");
    extension(path) == "sh"
        || first.starts_with("#!") && (first.ends_with("bash") || first.ends_with("/sh"))
}

/// A Dapr resource opens with its owner, then its purpose.
pub(super) fn owners(tree: &Tree) -> Vec<Finding> {
    tree.texts()
        .filter(|(path, _)| path.starts_with("components/"))
        .filter(|(path, _)| matches!(extension(path), "yaml" | "yml"))
        .filter(|(_, text)| !has_owner(text.lines().next().unwrap_or("")))
        .map(|(path, _)| Finding::new(path, 1, "open with `# Owner: <who>. <what it is for>`"))
        .collect()
}

fn has_owner(line: &str) -> bool {
    line.strip_prefix("# Owner: ")
        .and_then(|rest| rest.split_once(". "))
        .is_some_and(|(owner, purpose)| !owner.is_empty() && !purpose.trim().is_empty())
}

/// A shell script stops at the first failure.
pub(super) fn shell_options(tree: &Tree) -> Vec<Finding> {
    tree.texts()
        .filter(|(path, text)| is_shell(path, text))
        .filter_map(|(path, text)| {
            let (index, line) = text
                .lines()
                .enumerate()
                .find(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))?;
            (line.trim() != "set -euo pipefail")
                .then(|| Finding::new(path, index + 1, "begin a script with `set -euo pipefail`"))
        })
        .collect()
}

/// What tools make is not kept in git.
pub(super) fn nothing_built(tree: &Tree) -> Vec<Finding> {
    tree.paths()
        .filter(|path| is_built(path, tree.bytes(path).unwrap_or_default()))
        .map(|path| Finding::new(path, 1, "a built file: take it out of git and ignore it"))
        .collect()
}

fn is_built(path: &str, bytes: &[u8]) -> bool {
    const FOLDERS: [&str; 5] = ["target", "node_modules", "dist", ".docket", "bin"];
    const ENDS: [&str; 8] = ["wasm", "cwasm", "o", "a", "so", "rlib", "exe", "db"];
    const ELF: &[u8] = b"\x7fELF";
    const WASM: &[u8] = b"\0asm";
    let mut folders = path.split('/');
    // Rust keeps the sources of programs in src/bin.
    let in_built_folder = folders.next_back().is_some()
        && !path.contains("src/bin/")
        && folders.any(|folder| FOLDERS.contains(&folder));
    in_built_folder
        || ENDS.contains(&extension(path))
        || bytes.starts_with(ELF)
        || bytes.starts_with(WASM)
}

/// Nothing depends on where one person keeps the project.
pub(super) fn machine_paths(tree: &Tree) -> Vec<Finding> {
    // In two halves, so that this file does not break its own rule.
    const PATHS: [&str; 3] = [
        concat!("/wo", "rk/"),
        concat!("/tmp/", "target"),
        concat!("/ro", "ot/"),
    ];
    let mut findings = Vec::new();
    for (path, text) in tree.texts() {
        for (index, line) in text.lines().enumerate() {
            for machine_path in PATHS {
                if starts_a_path(line, machine_path) {
                    let message = format!("`{machine_path}…` is a path of one machine");
                    findings.push(Finding::new(path, index + 1, message));
                }
            }
        }
    }
    findings
}

/// Whether `line` has `path` as the beginning of an absolute path, not in the midst of another.
fn starts_a_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        line.get(..at)
            .and_then(|before| before.chars().next_back())
            .is_none_or(|before| !before.is_alphanumeric() && !"_-./}>)*$".contains(before))
    })
}

/// Who switches a lint off says why.
pub(super) fn reasons(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| extension(path) == "rs") {
        for (index, line) in text.lines().enumerate() {
            let start = line.trim_start();
            let is_exception = ["#[allow(", "#![allow(", "#[expect(", "#![expect("]
                .iter()
                .any(|attribute| start.starts_with(attribute));
            if !is_exception {
                continue;
            }
            let mut attribute = String::new();
            for line in text.lines().skip(index) {
                attribute.push_str(line);
                if line.trim_end().ends_with(")]") {
                    break;
                }
            }
            if !attribute.contains("reason = \"") {
                findings.push(Finding::new(
                    path,
                    index + 1,
                    "an exception from a lint needs a `reason = \"…\"`",
                ));
            }
        }
    }
    findings
}

/// Only the host has code that the compiler cannot check, and says of each piece why it is right. (Elsewhere bindings may
/// be generated that have some.)
pub(super) fn unchecked_code(tree: &Tree) -> Vec<Finding> {
    // Put together here, so that this file does not have the word itself.
    let word = ["un", "safe"].concat();
    let mut findings = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| extension(path) == "rs") {
        let mut reasoned = false;
        for (index, line) in text.lines().enumerate() {
            let start = line.trim_start();
            if start.starts_with("//") {
                reasoned |= start.contains("SAFETY:");
                continue;
            }
            let has = |wanted: &str| {
                line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .any(|token| token == wanted)
            };
            let (has_it, is_allowed) = (has(&word), has(&format!("{word}_code")));
            let generated = text.contains("wit_bindgen::generate!");
            if (has_it || is_allowed && !generated) && !path.starts_with("host/") {
                let message = format!("{word} code is the host's alone");
                findings.push(Finding::new(path, index + 1, message));
            } else if has_it && !reasoned {
                let message = format!("say why {word} code is right: `// SAFETY: …` above it");
                findings.push(Finding::new(path, index + 1, message));
            }
            reasoned = false;
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::check_rule;
    use super::*;

    #[test]
    fn files_say_what_they_are_for() {
        for (path, good, bad) in [
            ("a/lib.rs", "//! The library.\n", "use std;\n"),
            ("a/main.go", "// Package main is it.\n", "package main\n"),
            ("a.go", "// A test of it.\n", "//go:build linux\n"),
            ("a.yaml", "# What.\n", "a: 1\n"),
            ("a.yml", "# What.\n", "#!x\n"),
            ("a.toml", "# What.\n", "[a]\n"),
            (
                "a/Cargo.toml",
                "[package]\ndescription = \"x\"\n",
                "[package]\n",
            ),
            ("a.sh", "#!/bin/bash\n# What.\n", "#!/bin/bash\nset -e\n"),
            (
                "run",
                "#!/usr/bin/env bash\n# What.\n",
                "#!/usr/bin/env bash\n",
            ),
        ] {
            check_rule(headers, &[(path, good)], &[]);
            check_rule(headers, &[(path, bad)], &[&format!("{path}:1")]);
        }
        check_rule(headers, &[("notes.txt", "anything"), ("a.lock", "")], &[]);
        check_rule(headers, &[("host/tests/bad/spin.toml", "x = 1\n")], &[]);
        check_rule(
            headers,
            &[("tests/src/lib.rs", "x\n")],
            &["tests/src/lib.rs:1"],
        );
    }

    #[test]
    fn dapr_resources_have_an_owner_and_a_purpose() {
        let path = "components/local/state.yaml";
        check_rule(owners, &[(path, "# Owner: tasks. Keeps them.\n")], &[]);
        for bad in ["# Keeps tasks.\n", "# Owner: tasks\n", "# Owner: tasks. \n"] {
            check_rule(owners, &[(path, bad)], &["components/local/state.yaml:1"]);
        }
        check_rule(owners, &[("spinkube/values.yaml", "# Values.\n")], &[]);
    }

    #[test]
    fn scripts_stop_at_the_first_failure() {
        let good = "#!/bin/bash\n# What.\nset -euo pipefail\necho\n";
        check_rule(shell_options, &[("a.sh", good)], &[]);
        let bad = "#!/bin/bash\n# What.\n\nset -e\n";
        check_rule(shell_options, &[("a.sh", bad)], &["a.sh:4"]);
        check_rule(
            shell_options,
            &[("a.py", "#!/usr/bin/env python3\nx\n")],
            &[],
        );
    }

    #[test]
    fn built_files_stay_out() {
        for path in [
            "x/tasks.wasm",
            "sidecars/bin/daprd",
            "target/debug/x",
            "web/dist/index.html",
            "web/node_modules/a/b.js",
            "a/state.db",
        ] {
            check_rule(nothing_built, &[(path, "x")], &[&format!("{path}:1")]);
        }
        check_rule(nothing_built, &[("tool", "\x7fELF\u{2}")], &["tool:1"]);
        for path in ["cli/src/bin/tool.rs", "binary.rs", "docs/target.md"] {
            check_rule(nothing_built, &[(path, "x")], &[]);
        }
    }

    #[test]
    fn no_machines_paths() {
        let bad = format!("a\ncd {}main\n", concat!("/wo", "rk/"));
        check_rule(machine_paths, &[("a.md", &bad)], &["a.md:2"]);
        let bad = format!("\"{}-x\"", concat!("/tmp/", "target"));
        check_rule(machine_paths, &[("a.md", &bad)], &["a.md:1"]);
        let good = "/api/work/x, functions/work/src, https://example.com/work/x, /tmp/x";
        check_rule(machine_paths, &[("a.md", good)], &[]);
    }

    #[test]
    fn only_the_host_is_trusted_beyond_the_compiler() {
        let word = ["un", "safe"].concat();
        let code = format!("{word} {{ read(p) }}\n");
        let reasoned = format!("// SAFETY: p is aligned.\n{code}");
        check_rule(unchecked_code, &[("host/src/a.rs", &reasoned)], &[]);
        check_rule(
            unchecked_code,
            &[("host/src/a.rs", &code)],
            &["host/src/a.rs:1"],
        );
        let stale = format!("// SAFETY: p is aligned.\nlet x = 1;\n{code}");
        check_rule(
            unchecked_code,
            &[("host/src/a.rs", &stale)],
            &["host/src/a.rs:3"],
        );
        check_rule(
            unchecked_code,
            &[("cli/src/a.rs", &reasoned)],
            &["cli/src/a.rs:2"],
        );
        let allowed = format!("#![allow({word}_code, reason = \"x\")]\n");
        check_rule(unchecked_code, &[("host/src/a.rs", &allowed)], &[]);
        check_rule(
            unchecked_code,
            &[("crates/a/src/a.rs", &allowed)],
            &["crates/a/src/a.rs:1"],
        );
        let prose = format!("// {word} is a word\nlet not_{word} = 1;\n");
        check_rule(unchecked_code, &[("cli/src/a.rs", &prose)], &[]);
    }

    #[test]
    fn exceptions_from_lints_have_reasons() {
        // Put together here, so that the lines of this file do not begin like attributes.
        let attribute =
            |name: &str, inner: &str| format!("//! x\n  #[{name}({inner})]\nfn x() {{}}\n");
        let good = attribute("allow", "dead_code, reason = \"used by macros\"");
        check_rule(reasons, &[("a.rs", &good)], &[]);
        let long = attribute("expect", "\n dead_code,\n reason = \"long\"\n");
        check_rule(reasons, &[("a.rs", &long)], &[]);
        for name in ["allow", "expect"] {
            check_rule(
                reasons,
                &[("a.rs", &attribute(name, "dead_code"))],
                &["a.rs:2"],
            );
        }
    }
}
