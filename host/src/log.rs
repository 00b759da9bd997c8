//! What the host writes on standard output: one line an event, as JSON or as text.
//!
//! Lines go through a bounded queue to one thread, so that a slow terminal never holds a request up. A full
//! queue drops lines, and says how many as soon as it can.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

const QUEUED_LINES: usize = 8192;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// All is well.
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// What a line tells.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Event<'a> {
    /// Something about the host or about how it runs a component.
    Host {
        /// What happened.
        message: &'a str,
        /// The component that it is about.
        #[serde(skip_serializing_if = "Option::is_none")]
        component: Option<&'a str>,
        /// The request that it is about.
        #[serde(skip_serializing_if = "Option::is_none")]
        request_id: Option<&'a str>,
    },
    /// A request that has been answered.
    Access {
        /// Its method.
        method: &'a str,
        /// Its path, without the query.
        path: &'a str,
        /// The status of the answer.
        status: u16,
        /// The bytes of the answer's body.
        bytes: u64,
        /// From the request's head to the end of the answer's body.
        duration_ms: f64,
        /// Who answered.
        #[serde(skip_serializing_if = "Option::is_none")]
        component: Option<&'a str>,
        /// The request's id.
        request_id: &'a str,
        /// Whether the answer was cut off.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        aborted: bool,
    },
    /// A line that a component wrote.
    Guest {
        /// The component.
        component: &'a str,
        /// `stdout` or `stderr`.
        stream: &'static str,
        /// The line.
        message: &'a str,
    },
}

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Writes events. Clones write to the same place.
#[derive(Clone)]
pub struct Log {
    format: Format,
    queue: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

impl Log {
    /// A log that writes to `sink` from a thread of its own. The thread ends with the last clone of the log.
    pub fn new(
        format: Format,
        sink: impl Write + Send + 'static,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, lines) = sync_channel(QUEUED_LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let log = Self {
            format,
            queue,
            dropped: Arc::clone(&dropped),
        };
        let thread = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_lines(&lines, &dropped, format, sink))?;
        Ok((log, thread))
    }

    /// Writes one event.
    pub fn write(&self, level: Level, event: &Event<'_>) {
        let line = Message::Line(render(self.format, level, event));
        if self.queue.try_send(line).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits, at most a second, until all that was written so far is out.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.queue.send(Message::Flush(done)).is_ok() {
            // The writer may hang on a dead terminal; the process must end all the same.
            let _ = wait.recv_timeout(Duration::from_secs(1));
        }
    }

    /// Something about the host itself.
    pub fn host(&self, level: Level, message: &str) {
        self.write(
            level,
            &Event::Host {
                message,
                component: None,
                request_id: None,
            },
        );
    }

    /// Something about a component.
    pub fn component(&self, level: Level, component: &str, message: &str) {
        self.write(
            level,
            &Event::Host {
                message,
                component: Some(component),
                request_id: None,
            },
        );
    }
}

fn write_lines(
    lines: &Receiver<Message>,
    dropped: &AtomicU64,
    format: Format,
    mut sink: impl Write,
) {
    // A sink that fails is gone for good: there is nobody left to tell, and requests must go on.
    let mut batch = Vec::new();
    let mut waiting = Vec::new();
    loop {
        match lines.recv_timeout(Duration::from_millis(200)) {
            Ok(message) => {
                let mut next = Some(message);
                while let Some(message) = next {
                    match message {
                        Message::Line(line) => batch.extend_from_slice(&line),
                        Message::Flush(done) => waiting.push(done),
                    }
                    next = if batch.len() < 1 << 16 {
                        lines.try_recv().ok()
                    } else {
                        None
                    };
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let message = format!("{lost} log lines were dropped: the log was read too slowly");
            let event = Event::Host {
                message: &message,
                component: None,
                request_id: None,
            };
            batch.extend_from_slice(&render(format, Level::Warn, &event));
        }
        if !batch.is_empty() {
            let _ = sink.write_all(&batch).and_then(|()| sink.flush());
            batch.clear();
        }
        for done in waiting.drain(..) {
            let _ = done.try_send(());
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    time: &'a str,
    level: Level,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

fn render(format: Format, level: Level, event: &Event<'_>) -> Vec<u8> {
    let time =
        DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut bytes = match format {
        // A map with string keys and plain values always serializes.
        Format::Json => serde_json::to_vec(&Line {
            time: &time,
            level,
            event,
        })
        .unwrap_or_default(),
        Format::Text => render_text(&time, level, event).into_bytes(),
    };
    bytes.push(b'\n');
    bytes
}

fn render_text(time: &str, level: Level, event: &Event<'_>) -> String {
    let level = level.name();
    match event {
        Event::Host {
            message,
            component,
            request_id,
        } => {
            let component = component.map(|c| format!("{c}: ")).unwrap_or_default();
            let request = request_id
                .map(|r| format!(" request={r}"))
                .unwrap_or_default();
            format!("{time} {level:5} {component}{message}{request}")
        }
        Event::Access {
            method,
            path,
            status,
            bytes,
            duration_ms,
            component,
            request_id,
            aborted,
        } => {
            let component = component.unwrap_or("-");
            let aborted = if *aborted { " aborted" } else { "" };
            format!(
                "{time} {level:5} {component}: {method} {path} {status} {bytes}B {duration_ms:.1}ms request={request_id}{aborted}"
            )
        }
        Event::Guest {
            component,
            stream,
            message,
        } => {
            format!("{time} {level:5} {component} {stream}: {message}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(format: Format, event: &Event<'_>) -> String {
        let sink = Sink::default();
        let (log, thread) = Log::new(format, sink.clone()).unwrap();
        log.write(Level::Info, event);
        drop(log);
        thread.join().unwrap();
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    const ACCESS: Event<'_> = Event::Access {
        method: "GET",
        path: "/a\"b",
        status: 200,
        bytes: 5,
        duration_ms: 1.25,
        component: Some("tasks"),
        request_id: "r1",
        aborted: false,
    };

    #[test]
    fn a_json_line_is_one_object_with_these_keys() {
        let line = written(Format::Json, &ACCESS);
        assert!(
            line.ends_with("}\n") && line.matches('\n').count() == 1,
            "{line}"
        );
        let mut value: serde_json::Value = serde_json::from_str(&line).unwrap();
        let time = value.as_object_mut().unwrap().remove("time").unwrap();
        assert!(DateTime::parse_from_rfc3339(time.as_str().unwrap()).is_ok());
        assert_eq!(
            value,
            serde_json::json!({
                "level": "info", "kind": "access", "method": "GET", "path": "/a\"b", "status": 200,
                "bytes": 5, "duration_ms": 1.25, "component": "tasks", "request_id": "r1"
            })
        );
    }

    #[test]
    fn a_text_line_is_for_people() {
        let line = written(Format::Text, &ACCESS);
        let (_, rest) = line.split_once(' ').unwrap();
        assert_eq!(rest, "info  tasks: GET /a\"b 200 5B 1.2ms request=r1\n");
    }
}
