//! Holds what Docket is made of to its rules: licences, sources and bans of crates, licences of Go modules, hashes of what the
//! tests have of PyPI; and looks for known holes where it is told of databases.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::python::Python;
use super::runner;
use crate::build;
use crate::layout::Project;
use crate::machine;
use crate::supply::{self, Advisories, Crates, Rules};

/// The variable that names a copy of RustSec's database: a checkout of its repository.
pub const RUSTSEC: &str = "DOCKET_RUSTSEC";
/// The variable that names Go's database of holes: an address, or a copy by `file://`.
pub const GO_VULNDB: &str = "DOCKET_GO_VULNDB";
/// What looks for holes in Go modules, and whether our programs reach them.
const GOVULNCHECK: &str = "golang.org/x/vuln/cmd/govulncheck@v1.9.0";

/// Checks; how many things were.
///
/// # Errors
/// What breaks a rule, or has a hole.
pub async fn run(project: &Project) -> anyhow::Result<usize> {
    let root = project.root();
    let crates = Crates::locked(root).await?;
    let rules = Rules::read(&read(&root.join("deny.toml"))?).context("deny.toml")?;
    let mut findings = rules.broken_by(&crates)?;
    let modules = {
        let programs = build::sidecars(project, &build::Options::default()).await?;
        supply::linked(&project.sidecars(), &programs).await?
    };
    findings.extend(modules.iter().filter_map(supply::Module::complaint));
    for list in Python::ALL.map(Python::requirements) {
        let open = supply::unpinned(&read(&root.join(list))?);
        findings.extend(
            open.iter()
                .map(|line| format!("{list}: {line} is not pinned")),
        );
    }
    let (all, others) = (crates.iter().count(), modules.len());
    eprintln!("supply: licences and sources of {all} crates, licences of {others} Go modules");
    match std::env::var_os(RUSTSEC).map(PathBuf::from) {
        Some(folder) => {
            let advisories = Advisories::read(&folder)?;
            let (holes, remarks) = advisories.look_up(&crates)?;
            let known = advisories.count();
            eprintln!(
                "supply: {known} advisories: {} holes in crates",
                holes.len()
            );
            remarks.iter().for_each(|line| eprintln!("supply: {line}"));
            findings.extend(holes);
        }
        None => {
            eprintln!("supply: known holes in crates were NOT looked for: {RUSTSEC} is not set")
        }
    }
    match std::env::var(GO_VULNDB).ok() {
        Some(database) => {
            if let Err(error) = holes_in_modules(project, &database).await {
                findings.push(format!("{error:#}"));
            }
        }
        None => eprintln!(
            "supply: known holes in Go modules were NOT looked for: {GO_VULNDB} is not set"
        ),
    }
    findings
        .iter()
        .for_each(|finding| eprintln!("supply: {finding}"));
    ensure!(findings.is_empty(), "{} findings", findings.len());
    Ok(all + others + Python::ALL.len())
}

/// Has govulncheck look for holes that our programs reach; it fails if there is one.
async fn holes_in_modules(project: &Project, database: &str) -> anyhow::Result<()> {
    let go = machine::find_on_path("go").context("Go is missing: see `cargo docket doctor`")?;
    let mut command = build::go::command(&go, &project.sidecars());
    command.args(["run", GOVULNCHECK, "-db", database, "./..."]);
    runner::run(&mut command, |_| ()).await
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
