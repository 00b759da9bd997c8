//! PostgreSQL's programs for the tests: Debian's.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::build::debian;
use crate::machine;

/// Where Debian keeps a folder for each version.
const VERSIONS: &str = "/usr/lib/postgresql";
const PACKAGE: &str = "postgresql";

/// The folder with `initdb` and `postgres`; the package is installed if they are not there.
///
/// # Errors
/// They are not there, and the package cannot be installed.
pub async fn programs() -> anyhow::Result<PathBuf> {
    if let Some(folder) = find() {
        return Ok(folder);
    }
    let missing = || {
        format!(
            "the tests need a PostgreSQL server's programs (initdb, postgres) on PATH or below {VERSIONS}; \
             install them (`apt-get install {PACKAGE}`)"
        )
    };
    debian::install_packages(&[PACKAGE], false)
        .await
        .with_context(missing)?;
    find().with_context(missing)
}

/// The folder with `initdb` and `postgres`: the newest of Debian's, else one on PATH.
#[must_use]
pub fn find() -> Option<PathBuf> {
    find_in(Path::new(VERSIONS))
}

fn find_in(versions: &Path) -> Option<PathBuf> {
    let newest = std::fs::read_dir(versions)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let folder = entry.path().join("bin");
            is_whole(&folder).then_some((version, folder))
        })
        .max();
    newest.map(|(_, folder)| folder).or_else(|| {
        let folder = machine::find_on_path("initdb")?.parent()?.to_owned();
        is_whole(&folder).then_some(folder)
    })
}

fn is_whole(folder: &Path) -> bool {
    ["initdb", "postgres"]
        .iter()
        .all(|program| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_whole_one_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        for (version, programs) in [
            ("9", &["initdb", "postgres"][..]),
            ("15", &["initdb", "postgres"]),
            ("16", &["psql"]),
            ("other", &["initdb", "postgres"]),
        ] {
            let bin = folder.path().join(version).join("bin");
            std::fs::create_dir_all(&bin).unwrap();
            for program in programs {
                std::fs::write(bin.join(program), "").unwrap();
            }
        }
        let found = find_in(folder.path()).unwrap();
        assert_eq!(found, folder.path().join("15/bin"));
    }
}
