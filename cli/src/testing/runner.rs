//! Runs a test runner so that its own lines stay visible, and counts what it ran: a suite that ran
//! nothing has not passed.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

/// Runs a command to its end, with what it says on standard output shown and given to `read` line
/// by line. A failure of the command is an error.
pub async fn run(command: &mut Command, mut read: impl FnMut(&str)) -> anyhow::Result<()> {
    let shown = shown(command);
    eprintln!("{:>12} {shown}", "running");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run `{shown}`"))?;
    let stdout = child.stdout.take().context("standard output is piped")?;
    let mut lines = BufReader::new(stdout).split(b'\n');
    let mut out = tokio::io::stdout();
    while let Some(mut line) = lines.next_segment().await? {
        read(&String::from_utf8_lossy(&line));
        line.push(b'\n');
        out.write_all(&line).await?;
        out.flush().await?;
    }
    let status = child.wait().await?;
    ensure!(status.success(), "`{shown}` failed ({status})");
    Ok(())
}

fn shown(command: &Command) -> String {
    let command = command.as_std();
    let program = Path::new(command.get_program());
    std::iter::once(program.file_name().unwrap_or(program.as_os_str()))
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// How many tests a line of `cargo test` says have passed: `test result: ok. 3 passed; …`.
#[must_use]
pub fn cargo_passed(line: &str) -> usize {
    line.trim()
        .strip_prefix("test result: ok. ")
        .and_then(|rest| rest.split_once(" passed"))
        .and_then(|(number, _)| number.parse().ok())
        .unwrap_or(0)
}

/// Whether a line of `go test` says that a package's tests passed; those without tests do not count.
#[must_use]
pub fn go_passed(line: &str) -> usize {
    let mut words = line.split_whitespace();
    let passed = words.next() == Some("ok") && words.next().is_some();
    usize::from(passed && !line.contains("[no tests to run]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_closing_lines_are_counted() {
        for (line, expected) in [
            (
                "test result: ok. 33 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
                33,
            ),
            ("test result: ok. 0 passed; 0 failed", 0),
            ("test result: FAILED. 3 passed; 1 failed", 0),
            ("test a::b ... ok", 0),
        ] {
            assert_eq!(cargo_passed(line), expected, "{line}");
        }
    }

    #[test]
    fn gos_packages_are_counted() {
        for (line, expected) in [
            ("ok  \tdocket/sidecars/internal/broker\t1.2s", 1),
            ("ok  \tdocket/sidecars/internal/broker\t(cached)", 1),
            ("ok  \tdocket/sidecars/x\t0.1s [no tests to run]", 0),
            ("?   \tdocket/sidecars/cmd/daprd\t[no test files]", 0),
            ("FAIL\tdocket/sidecars/x\t0.1s", 0),
        ] {
            assert_eq!(go_passed(line), expected, "{line}");
        }
    }

    #[tokio::test]
    async fn lines_are_given_on_and_a_failure_is_an_error() {
        let mut seen = Vec::new();
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two; exit 2"]);
        let done = run(&mut command, |line| seen.push(line.to_owned())).await;
        assert!(done.unwrap_err().to_string().contains("failed"));
        assert_eq!(seen, ["one", "two"]);
    }
}
