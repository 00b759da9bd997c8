//! Runs the tools that a build needs: a line per step, a sign of life while it lasts, and the
//! tool's own output only when it fails (or when asked for).

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;

/// How often a long step says that it still runs.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Runs a tool to its end and gives back its standard output, where cargo's messages for machines
/// are; what people read is on standard error. `label` names the step in what is shown meanwhile.
pub async fn run(
    label: &str,
    command: &mut Command,
    verbose: bool,
    limit: Option<Duration>,
) -> anyhow::Result<String> {
    let shown = shown(command);
    if verbose {
        eprintln!("{:>12} {shown}", "running");
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run `{shown}`"))?;
    let stdout = child.stdout.take().context("standard output is piped")?;
    let stderr = child.stderr.take().context("standard error is piped")?;
    let last = Arc::new(Mutex::new(String::new()));
    let started = Instant::now();
    let work = async {
        let (stdout, stderr) = tokio::join!(
            collect(stdout, None, false),
            collect(stderr, Some(Arc::clone(&last)), verbose)
        );
        let status = child
            .wait()
            .await
            .with_context(|| format!("cannot wait for `{shown}`"))?;
        anyhow::Ok((stdout?, stderr?, status))
    };
    tokio::pin!(work);
    let deadline = limit.map(|limit| tokio::time::Instant::now() + limit);
    let mut beat = tokio::time::interval(HEARTBEAT);
    beat.tick().await;
    let (stdout, stderr, status) = loop {
        tokio::select! {
            done = &mut work => break done?,
            () = passed(deadline) => bail!("`{shown}` took too long and was stopped"),
            _ = beat.tick() => {
                let waited = started.elapsed();
                let line = last.lock().unwrap_or_else(PoisonError::into_inner).clone();
                eprintln!("{:>12} {label} ({} s): {}", "", waited.as_secs(), line.trim());
            }
        }
    };
    if !status.success() {
        if !verbose {
            eprint!("{stderr}");
        }
        // Go and apt-get say some of their errors on standard output.
        eprint!("{}", without_messages(&stdout));
        bail!("`{shown}` failed ({status})");
    }
    Ok(stdout)
}

/// Waits for the deadline; for ever if there is none.
async fn passed(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// A step's closing line.
pub fn report(label: &str, started: Instant, note: &str) {
    let took = started.elapsed().as_secs_f64();
    let note = if note.is_empty() {
        String::new()
    } else {
        format!("  {note}")
    };
    eprintln!("{:>12} {label:<24} {took:>6.1} s{note}", "built");
}

async fn collect(
    from: impl AsyncRead + Unpin,
    last: Option<Arc<Mutex<String>>>,
    echo: bool,
) -> anyhow::Result<String> {
    let mut reader = BufReader::new(from);
    let mut text = String::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).await? == 0 {
            return Ok(text);
        }
        let line = String::from_utf8_lossy(&line);
        if echo {
            eprint!("{line}");
        }
        if let Some(last) = &last {
            line.trim()
                .clone_into(&mut last.lock().unwrap_or_else(PoisonError::into_inner));
        }
        text.push_str(&line);
    }
}

fn without_messages(stdout: &str) -> String {
    stdout
        .lines()
        .filter(|line| !line.starts_with('{'))
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    let command = command.as_std();
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn only_what_a_tool_says_on_standard_output_is_given_back() {
        let said = run("t", &mut shell("echo out; echo err >&2"), false, None)
            .await
            .unwrap();
        assert_eq!(said, "out\n");
    }

    #[tokio::test]
    async fn a_failing_tool_is_an_error_that_names_the_command() {
        let error = run("t", &mut shell("exit 3"), false, None)
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("sh -c exit 3") && text.contains('3'),
            "{text}"
        );
    }

    #[tokio::test]
    async fn an_absent_tool_is_an_error_that_names_it() {
        let error = run("t", &mut Command::new("docket-no-such-tool"), false, None)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("docket-no-such-tool"));
    }

    #[tokio::test]
    async fn a_tool_that_hangs_is_stopped_at_its_limit() {
        let limit = Some(Duration::from_millis(20));
        let error = run("t", &mut shell("exec sleep 600"), false, limit)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("took too long"));
    }

    #[test]
    fn cargos_messages_for_machines_are_not_shown() {
        assert_eq!(without_messages("{\"a\":1}\nplain\n"), "plain\n");
    }
}
