//! The mail server that `cargo docket up --smtp` names, as a Dapr component of this stack alone. What it wants to be told
//! before it takes mails comes by the environment and goes to the secret store; the component refers to it.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::{Value, json};

use super::folder::{self, FolderError};
use super::registry::replace_file;
use super::secrets::{self, SMTP, SecretsError, SmtpEntry};
use crate::layout::DataDir;

/// The environment's name for who sends.
pub const USER: &str = "DOCKET_SMTP_USER";
/// The environment's name for what proves it.
pub const PASSWORD: &str = "DOCKET_SMTP_PASSWORD";
/// The component's name, and its file's.
const NAME: &str = "smtp";

/// Why mail cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Only one half of what a server is told is there.
    #[error("{USER} and {PASSWORD} go together: set both, or none")]
    HalfCredentials,
    /// The folder of this stack's components cannot be made.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The secrets cannot be read or written.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The component cannot be written or removed.
    #[error("cannot write {}: {source}", path.display())]
    Denied {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A mail server's address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MailServer {
    host: String,
    port: u16,
}

impl FromStr for MailServer {
    type Err = String;

    /// Reads `smtp://HOST:PORT`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not smtp://HOST:PORT");
        let place = text.strip_prefix("smtp://").ok_or_else(wrong)?;
        if place.contains('@') {
            return Err(format!(
                "everybody can read a command line: set {USER} and {PASSWORD} instead"
            ));
        }
        let (host, port) = place
            .trim_end_matches('/')
            .rsplit_once(':')
            .ok_or_else(wrong)?;
        let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
        let port = port.parse().ok().filter(|port| *port > 0);
        match port {
            Some(port) if !host.is_empty() && host.bytes().all(named) => Ok(Self {
                host: host.to_owned(),
                port,
            }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "smtp://{}:{}", self.host, self.port)
    }
}

/// Writes the component for `server`, or removes that of an earlier start, and keeps the credentials among the stack's
/// secrets, which have to be there. Only the holder of the stack's lock may call it.
pub fn write(
    data: &DataDir,
    server: Option<&MailServer>,
    from: &str,
    credentials: Option<&SmtpEntry>,
) -> Result<(), MailError> {
    folder::make(&data.own_components())?;
    let path = data.own_components().join(format!("{NAME}.yaml"));
    let written = match server {
        Some(server) => {
            secrets::keep_smtp(data, credentials)?;
            let component = component(server, from, credentials.is_some());
            // A JSON text is a YAML document.
            replace_file(&path, component.to_string().as_bytes())
        }
        None => remove(&path),
    };
    written.map_err(|source| MailError::Denied { path, source })
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What the server is to be told, out of the environment.
pub fn credentials(
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<SmtpEntry>, MailError> {
    let text = |name| {
        environment(name)
            .map(|value| value.into_string())
            .transpose()
            .map_err(|_| MailError::HalfCredentials)
    };
    match (text(USER)?, text(PASSWORD)?) {
        (None, None) => Ok(None),
        (Some(user), Some(password)) => Ok(Some(SmtpEntry { user, password })),
        _ => Err(MailError::HalfCredentials),
    }
}

fn component(server: &MailServer, from: &str, has_credentials: bool) -> Value {
    let mut metadata = vec![
        json!({ "name": "host", "value": server.host }),
        json!({ "name": "port", "value": server.port.to_string() }),
        json!({ "name": "emailFrom", "value": from }),
        json!({ "name": "direction", "value": "output" }),
    ];
    if has_credentials {
        for key in ["user", "password"] {
            metadata.push(json!({ "name": key, "secretKeyRef": { "name": SMTP, "key": key } }));
        }
    }
    json!({
        "apiVersion": "dapr.io/v1alpha1",
        "kind": "Component",
        "metadata": { "name": NAME },
        "spec": { "type": "bindings.smtp", "version": "v1", "metadata": metadata },
        "auth": { "secretStore": "secrets" },
        "scopes": ["notifications"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::secrets::Secrets;

    #[test]
    fn a_server_is_a_host_and_a_port() {
        let server: MailServer = "smtp://mail.example.org:587".parse().unwrap();
        assert_eq!(server.to_string(), "smtp://mail.example.org:587");
        assert_eq!(
            "smtp://127.0.0.1:25/".parse::<MailServer>().unwrap().port,
            25
        );
        for wrong in [
            "",
            "mail.example.org:25",
            "smtps://mail.example.org:465",
            "smtp://mail.example.org",
            "smtp://:25",
            "smtp://a b:25",
            "smtp://mail.example.org:0",
            "smtp://mail.example.org:70000",
        ] {
            assert!(wrong.parse::<MailServer>().is_err(), "{wrong}");
        }
        let told = "smtp://u:p@mail.example.org:25"
            .parse::<MailServer>()
            .unwrap_err();
        assert!(told.contains(PASSWORD) && !told.contains("u:p"), "{told}");
    }

    #[test]
    fn credentials_come_in_pairs() {
        let given = |user: Option<&'static str>, password: Option<&'static str>| {
            credentials(move |name| match name {
                USER => user.map(OsString::from),
                _ => password.map(OsString::from),
            })
        };
        assert!(given(None, None).unwrap().is_none());
        assert_eq!(given(Some("u"), Some("p")).unwrap().unwrap().password, "p");
        assert!(given(Some("u"), None).is_err());
        assert!(given(None, Some("p")).is_err());
    }

    #[test]
    fn the_component_names_the_secret_and_does_not_tell_it() {
        let parent = tempfile::tempdir().unwrap();
        let data = folder::prepare(&DataDir::new(parent.path().join("data"))).unwrap();
        Secrets::ensure(&data, &[], std::time::SystemTime::now().into()).unwrap();
        let server: MailServer = "smtp://mail.example.org:587".parse().unwrap();
        let path = data.own_components().join("smtp.yaml");
        let entry = SmtpEntry {
            user: "docket".to_owned(),
            password: "hidden from all".to_owned(),
        };
        write(&data, Some(&server), "docket@example.org", Some(&entry)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("secretKeyRef") && !text.contains("hidden from all"));
        let secrets = || std::fs::read_to_string(data.secrets_file()).unwrap();
        assert!(secrets().contains("hidden from all"));
        // Another start without them forgets them, and one without a server the component.
        write(&data, Some(&server), "docket@example.org", None).unwrap();
        assert!(
            !std::fs::read_to_string(&path)
                .unwrap()
                .contains("secretKeyRef")
        );
        assert!(!secrets().contains("hidden from all"));
        write(&data, None, "", None).unwrap();
        assert!(!path.exists());
    }
}
