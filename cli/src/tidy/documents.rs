//! Documents name only what exists.

use super::{Finding, Tree, extension, file_name};

/// Every path in backticks is a file or folder of the project.
pub(super) fn paths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| extension(path) == "md") {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, word) in inline_code(text) {
            // A bare name in a part's own document may be of a file that is made when it runs.
            let bare = !folder.is_empty() && !word.contains('/');
            if !bare && looks_like_a_path(tree, word) && !exists(tree, folder, word) {
                let message = format!("`{word}` does not exist");
                findings.push(Finding::new(path, line, message));
            }
        }
    }
    findings
}

/// What SECURITY.md claims it says who shows: each row of its tables names a test, and each test that it names exists.
pub(super) fn claims(tree: &Tree) -> Vec<Finding> {
    const SECURITY: &str = "SECURITY.md";
    let mut findings = Vec::new();
    let Some(text) = tree.text(SECURITY) else {
        return findings;
    };
    let named: Vec<(usize, &str)> = inline_code(text)
        .into_iter()
        .filter(|(_, word)| names_a_test(word))
        .collect();
    for (line, test) in &named {
        if !is_a_test(tree, test) {
            findings.push(Finding::new(
                SECURITY,
                *line,
                format!("there is no test `{test}`"),
            ));
        }
    }
    let rows = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.starts_with("| "));
    for (index, row) in rows {
        let is_head = text
            .lines()
            .nth(index + 1)
            .is_some_and(|next| next.starts_with("|-"));
        let shown = named.iter().any(|(line, _)| *line == index + 1);
        // What a row says does not hold nobody has to show.
        if !is_head && !shown && !row.contains("not yet") {
            findings.push(Finding::new(
                SECURITY,
                index + 1,
                "name the test that shows this",
            ));
        }
    }
    findings
}

/// A test's name is a sentence: two underscores at least; or Go's.
fn names_a_test(word: &str) -> bool {
    let is_name = word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let in_go = word
        .strip_prefix("Test")
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
    let lower = word.chars().all(|c| !c.is_ascii_uppercase());
    is_name && (in_go || lower && word.matches('_').count() >= 2)
}

fn is_a_test(tree: &Tree, name: &str) -> bool {
    let (in_rust, in_go) = (format!("fn {name}("), format!("func {name}("));
    tree.texts().any(|(path, text)| match extension(path) {
        "rs" => text.contains(&in_rust),
        "go" => text.contains(&in_go),
        _ => false,
    })
}

/// What stands in single backticks outside of fenced blocks, with its line.
fn inline_code(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let words = line.split('`').skip(1).step_by(2);
            found.extend(words.map(|word| (index + 1, word)));
        }
    }
    found
}

fn looks_like_a_path(tree: &Tree, word: &str) -> bool {
    const ENDS: [&str; 11] = [
        "md", "rs", "go", "toml", "yaml", "yml", "sh", "wit", "ts", "tsx", "mjs",
    ];
    // Absolute paths are routes, and what is made on the fly is not in git.
    const MADE: [&str; 4] = ["target/", ".docket", "sidecars/bin", "node_modules"];
    let plain = word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    if !plain || word.starts_with('/') || MADE.iter().any(|made| word.starts_with(made)) {
        return false;
    }
    let first = word.split('/').next().unwrap_or("");
    let in_a_known_folder = word.contains('/') && !first.contains('.') && tree.has(first);
    in_a_known_folder || (word.ends_with('/') && word.len() > 1) || ENDS.contains(&extension(word))
}

fn exists(tree: &Tree, folder: &str, word: &str) -> bool {
    let word = word.strip_prefix("./").unwrap_or(word);
    tree.has(word)
        || tree.has(&format!("{folder}/{word}"))
        || !word.contains('/') && tree.paths().any(|path| file_name(path) == word)
}

#[cfg(test)]
mod tests {
    use super::super::check_rule;
    use super::*;

    #[test]
    fn documents_name_what_exists() {
        let project = |text: &'static str| {
            [
                ("README.md", text),
                ("crates/domain/src/lib.rs", "//! x"),
                ("spin.toml", "# x"),
            ]
        };
        for good in [
            "see `crates/domain/` and `crates/domain/src/lib.rs`",
            "`spin.toml`, `lib.rs`",
            "`application/problem+json`, `/api/tasks`, `GET /api/x`, `a/b`",
            "`components/<name>.yaml`, `target/wasm32/x.wasm`, `.docket/logs`",
            "```\n`crates/gone/`\n```",
        ] {
            check_rule(paths, &project(good), &[]);
        }
        for bad in [
            "`crates/gone/src`",
            "`gone/`",
            "`gone.rs`",
            "`docs/GONE.md`",
        ] {
            check_rule(paths, &project(bad), &["README.md:1"]);
        }
    }

    #[test]
    fn a_claim_names_a_test_that_exists() {
        let security = |row: &str| format!("# Security\n\n| who | what |\n|---|---|\n{row}\n");
        for (row, findings) in [
            ("| a | b (`nobody_gets_in`) |", &[][..]),
            ("| a | b (`TestNobodyGetsIn`, `nobody_gets_in`) |", &[]),
            ("| a | this is not yet so |", &[]),
            ("| a | b |", &["SECURITY.md:5"]),
            ("| a | b (`crates/x`) |", &["SECURITY.md:5"]),
            ("| a | b (`nobody_got_in`) |", &["SECURITY.md:5"]),
            (
                "| a | b (`nobody_gets_in`, `TestGone`) |",
                &["SECURITY.md:5"],
            ),
            ("Beside the table `somebody_got_in`.", &["SECURITY.md:5"]),
        ] {
            let text = security(row);
            let files = [
                ("SECURITY.md", text.as_str()),
                ("a.rs", "async fn nobody_gets_in() {}"),
                ("b_test.go", "func TestNobodyGetsIn(t *testing.T) {}"),
            ];
            check_rule(claims, &files, findings);
        }
        check_rule(claims, &[("README.md", "`nobody_got_in`")], &[]);
    }

    #[test]
    fn a_folders_own_document_may_name_its_neighbours() {
        let files = [
            ("components/README.md", "`local/`"),
            ("components/local/a.yaml", ""),
        ];
        check_rule(paths, &files, &[]);
    }
}
