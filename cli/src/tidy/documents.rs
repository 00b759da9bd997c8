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
    fn a_folders_own_document_may_name_its_neighbours() {
        let files = [
            ("components/README.md", "`local/`"),
            ("components/local/a.yaml", ""),
        ];
        check_rule(paths, &files, &[]);
    }
}
