//! `cargo docket sbom`: what the built product is made of, as a CycloneDX bill.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::build;
use crate::supply::{self, Crates};

/// What is built: components for Wasm, the host and the command line for this machine.
const PLATFORMS: [&str; 2] = ["wasm32-wasip2", "x86_64-unknown-linux-gnu"];

/// The command's arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Where the bill goes [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Args {
    /// Runs the command.
    pub async fn run(self, global: &super::Global) -> anyhow::Result<()> {
        let (project, _) = global.open()?;
        let products = products(project.root())?;
        let roots: Vec<&str> = products.iter().map(String::as_str).collect();
        let crates = Crates::built(project.root(), &PLATFORMS, &roots).await?;
        let programs = build::sidecars(&project, &build::Options::default()).await?;
        let modules = supply::linked(&project.sidecars(), &programs).await?;
        let bill = supply::bill(env!("CARGO_PKG_VERSION"), &crates, &modules);
        let text = format!("{bill:#}\n");
        match &self.out {
            Some(file) => std::fs::write(file, text)
                .with_context(|| format!("cannot write {}", file.display())),
            None => Ok(std::io::stdout().write_all(text.as_bytes())?),
        }
    }
}

/// The packages that are built for others to use: the functions, each named as its folder, and the programs.
fn products(root: &Path) -> anyhow::Result<Vec<String>> {
    let folder = root.join("functions");
    let entries = std::fs::read_dir(&folder);
    let entries = entries.with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names = vec!["docket-cli".to_owned(), "docket-host".to_owned()];
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}
