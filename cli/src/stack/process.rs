//! Processes as the system knows them: who a pid is, how much memory it holds, how to end it.
//!
//! A pid alone is never trusted: it comes with the birth of its process, so that a pid which the
//! system gave to another program since is left alone.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};

/// In every child's environment: the data folder that it belongs to. It finds the children of a
/// supervisor that was killed before it could write down their pids.
pub const STACK_VARIABLE: &str = "DOCKET_STACK";

/// A process that cannot be taken for another: its pid and when that pid began to be it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Identity {
    /// The process id.
    pub pid: u32,
    /// The machine's boot and the clock ticks since then.
    pub born: String,
}

/// What a process holds in memory, in bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Memory {
    /// Resident, pages shared with others counted in full.
    pub rss: u64,
    /// Resident, shared pages counted by their share; 0 where the system does not tell.
    pub pss: u64,
}

impl Identity {
    /// Who runs under this pid now.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let born = format!("{}:{}", boot_id(), start_ticks(&stat)?);
        Some(Self { pid, born })
    }

    /// This very process.
    #[must_use]
    pub fn own() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// Whether this process still runs. One that ended and only waits to be reaped does not.
    #[must_use]
    pub fn alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Sends a signal to this process alone; false if it is gone.
    pub fn signal(&self, signal: Signal) -> bool {
        self.alive() && pid(self.pid).is_some_and(|pid| kill_process(pid, signal).is_ok())
    }

    /// Sends a signal to the process and its group (every child leads its own); false if it is gone.
    pub fn signal_group(&self, signal: Signal) -> bool {
        self.alive()
            && pid(self.pid).is_some_and(|pid| {
                kill_process_group(pid, signal).is_ok() || kill_process(pid, signal).is_ok()
            })
    }

    /// What it holds in memory.
    #[must_use]
    pub fn memory(&self) -> Option<Memory> {
        if !self.alive() {
            return None;
        }
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid)).ok();
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        Some(Memory {
            rss: kilobytes(&status, "VmRSS:")?,
            pss: rollup
                .and_then(|text| kilobytes(&text, "Pss:"))
                .unwrap_or_default(),
        })
    }

    /// Waits until the process is gone; false if it is still there at the deadline.
    pub async fn gone_by(&self, deadline: Instant) -> bool {
        while self.alive() {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        true
    }
}

/// Ends what is left of a stack whose supervisor is gone: a signal, then, after `grace`, a kill.
pub async fn end_all(left: &[Identity], grace: Duration) {
    let deadline = Instant::now() + grace;
    for identity in left {
        identity.signal_group(Signal::TERM);
    }
    for identity in left {
        if !identity.gone_by(deadline).await {
            identity.signal_group(Signal::KILL);
        }
    }
    let killed_by = Instant::now() + Duration::from_secs(2);
    for identity in left {
        identity.gone_by(killed_by).await;
    }
}

/// Every running process that carries this data folder in its environment, this one excepted.
#[must_use]
pub fn of_stack(data: &Path) -> Vec<Identity> {
    let mut mark = format!("{STACK_VARIABLE}=").into_bytes();
    mark.extend_from_slice(data.as_os_str().as_encoded_bytes());
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != std::process::id())
        .filter(|pid| {
            std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
                environment.split(|byte| *byte == 0).any(|one| one == mark)
            })
        })
        .filter_map(Identity::of)
        .collect()
}

fn pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// Ticks since boot restart with the machine, so they mean nothing without it.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// The start time in `/proc/<pid>/stat`; nothing for a process that has ended. The program's name
/// comes before it, in brackets, and may hold anything, brackets too. A process whose first thread
/// has ended goes on, and has its ports, until the last one has.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    let state = fields.next()?;
    let threads: u32 = fields.nth(16)?.parse().ok()?;
    if matches!(state, "Z" | "X" | "x") && threads <= 1 {
        return None;
    }
    fields.nth(1)?.parse().ok()
}

fn kilobytes(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_read_past_any_name() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 1 18 4711 20 21";
        for name in ["sh", "a b", "x) (y", ")"] {
            assert_eq!(
                start_ticks(&format!("12 ({name}) {rest}")),
                Some(4711),
                "{name}"
            );
        }
        let ended = format!("12 (sh) {}", rest.replacen('S', "Z", 1));
        assert_eq!(start_ticks(&ended), None);
        let ending = ended.replace(" 16 1 18 ", " 16 2 18 ");
        assert_eq!(start_ticks(&ending), Some(4711), "a thread still runs");
        assert_eq!(start_ticks("12 (sh) S 1"), None);
        assert_eq!(start_ticks(""), None);
    }

    #[test]
    fn a_reused_pid_is_another_process() {
        let own = Identity::own().unwrap();
        assert!(own.alive());
        let earlier = Identity {
            born: format!("{}0", own.born),
            ..own.clone()
        };
        assert!(!earlier.alive());
        // Were it taken for this process, the test would end here.
        assert!(!earlier.signal(Signal::KILL));
        assert!(!earlier.signal_group(Signal::KILL));
        assert_eq!(earlier.memory(), None);
        assert!(own.memory().unwrap().rss > 0);
    }

    #[tokio::test]
    async fn a_childs_folder_is_found_in_its_environment() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = tokio::process::Command::new("sleep")
            .arg("60")
            .env_clear()
            .env(STACK_VARIABLE, folder.path())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        // The mark shows once the child has become `sleep`.
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut found = of_stack(folder.path());
        while found.is_empty() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
            found = of_stack(folder.path());
        }
        assert_eq!(found.len(), 1);
        assert_eq!(Some(found[0].pid), child.id());
        let reaped = tokio::spawn(async move { child.wait().await.unwrap() });
        end_all(&found, Duration::from_secs(5)).await;
        assert!(!reaped.await.unwrap().success());
        assert!(of_stack(folder.path()).is_empty());
    }
}
