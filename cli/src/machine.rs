//! What this machine offers: programs on PATH and their versions. Shared by `build`, which chooses
//! by it, and `doctor`, which reports it.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// How long a program may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(20);

/// A version of up to three numbers, as programs print it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number; 0 if there is none.
    pub patch: u32,
}

impl Version {
    /// A version.
    #[must_use]
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// The first thing in `text` that looks like a version: `rustc 1.95.0 (…)`, `go version
    /// go1.26.5 linux/amd64`, `v20.11.1`, `1.18.2`.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '(' | ')'))
            .find_map(Self::parse)
    }

    fn parse(word: &str) -> Option<Self> {
        let start = word.find(|c: char| c.is_ascii_digit())?;
        let prefix = word.get(..start)?;
        if !matches!(prefix, "" | "v" | "go") {
            return None;
        }
        let numbers = word.get(start..)?;
        let end = numbers
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(numbers.len());
        let mut parts = numbers.get(..end)?.split('.').map(str::parse);
        let major = parts.next()?.ok()?;
        let minor = parts.next()?.ok()?;
        let patch = parts.next().and_then(Result::ok).unwrap_or(0);
        Some(Self::new(major, minor, patch))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The program's file, if it is on PATH.
#[must_use]
pub fn find_on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// What a program prints when asked for its version; `None` if it cannot be run, fails, or takes
/// too long.
pub async fn version_text(program: &Path, args: &[&str]) -> Option<String> {
    let mut command = tokio::process::Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output())
        .await
        .ok()?
        .ok()?;
    if !output.status.success() {
        return None;
    }
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    if text.trim().is_empty() {
        text = String::from_utf8_lossy(&output.stderr).into_owned();
    }
    Some(text)
}

/// The version that a program tells when asked with `args`.
pub async fn version_of(program: &Path, args: &[&str]) -> Option<Version> {
    Version::find(&version_text(program, args).await?)
}

/// Whether a sidecar of this version fits the project: it was tried with Dapr 1.18.
#[must_use]
pub fn is_fitting_daprd(version: Version) -> bool {
    (version.major, version.minor) == (1, 18)
}

/// A fitting `daprd` on PATH: it is preferred to one of our own.
pub async fn fitting_daprd() -> Option<PathBuf> {
    let file = find_on_path("daprd")?;
    let version = version_of(&file, &["--version"]).await?;
    is_fitting_daprd(version).then_some(file)
}

/// A range of loopback ports that this process has for itself until the value is dropped: nobody listened on any of
/// them, and whoever else looks for a range by this means passes it over.
#[derive(Debug)]
pub struct PortRange {
    base: u16,
    /// Listens on the range's last port, so two processes cannot hold the same range.
    _held: TcpListener,
}

impl PortRange {
    /// Where ranges begin and end: below the ports that systems hand out by themselves.
    const ALL: Range<u16> = 12_000..32_000;

    /// The first free range of `span` ports, whose last one its user leaves alone; `None` if there is none.
    #[must_use]
    pub fn claim(span: u16) -> Option<Self> {
        Self::ALL.step_by(usize::from(span)).find_map(|base| {
            let last = base.checked_add(span.checked_sub(1)?)?;
            let _held = TcpListener::bind((Ipv4Addr::LOCALHOST, last)).ok()?;
            (base..last).all(is_free).then_some(Self { base, _held })
        })
    }

    /// The first port.
    #[must_use]
    pub fn base(&self) -> u16 {
        self.base
    }
}

/// Whether nothing listens on a loopback port.
#[must_use]
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        for (text, expected) in [
            (
                "rustc 1.95.0 (59807616e 2026-04-14)",
                Some(Version::new(1, 95, 0)),
            ),
            (
                "go version go1.26.5 linux/amd64",
                Some(Version::new(1, 26, 5)),
            ),
            ("v20.11.1\n", Some(Version::new(20, 11, 1))),
            ("1.18.2", Some(Version::new(1, 18, 2))),
            ("spin 4.1.0-pre0 (abc 2026)", Some(Version::new(4, 1, 0))),
            (
                "Debian LLD 14.0.6 (compatible)",
                Some(Version::new(14, 0, 6)),
            ),
            (
                "go version go1.27 linux/amd64",
                Some(Version::new(1, 27, 0)),
            ),
            ("edge", None),
            ("", None),
        ] {
            assert_eq!(Version::find(text), expected, "{text:?}");
        }
    }

    #[test]
    fn versions_are_ordered_by_number() {
        assert!(Version::new(1, 100, 0) > Version::new(1, 95, 9));
    }

    #[test]
    fn only_the_dapr_that_was_tried_fits() {
        assert!(is_fitting_daprd(Version::new(1, 18, 0)));
        assert!(!is_fitting_daprd(Version::new(1, 17, 9)));
        assert!(!is_fitting_daprd(Version::new(2, 18, 0)));
    }

    #[test]
    fn a_range_is_had_by_one_and_has_no_port_in_use() {
        let first = PortRange::claim(100).unwrap();
        let second = PortRange::claim(100).unwrap();
        assert!(first.base() < second.base());
        assert!((first.base()..first.base() + 99).all(is_free));
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, second.base() + 7)).unwrap();
        let base = second.base();
        drop(second);
        assert!(PortRange::claim(100).unwrap().base() > base);
    }
}
