//! The Dapr Configuration that only a stack on one machine needs. Sentry reads it alone; each sidecar
//! reads it after the project's own file for its app, which the cluster uses too and which is passed
//! as it is: Dapr merges them.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::registry::replace_file;
use crate::layout::{DataDir, Project};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// The file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Denied {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An app has none in the project.
    #[error("app {app} has no Dapr configuration: write {}", path.display())]
    Missing {
        /// The app.
        app: String,
        /// Where it should be.
        path: PathBuf,
    },
}

/// Writes the configuration of this machine, and checks that each app has one of its own.
pub fn write(project: &Project, data: &DataDir) -> Result<(), ConfigurationError> {
    for app in project.apps() {
        let path = project.configuration(app);
        if !path.is_file() {
            return Err(ConfigurationError::Missing {
                app: app.id.clone(),
                path,
            });
        }
    }
    let configuration = json!({
        "apiVersion": "dapr.io/v1alpha1",
        "kind": "Configuration",
        "metadata": { "name": "local" },
        "spec": {
            "mtls": { "enabled": true },
            // The names are in a file: multicast would reach past this machine.
            "nameResolution": {
                "component": "sqlite",
                "version": "v1",
                "configuration": { "connectionString": sqlite_path(&data.names_database()) },
            },
        },
    });
    let path = data.local_configuration();
    // A JSON text is a YAML document.
    replace_file(&path, configuration.to_string().as_bytes())
        .map_err(|source| ConfigurationError::Denied { path, source })
}

/// A path as SQLite's `file:` URI wants it.
#[must_use]
pub fn sqlite_path(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::folder;

    #[test]
    fn names_are_kept_in_the_data_folder() {
        let parent = tempfile::tempdir().unwrap();
        let project = Project::find_from(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let data = folder::prepare(&DataDir::new(parent.path().join("my data"))).unwrap();
        write(&project, &data).unwrap();
        let text = std::fs::read_to_string(data.local_configuration()).unwrap();
        let read: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let connection = &read["spec"]["nameResolution"]["configuration"]["connectionString"];
        assert!(
            connection
                .as_str()
                .unwrap()
                .ends_with("/my%20data/state/names.db"),
            "{connection}"
        );
    }

    #[test]
    fn odd_folders_survive_in_a_connection_string() {
        let path = Path::new("/home/a b/50%?#ü/x.db");
        assert_eq!(sqlite_path(path), "file:/home/a%20b/50%25%3F%23%C3%BC/x.db");
    }
}
