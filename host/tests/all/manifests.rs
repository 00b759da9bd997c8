//! Manifests as folders: `good/<name>` has `spin.toml` and what each path leads to in `expected.routes`,
//! `bad/<name>` has `spin.toml` and the host's words in `expected.err`.

use std::path::{Path, PathBuf};

use docket_host::manifest::Manifest;
use docket_host::pool::Limits;

fn cases(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/manifests")
        .join(kind);
    let mut cases: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() > 1, "the {kind} manifests are gone");
    cases
}

fn read(case: &Path, file: &str) -> String {
    let path = case.join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn good() {
    for case in cases("good") {
        let manifest = Manifest::load(&case.join("spin.toml"))
            .unwrap_or_else(|error| panic!("{}: {error}", case.display()));
        for line in read(&case, "expected.routes").lines() {
            let (path, expected) = line.split_once(" -> ").expect(line);
            let found = manifest.router.find(path);
            let found = found.map_or("-", |found| found.route.component());
            assert_eq!(found, expected, "{path} in {}", case.display());
        }
    }
}

#[test]
fn bad() {
    let mut wrong = Vec::new();
    for case in cases("bad") {
        let Err(error) = crate::support::load_file(&case.join("spin.toml"), &[], Limits::default())
        else {
            wrong.push(format!("{}: it is served", case.display()));
            continue;
        };
        let said = format!("{:#}", anyhow::Error::from(error));
        let said = said.replace(&format!("{}/", case.display()), "");
        let said = said
            .strip_prefix("the manifest spin.toml: ")
            .unwrap_or(&said);
        let expected = read(&case, "expected.err");
        if said != expected.trim_end() {
            wrong.push(format!(
                "{}:\n  said     {said}\n  expected {expected}",
                case.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_projects_own_manifest_is_good() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spin.toml");
    let manifest = Manifest::load(&path).unwrap();
    let found = manifest.router.find("/api/tasks/1/complete").unwrap();
    assert_eq!(found.route.component(), "tasks");
}
