//! Apache Kafka for the tests: a broker that is not ours, from Maven Central by a pinned list.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use super::runner;
use crate::machine::{self, Version};

/// The variable that names another Maven repository than Maven Central, such as a company's mirror.
pub const REPOSITORY: &str = "DOCKET_MAVEN_REPOSITORY";
const CENTRAL: &str = "https://repo1.maven.org/maven2";
/// Kafka 4.3.1 with all that it runs on, as `sha256sum` writes it: hash and path in the repository.
const JARS: &str = include_str!("kafka.sha256");
/// The oldest Java that runs it.
const OLDEST_JAVA: Version = Version::new(17, 0, 0);

/// A jar of the list.
struct Jar {
    hash: &'static str,
    path: &'static str,
}

impl Jar {
    fn file(&self, folder: &Path) -> PathBuf {
        folder.join(self.path.rsplit('/').next().unwrap_or(self.path))
    }

    fn is_in(&self, file: &Path) -> bool {
        let content = std::fs::read(file).unwrap_or_default();
        let hash = Sha256::digest(content);
        let shown: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        shown == self.hash
    }
}

fn list() -> impl Iterator<Item = Jar> {
    JARS.lines().filter_map(|line| {
        let (hash, path) = line.split_once("  ")?;
        Some(Jar { hash, path })
    })
}

/// The folder of the jars, below the target folder; what is not there yet is downloaded, and all of it is what the list
/// says.
///
/// # Errors
/// A jar cannot be had, or is another one.
pub async fn jars(target_dir: &Path) -> anyhow::Result<PathBuf> {
    let folder = target_dir.join("kafka");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let missing: Vec<Jar> = list()
        .filter(|jar| !jar.is_in(&jar.file(&folder)))
        .collect();
    if missing.is_empty() {
        return Ok(folder);
    }
    let curl =
        machine::find_on_path("curl").context("curl is missing: see `cargo docket doctor`")?;
    let new = tempfile::Builder::new()
        .prefix("new-")
        .tempdir_in(&folder)?;
    let repository = std::env::var(REPOSITORY).unwrap_or_else(|_| CENTRAL.to_owned());
    // Too much for a command line that people read.
    let mut wanted = String::new();
    for jar in &missing {
        let url = format!("{}/{}", repository.trim_end_matches('/'), jar.path);
        let output = jar.file(new.path());
        wanted.push_str(&format!(
            "url = \"{url}\"\noutput = \"{}\"\n",
            output.display()
        ));
    }
    let list = new.path().join("wanted");
    std::fs::write(&list, wanted)?;
    let mut download = Command::new(curl);
    download
        .args(["--fail", "--silent", "--show-error", "--location"])
        .args(["--retry", "3", "--connect-timeout", "20"])
        .arg("--config")
        .arg(list);
    runner::run(&mut download, |_| ()).await.with_context(|| {
        format!("Apache Kafka cannot be downloaded; {REPOSITORY} may name another Maven repository")
    })?;
    for jar in &missing {
        let file = jar.file(new.path());
        ensure!(
            jar.is_in(&file),
            "{} of {repository} is not the file of the list",
            jar.path
        );
        std::fs::rename(&file, jar.file(&folder))?;
    }
    Ok(folder)
}

/// A Java that runs it: of `JAVA_HOME`, or on PATH.
///
/// # Errors
/// There is none, or it is too old.
pub async fn java() -> anyhow::Result<PathBuf> {
    const CURE: &str = "install Java 17 or later (`apt-get install openjdk-17-jre-headless`)";
    let home = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    let java = home
        .filter(|java| java.is_file())
        .or_else(|| machine::find_on_path("java"))
        .with_context(|| format!("Apache Kafka needs Java, and there is none; {CURE}"))?;
    let version = machine::version_of(&java, &["--version"]).await;
    ensure!(
        version.is_some_and(|version| version >= OLDEST_JAVA),
        "Apache Kafka needs another Java than {}; {CURE}",
        java.display()
    );
    Ok(java)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_jar_has_its_own_place_and_a_hash() {
        let mut names: Vec<PathBuf> = list().map(|jar| jar.file(Path::new("/"))).collect();
        assert_eq!(names.len(), JARS.lines().count());
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), JARS.lines().count());
        assert!(list().all(|jar| jar.hash.len() == 64 && jar.path.ends_with(".jar")));
    }

    #[test]
    fn a_jar_is_known_by_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let jar = Jar {
            hash: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            path: "org/abc/1/abc-1.jar",
        };
        let file = jar.file(folder.path());
        assert!(!jar.is_in(&file));
        std::fs::write(&file, "abc").unwrap();
        assert!(jar.is_in(&file));
        std::fs::write(&file, "abd").unwrap();
        assert!(!jar.is_in(&file));
    }
}
