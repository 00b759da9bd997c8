//! Holds what Docket is made of to its rules: licences, sources and bans of crates, licences of Go modules, hashes of what the
//! tests have of PyPI; and looks for known holes where it is told of databases.

use std::path::Path;

use anyhow::{Context as _, ensure};

use super::deny::{self, Deny};
use super::python::Python;
use super::runner;
use crate::build;
use crate::layout::Project;
use crate::machine;
use crate::supply;

/// The variable that names RustSec's database, or a copy: the address of its repository, or a folder that has it.
pub const RUSTSEC: &str = "DOCKET_RUSTSEC";
/// The variable that names Go's database of holes: an address, or a copy by `file://`.
pub const GO_VULNDB: &str = "DOCKET_GO_VULNDB";
/// What looks for holes in Go modules, and whether our programs reach them.
const GOVULNCHECK: &str = "golang.org/x/vuln/cmd/govulncheck@v1.9.0";

/// Checks; how many things were.
///
/// # Errors
/// What breaks a rule, or has a hole.
pub async fn run(project: &Project, target_dir: &Path) -> anyhow::Result<usize> {
    let mut findings = Vec::new();
    let mut note = |outcome: anyhow::Result<()>| {
        findings.extend(outcome.err().map(|error| format!("{error:#}")));
    };
    let deny = Deny::installed(project, target_dir).await?;
    note(deny.check().await);
    match std::env::var(RUSTSEC).ok() {
        Some(database) => note(deny.look_for_holes(&database).await),
        None => {
            eprintln!("supply: known holes in crates were NOT looked for: {RUSTSEC} is not set")
        }
    }
    match std::env::var(GO_VULNDB).ok() {
        Some(database) => note(holes_in_modules(project, &database).await),
        None => eprintln!(
            "supply: known holes in Go modules were NOT looked for: {GO_VULNDB} is not set"
        ),
    }
    let programs = build::sidecars(project, &build::Options::default()).await?;
    let modules = supply::linked(&project.sidecars(), &programs).await?;
    eprintln!("supply: licences of {} Go modules", modules.len());
    findings.extend(modules.iter().filter_map(supply::Module::complaint));
    for list in Python::ALL.map(Python::requirements) {
        let open = supply::unpinned(&read(&project.root().join(list))?);
        findings.extend(
            open.iter()
                .map(|line| format!("{list}: {line} is not pinned")),
        );
    }
    findings
        .iter()
        .for_each(|finding| eprintln!("supply: {finding}"));
    ensure!(findings.is_empty(), "{} findings", findings.len());
    Ok(deny::CHECKS.len() + modules.len() + Python::ALL.len())
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
