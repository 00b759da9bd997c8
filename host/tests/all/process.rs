//! The program itself: how it starts, what it says when it cannot, how it stops.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{DEADLINE, manifest, send};
use http::Request;

struct Process {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Process {
    fn start(folder: &Path, manifest: &str, arguments: &[&str]) -> Self {
        let path = folder.join("spin.toml");
        std::fs::write(&path, manifest).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_docket-host"))
            .arg("--manifest")
            .arg(&path)
            .args(["--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(arguments)
            .env("DOCKET_WATCH_STDIN", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn line(&mut self, part: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(
                self.lines.read_line(&mut line).unwrap() > 0,
                "it ended without `{part}`"
            );
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            let message = line["message"].as_str().unwrap_or_default();
            if message.contains(part) {
                return message.to_owned();
            }
        }
    }

    /// Waits until it serves; tells where.
    fn address(&mut self) -> std::net::SocketAddr {
        let line = self.line("serving guest on http://");
        let (_, rest) = line.split_once("http://").unwrap();
        rest.split(',').next().unwrap().parse().unwrap()
    }

    fn exit(&mut self) -> (bool, String) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let mut said = String::new();
                self.child
                    .stderr
                    .take()
                    .unwrap()
                    .read_to_string(&mut said)
                    .unwrap();
                return (status.success(), said);
            }
            assert!(start.elapsed() < DEADLINE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_stops_it_when_what_runs_is_done() {
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let folder = tempfile::tempdir().unwrap();
        let mut host = Process::start(folder.path(), &manifest("host-guest", ""), &[]);
        let address = host.address();
        let slow = tokio::spawn(send(address, Request::get("/sleep/300"), "".into()));
        host.line("sleeping");
        host.signal(signal);
        slow.await.unwrap().is(200, "slept");
        host.line("stopped");
        assert_eq!(host.exit(), (true, String::new()));
    }
}

#[test]
fn the_end_of_its_input_stops_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut host = Process::start(folder.path(), &manifest("host-guest", ""), &[]);
    host.address();
    drop(host.child.stdin.take());
    host.line("stopping: the end of standard input");
    assert_eq!(host.exit(), (true, String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_end_is_cut_off_at_the_bound() {
    let folder = tempfile::tempdir().unwrap();
    let mut host = Process::start(
        folder.path(),
        &manifest("host-guest", ""),
        &["--shutdown-timeout", "0"],
    );
    let address = host.address();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(
        &mut { stream },
        b"GET /silent HTTP/1.1\r\nhost: a\r\n\r\n",
    )
    .await
    .unwrap();
    send(address, Request::get("/hello"), "".into())
        .await
        .is(200, "hello");
    host.signal(rustix::process::Signal::TERM);
    assert_eq!(host.exit(), (true, String::new()));
}

#[test]
fn it_says_in_one_line_why_it_cannot_start() {
    let held = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let busy = held.local_addr().unwrap().to_string();
    let missing = "spin_manifest_version = 2\n[application]\nname = \"t\"\n[[trigger.http]]\nroute = \"/...\"\n\
                   component = \"guest\"\n[component.guest]\nsource = \"guest.wasm\"\n";
    let module = missing.replace("guest.wasm", "module.wasm");
    let nothing = missing.replace("guest.wasm", "nothing.wasm");
    let old = missing.replace("guest.wasm", "old.wasm");
    for (manifest, arguments, expected) in [
        (missing, vec!["--listen", &busy], format!("the address {busy} is in use by another process")),
        (missing, vec![], "component `guest`: the Wasm file FOLDER/guest.wasm cannot be read; `cargo docket build` makes it: No such file or directory (os error 2)".to_owned()),
        (missing, vec!["--component", "other"], "there is no component `other` with a route".to_owned()),
        (&module, vec![], "component `guest`: it is a core module, not a component; `cargo docket build` makes components".to_owned()),
        (&nothing, vec![], "component `guest`: it does not export wasi:http/handler@0.3.0 but nothing".to_owned()),
        (&old, vec![], "component `guest`: it is a WASI 0.2 component (it exports wasi:http/incoming-handler): build it with spin-sdk 7 or later".to_owned()),
        ("spin_manifest_version = 2", vec![], "the manifest FOLDER/spin.toml: line 1: missing field `application`".to_owned()),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("module.wasm", "(module)"),
            ("nothing.wasm", "(component)"),
            ("old.wasm", "(component (instance $i) (export \"wasi:http/incoming-handler@0.2.0\" (instance $i)))"),
        ] {
            std::fs::write(folder.path().join(file), wat::parse_str(text).unwrap()).unwrap();
        }
        // A flag that is given twice is an error of its own: the address comes last.
        let mut arguments = arguments;
        if arguments.first() == Some(&"--listen") {
            let path = folder.path().join("spin.toml");
            std::fs::write(&path, manifest).unwrap();
            arguments.extend(["--manifest", path.to_str().unwrap()]);
            let output = Command::new(env!("CARGO_BIN_EXE_docket-host"))
                .args(&arguments)
                .output()
                .unwrap();
            assert!(!output.status.success());
            assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("docket-host: {expected}\n"));
            continue;
        }
        let mut host = Process::start(folder.path(), manifest, &arguments);
        let (success, said) = host.exit();
        let expected = expected.replace("FOLDER", folder.path().to_str().unwrap());
        assert!(!success);
        assert_eq!(said, format!("docket-host: {expected}\n"));
    }
}

#[test]
fn a_second_start_compiles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let cache_flag = ["--cache-dir", cache.to_str().unwrap()];
    let mut compiled = Vec::new();
    for _ in 0..2 {
        let mut host = Process::start(folder.path(), &manifest("host-guest", ""), &cache_flag);
        host.address();
        host.signal(rustix::process::Signal::TERM);
        assert_eq!(host.exit(), (true, String::new()));
        let files: Vec<_> = std::fs::read_dir(&cache)
            .unwrap()
            .map(|e| e.unwrap())
            .collect();
        assert_eq!(files.len(), 1);
        compiled.push(files[0].metadata().unwrap().modified().unwrap());
    }
    assert_eq!(compiled[0], compiled[1]);
}
