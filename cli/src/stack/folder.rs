//! The data folder: made on the first start, checked on every one.

use std::fs::{DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::registry::replace_file;
use crate::layout::DataDir;

/// The layout of the folder that this program reads and writes.
const VERSION: &str = "1";

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Something else lies there.
    #[error("{} is not a folder; move it away or give another --data-dir", path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// The system does not allow it.
    #[error(
        "cannot write to the data folder {}: {source}; make it yours (`chown`, `chmod u+rwx`) or give another --data-dir",
        path.display()
    )]
    Denied {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It holds what no stack put there.
    #[error(
        "{} is not a data folder of Docket (it holds {found}); give --data-dir an empty or a new folder",
        path.display()
    )]
    Foreign {
        /// The path.
        path: PathBuf,
        /// One of the things in it.
        found: String,
    },
    /// Another version of the program wrote it.
    #[error(
        "{} is a data folder of version {found}, and this program reads version {VERSION}; \
         use the program that wrote it or give another --data-dir",
        path.display()
    )]
    OtherVersion {
        /// The path.
        path: PathBuf,
        /// The version in it.
        found: String,
    },
}

/// Makes the data folder if it is not there, and checks that it is one that this program can use.
/// The folder that it gives has one path, however it was named.
pub fn prepare(data: &DataDir) -> Result<DataDir, FolderError> {
    let root = data.root();
    match std::fs::metadata(root) {
        Ok(metadata) if !metadata.is_dir() => {
            return Err(FolderError::NotAFolder {
                path: root.to_owned(),
            });
        }
        Ok(_) => check_version(data)?,
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Err(FolderError::NotAFolder {
                path: first_file(root),
            });
        }
        Err(_) => make(root)?,
    }
    let folders = [
        data.state(),
        data.broker(),
        data.scheduler(),
        data.logs(),
        data.cache(),
        data.run(),
    ];
    for folder in folders {
        make(&folder)?;
    }
    private(root)?;
    if !data.version_file().exists() {
        let path = data.version_file();
        replace_file(&path, format!("{VERSION}\n").as_bytes()).map_err(|source| {
            FolderError::Denied {
                path: root.to_owned(),
                source,
            }
        })?;
    }
    canonical(data)
}

/// The folder by its one path, if it is there.
pub fn existing(data: &DataDir) -> Result<Option<DataDir>, FolderError> {
    match std::fs::metadata(data.root()) {
        Ok(metadata) if !metadata.is_dir() => Err(FolderError::NotAFolder {
            path: data.root().to_owned(),
        }),
        Ok(_) => canonical(data).map(Some),
        Err(_) => Ok(None),
    }
}

fn canonical(data: &DataDir) -> Result<DataDir, FolderError> {
    data.root()
        .canonicalize()
        .map(DataDir::new)
        .map_err(|source| FolderError::Denied {
            path: data.root().to_owned(),
            source,
        })
}

/// Makes a folder that only its owner can enter.
pub fn make(folder: &Path) -> Result<(), FolderError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| match source.kind() {
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory => FolderError::NotAFolder {
                path: first_file(folder),
            },
            _ => FolderError::Denied {
                path: folder.to_owned(),
                source,
            },
        })
}

fn private(folder: &Path) -> Result<(), FolderError> {
    std::fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(|source| {
        FolderError::Denied {
            path: folder.to_owned(),
            source,
        }
    })
}

fn check_version(data: &DataDir) -> Result<(), FolderError> {
    let root = data.root();
    match std::fs::read_to_string(data.version_file()) {
        Ok(version) if version.trim() == VERSION => return Ok(()),
        Ok(version) => {
            let found = version.trim().chars().take(20).collect();
            return Err(FolderError::OtherVersion {
                path: root.to_owned(),
                found,
            });
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(source) => {
            return Err(FolderError::Denied {
                path: root.to_owned(),
                source,
            });
        }
    }
    // A first start that broke off before the version was written leaves some of our own folders.
    let ours = ["broker", "cache", "logs", "run", "scheduler", "state"];
    let entries = std::fs::read_dir(root).map_err(|source| FolderError::Denied {
        path: root.to_owned(),
        source,
    })?;
    let foreign = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .find(|name| !ours.contains(&name.as_str()) && !name.starts_with("version."));
    match foreign {
        Some(found) => Err(FolderError::Foreign {
            path: root.to_owned(),
            found,
        }),
        None => Ok(()),
    }
}

/// What stands in the way of a path: its first part that is there and is no folder.
fn first_file(path: &Path) -> PathBuf {
    let mut parts: Vec<_> = path.ancestors().collect();
    parts.reverse();
    parts
        .into_iter()
        .find(|part| part.exists() && !part.is_dir())
        .unwrap_or(path)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_first_start_makes_private_folders_and_a_second_keeps_them() {
        let parent = tempfile::tempdir().unwrap();
        let data = DataDir::new(parent.path().join("deep/er"));
        prepare(&data).unwrap();
        for folder in [
            data.root().to_owned(),
            data.state(),
            data.logs(),
            data.run(),
        ] {
            assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        }
        std::fs::write(data.state_database("tasks"), "kept").unwrap();
        prepare(&data).unwrap();
        assert_eq!(
            std::fs::read_to_string(data.state_database("tasks")).unwrap(),
            "kept"
        );
    }

    #[test]
    fn a_folder_that_others_can_read_is_closed() {
        let parent = tempfile::tempdir().unwrap();
        let data = DataDir::new(parent.path().join("data"));
        prepare(&data).unwrap();
        std::fs::set_permissions(data.root(), Permissions::from_mode(0o755)).unwrap();
        prepare(&data).unwrap();
        assert_eq!(mode(data.root()), 0o700);
    }

    #[test]
    fn a_first_start_that_broke_off_is_taken_up() {
        let parent = tempfile::tempdir().unwrap();
        let data = DataDir::new(parent.path().join("data"));
        std::fs::create_dir_all(data.state()).unwrap();
        std::fs::write(data.root().join("version.77.new"), "").unwrap();
        prepare(&data).unwrap();
        assert_eq!(std::fs::read_to_string(data.version_file()).unwrap(), "1\n");
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_told_in_one_line() {
        type Spoil = fn(&Path);
        let cases: [(&str, Spoil, &str); 5] = [
            (
                "a file",
                |at| std::fs::write(at, "").unwrap(),
                "is not a folder; move it away",
            ),
            (
                "a file within",
                |at| {
                    std::fs::create_dir(at).unwrap();
                    std::fs::write(at.join("logs"), "").unwrap();
                },
                "logs is not a folder; move it away",
            ),
            (
                "someone else's folder",
                |at| {
                    std::fs::create_dir(at).unwrap();
                    std::fs::write(at.join("thesis.tex"), "").unwrap();
                },
                "(it holds thesis.tex)",
            ),
            (
                "a newer folder",
                |at| {
                    std::fs::create_dir(at).unwrap();
                    std::fs::write(at.join("version"), "7\n").unwrap();
                },
                "is a data folder of version 7, and this program reads version 1",
            ),
            (
                "a garbled version",
                |at| {
                    std::fs::create_dir(at).unwrap();
                    std::fs::write(at.join("version"), "x".repeat(1000)).unwrap();
                },
                "of version xxxxxxxxxxxxxxxxxxxx,",
            ),
        ];
        for (name, spoil, expected) in cases {
            let parent = tempfile::tempdir().unwrap();
            let data = DataDir::new(parent.path().join("data"));
            spoil(data.root());
            let told = prepare(&data).unwrap_err().to_string();
            assert!(told.contains(expected), "{name}: {told}");
            assert!(!told.contains('\n'), "{name}: {told}");
        }
    }

    #[test]
    fn a_folder_below_a_file_or_where_nobody_may_write_is_told() {
        let told = prepare(&DataDir::new("/dev/null/data".into()))
            .unwrap_err()
            .to_string();
        assert!(told.starts_with("/dev/null is not a folder"), "{told}");
        // Not even the superuser makes folders there.
        let told = prepare(&DataDir::new("/proc/docket".into()))
            .unwrap_err()
            .to_string();
        assert!(
            told.starts_with("cannot write to the data folder /proc/docket"),
            "{told}"
        );
    }
}
