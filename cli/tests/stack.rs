//! `cargo docket up`, `status` and `down` as a person runs them, on a project whose parts are fakes:
//! processes that open the ports that they are told to and answer any question about their health.
//! What the real parts do is tested elsewhere; here it is that all of them always end.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test ends by a panic"
)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use docket_cli::layout::Ports;
use docket_cli::machine::PortRange;
use docket_cli::stack::process::Identity;
use rustix::process::{Pid, Signal, getpgid, kill_process};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);
/// Set in a fake part: the arguments that the part was started with.
const FAKE: &str = "FAKE_PART_ARGUMENTS";
const PROGRAMS: [&str; 5] = [
    "sidecars/bin/docket-broker",
    "sidecars/bin/docket-sentry",
    "sidecars/bin/docket-scheduler",
    "sidecars/bin/daprd",
    "target/debug/docket-host",
];

/// The fakes run this very test alone, as a program; run as a test it shows that a fake answers as a
/// part does.
#[test]
fn a_fake_part() {
    if let Ok(arguments) = std::env::var(FAKE) {
        be_a_part(&arguments);
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || answer(&listener));
    for (question, expected) in [
        ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 "),
        ("\0", "\0\0\0\x04"),
    ] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(question.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(expected), "{answer:?}");
    }
}

fn be_a_part(arguments: &str) -> ! {
    let words: Vec<_> = arguments.split_whitespace().collect();
    for pair in words.windows(2) {
        let port = match pair[0] {
            "--listen" => pair[1].rsplit_once(':').map(|(_, port)| port),
            "--app-port" => None,
            flag if flag.ends_with("port") => Some(pair[1]),
            _ => None,
        };
        if let Some(port) = port.and_then(|port| port.parse::<u16>().ok()) {
            let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
            std::thread::spawn(move || answer(&listener));
        }
    }
    println!("{{\"level\":\"info\",\"msg\":\"fake part ready\"}}");
    if std::env::var("FAKE_PART_WATCHES").as_deref() == Ok("1") {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    }
    loop {
        std::thread::park();
    }
}

fn answer(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        let mut stream = stream;
        let mut question = [0; 1024];
        let length = stream.read(&mut question).unwrap_or(0);
        let answer: &[u8] = if question[..length].starts_with(b"GET") {
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        } else {
            &[0, 0, 0, 4, 0, 0, 0, 1]
        };
        let _ = stream.write_all(answer);
    }
}

/// A project of fakes and a data folder.
struct Bench {
    folder: tempfile::TempDir,
    base: u16,
    /// Keeps the ports from other tests.
    _range: PortRange,
}

/// How a fake behaves.
enum Mode {
    /// It ends with its supervisor, as our own programs do.
    Ours,
    /// It does not know of its supervisor, as a program of someone else's.
    Stock,
    /// It does not end when it is asked to.
    Deaf,
    /// It says why, and fails.
    Failing,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let range = PortRange::claim(Ports::SPAN).unwrap();
        let bench = Self {
            folder,
            base: range.base(),
            _range: range,
        };
        let spin = r#"
            spin_manifest_version = 2
            [variables]
            tasks_dapr_url = { default = "http://127.0.0.1:3020" }
            tasks_dapr_api_token = { required = true, secret = true }
            tasks_app_api_token = { required = true, secret = true }
            [component.tasks]
            source = "target/tasks.wasm"
        "#;
        let files = [
            ("spin.toml", spin),
            ("Cargo.toml", ""),
            ("target/tasks.wasm", ""),
            ("components/configurations/tasks.yaml", ""),
            (
                "components/kafka/topics.yaml",
                "topics: [{name: events, partitions: 1}]",
            ),
        ];
        for (path, content) in files {
            let path = bench.root().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        for program in PROGRAMS {
            bench.set(program, &Mode::Ours);
        }
        bench
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> PathBuf {
        self.root().join(".docket")
    }

    /// Puts a Spin of this version on the PATH that commands see.
    fn install_spin(&self, version: &str) {
        self.set("bin/spin-itself", &Mode::Stock);
        let path = self.root().join("bin/spin");
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = --version ] && {{ echo 'spin {version} (abc1234)'; exit; }}\nexec '{}' \"$@\"\n",
            self.root().join("bin/spin-itself").display()
        );
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn set(&self, program: &str, mode: &Mode) {
        let path = self.root().join(program);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let (before, watches) = match mode {
            Mode::Ours => ("", "1"),
            Mode::Stock => ("", "0"),
            Mode::Deaf => ("trap '' TERM INT", "0"),
            Mode::Failing => ("echo 'the moon is in the wrong phase' >&2; exit 3", "0"),
        };
        let test = std::env::current_exe().unwrap();
        let script = format!(
            "#!/bin/sh\n{before}\nexport {FAKE}=\"$*\" FAKE_PART_WATCHES={watches}\n\
             exec '{}' --exact a_fake_part --nocapture\n",
            test.display()
        );
        // A new file each time: one that runs cannot be written.
        let new = path.with_extension("new");
        std::fs::write(&new, script).unwrap();
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_docket"));
        command
            .args(arguments)
            .current_dir(self.root())
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("DOCKET_DATA_DIR")
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.root().join("bin").display()),
            )
            .env("DOCKET_PORT_BASE", self.base.to_string())
            .stdin(Stdio::null());
        command
    }

    fn docket(&self, arguments: &[&str]) -> Said {
        Said::of(self.command(arguments).output().unwrap())
    }

    /// Starts a stack in the foreground, and waits until it is up.
    fn foreground(&self) -> Child {
        let output = std::fs::File::create(self.root().join("up.txt")).unwrap();
        let mut up = self
            .command(&["up", "--no-build"])
            .stdout(output)
            .spawn()
            .unwrap();
        wait(|| {
            let ended = up.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", self.said());
            self.said().contains("Docket is up at")
        });
        up
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.root().join("up.txt")).unwrap()
    }

    fn record(&self) -> Value {
        let text = std::fs::read_to_string(self.data().join("run/stack.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn process(&self, part: &str) -> Option<Identity> {
        let record = self.record();
        let parts = record["parts"].as_array().unwrap();
        let found = parts.iter().find(|one| one["name"] == part).unwrap();
        serde_json::from_value(found["process"].clone()).unwrap()
    }

    fn supervisor(&self) -> Identity {
        serde_json::from_value(self.record()["supervisor"].clone()).unwrap()
    }

    fn processes(&self) -> Vec<Identity> {
        let names = ["broker", "sentry", "scheduler", "dapr-tasks", "host"];
        names
            .iter()
            .map(|name| self.process(name).unwrap())
            .collect()
    }
}

impl Drop for Bench {
    /// A test that failed leaves nothing either.
    fn drop(&mut self) {
        self.docket(&["down"]);
    }
}

/// What a command said.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    fn expect(&self, code: i32, text: &str) {
        let all = format!("{}{}", self.out, self.err);
        assert!(
            self.code == Some(code) && all.contains(text),
            "{:?}: {all}",
            self.code
        );
    }
}

#[track_caller]
fn wait(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it took too long");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[track_caller]
fn gone(processes: &[Identity]) {
    wait(|| processes.iter().all(|process| !process.alive()));
}

#[test]
fn a_detached_stack_is_started_shown_and_stopped() {
    let bench = Bench::new();
    bench.docket(&["status"]).expect(3, "not running");
    let address = format!("http://127.0.0.1:{}", bench.base);
    bench
        .docket(&["up", "--detach", "--no-build"])
        .expect(0, &format!("Docket is up at {address}"));

    let status = bench.docket(&["status", "--json"]);
    let report: Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(
        (status.code, &report["state"]),
        (Some(0), &"healthy".into()),
        "{report}"
    );
    let names: Vec<_> = report["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["broker", "sentry", "scheduler", "dapr-tasks", "host"]
    );
    assert!(report["rss_bytes"].as_u64().unwrap() > 0);
    bench
        .docket(&["status"])
        .expect(0, &format!("healthy at {address}"));

    let processes = bench.processes();
    bench
        .docket(&["up", "--detach", "--no-build"])
        .expect(0, &format!("already running at {address}"));
    bench
        .docket(&["up", "--no-build"])
        .expect(1, "`cargo docket down` stops it");
    bench
        .docket(&["up", "--detach", "--no-build", "--port-base", "9900"])
        .expect(1, "already running at");
    assert_eq!(bench.processes(), processes);

    bench.docket(&["down"]).expect(0, "stopped (after");
    gone(&processes);
    bench.docket(&["down"]).expect(0, "not running");
    bench.docket(&["status"]).expect(3, "not running");
    let again = bench.docket(&["up", "--detach", "--no-build"]);
    again.expect(0, "Docket is up at");
    assert!(!again.out.contains("secrets"), "{}", again.out);
}

#[test]
fn two_stacks_run_side_by_side() {
    let bench = Bench::new();
    bench
        .docket(&["up", "--detach", "--no-build"])
        .expect(0, "is up at");
    let other = ["--data-dir", "second"];
    let range = PortRange::claim(Ports::SPAN).unwrap();
    let base = range.base().to_string();
    let up = bench.docket(
        &[
            &["up", "--detach", "--no-build", "--port-base", &base],
            &other[..],
        ]
        .concat(),
    );
    up.expect(0, &format!("is up at http://127.0.0.1:{base}"));
    up.expect(
        0,
        &format!("--data-dir {}", bench.root().join("second").display()),
    );
    bench
        .docket(&[&["status"], &other[..]].concat())
        .expect(0, &base);
    bench
        .docket(&[&["down"], &other[..]].concat())
        .expect(0, "stopped");
    bench.docket(&["status"]).expect(0, &bench.base.to_string());
}

#[test]
fn an_interrupt_stops_a_foreground_stack() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let bench = Bench::new();
        let mut up = bench.foreground();
        let processes = bench.processes();
        // A terminal's Ctrl-C goes to a whole group: the parts have to be in others.
        for process in &processes {
            let pid = Pid::from_raw(i32::try_from(process.pid).unwrap()).unwrap();
            assert_eq!(getpgid(Some(pid)).unwrap(), pid);
        }
        send(&up, signal);
        assert_eq!(up.wait().unwrap().code(), Some(0), "{}", bench.said());
        assert!(processes.iter().all(|process| !process.alive()));
        assert!(bench.said().ends_with("stopped\n"), "{}", bench.said());
    }
}

#[test]
fn a_second_interrupt_kills_what_does_not_stop() {
    let bench = Bench::new();
    bench.set("target/debug/docket-host", &Mode::Deaf);
    let mut up = bench.foreground();
    let processes = bench.processes();
    let began = Instant::now();
    send(&up, Signal::INT);
    wait(|| bench.said().contains("stopping"));
    assert!(bench.process("host").unwrap().alive());
    send(&up, Signal::INT);
    assert_eq!(up.wait().unwrap().code(), Some(0));
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    assert!(processes.iter().all(|process| !process.alive()));
}

#[test]
fn down_stops_a_foreground_stack_within_its_time_even_if_a_part_is_deaf() {
    let bench = Bench::new();
    bench.set("sidecars/bin/daprd", &Mode::Deaf);
    let mut up = bench.foreground();
    let processes = bench.processes();
    let began = Instant::now();
    bench.docket(&["down"]).expect(0, "did not stop in time");
    assert!(
        began.elapsed() < Duration::from_secs(12),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(up.wait().unwrap().code(), Some(0));
    assert!(processes.iter().all(|process| !process.alive()));
}

#[test]
fn a_killed_up_leaves_nothing_of_ours() {
    let bench = Bench::new();
    let mut up = bench.foreground();
    let processes = bench.processes();
    up.kill().unwrap();
    assert_eq!(up.wait().unwrap().signal(), Some(9));
    gone(&processes);
    bench.docket(&["status"]).expect(3, "not running");
    bench
        .docket(&["up", "--detach", "--no-build"])
        .expect(0, "Docket is up at");
}

#[test]
fn what_a_killed_up_leaves_of_others_is_ended_by_the_next_command() {
    for (command, text) in [
        (&["down"][..], "ended 1 process"),
        (&["up", "--detach", "--no-build"], "ended 1 process left"),
    ] {
        let bench = Bench::new();
        bench.set("sidecars/bin/daprd", &Mode::Stock);
        let mut up = bench.foreground();
        let (all, stock) = (bench.processes(), bench.process("dapr-tasks").unwrap());
        up.kill().unwrap();
        up.wait().unwrap();
        let ours: Vec<_> = all.into_iter().filter(|one| *one != stock).collect();
        gone(&ours);
        assert!(stock.alive());
        bench
            .docket(&["status"])
            .expect(1, "1 process of an `up` that was killed still there");
        bench.docket(command).expect(0, text);
        assert!(!stock.alive());
    }
}

#[test]
fn a_child_that_was_not_written_down_is_found_all_the_same() {
    let bench = Bench::new();
    bench.set("sidecars/bin/daprd", &Mode::Stock);
    let mut up = bench.foreground();
    let (all, stock) = (bench.processes(), bench.process("dapr-tasks").unwrap());
    up.kill().unwrap();
    up.wait().unwrap();
    let ours: Vec<_> = all.into_iter().filter(|one| *one != stock).collect();
    gone(&ours);
    std::fs::remove_file(bench.data().join("run/stack.json")).unwrap();
    assert!(stock.alive());
    bench.docket(&["down"]).expect(0, "ended 1 process");
    assert!(!stock.alive());
}

#[test]
fn a_process_with_a_reused_pid_is_left_alone() {
    let bench = Bench::new();
    bench
        .docket(&["up", "--detach", "--no-build"])
        .expect(0, "is up at");
    bench.docket(&["down"]).expect(0, "stopped");
    let mut stranger = Command::new("sleep").arg("600").spawn().unwrap();
    let mut record = bench.record();
    record["phase"] = "running".into();
    record["supervisor"] = Value::Null;
    record["parts"][0]["process"] = serde_json::json!({ "pid": stranger.id(), "born": "then:1" });
    std::fs::write(bench.data().join("run/stack.json"), record.to_string()).unwrap();
    bench.docket(&["down"]).expect(0, "not running");
    assert!(stranger.try_wait().unwrap().is_none());
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn a_fitting_spin_on_path_runs_the_functions_and_is_ended_like_the_rest() {
    let bench = Bench::new();
    bench.install_spin("4.0.2");
    bench
        .docket(&["up", "--detach", "--no-build", "--host", "spin"])
        .expect(1, "is version 4.0.2, and Docket needs 4.1");
    bench.install_spin("4.1.0");
    bench
        .docket(&["up", "--detach", "--no-build"])
        .expect(0, "Spin 4.1.0 (");
    let spin = bench.process("host").unwrap();
    let line = std::fs::read(format!("/proc/{}/environ", spin.pid)).unwrap();
    assert!(String::from_utf8_lossy(&line).contains("SPIN_VARIABLE_TASKS_DAPR_API_TOKEN="));
    bench.supervisor().signal(Signal::KILL);
    wait(|| !bench.supervisor().alive());
    assert!(spin.alive());
    bench
        .docket(&["up", "--detach", "--no-build", "--host", "embedded"])
        .expect(0, "is up at");
    assert!(!spin.alive());
    bench.docket(&["down"]).expect(0, "stopped");
    bench
        .docket(&["up", "--detach", "--no-build"])
        .expect(0, "is up at");
    let spin = bench.process("host").unwrap();
    bench.docket(&["down"]).expect(0, "stopped");
    assert!(!spin.alive());
}

#[test]
fn a_part_that_dies_is_started_again() {
    let bench = Bench::new();
    let mut up = bench.foreground();
    let before = bench.process("dapr-tasks").unwrap();
    before.signal(Signal::KILL);
    wait(|| bench.said().contains("healthy again"));
    assert!(
        bench
            .said()
            .contains("ended with signal 9; starts again in 0.1 s"),
        "{}",
        bench.said()
    );
    let after = bench.process("dapr-tasks").unwrap();
    assert_ne!(after, before);
    let report: Value = serde_json::from_str(&bench.docket(&["status", "--json"]).out).unwrap();
    assert_eq!(report["parts"][3]["restarts"], 1);
    send(&up, Signal::INT);
    assert_eq!(up.wait().unwrap().code(), Some(0));
}

#[test]
fn a_part_that_cannot_start_takes_all_down_and_says_why() {
    for flags in [&["up", "--no-build"][..], &["up", "--no-build", "--detach"]] {
        let bench = Bench::new();
        bench.set("target/debug/docket-host", &Mode::Failing);
        let said = bench.docket(flags);
        said.expect(1, "gave up on host: it died 3 times, last with exit code 3");
        said.expect(1, "the moon is in the wrong phase");
        assert!(bench.process("broker").is_none());
        bench
            .docket(&["status"])
            .expect(3, "not running: gave up on host");
        for port in bench.base..bench.base + 30 {
            TcpListener::bind(("127.0.0.1", port)).unwrap();
        }
    }
}

#[test]
fn what_stands_in_the_way_is_told_in_one_line_and_nothing_is_started() {
    type Spoil = fn(&Bench) -> Option<TcpListener>;
    let cases: [(Spoil, &str); 6] = [
        (
            |bench| Some(TcpListener::bind(("127.0.0.1", bench.base + 20)).unwrap()),
            "(for dapr-tasks) is taken by another program",
        ),
        (
            |bench| {
                std::fs::remove_file(bench.root().join("sidecars/bin/docket-sentry")).unwrap();
                None
            },
            "docket-sentry is not built; run `cargo docket build`",
        ),
        (
            |bench| {
                std::fs::remove_file(bench.root().join("target/tasks.wasm")).unwrap();
                None
            },
            "tasks.wasm is not built; run `cargo docket build`",
        ),
        (
            |bench| {
                std::fs::remove_file(bench.root().join("components/configurations/tasks.yaml"))
                    .unwrap();
                None
            },
            "app tasks has no Dapr configuration: write ",
        ),
        (
            |bench| {
                std::fs::write(bench.data(), "").unwrap();
                None
            },
            ".docket is not a folder; move it away or give another --data-dir",
        ),
        (
            |bench| {
                std::fs::create_dir(bench.data()).unwrap();
                std::fs::write(bench.data().join("version"), "9").unwrap();
                None
            },
            "is a data folder of version 9",
        ),
    ];
    for (spoil, expected) in cases {
        for flags in [&["up", "--no-build"][..], &["up", "--no-build", "--detach"]] {
            let bench = Bench::new();
            let _held = spoil(&bench);
            let said = bench.docket(flags);
            said.expect(1, expected);
            let errors = format!("{}{}", said.out, said.err);
            let errors: Vec<_> = errors
                .lines()
                .filter(|line| line.contains("error:"))
                .collect();
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert!(errors[0].contains(expected), "{errors:?}");
            bench.docket(&["down"]);
        }
    }
    let bench = Bench::new();
    bench
        .docket(&["up", "--no-build", "--host", "spin"])
        .expect(1, "no `spin` on PATH; install Spin 4.1");
    bench
        .docket(&["up", "--no-build", "--port-base", "80"])
        .expect(1, "port base 80 is out of range");
}
