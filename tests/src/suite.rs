//! Runs a suite's tests one after the other, and the stack that they share.

use anyhow::{Context as _, Result};
use docket_cli::stack::engine::Kind;
use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Failed, Trial};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use crate::contract;
use crate::stack::Stack;

/// What every test is given.
#[derive(Default)]
pub struct Suite {
    engine: Option<Kind>,
    shared: OnceCell<Stack>,
}

impl Suite {
    /// The stack that tests share; accounts keep them apart. It is started for the first test that asks.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn stack(&self) -> Result<&Stack> {
        self.shared
            .get_or_try_init(|| async {
                match self.engine {
                    Some(engine) => Stack::start_on(engine, "shared", &[], &[]).await,
                    None => Stack::start("shared").await,
                }
            })
            .await
            .context("the shared stack")
    }
}

type Run = fn(Arc<Suite>) -> LocalBoxFuture<'static, Result<()>>;

/// A test's name and its function, for [`main`].
pub type Test = (&'static str, Run);

/// Lists async functions `fn(&Suite) -> anyhow::Result<()>` as tests under their own names.
#[macro_export]
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        vec![$((
            stringify!($name),
            |suite| Box::pin(async move { $name(&suite).await }),
        )),*]
    };
}

/// Runs the tests, each answer held to the contract, takes the shared stack down and gives what `main` returns.
pub fn main(tests: Vec<Test>) -> ExitCode {
    run(Suite::default(), tests)
}

/// As [`main`], with the shared stack on this engine whatever others are on.
pub fn main_on(engine: Kind, tests: Vec<Test>) -> ExitCode {
    let suite = Suite {
        engine: Some(engine),
        ..Suite::default()
    };
    run(suite, tests)
}

fn run(suite: Suite, tests: Vec<Test>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each test loads the whole machine: side by side they would only disturb each other.
    arguments.test_threads = Some(1);
    let runtime = match Runtime::new() {
        Ok(runtime) => Arc::new(runtime),
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    contract::enforce();
    let suite = Arc::new(suite);
    let trials = tests
        .into_iter()
        .map(|(name, run)| {
            let (runtime, suite) = (Arc::clone(&runtime), Arc::clone(&suite));
            Trial::test(name, move || {
                runtime
                    .block_on(run(suite))
                    .map_err(|error| Failed::from(format!("{error:#}")))
            })
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let shared = Arc::into_inner(suite).and_then(|suite| suite.shared.into_inner());
    if let Some(stack) = shared {
        if conclusion.has_failed() {
            drop(stack);
        } else if let Err(error) = runtime.block_on(stack.finish()) {
            eprintln!("error: the shared stack: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    conclusion.exit_code()
}
