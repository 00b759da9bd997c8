//! The parts' logs: every line that a part prints becomes one JSON object in `logs/<part>.jsonl`,
//! whose size is bounded, and may be shown to a person.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::console::Console;

/// A log file that grows past this is set aside.
const FILE_LIMIT: u64 = 10 << 20;
/// How many of them there are, the one that is written included.
const FILES: u32 = 3;
/// A longer line is cut into pieces: a part that prints no line end must not fill the memory.
const LINE_LIMIT: usize = 64 << 10;
/// The stream of what the supervisor says about a part.
const SUPERVISOR: &str = "supervisor";
/// How it marks the beginning of a run.
const STARTED: &str = "started as process";

/// How much a line matters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// For those who look for a fault.
    Debug,
    /// All is well.
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
}

/// A log line as a person reads it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// How much it matters.
    pub level: Level,
    /// Whether it is shown even though all is well: a request, or what a function printed.
    pub for_people: bool,
    /// The line.
    pub text: String,
}

/// A log file of bounded size.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    limit: u64,
}

/// Where the lines of one part go.
pub struct Sink {
    part: String,
    index: usize,
    file: Mutex<LogFile>,
    console: Arc<Console>,
}

impl LogFile {
    /// Opens a log file to write at its end.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        Self::with_limit(path, FILE_LIMIT)
    }

    fn with_limit(path: &Path, limit: u64) -> std::io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        let size = file.metadata()?.len();
        Ok(Self {
            path: path.to_owned(),
            file,
            size,
            limit,
        })
    }

    /// Writes whole lines.
    pub fn write(&mut self, lines: &[u8]) -> std::io::Result<()> {
        let length = lines.len() as u64;
        if self.size > 0 && self.size + length > self.limit {
            self.rotate()?;
        }
        self.file.write_all(lines)?;
        self.size += length;
        Ok(())
    }

    fn rotate(&mut self) -> std::io::Result<()> {
        for older in (1..FILES).rev() {
            let from = if older == 1 {
                self.path.clone()
            } else {
                numbered(&self.path, older - 1)
            };
            if from.exists() {
                std::fs::rename(from, numbered(&self.path, older))?;
            }
        }
        *self = Self::with_limit(&self.path, self.limit)?;
        Ok(())
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    path.with_extension(format!("{number}.jsonl"))
}

impl Sink {
    /// The sink of a part; `index` chooses its colour.
    pub fn open(
        part: &str,
        index: usize,
        path: &Path,
        console: Arc<Console>,
    ) -> std::io::Result<Self> {
        let file = Mutex::new(LogFile::open(path)?);
        Ok(Self {
            part: part.to_owned(),
            index,
            file,
            console,
        })
    }

    /// What the supervisor itself says about the part.
    pub fn note(&self, level: &str, message: &str) {
        self.write(&wrap(level, SUPERVISOR, message));
    }

    fn write(&self, lines: &[u8]) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write(lines) {
            drop(file);
            // A full disk must not end the parts; it is said where it can be.
            let text = format!("cannot write the log: {error}");
            let entry = Entry {
                level: Level::Error,
                for_people: true,
                text,
            };
            self.console.log(&self.part, self.index, &entry);
        }
    }

    /// Marks the beginning of a run.
    pub fn started(&self, pid: u32) {
        self.note("info", &format!("{STARTED} {pid}"));
    }

    fn follow(&self, record: &[u8]) {
        if self.console.follows() {
            self.console
                .log(&self.part, self.index, &read_entry(record));
        }
    }

    fn lines(&self, stream: &str, text: &[u8], out: &mut Vec<u8>) {
        for line in text.split(|byte| *byte == b'\n') {
            let line = line.trim_ascii_end();
            if line.is_empty() {
                continue;
            }
            if is_object(line) {
                out.extend_from_slice(line);
                out.push(b'\n');
                self.follow(line);
            } else {
                // What a program says beside its log is seldom good news: a panic, a bad flag.
                let level = if stream == "stderr" {
                    "warning"
                } else {
                    "info"
                };
                let start = out.len();
                out.extend_from_slice(&wrap(level, stream, &String::from_utf8_lossy(line)));
                self.follow(out.get(start..).unwrap_or_default());
            }
        }
    }
}

/// Reads a part's output to its end.
pub async fn pump(mut output: impl AsyncRead + Unpin, stream: &'static str, sink: Arc<Sink>) {
    let mut pending = Vec::with_capacity(8 << 10);
    let mut records = Vec::new();
    loop {
        let ended = !matches!(output.read_buf(&mut pending).await, Ok(1..));
        let complete = match pending.iter().rposition(|byte| *byte == b'\n') {
            _ if ended => pending.len(),
            Some(last) => last + 1,
            None if pending.len() >= LINE_LIMIT => pending.len(),
            None => continue,
        };
        let rest = pending.split_off(complete);
        sink.lines(stream, &pending, &mut records);
        if !records.is_empty() {
            sink.write(&records);
            records.clear();
        }
        pending = rest;
        if ended {
            return;
        }
    }
}

/// What a part's last run said at its end, for a person: what matters most, in its order.
#[must_use]
pub fn last_lines(path: &Path, count: usize) -> Vec<String> {
    let text = std::fs::read(path).unwrap_or_default();
    let start = text.len().saturating_sub(LINE_LIMIT);
    let text = String::from_utf8_lossy(text.get(start..).unwrap_or_default()).into_owned();
    let mut entries = Vec::new();
    for line in text.lines().rev() {
        let record: Value = serde_json::from_str(line).unwrap_or_default();
        if record.get("stream").and_then(Value::as_str) != Some(SUPERVISOR) {
            entries.push(read_entry(line.as_bytes()));
        } else if record
            .get("msg")
            .and_then(Value::as_str)
            .is_some_and(|msg| msg.starts_with(STARTED))
        {
            break;
        }
    }
    let bad = |entry: &Entry| entry.level >= Level::Warn;
    let any_bad = entries.iter().any(bad);
    let mut lines: Vec<_> = entries
        .into_iter()
        .filter(|entry| !any_bad || bad(entry))
        .map(|entry| entry.text)
        .take(count)
        .collect();
    lines.reverse();
    lines
}

fn is_object(line: &[u8]) -> bool {
    line.starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(line).is_ok()
}

fn wrap(level: &str, stream: &str, message: &str) -> Vec<u8> {
    let time =
        DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Millis, true);
    let record = json!({ "time": time, "level": level, "stream": stream, "msg": message });
    let mut line = record.to_string().into_bytes();
    line.push(b'\n');
    line
}

/// Reads a line as a person would: what it says, and how much it matters.
fn read_entry(line: &[u8]) -> Entry {
    let Ok(Value::Object(record)) = serde_json::from_slice(line) else {
        let text = String::from_utf8_lossy(line).into_owned();
        return Entry {
            level: Level::Info,
            for_people: false,
            text,
        };
    };
    let string = |key: &str| record.get(key).and_then(Value::as_str);
    let level = match string("level")
        .unwrap_or_default()
        .to_ascii_lowercase()
        .as_str()
    {
        "debug" | "trace" => Level::Debug,
        "warn" | "warning" => Level::Warn,
        "error" | "fatal" | "panic" | "dpanic" | "critical" => Level::Error,
        _ => Level::Info,
    };
    let message = string("msg")
        .or_else(|| string("message"))
        .or_else(|| record.get("fields")?.get("message")?.as_str());
    let kind = string("kind");
    let text = match (kind, message) {
        (Some("access"), _) => access(&record),
        (Some("guest"), Some(message)) => {
            format!("{}: {message}", string("component").unwrap_or("?"))
        }
        (_, Some(message)) => match string("err").or_else(|| string("error")) {
            Some(error) => format!("{message}: {error}"),
            None => message.to_owned(),
        },
        (_, None) => String::from_utf8_lossy(line).into_owned(),
    };
    Entry {
        level,
        for_people: match kind {
            Some("access") => !is_routine(&record),
            kind => kind == Some("guest"),
        },
        text,
    }
}

/// What sidecars ask of the functions all the time, unless it went wrong.
fn is_routine(record: &serde_json::Map<String, Value>) -> bool {
    let path = record
        .get("path")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let status = record
        .get("status")
        .and_then(Value::as_u64)
        .unwrap_or_default();
    ["/internal/", "/job/", "/dapr/"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
        && status < 400
}

fn access(record: &serde_json::Map<String, Value>) -> String {
    let string = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or("-");
    let status = record
        .get("status")
        .and_then(Value::as_u64)
        .unwrap_or_default();
    let time = record
        .get("duration_ms")
        .and_then(Value::as_f64)
        .unwrap_or_default();
    format!(
        "{} {} {status} {time:.1} ms",
        string("method"),
        string("path")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::console::Follow;

    fn quiet() -> Arc<Console> {
        let console = Console::new(Box::new(std::io::sink()), false);
        console.follow(Follow::Nothing);
        Arc::new(console)
    }

    async fn pumped(output: &[u8]) -> Vec<Value> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.jsonl");
        let sink = Arc::new(Sink::open("x", 0, &path, quiet()).unwrap());
        pump(output, "stderr", sink).await;
        let text = std::fs::read_to_string(&path).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[tokio::test]
    async fn json_stays_and_the_rest_is_wrapped() {
        let records = pumped(
            b"{\"level\":\"info\",\"msg\":\"a\"}\r\nplain \"quoted\"\n\n{broken\n\xff\xfe\nlast",
        )
        .await;
        assert_eq!(records[0], json!({"level": "info", "msg": "a"}));
        let messages: Vec<_> = records[1..]
            .iter()
            .map(|record| record["msg"].as_str().unwrap())
            .collect();
        assert_eq!(
            messages,
            ["plain \"quoted\"", "{broken", "\u{fffd}\u{fffd}", "last"]
        );
        assert!(
            records[1..]
                .iter()
                .all(|record| record["stream"] == "stderr")
        );
        assert!(DateTime::parse_from_rfc3339(records[1]["time"].as_str().unwrap()).is_ok());
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_cut() {
        let records = pumped(&vec![b'x'; 3 * LINE_LIMIT]).await;
        let lengths: Vec<_> = records
            .iter()
            .map(|record| record["msg"].as_str().unwrap().len())
            .collect();
        assert_eq!(lengths.iter().sum::<usize>(), 3 * LINE_LIMIT);
        assert!(lengths.len() >= 2, "{lengths:?}");
    }

    #[test]
    fn the_size_of_all_files_is_bounded_and_the_newest_lines_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.jsonl");
        let mut log = LogFile::with_limit(&path, 100).unwrap();
        for number in 0..1000 {
            log.write(format!("line {number:04}\n").as_bytes()).unwrap();
        }
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["x.1.jsonl", "x.2.jsonl", "x.jsonl"]);
        let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let all = text("x.2.jsonl") + &text("x.1.jsonl") + &text("x.jsonl");
        assert!(all.len() <= 300);
        let kept: Vec<_> = all.lines().collect();
        let expected: Vec<_> = (1000 - kept.len()..1000)
            .map(|n| format!("line {n:04}"))
            .collect();
        assert_eq!(kept, expected);
        // A start anew goes on at the end and counts what is there.
        drop(log);
        let mut log = LogFile::with_limit(&path, 100).unwrap();
        log.write(&[b'y'; 99]).unwrap();
        assert_eq!(text("x.jsonl").len(), 99);
    }

    #[test]
    fn lines_are_read_as_a_person_would() {
        let cases: [(&str, Level, bool, &str); 10] = [
            ("plain", Level::Info, false, "plain"),
            (r#"{"level":"fatal","msg":"no"}"#, Level::Error, false, "no"),
            (
                r#"{"level":"WARN","msg":"odd","err":"why"}"#,
                Level::Warn,
                false,
                "odd: why",
            ),
            (
                r#"{"level":"info","message":"host"}"#,
                Level::Info,
                false,
                "host",
            ),
            (
                r#"{"level":"DEBUG","fields":{"message":"deep"}}"#,
                Level::Debug,
                false,
                "deep",
            ),
            (
                r#"{"kind":"access","method":"GET","path":"/a","status":200,"duration_ms":1.25}"#,
                Level::Info,
                true,
                "GET /a 200 1.2 ms",
            ),
            (
                r#"{"kind":"access","method":"POST","path":"/internal/x","status":200,"duration_ms":1}"#,
                Level::Info,
                false,
                "POST /internal/x 200 1.0 ms",
            ),
            (
                r#"{"kind":"access","method":"POST","path":"/internal/x","status":500,"duration_ms":1}"#,
                Level::Info,
                true,
                "POST /internal/x 500 1.0 ms",
            ),
            (
                r#"{"kind":"guest","component":"tasks","message":"hello"}"#,
                Level::Info,
                true,
                "tasks: hello",
            ),
            (r#"{"a":1}"#, Level::Info, false, r#"{"a":1}"#),
        ];
        for (line, level, for_people, text) in cases {
            let entry = read_entry(line.as_bytes());
            assert_eq!(
                entry,
                Entry {
                    level,
                    for_people,
                    text: text.to_owned()
                },
                "{line}"
            );
        }
    }

    #[test]
    fn the_last_lines_are_those_that_tell() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.jsonl");
        assert!(last_lines(&path, 3).is_empty());
        let line =
            |level: &str, msg: &str| json!({ "level": level, "msg": msg }).to_string() + "\n";
        let text = line("info", "a") + "b\n";
        std::fs::write(&path, &text).unwrap();
        assert_eq!(last_lines(&path, 3), ["a", "b"]);
        let text = text + &line("error", "why") + &line("info", "bye");
        std::fs::write(&path, &text).unwrap();
        assert_eq!(last_lines(&path, 3), ["why"]);
        let started = String::from_utf8(wrap("info", SUPERVISOR, "started as process 7")).unwrap();
        let ended = String::from_utf8(wrap("info", SUPERVISOR, "ended: exit code 1")).unwrap();
        std::fs::write(&path, text + &started + "now\n" + &ended).unwrap();
        assert_eq!(last_lines(&path, 3), ["now"]);
    }
}
