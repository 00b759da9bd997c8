//! Where a stack's broker and its state are: its own, on this machine, or servers that run elsewhere and that many
//! machines share. A data folder remembers its engine, since what is in one is not in the other.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use url::Url;

use super::health::{Probe, Unhealthy};
use super::registry::replace_file;
use crate::layout::DataDir;

/// The variable that the PostgreSQL server's address may be given by, so that it is on no command line.
pub const POSTGRES_VARIABLE: &str = "DOCKET_POSTGRES";
/// The port of a PostgreSQL server whose address names none.
const POSTGRES_PORT: u16 = 5432;

/// Why an engine cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The data folder belongs to the other engine.
    #[error(
        "{folder} was made with --engine {known}, and what is in it is not in the other; leave --engine out, or \
         give another --data-dir"
    )]
    Other {
        /// The data folder.
        folder: String,
        /// Its engine.
        known: Kind,
    },
    /// Servers for an engine that has its own.
    #[error("{given} is for --engine cluster; the engine here is {kind}")]
    NotWanted {
        /// The option.
        given: &'static str,
        /// The engine.
        kind: Kind,
    },
    /// Nobody said where a server is.
    #[error("--engine cluster needs {what}")]
    Missing {
        /// The options that say it.
        what: &'static str,
    },
    /// A broker's address is none.
    #[error("--brokers: `{broker}` is not HOST:PORT")]
    Broker {
        /// What was given.
        broker: String,
    },
    /// The PostgreSQL server's address is none. It may hold a password, so it is not shown.
    #[error(
        "--postgres: {reason}; give it as postgres://USER:PASSWORD@HOST:PORT/DATABASE, other characters as %XX"
    )]
    Postgres {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A server does not answer.
    #[error("{server}: {source}")]
    Silent {
        /// Which.
        server: String,
        /// How it did not.
        source: Unhealthy,
    },
    /// The engine cannot be remembered, or what is remembered cannot be read.
    #[error("cannot use {path}: {source}")]
    Folder {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// An engine by its name.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A broker and SQLite databases of the stack's own
    #[default]
    Embedded,
    /// A Kafka-protocol broker and a PostgreSQL server that run elsewhere
    Cluster,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedded => "embedded",
            Self::Cluster => "cluster",
        })
    }
}

/// The address of a PostgreSQL database, with its user and password. Only [`PostgresUrl::secret`] shows it whole.
#[derive(Clone, Eq, PartialEq)]
pub struct PostgresUrl {
    whole: String,
    place: String,
}

impl PostgresUrl {
    /// Reads `postgres://user:password@host:port/database?options`.
    ///
    /// # Errors
    /// It is not of this form. What is let through here, the sidecar can read as well: it would tell of the whole
    /// address in its log otherwise.
    pub fn parse(text: &str) -> Result<Self, EngineError> {
        let wrong = |reason| EngineError::Postgres { reason };
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(wrong("it does not begin with postgres://"));
        }
        if !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(wrong("it has a character that an address cannot have"));
        }
        let mut escapes = text.split('%').skip(1);
        let is_escape = |rest: &str| {
            let mut digits = rest.chars();
            let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_hexdigit());
            is_digit(digits.next()) && is_digit(digits.next())
        };
        if !escapes.all(is_escape) {
            return Err(wrong("a % begins no escape"));
        }
        let url = Url::parse(text).map_err(|_| wrong("it is no address"))?;
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| wrong("it names no host"))?;
        let database = url.path().trim_start_matches('/');
        if database.is_empty() || database.contains('/') {
            return Err(wrong("it names no database"));
        }
        let port = url.port().unwrap_or(POSTGRES_PORT);
        Ok(Self {
            place: format!("{host}:{port}/{database}"),
            whole: text.to_owned(),
        })
    }

    /// All of it, for the secret store alone.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.whole
    }

    /// `host:port/database`, for people.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({})", self.place)
    }
}

/// What `up` was asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The engine, if one was named.
    pub kind: Option<Kind>,
    /// `HOST:PORT`, several with commas between them.
    pub brokers: Option<String>,
    /// The address of the database.
    pub postgres: Option<PostgresUrl>,
}

/// An engine and where its servers are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Engine {
    /// The stack's own.
    Embedded,
    /// Elsewhere.
    Cluster {
        /// Some of the brokers, `host:port` each.
        brokers: Vec<String>,
        /// The database.
        postgres: PostgresUrl,
    },
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => self.kind().fmt(f),
            Self::Cluster { brokers, postgres } => {
                let (brokers, place) = (brokers.join(", "), postgres.place());
                write!(
                    f,
                    "{}: brokers {brokers}, PostgreSQL at {place}",
                    self.kind()
                )
            }
        }
    }
}

/// What a data folder remembers.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    engine: Kind,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    brokers: Vec<String>,
}

impl Engine {
    /// The engine for what was asked and what the folder remembers; `stored` is the database's address in its secrets.
    ///
    /// # Errors
    /// The folder belongs to the other engine, or nobody said where a server is.
    pub fn settle(
        data: &DataDir,
        asked: &Asked,
        stored: Option<PostgresUrl>,
    ) -> Result<Self, EngineError> {
        let memory = remembered(data)?;
        let known = memory.as_ref().map(|memory| memory.engine);
        let kind = asked.kind.or(known).unwrap_or_default();
        if let Some(known) = known.filter(|known| *known != kind) {
            return Err(EngineError::Other {
                folder: data.root().display().to_string(),
                known,
            });
        }
        if kind == Kind::Embedded {
            let given = match asked {
                Asked {
                    brokers: Some(_), ..
                } => "--brokers",
                Asked {
                    postgres: Some(_), ..
                } => "--postgres",
                _ => return Ok(Self::Embedded),
            };
            return Err(EngineError::NotWanted { given, kind });
        }
        let missing = |what| EngineError::Missing { what };
        let brokers = match &asked.brokers {
            Some(brokers) => read_brokers(brokers)?,
            None => memory.map(|memory| memory.brokers).unwrap_or_default(),
        };
        if brokers.is_empty() {
            return Err(missing("--brokers HOST:PORT[,HOST:PORT…]"));
        }
        let postgres = asked.postgres.clone().or(stored);
        let postgres = postgres.ok_or_else(|| {
            missing("--postgres URL (or $DOCKET_POSTGRES, which no list of processes shows)")
        })?;
        Ok(Self::Cluster { brokers, postgres })
    }

    /// Its name.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Embedded => Kind::Embedded,
            Self::Cluster { .. } => Kind::Cluster,
        }
    }

    /// The database's address, if it is elsewhere.
    #[must_use]
    pub fn postgres(&self) -> Option<&PostgresUrl> {
        match self {
            Self::Embedded => None,
            Self::Cluster { postgres, .. } => Some(postgres),
        }
    }

    /// Binds the data folder to it.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn remember(&self, data: &DataDir) -> Result<(), EngineError> {
        let memory = Memory {
            engine: self.kind(),
            brokers: match self {
                Self::Embedded => Vec::new(),
                Self::Cluster { brokers, .. } => brokers.clone(),
            },
        };
        let path = data.engine_file();
        let written = serde_json::to_vec(&memory)
            .map_err(std::io::Error::from)
            .and_then(|text| replace_file(&path, &text));
        written.map_err(|source| unusable(data, source))
    }

    /// Asks each server of another machine whether it is there.
    ///
    /// # Errors
    /// One does not answer: a broker, if none does.
    pub async fn ask(&self) -> Result<(), EngineError> {
        let Self::Cluster { brokers, postgres } = self else {
            return Ok(());
        };
        ask_brokers(brokers).await?;
        ask_postgres(postgres.place()).await
    }
}

/// Whether one of the brokers answers.
///
/// # Errors
/// None does; why the last one did not.
pub async fn ask_brokers(brokers: &[String]) -> Result<(), EngineError> {
    let mut failure = EngineError::Missing { what: "--brokers" };
    for broker in brokers {
        match ask(broker, |address| Probe::Kafka { address }).await {
            Ok(()) => return Ok(()),
            Err(source) => {
                let server = format!("the broker {broker}");
                failure = EngineError::Silent { server, source };
            }
        }
    }
    Err(failure)
}

/// Whether a PostgreSQL server answers at `host:port/database`; whether it lets anybody in, only the sidecars learn.
///
/// # Errors
/// None does.
pub async fn ask_postgres(place: &str) -> Result<(), EngineError> {
    let server = place.split('/').next().unwrap_or(place);
    let asked = ask(server, |address| Probe::Postgres { address }).await;
    asked.map_err(|source| EngineError::Silent {
        server: format!("PostgreSQL at {server}"),
        source,
    })
}

/// Asks by name: where it leads may change, and it may lead to several places.
async fn ask(name: &str, probe: impl Fn(SocketAddr) -> Probe) -> Result<(), Unhealthy> {
    let unknown = || Unhealthy::Unknown {
        name: name.to_owned(),
    };
    let addresses = tokio::net::lookup_host(name).await.map_err(|_| unknown())?;
    let mut failure = unknown();
    for address in addresses {
        match probe(address).ask().await {
            Ok(()) => return Ok(()),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn unusable(data: &DataDir, source: std::io::Error) -> EngineError {
    EngineError::Folder {
        path: data.engine_file().display().to_string(),
        source,
    }
}

fn remembered(data: &DataDir) -> Result<Option<Memory>, EngineError> {
    match std::fs::read(data.engine_file()) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| unusable(data, error.into())),
        // A folder from before there was a choice has secrets and no such file.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(data.secrets().exists().then(Memory::default))
        }
        Err(error) => Err(unusable(data, error)),
    }
}

fn read_brokers(list: &str) -> Result<Vec<String>, EngineError> {
    let read = |broker: &str| {
        let (host, port) = broker.rsplit_once(':')?;
        let is_host = !host.is_empty()
            && host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(c));
        let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
        (is_host && is_port).then(|| broker.to_owned())
    };
    list.split(',')
        .map(|broker| {
            let broker = broker.trim();
            read(broker).ok_or_else(|| EngineError::Broker {
                broker: broker.to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "postgres://docket:s3cr%40t@db.example.org:6432/docket?sslmode=require";

    fn folder() -> (tempfile::TempDir, DataDir) {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path().to_owned());
        (folder, data)
    }

    fn asked(kind: Option<Kind>, brokers: Option<&str>, postgres: Option<&str>) -> Asked {
        Asked {
            kind,
            brokers: brokers.map(str::to_owned),
            postgres: postgres.map(|url| PostgresUrl::parse(url).unwrap()),
        }
    }

    #[test]
    fn an_address_shows_no_password() {
        let url = PostgresUrl::parse(URL).unwrap();
        assert_eq!(url.secret(), URL);
        assert_eq!(url.place(), "db.example.org:6432/docket");
        assert!(!format!("{url:?}").contains("s3cr"));
        let usual = PostgresUrl::parse("postgresql://u@[::1]/d").unwrap();
        assert_eq!(usual.place(), "[::1]:5432/d");
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_shown() {
        for bad in [
            "",
            "s3cret",
            "host=db password=s3cret",
            "mysql://u:s3cret@db/d",
            "postgres://u:s3cret@/d",
            "postgres://u:s3cret@db",
            "postgres://u:s3cret@db/",
            "postgres://u:s3cret@db/a/b",
            "postgres://u:s3cret%zz@db/d",
            "postgres://u:s3cret%@db/d",
            "postgres://u:s3 cret@db/d",
            "postgres://u:s3cretß@db/d",
            "postgres://u:s3cret@db:99999/d",
            "postgres://u:s3cret@a:1,b:2/d",
        ] {
            let told = PostgresUrl::parse(bad).unwrap_err().to_string();
            assert!(
                told.starts_with("--postgres: ") && !told.contains("s3"),
                "{told}"
            );
        }
    }

    #[test]
    fn brokers_are_hosts_with_ports() {
        let read = read_brokers("a.example.org:9092, 10.0.0.1:1,[::1]:9092").unwrap();
        assert_eq!(read, ["a.example.org:9092", "10.0.0.1:1", "[::1]:9092"]);
        for bad in ["", "a", "a:", ":1", "a:0", "a:70000", "a:1,,b:2", "k://a:1"] {
            assert!(read_brokers(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_folder_keeps_its_engine() {
        use Kind::{Cluster, Embedded};
        let (_folder, data) = folder();
        let none = asked(None, None, None);
        assert_eq!(
            Engine::settle(&data, &none, None).unwrap(),
            Engine::Embedded
        );
        let whole = asked(Some(Cluster), Some("k:1"), Some(URL));
        let cluster = Engine::settle(&data, &whole, None).unwrap();
        cluster.remember(&data).unwrap();
        // What was said once need not be said again.
        let stored = PostgresUrl::parse(URL).ok();
        assert_eq!(
            Engine::settle(&data, &none, stored.clone()).unwrap(),
            cluster
        );
        assert!(
            !std::fs::read_to_string(data.engine_file())
                .unwrap()
                .contains("s3cr")
        );
        let other = Engine::settle(&data, &asked(Some(Embedded), None, None), stored);
        let told = other.unwrap_err().to_string();
        assert!(told.contains("was made with --engine cluster"), "{told}");
    }

    #[test]
    fn a_folder_from_before_there_was_a_choice_is_embedded() {
        let (_folder, data) = folder();
        std::fs::create_dir(data.secrets()).unwrap();
        let whole = asked(Some(Kind::Cluster), Some("k:1"), Some(URL));
        let told = Engine::settle(&data, &whole, None).unwrap_err().to_string();
        assert!(told.contains("was made with --engine embedded"), "{told}");
    }

    #[test]
    fn what_is_missing_or_not_wanted_is_told() {
        let (_folder, data) = folder();
        let cluster = Some(Kind::Cluster);
        for (asked, expected) in [
            (asked(cluster, None, Some(URL)), "needs --brokers"),
            (
                asked(cluster, Some("k:1"), None),
                "needs --postgres URL (or $DOCKET_POSTGRES",
            ),
            (
                asked(None, Some("k:1"), None),
                "--brokers is for --engine cluster",
            ),
            (
                asked(None, None, Some(URL)),
                "--postgres is for --engine cluster",
            ),
        ] {
            let told = Engine::settle(&data, &asked, None).unwrap_err().to_string();
            assert!(told.contains(expected), "{told}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_by_its_name() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let broker = ask_brokers(&[format!("127.0.0.1:{port}")]).await;
        let told = broker.unwrap_err().to_string();
        assert_eq!(
            told,
            format!("the broker 127.0.0.1:{port}: nothing answers at 127.0.0.1:{port}")
        );
        let told = ask_postgres("no.such.host.invalid:1/d")
            .await
            .unwrap_err()
            .to_string();
        assert!(
            told.starts_with("PostgreSQL at no.such.host.invalid:1: "),
            "{told}"
        );
    }
}
