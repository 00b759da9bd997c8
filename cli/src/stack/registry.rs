//! `run/stack.json`: what a stack's supervisor tells the other commands, and the lock that keeps two
//! supervisors out of one data folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::engine::Kind;
use super::health::Probe;
use super::plan;
use super::process::Identity;
use crate::layout::DataDir;

/// Where a stack is in its life.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Its parts are being started.
    Starting,
    /// Every part was healthy.
    Running,
    /// Its parts are being stopped.
    Stopping,
    /// Nothing runs.
    Stopped,
}

/// Where a part is in its life.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It waits for a part that it needs.
    Waiting,
    /// It runs and is not healthy yet.
    Starting,
    /// It was healthy when it was last asked.
    Healthy,
    /// It died and will be started again.
    Restarting,
    /// It has ended.
    Stopped,
}

/// A whole stack.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Stack {
    /// Where it is in its life.
    pub phase: Phase,
    /// The `up` that runs it.
    pub supervisor: Option<Identity>,
    /// Whether that `up` left its terminal.
    pub detached: bool,
    /// What its ports are counted from.
    pub port_base: u16,
    /// Where people reach it.
    pub address: String,
    /// Where its broker, or some of its brokers, are: `host:port`.
    #[serde(default)]
    pub brokers: Vec<String>,
    /// Where its broker and its state are.
    #[serde(default)]
    pub engine: Kind,
    /// The database, if it is elsewhere: `host:port/database`.
    #[serde(default)]
    pub postgres: Option<String>,
    /// Milliseconds since 1970.
    pub started_at: u64,
    /// Its parts, in the order in which they are shown.
    pub parts: Vec<Part>,
    /// Why it ended, if nobody wanted it to.
    pub failure: Option<String>,
}

/// One part of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Part {
    /// Its name, and its log's.
    pub name: String,
    /// Its process, while there is one.
    pub process: Option<Identity>,
    /// Where it is in its life.
    pub state: State,
    /// Where it listens.
    pub address: String,
    /// How its health is asked for.
    pub probe: Probe,
    /// The program's file.
    pub program: PathBuf,
    /// When its process began, in milliseconds since 1970.
    pub started_at: Option<u64>,
    /// How often it was started again.
    pub restarts: u32,
    /// Why it last ended, if it did.
    pub last_end: Option<String>,
}

impl Part {
    /// What is told of a part that has yet to start.
    #[must_use]
    pub fn waiting(part: &plan::Part) -> Self {
        Self {
            name: part.name.clone(),
            process: None,
            state: State::Waiting,
            address: part.address.clone(),
            probe: part.probe.clone(),
            program: part.program.clone(),
            started_at: None,
            restarts: 0,
            last_end: None,
        }
    }
}

/// The right to run a stack in a data folder; it ends with the process.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The record of a running stack, kept on the disk at every change.
#[derive(Debug)]
pub struct Registry {
    path: PathBuf,
    stack: Mutex<Stack>,
}

impl Lock {
    /// Takes the lock; nothing if another `up` has it.
    pub fn take(data: &DataDir) -> std::io::Result<Option<Self>> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(data.lock_file())?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether an `up` has it, as far as can be told.
    #[must_use]
    pub fn is_held(data: &DataDir) -> bool {
        data.lock_file().exists() && matches!(Self::take(data), Ok(None))
    }
}

impl Stack {
    /// The record in a data folder; nothing if there is none that can be read.
    #[must_use]
    pub fn read(data: &DataDir) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(data.stack_file()).ok()?).ok()
    }

    /// Whether the `up` that wrote it still runs.
    #[must_use]
    pub fn is_supervised(&self) -> bool {
        self.supervisor.as_ref().is_some_and(Identity::alive)
    }

    /// The processes of its parts that still run.
    #[must_use]
    pub fn living(&self) -> Vec<Identity> {
        self.parts
            .iter()
            .filter_map(|part| part.process.clone())
            .filter(Identity::alive)
            .collect()
    }

    fn write(&self, path: &Path) -> std::io::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        replace_file(path, &text)
    }
}

impl Registry {
    /// Begins the record of a stack.
    pub fn begin(data: &DataDir, stack: Stack) -> std::io::Result<Self> {
        let registry = Self {
            path: data.stack_file(),
            stack: Mutex::new(stack),
        };
        registry.change(|_| ())?;
        Ok(registry)
    }

    /// Changes the record and writes it.
    pub fn change<T>(&self, change: impl FnOnce(&mut Stack) -> T) -> std::io::Result<T> {
        let mut stack = self.stack.lock().unwrap_or_else(PoisonError::into_inner);
        let value = change(&mut stack);
        stack.write(&self.path)?;
        Ok(value)
    }

    /// Changes one part's record and writes it.
    pub fn change_part(&self, name: &str, change: impl FnOnce(&mut Part)) -> std::io::Result<()> {
        self.change(|stack| {
            if let Some(part) = stack.parts.iter_mut().find(|part| part.name == name) {
                change(part);
            }
        })
    }

    /// The record as it is now.
    #[must_use]
    pub fn stack(&self) -> Stack {
        self.stack
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Writes a file so that a reader, or a crash, finds the old or the new one whole.
pub fn replace_file(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}.new", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(content)?;
    std::fs::rename(&new, path)
}

/// Milliseconds since 1970.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| {
            u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack() -> Stack {
        Stack {
            phase: Phase::Running,
            supervisor: Identity::own(),
            detached: false,
            port_base: 4100,
            address: "http://127.0.0.1:4100".into(),
            brokers: vec!["127.0.0.1:4102".into()],
            engine: Kind::Embedded,
            postgres: None,
            started_at: now(),
            parts: vec![Part {
                name: "host".into(),
                process: Identity::own(),
                state: State::Healthy,
                address: "127.0.0.1:4100".into(),
                probe: Probe::tcp(4100),
                program: "/bin/sh".into(),
                started_at: Some(now()),
                restarts: 0,
                last_end: None,
            }],
            failure: None,
        }
    }

    #[test]
    fn another_command_reads_what_was_changed() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path().to_owned());
        assert!(Stack::read(&data).is_none());
        std::fs::create_dir(data.run()).unwrap();
        let registry = Registry::begin(&data, stack()).unwrap();
        registry
            .change_part("host", |part| part.restarts = 3)
            .unwrap();
        registry
            .change_part("unknown", |_| panic!("no such part"))
            .unwrap();
        let read = Stack::read(&data).unwrap();
        assert_eq!(read.parts[0].restarts, 3);
        assert!(read.is_supervised());
        assert_eq!(read.living(), [Identity::own().unwrap()]);
    }

    #[test]
    fn a_reused_pid_counts_as_gone() {
        let mut stack = stack();
        stack.parts[0].process.as_mut().unwrap().born.push('0');
        stack.supervisor.as_mut().unwrap().born.push('0');
        assert!(stack.living().is_empty());
        assert!(!stack.is_supervised());
    }

    #[test]
    fn a_torn_record_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path().to_owned());
        std::fs::create_dir(data.run()).unwrap();
        std::fs::write(data.stack_file(), "{\"phase\": \"run").unwrap();
        assert!(Stack::read(&data).is_none());
    }

    #[test]
    fn the_lock_is_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path().to_owned());
        std::fs::create_dir(data.run()).unwrap();
        assert!(!Lock::is_held(&data));
        let lock = Lock::take(&data).unwrap().unwrap();
        assert!(Lock::take(&data).unwrap().is_none());
        assert!(Lock::is_held(&data));
        drop(lock);
        assert!(Lock::take(&data).unwrap().is_some());
    }
}
