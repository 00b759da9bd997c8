//! `cargo docket build`: everything that a stack runs, or some packages to components.

use std::path::PathBuf;
use std::time::Instant;

use crate::build::{self, Options, Route};

/// The command's arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Build only this: a package to a component, `docket-host`, or `sidecars` [may be repeated]
    #[arg(long, short, value_name = "NAME")]
    package: Vec<String>,
    /// The workspace of the packages, if it is another than the project's
    #[arg(long, requires = "package", value_name = "FILE")]
    manifest_path: Option<PathBuf>,
    /// Where the packages' components go: a folder, or a file that ends with .wasm
    #[arg(long, requires = "package", value_name = "PATH")]
    out: Option<PathBuf>,
    /// Which compiler makes the Wasm
    #[arg(
        long,
        env = "DOCKET_WASM_ROUTE",
        value_enum,
        default_value_t = Route::Auto
    )]
    route: Route,
    /// Show the tools' own output
    #[arg(long, short)]
    verbose: bool,
}

impl Args {
    /// Runs the command.
    pub async fn run(self, global: &super::Global) -> anyhow::Result<()> {
        let (project, _) = global.open()?;
        let options = Options {
            route: self.route,
            verbose: self.verbose,
        };
        if self.package.is_empty() {
            let started = Instant::now();
            build::build(&project, &options).await?;
            eprintln!("{:>12} in {:.1} s", "done", started.elapsed().as_secs_f64());
            return Ok(());
        }
        let mut packages = Vec::new();
        for name in self.package {
            match name.as_str() {
                "docket-host" => {
                    build::host(&project, &options).await?;
                }
                "sidecars" => {
                    build::sidecars(&project, &options).await?;
                }
                _ => packages.push(name),
            }
        }
        if !packages.is_empty() {
            build::packages(
                &project,
                self.manifest_path.as_deref(),
                &packages,
                self.out.as_deref(),
                &options,
            )
            .await?;
        }
        Ok(())
    }
}
