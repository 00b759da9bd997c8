//! The suites, cheap ones first.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use super::python::Python;
use super::stack::Stack;
use super::{bench, contract, runner, supply, tour};
use crate::build::{self, cargo};
use crate::layout::Project;
use crate::stack::engine::Kind;
use crate::{machine, tidy};

/// What can be tested by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Suite {
    /// The project's own rules
    Tidy,
    /// Formatting and lints, of Rust and Go
    Lint,
    /// The tests of every crate
    Unit,
    /// What takes outside text, tried with what nobody thought of (for DOCKET_FUZZ_SECONDS each, from DOCKET_FUZZ_SEED on)
    Fuzz,
    /// What Docket is made of: licences, sources, and known holes where DOCKET_RUSTSEC and DOCKET_GO_VULNDB name databases
    Supply,
    /// Recurrence rules beside python-dateutil
    Oracle,
    /// The tests of the Go programs
    Sidecars,
    /// A whole stack, from outside
    System,
    /// Whatever docs/openapi.json allows, asked of a whole stack (for DOCKET_CONTRACT_SECONDS)
    Contract,
    /// A whole stack whose parts are killed
    Faults,
    /// The suites system and faults on a real Kafka and a real PostgreSQL, and what is particular about these
    Cluster,
    /// A smoke run of the bench
    Bench,
    /// Every command of the README, with the output that it tells
    Tour,
}

impl Suite {
    /// All of them, in the order that they run.
    pub const ALL: [Self; 13] = [
        Self::Tidy,
        Self::Lint,
        Self::Unit,
        Self::Fuzz,
        Self::Supply,
        Self::Oracle,
        Self::Sidecars,
        Self::System,
        Self::Contract,
        Self::Faults,
        Self::Cluster,
        Self::Bench,
        Self::Tour,
    ];

    /// The suite's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tidy => "tidy",
            Self::Lint => "lint",
            Self::Unit => "unit",
            Self::Fuzz => "fuzz",
            Self::Supply => "supply",
            Self::Oracle => "oracle",
            Self::Sidecars => "sidecars",
            Self::System => "system",
            Self::Contract => "contract",
            Self::Faults => "faults",
            Self::Cluster => "cluster",
            Self::Bench => "bench",
            Self::Tour => "tour",
        }
    }

    /// Runs it; how many tests passed. Something that failed is an error.
    async fn run(self, project: &Project) -> anyhow::Result<usize> {
        match self {
            Self::Tidy => tidy(project),
            Self::Lint => lint(project).await,
            Self::Unit => unit(project).await,
            Self::Fuzz => fuzz(project).await,
            Self::Supply => supply::run(project, &workspace(project).await?.target_dir).await,
            Self::Oracle => compare_with_oracle(project).await,
            Self::Sidecars => sidecars(project).await,
            Self::System | Self::Faults => on_stacks(project, &[self.name()], Kind::Embedded).await,
            Self::Contract => contract::run(project, &workspace(project).await?.target_dir).await,
            Self::Cluster => {
                on_stacks(project, &["cluster", "system", "faults"], Kind::Cluster).await
            }
            Self::Bench => smoke(project).await,
            Self::Tour => tour(project).await,
        }
    }
}

/// Runs suites one after the other, whatever fails; whether all passed.
pub async fn run(project: &Project, suites: &[Suite]) -> bool {
    let mut lines = Vec::new();
    let mut failed = 0;
    for suite in suites {
        eprintln!("{:>12} {}", "suite", suite.name());
        let started = Instant::now();
        let (word, note) = match verdict(suite.run(project).await) {
            Ok(tests) => ("passed", format!("{tests} tests")),
            Err(error) => {
                failed += 1;
                ("FAILED", format!("{error:#}"))
            }
        };
        let line = format!(
            "{word:>12} {:<10} {:>7.1} s  {note}",
            suite.name(),
            started.elapsed().as_secs_f64()
        );
        eprintln!("{line}");
        lines.push(line);
    }
    eprintln!();
    for line in lines {
        eprintln!("{line}");
    }
    say(&format!(
        "\n{} passed, {failed} failed",
        suites.len() - failed
    ));
    failed == 0
}

/// A suite without tests has not passed.
fn verdict(outcome: anyhow::Result<usize>) -> anyhow::Result<usize> {
    let tests = outcome?;
    ensure!(tests > 0, "it ran no test");
    Ok(tests)
}

fn say(line: &str) {
    use std::io::Write as _;
    // Nobody listens to a closed pipe; the exit code says the same.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn tidy(project: &Project) -> anyhow::Result<usize> {
    let findings = tidy::check(&tidy::Tree::read(project.root())?);
    for finding in &findings {
        say(&finding.to_string());
    }
    ensure!(findings.is_empty(), "{} findings", findings.len());
    Ok(tidy::rules())
}

async fn lint(project: &Project) -> anyhow::Result<usize> {
    let mut failures = Vec::new();
    let mut checks = 0;
    for words in [
        &["fmt", "--all", "--check"][..],
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    ] {
        let mut command = cargo::native();
        command.args(words).current_dir(project.root());
        checks += 1;
        if let Err(error) = runner::run(&mut command, |_| ()).await {
            failures.push(format!("{error:#}"));
        }
    }
    let go = go()?;
    let module = project.sidecars();
    let mut unformatted = Vec::new();
    let mut gofmt = Command::new(go.with_file_name("gofmt"));
    gofmt.args(["-l", "."]).current_dir(&module);
    checks += 1;
    if let Err(error) = runner::run(&mut gofmt, |file| unformatted.push(file.to_owned())).await {
        failures.push(format!("{error:#}"));
    }
    if !unformatted.is_empty() {
        failures.push(format!("gofmt would change {}", unformatted.join(" ")));
    }
    let mut vet = build::go::command(&go, &module);
    vet.args(["vet", "./..."]);
    checks += 1;
    if let Err(error) = runner::run(&mut vet, |_| ()).await {
        failures.push(format!("{error:#}"));
    }
    ensure!(failures.is_empty(), "{}", failures.join("; "));
    Ok(checks)
}

/// The test targets that need more than cargo, and are suites of their own; the suite `unit` leaves them out.
const NOT_UNITS: [&str; 4] = ["oracle", "system", "faults", "cluster"];

async fn unit(project: &Project) -> anyhow::Result<usize> {
    // The same selection of packages for every native build of the tests, or cargo would compile
    // shared dependencies once for each set of features.
    let mut command = cargo::native();
    command
        .args(["test", "--workspace", "--no-fail-fast", "--lib", "--bins"])
        .current_dir(project.root());
    for test in workspace(project).await?.tests {
        if !NOT_UNITS.contains(&test.as_str()) {
            command.args(["--test", &test]);
        }
    }
    cargo_tests(&mut command).await
}

/// For how many seconds each parser is tried, if nothing else is asked for by [`FUZZ_SECONDS`]: about two minutes in
/// all.
const FUZZ_TIME: &str = "6";
/// What `docket-fuzz` reads.
const FUZZ_SECONDS: &str = "DOCKET_FUZZ_SECONDS";

async fn fuzz(project: &Project) -> anyhow::Result<usize> {
    let mut command = cargo::native();
    command
        .args(["test", "--workspace", "--no-fail-fast", "--lib"])
        // They tell how much they tried.
        .args(["--", "fuzz::", "--nocapture"])
        // Of a failure its input tells more than the test harness's stack, which would bury it.
        .env("RUST_BACKTRACE", "0")
        .current_dir(project.root());
    if std::env::var_os(FUZZ_SECONDS).is_none() {
        command.env(FUZZ_SECONDS, FUZZ_TIME);
    }
    cargo_tests(&mut command).await
}

async fn workspace(project: &Project) -> anyhow::Result<cargo::Workspace> {
    cargo::Workspace::load(&project.root().join("Cargo.toml")).await
}

/// The variable that tells the suite `oracle` of its Python.
const ORACLE_PYTHON: &str = "DOCKET_ORACLE_PYTHON";

async fn compare_with_oracle(project: &Project) -> anyhow::Result<usize> {
    let target_dir = workspace(project).await?.target_dir;
    let python = Python::Oracle.interpreter(project, &target_dir).await?;
    let mut command = cargo::native();
    command
        .args(["test", "--workspace", "--test", "oracle"])
        // It tells how much it compared.
        .args(["--", "--nocapture"])
        .env(ORACLE_PYTHON, python)
        .current_dir(project.root());
    cargo_tests(&mut command).await
}

async fn cargo_tests(command: &mut Command) -> anyhow::Result<usize> {
    let mut passed = 0;
    runner::run(command, |line| passed += runner::cargo_passed(line)).await?;
    Ok(passed)
}

async fn sidecars(project: &Project) -> anyhow::Result<usize> {
    let mut command = build::go::command(&go()?, &project.sidecars());
    command.args(["test", "./..."]);
    let mut passed = 0;
    runner::run(&mut command, |line| passed += runner::go_passed(line)).await?;
    Ok(passed)
}

fn go() -> anyhow::Result<PathBuf> {
    machine::find_on_path("go").context("Go is missing: see `cargo docket doctor`")
}

/// The variable that tells the tests of the engine that their stacks are to be on.
pub const ENGINE_VARIABLE: &str = "DOCKET_TEST_ENGINE";

/// Runs integration tests that start and stop their own stacks, all of them with this program.
async fn on_stacks(project: &Project, tests: &[&str], engine: Kind) -> anyhow::Result<usize> {
    build::build(project, &build::Options::default()).await?;
    let mut command = cargo::native();
    command
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(tests.iter().flat_map(|test| ["--test", *test]))
        .env(ENGINE_VARIABLE, engine.to_string())
        .env("DOCKET_PROGRAM", this_program()?)
        .current_dir(project.root());
    cargo_tests(&mut command).await
}

/// Measures everything once, so that the bench works whenever it is wanted.
async fn smoke(project: &Project) -> anyhow::Result<usize> {
    bench::run(project, &["--quick".to_owned()]).await?;
    Ok(1)
}

/// This program's file. Cargo may have put a newer link of it in its place since it was started:
/// then Linux tells the old file's name with a remark, and the new file does as well.
pub fn this_program() -> anyhow::Result<PathBuf> {
    let told = std::env::current_exe().context("this program has no path")?;
    Ok(without_remark(told))
}

fn without_remark(told: PathBuf) -> PathBuf {
    match told
        .to_str()
        .and_then(|path| path.strip_suffix(" (deleted)"))
    {
        Some(path) if !told.exists() => PathBuf::from(path),
        _ => told,
    }
}

async fn tour(project: &Project) -> anyhow::Result<usize> {
    let readme = project.root().join("README.md");
    let document = std::fs::read_to_string(&readme)
        .with_context(|| format!("cannot read {}", readme.display()))?;
    let stack = Stack::new(&[])?;
    let outcome = tour::run(
        project.root(),
        &document,
        &stack.data_dir(),
        stack.port_base(),
    )
    .await;
    stack.end(project, outcome).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_that_ran_nothing_has_not_passed() {
        assert!(verdict(Ok(0)).is_err());
        assert_eq!(verdict(Ok(2)).unwrap(), 2);
        assert!(verdict(Err(anyhow::anyhow!("x"))).is_err());
    }

    #[test]
    fn a_program_that_was_replaced_is_found_at_its_place() {
        for (told, expected) in [
            ("/t/debug/docket (deleted)", "/t/debug/docket"),
            ("/t/debug/docket", "/t/debug/docket"),
        ] {
            assert_eq!(without_remark(told.into()), PathBuf::from(expected));
        }
    }

    #[test]
    fn each_suite_is_named_once() {
        let mut names: Vec<_> = Suite::ALL.iter().map(|suite| suite.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Suite::ALL.len());
    }
}
