//! An application that is ready to serve: manifest read, variables filled in, components composed and compiled.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wasmtime::Engine;

use crate::allowed_hosts::{AllowedHostError, AllowedHosts};
use crate::cache::Cache;
use crate::compose::ComposeError;
use crate::guest::Shared;
use crate::log::{Level, Log};
use crate::manifest::{Component, Manifest, ManifestError};
use crate::outbound::{Outbound, OutboundClient};
use crate::pool::{Limits, Pool, proxy_pre};
use crate::routes::Router;
use crate::turns::Turns;
use crate::variables::{Values, VariableError};
use crate::{compose, engine};

/// How a core module's file begins; a component's has another version.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Why an application cannot be served.
#[derive(Debug, Error)]
pub enum AppError {
    /// The manifest is wrong.
    #[error("the manifest {}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: ManifestError,
    },
    /// A variable has no value.
    #[error(transparent)]
    Variable(#[from] VariableError),
    /// An entry of `allowed_outbound_hosts` is wrong.
    #[error("component.{component}.allowed_outbound_hosts")]
    AllowedHost {
        /// The component.
        component: String,
        /// What is wrong.
        #[source]
        source: AllowedHostError,
    },
    /// A component's parts do not go together, or are not there.
    #[error("component `{component}`")]
    Compose {
        /// The component.
        component: String,
        /// What is wrong.
        #[source]
        source: ComposeError,
    },
    /// A component is not one that the host can run.
    #[error("component `{component}`: {message}")]
    Component {
        /// The component.
        component: String,
        /// What is wrong.
        message: String,
    },
    /// The engine does not start on this machine.
    #[error("the engine cannot start: {0}")]
    Engine(String),
    /// The folder of compiled components cannot be used.
    #[error("the cache folder {} cannot be used", path.display())]
    Cache {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// `only` names a component that the manifest does not have.
    #[error("there is no component `{0}` with a route")]
    NoSuchComponent(String),
}

/// How to make an application ready.
pub struct AppOptions {
    /// The manifest.
    pub manifest: PathBuf,
    /// Where compiled components are kept; without it each start compiles.
    pub cache: Option<PathBuf>,
    /// Bounds on each component.
    pub limits: Limits,
    /// The components to serve; none named means all.
    pub only: BTreeSet<String>,
    /// Where events go.
    pub log: Log,
}

/// An application that is ready to serve.
pub struct App {
    router: Router,
    pools: BTreeMap<String, Pool>,
    info: String,
    log: Log,
    alive: TaskTracker,
    stop: CancellationToken,
}

impl App {
    /// Makes an application ready. `environment` is asked for variables by their full name.
    pub fn load(
        options: AppOptions,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, AppError> {
        let manifest = Manifest::load(&options.manifest).map_err(|source| AppError::Manifest {
            path: options.manifest.clone(),
            source,
        })?;
        let values = Values::resolve(&manifest, environment)?;
        let served: BTreeMap<&String, &Component> = manifest
            .components
            .iter()
            .filter(|(id, component)| {
                component.has_route && (options.only.is_empty() || options.only.contains(*id))
            })
            .collect();
        if let Some(missing) = options.only.iter().find(|id| !served.contains_key(id)) {
            return Err(AppError::NoSuchComponent(missing.clone()));
        }

        // What is cheap to check comes before what takes seconds.
        let mut prepared = Vec::new();
        for (id, component) in &served {
            let variables = values.of_component(id, component)?;
            prepared.push((
                *id,
                *component,
                allowed_hosts(id, component, &values)?,
                variables,
            ));
        }

        let limits = options.limits;
        // Each place may need an instance of its own; some linger over what follows an answer.
        let per_component = u32::try_from(limits.concurrency)
            .unwrap_or(u32::MAX)
            .saturating_mul(2);
        let components = u32::try_from(served.len()).unwrap_or(u32::MAX).max(1);
        let instances = per_component.saturating_mul(components).clamp(16, 2048);
        let failed = |error: wasmtime::Error| AppError::Engine(format!("{error:#}"));
        let engine = engine::engine(instances, limits.memory).map_err(failed)?;
        let linker = engine::linker(&engine).map_err(failed)?;
        let turns = Arc::new(Turns::of_this_machine());
        engine::start_clock(&engine, Arc::clone(&turns))
            .map_err(|error| AppError::Engine(error.to_string()))?;
        let cache = match options.cache {
            None => None,
            Some(path) => Some(
                Cache::open(&path, &engine).map_err(|source| AppError::Cache { path, source })?,
            ),
        };

        let (alive, stop) = (TaskTracker::new(), CancellationToken::new());
        let client = OutboundClient::new();
        let tick = u64::try_from(engine::TICK.as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        let compute = u64::try_from(limits.compute.as_millis()).unwrap_or(u64::MAX) / tick;
        let mut pools = BTreeMap::new();
        for (id, component, allowed, variables) in prepared {
            let shared_id: Arc<str> = id.as_str().into();
            let compiled = compile(&engine, cache.as_ref(), id, component, &options.log)?;
            let wrong = |error: wasmtime::Error| AppError::Component {
                component: id.clone(),
                message: format!("{error:#}"),
            };
            let pre = linker
                .instantiate_pre(&compiled)
                .and_then(proxy_pre)
                .map_err(wrong)?;
            let outbound = Outbound {
                component: Arc::clone(&shared_id),
                allowed: Arc::new(allowed),
                client: client.clone(),
                log: options.log.clone(),
            };
            let shared = Shared {
                id: shared_id,
                variables,
                environment: component.environment.clone().into_iter().collect(),
                outbound,
                log: options.log.clone(),
                memory_limit: limits.memory,
                tick_limit: u32::try_from(compute).unwrap_or(u32::MAX),
                turns: Arc::clone(&turns),
            };
            let pool = Pool::new(
                engine.clone(),
                pre,
                Arc::new(shared),
                limits,
                alive.clone(),
                stop.clone(),
            );
            pools.insert(id.clone(), pool);
        }

        let info = serde_json::json!({ "name": manifest.name, "version": manifest.version });
        Ok(Self {
            router: manifest.router,
            pools,
            info: info.to_string(),
            log: options.log,
            alive,
            stop,
        })
    }

    /// The routes.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// The instances of a component, if it is served.
    pub fn pool(&self, component: &str) -> Option<&Pool> {
        self.pools.get(component)
    }

    /// The ids of the components that are served.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.pools.keys().map(String::as_str)
    }

    /// Name and version, as JSON.
    pub fn info(&self) -> &str {
        &self.info
    }

    /// Where events go.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Lets go of idle instances and waits until the others have finished what they do.
    pub async fn finish(&self) {
        self.stop.cancel();
        self.alive.close();
        self.alive.wait().await;
    }
}

fn allowed_hosts(
    id: &str,
    component: &Component,
    values: &Values,
) -> Result<AllowedHosts, AppError> {
    let place = format!("component.{id}.allowed_outbound_hosts");
    let entries = component
        .allowed_outbound_hosts
        .iter()
        .map(|entry| values.render(entry, &place))
        .collect::<Result<Vec<_>, _>>()?;
    AllowedHosts::parse(entries).map_err(|source| AppError::AllowedHost {
        component: id.to_owned(),
        source,
    })
}

fn compile(
    engine: &Engine,
    cache: Option<&Cache>,
    id: &str,
    component: &Component,
    log: &Log,
) -> Result<wasmtime::component::Component, AppError> {
    let bytes = compose::load(component).map_err(|source| AppError::Compose {
        component: id.to_owned(),
        source,
    })?;
    if let Some(compiled) = cache.and_then(|cache| cache.get(engine, &bytes)) {
        return Ok(compiled);
    }
    let wrong = |message: String| AppError::Component {
        component: id.to_owned(),
        message,
    };
    if bytes.starts_with(CORE_MODULE) {
        let message = "it is a core module, not a component; `cargo docket build` makes components";
        return Err(wrong(message.to_owned()));
    }
    let compiled = wasmtime::component::Component::from_binary(engine, &bytes)
        .map_err(|error| wrong(format!("{error:#}")))?;
    if let Some(Err(error)) = cache.map(|cache| cache.put(&bytes, &compiled)) {
        log.component(
            Level::Warn,
            id,
            &format!("its compiled form cannot be kept: {error}"),
        );
    }
    Ok(compiled)
}
