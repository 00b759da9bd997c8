//! Runs the commands of a document and compares what they print with what it says.
//!
//! The document's fenced blocks marked `console` hold lines `$ command`, each followed by the output
//! that it has to give, standard output and error as they come:
//!
//! ````text
//! ```console
//! $ TOKEN=$(cargo docket token --email ada@example.com)
//! $ curl -s -H "Authorization: Bearer $TOKEN" http://127.0.0.1:3000/api/tasks
//! {"tasks":[],…}
//! ```
//! ````
//!
//! - `…` in a line stands for anything within that line; a line that is only `…` (or `...`) stands for
//!   any number of lines, none included.
//! - A command whose line ends with `\` goes on in the next line; that may begin with `> `.
//! - All commands of a document run in one bash session, in the project's root, in order: variables
//!   last. A command that fails is a mismatch; whoever wants a failure writes `|| true`.
//! - The stack of a tour has a data folder and a port base of its own (by `DOCKET_DATA_DIR` and
//!   `DOCKET_PORT_BASE`); the document's `:3000` and `:3001` are replaced by its ports.
//! - A command may not wait for a person: `up` is run with `--detach`. Only bash, curl and the
//!   project's own command are taken for granted.
//! - A block marked `console no-run` is only checked for its syntax.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// The longest that one command may take: the first one may build everything.
const PATIENCE: Duration = Duration::from_secs(45 * 60);
/// Ends what a command prints. No document says that.
const MARK: &str = "docket-tour-mark";

/// A command of a document and what it has to print.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// The command's line, from 1.
    pub line: usize,
    /// The command; several lines if it goes on.
    pub command: String,
    /// The lines that it has to print.
    pub expected: Vec<String>,
    /// Whether it is run at all.
    pub run: bool,
}

/// The steps of a document.
pub fn read(document: &str) -> anyhow::Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    // Of the open block: whether its commands run. Other blocks are skipped to their end.
    let mut block: Option<Option<bool>> = None;
    let mut first_in_block = false;
    let mut goes_on = false;
    for (index, text) in document.lines().enumerate() {
        let line = index + 1;
        if let Some(info) = text.strip_prefix("```") {
            ensure!(!goes_on, "line {line}: the command above goes on");
            block = match block {
                Some(_) => None,
                None => Some(match info.split_whitespace().collect::<Vec<_>>()[..] {
                    ["console"] => Some(true),
                    ["console", "no-run"] => Some(false),
                    ["console", ..] => bail!("line {line}: unknown mark in ```{info}"),
                    _ => None,
                }),
            };
            first_in_block = true;
            continue;
        }
        let Some(Some(run)) = block else { continue };
        if goes_on {
            let text = text.strip_prefix("> ").unwrap_or(text);
            let step = steps.last_mut().context("a command goes on")?;
            step.command.push('\n');
            step.command.push_str(text);
            goes_on = text.ends_with('\\');
        } else if let Some(command) = text.strip_prefix("$ ") {
            goes_on = command.ends_with('\\');
            steps.push(Step {
                line,
                command: command.to_owned(),
                expected: Vec::new(),
                run,
            });
        } else {
            ensure!(
                !first_in_block,
                "line {line}: a console block begins with `$ command`"
            );
            let step = steps.last_mut().context("output follows a command")?;
            step.expected.push(text.to_owned());
        }
        first_in_block = false;
    }
    ensure!(block.is_none(), "the last fenced block has no end");
    Ok(steps)
}

/// Whether what was printed is what was expected.
#[must_use]
pub fn matches(expected: &[String], actual: &[String]) -> bool {
    // One row of the usual table: `reached[n]` says whether what was expected so far can be the
    // first `n` lines.
    let mut reached = vec![false; actual.len() + 1];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    for pattern in expected {
        let any = is_any_lines(pattern);
        let mut next = vec![false; actual.len() + 1];
        let mut before = false;
        for (n, slot) in next.iter_mut().enumerate() {
            let here = reached.get(n).copied().unwrap_or(false);
            *slot = if any {
                before |= here;
                before
            } else {
                n > 0
                    && reached.get(n - 1).copied().unwrap_or(false)
                    && actual
                        .get(n - 1)
                        .is_some_and(|line| matches_line(pattern, line))
            };
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

fn is_any_lines(pattern: &str) -> bool {
    matches!(pattern.trim(), "…" | "...")
}

fn matches_line(pattern: &str, line: &str) -> bool {
    let line = line.trim_end();
    let mut parts = pattern.trim_end().split('…');
    let Some(mut rest) = parts.next().and_then(|start| line.strip_prefix(start)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((end, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(end)
}

/// What a person sees who compares both.
fn difference(expected: &[String], actual: &[String]) -> String {
    let mut text = String::from("  expected:\n");
    for line in expected {
        text.push_str(&format!("    - {line}\n"));
    }
    text.push_str("  printed:\n");
    for line in actual {
        text.push_str(&format!("    + {line}\n"));
    }
    text
}

/// Runs a document's steps with a stack of their own; gives back how many commands ran. The first
/// mismatch ends the tour, since what follows builds on it.
pub async fn run(
    root: &Path,
    document: &str,
    data_dir: &Path,
    port_base: u16,
) -> anyhow::Result<usize> {
    let steps = read(document)?;
    let mut session = Session::start(root, data_dir, port_base).await?;
    let mut ran = 0;
    for step in &steps {
        let command = with_ports(&step.command, port_base);
        if !step.run {
            check_syntax(&command)
                .await
                .with_context(|| format!("line {}: `{}`", step.line, step.command))?;
            continue;
        }
        let started = std::time::Instant::now();
        let (actual, status) = tokio::time::timeout(PATIENCE, session.run(&command))
            .await
            .with_context(|| format!("line {}: `{}` hangs", step.line, step.command))??;
        let expected: Vec<String> = step
            .expected
            .iter()
            .map(|line| with_ports(line, port_base))
            .collect();
        if status != 0 || !matches(&expected, &actual) {
            bail!(
                "line {}: `{}` ended with {status}\n{}",
                step.line,
                step.command,
                difference(&expected, &actual)
            );
        }
        ran += 1;
        eprintln!(
            "{:>12} {} ({:.1} s)",
            "as told",
            step.command.lines().next().unwrap_or(""),
            started.elapsed().as_secs_f64()
        );
    }
    session.end().await?;
    Ok(ran)
}

/// The document's ports are those of the default base.
fn with_ports(text: &str, base: u16) -> String {
    text.replace(":3000", &format!(":{base}"))
        .replace(":3001", &format!(":{}", base + 1))
}

async fn check_syntax(command: &str) -> anyhow::Result<()> {
    let output = Command::new("bash")
        .args(["-n", "-c", command])
        .stdin(Stdio::null())
        .output()
        .await
        .context("cannot run bash")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// A bash that runs one command after the other.
struct Session {
    bash: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Session {
    async fn start(root: &Path, data_dir: &Path, port_base: u16) -> anyhow::Result<Self> {
        let mut bash = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .current_dir(root)
            .env("DOCKET_DATA_DIR", data_dir)
            .env("DOCKET_PORT_BASE", port_base.to_string())
            .env("NO_COLOR", "1")
            .env("TERM", "dumb")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot run bash")?;
        let mut stdin = bash.stdin.take().context("standard input is piped")?;
        let stdout = bash.stdout.take().context("standard output is piped")?;
        // As in a terminal, both kinds of output come in one.
        stdin.write_all(b"exec 2>&1\n").await?;
        Ok(Self {
            bash,
            stdin,
            stdout: BufReader::new(stdout).lines(),
        })
    }

    /// Runs a command; what it printed and its exit status.
    async fn run(&mut self, command: &str) -> anyhow::Result<(Vec<String>, i32)> {
        // eval runs it in the session itself; its input must not be the rest of the session's.
        // The mark begins a line even if the output does not end one.
        let script = format!(
            "eval {} </dev/null; printf '\\n%s %s\\n' {MARK} $?\n",
            quoted(command)
        );
        self.stdin.write_all(script.as_bytes()).await?;
        let mut lines = Vec::new();
        loop {
            let line = self
                .stdout
                .next_line()
                .await?
                .context("the command ended the session")?;
            if let Some(status) = line.strip_prefix(MARK) {
                // The line break before the mark, unless it ended a last line.
                if lines.last().is_some_and(String::is_empty) {
                    lines.pop();
                }
                return Ok((lines, status.trim().parse()?));
            }
            lines.push(line);
        }
    }

    async fn end(mut self) -> anyhow::Result<()> {
        drop(self.stdin);
        self.bash.wait().await?;
        Ok(())
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn expected_and_printed_lines_are_compared() {
        for (expected, actual, same) in [
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("a\nb", "a\nb", true),
            ("a\nb", "a\nc", false),
            ("a", "a  ", true),
            ("a…c", "abc", true),
            ("a…c", "ac", true),
            ("a…c", "abcd", false),
            ("…b…", "abc", true),
            ("a…b…c", "axbxc", true),
            ("a…a", "a", false),
            ("…c…c", "c", false),
            ("…", "", true),
            ("…", "a\nb", true),
            ("...", "a\nb", true),
            ("a\n…\nd", "a\nb\nc\nd", true),
            ("a\n…\nd", "a\nd", true),
            ("a\n…\nd", "a\nb\nc", false),
            ("…\nb\n…", "a\nb\nc", true),
            ("…\nb\n…", "a\nc", false),
            ("…\n…", "a", true),
            ("{\"id\":\"…\",\"n\":1}", "{\"id\":\"t1\",\"n\":1}", true),
        ] {
            assert_eq!(
                matches(&lines(expected), &lines(actual)),
                same,
                "{expected:?} against {actual:?}"
            );
        }
    }

    #[test]
    fn steps_are_the_commands_of_console_blocks() {
        let document = "# T\n\n```console\n$ one\nout\n\n$ two \\\n> more\n```\n\
                        ```rust\n$ not one\n```\n```console no-run\n$ three\n```\n";
        let steps = read(document).unwrap();
        let told: Vec<_> = steps
            .iter()
            .map(|s| (s.line, s.command.as_str(), s.expected.len(), s.run))
            .collect();
        assert_eq!(
            told,
            [
                (4, "one", 2, true),
                (7, "two \\\nmore", 0, true),
                (14, "three", 0, false)
            ]
        );
    }

    #[test]
    fn the_readme_is_a_tour_that_starts_and_stops_a_stack() {
        let steps = read(include_str!("../../../README.md")).unwrap();
        let commands: Vec<_> = steps.iter().map(|step| step.command.as_str()).collect();
        let position = |command| commands.iter().position(|c| *c == command);
        let up = position("cargo docket up --detach").expect("it starts a stack");
        let down = position("cargo docket down").expect("it stops the stack");
        assert!(up < down);
    }

    #[test]
    fn documents_that_make_no_sense_are_refused() {
        for document in [
            "```console\n$ a\n",
            "```console\nout\n```\n",
            "```console norun\n$ a\n```\n",
            "```console\n$ a \\\n```\n",
        ] {
            assert!(read(document).is_err(), "{document:?}");
        }
    }

    #[test]
    fn a_second_stack_has_other_ports() {
        let text = "curl http://127.0.0.1:3000/x ws://127.0.0.1:3001/ws";
        assert_eq!(
            with_ports(text, 4100),
            "curl http://127.0.0.1:4100/x ws://127.0.0.1:4101/ws"
        );
    }

    async fn toured(document: &str) -> anyhow::Result<usize> {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), document, &folder.path().join("data"), 4100).await
    }

    #[tokio::test]
    async fn a_session_keeps_its_variables() {
        let document = "```console\n$ A=\"it's one\"\n$ echo \"$A\"; echo >&2 two\nit's one\ntwo\n\
                        $ printf x; echo $DOCKET_PORT_BASE\nx4100\n$ printf 'no end'\nno end\n```\n";
        assert_eq!(toured(document).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn a_mismatch_is_told_with_both_sides() {
        let document = "```console\n$ echo other\nexpected\n```\n";
        let text = toured(document).await.unwrap_err().to_string();
        for part in ["line 2", "- expected", "+ other"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[tokio::test]
    async fn a_failing_command_is_a_mismatch() {
        assert!(toured("```console\n$ false\n```\n").await.is_err());
        assert!(toured("```console\n$ false || true\n```\n").await.is_ok());
        assert!(toured("```console\n$ exit 0\n```\n").await.is_err());
    }

    #[tokio::test]
    async fn a_command_does_not_read_the_next_one() {
        let document = "```console\n$ cat\n$ echo on\non\n```\n";
        assert_eq!(toured(document).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn what_is_not_run_is_checked_for_its_syntax() {
        assert_eq!(
            toured("```console no-run\n$ false\n```\n").await.unwrap(),
            0
        );
        assert!(toured("```console no-run\n$ echo 'x\n```\n").await.is_err());
    }
}
