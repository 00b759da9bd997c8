//! Spin's application manifest, version 2, as far as the host runs it. What it does not run it refuses, by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use crate::routes::{RouteError, Router};
use crate::variables::{is_variable_name, is_words};

/// Why a manifest is not one that the host can run.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// The file cannot be read.
    #[error("cannot be read")]
    Read(#[source] std::io::Error),
    /// It is not TOML, or has a key that no manifest has.
    #[error("line {line}: {message}")]
    Syntax {
        /// Where, counted from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// The version is not 2.
    #[error("spin_manifest_version = {0} is not supported: the host runs version 2")]
    Version(i64),
    /// Spin knows the key, the host does not.
    #[error("{place}: the host does not support `{key}`{advice}")]
    Unsupported {
        /// The table that has the key.
        place: String,
        /// The key.
        key: String,
        /// What to do instead, if there is something.
        advice: &'static str,
    },
    /// A value breaks a rule.
    #[error("{place}: {why}")]
    Invalid {
        /// The table or key.
        place: String,
        /// The rule.
        why: String,
    },
    /// The routes do not go together.
    #[error(transparent)]
    Route(#[from] RouteError),
}

impl ManifestError {
    fn invalid(place: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Invalid {
            place: place.into(),
            why: why.into(),
        }
    }
}

/// A manifest that has passed every check that needs no other file.
#[derive(Debug)]
pub struct Manifest {
    /// `application.name`.
    pub name: String,
    /// `application.version`.
    pub version: Option<String>,
    /// The application's variables.
    pub variables: BTreeMap<String, Variable>,
    /// The HTTP triggers that are not private.
    pub router: Router,
    /// The components by id.
    pub components: BTreeMap<String, Component>,
    /// The folder that relative paths start from.
    pub folder: PathBuf,
}

/// A variable of the application.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// The value when the environment gives none.
    pub default: Option<String>,
    /// Whether the environment has to give a value.
    #[serde(default)]
    pub required: bool,
    /// Whether the value must not be shown.
    #[serde(default)]
    pub secret: bool,
    /// For people.
    #[serde(rename = "description")]
    _description: Option<String>,
}

/// A component of the application.
#[derive(Clone, Debug)]
pub struct Component {
    /// The Wasm file.
    pub source: PathBuf,
    /// Templates of the variables that the component sees.
    pub variables: BTreeMap<String, String>,
    /// Its environment, fixed.
    pub environment: BTreeMap<String, String>,
    /// Templates of the hosts that it may call.
    pub allowed_outbound_hosts: Vec<String>,
    /// What its imports are composed with, by import name.
    pub dependencies: BTreeMap<String, Dependency>,
    /// Whether dependencies may use what the component itself may use.
    pub dependencies_inherit_configuration: bool,
    /// Whether some route leads to it.
    pub has_route: bool,
}

/// Where a dependency comes from.
#[derive(Clone, Debug)]
pub struct Dependency {
    /// The Wasm file.
    pub path: PathBuf,
    /// The export that satisfies the import, if it is not named as the import.
    pub export: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawManifest {
    spin_manifest_version: i64,
    application: RawApplication,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    #[serde(default)]
    trigger: BTreeMap<String, Vec<toml::Table>>,
    #[serde(default)]
    component: BTreeMap<String, RawComponent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawApplication {
    name: String,
    version: Option<String>,
    #[serde(rename = "description")]
    _description: Option<String>,
    #[serde(rename = "authors")]
    _authors: Option<Vec<String>>,
    #[serde(rename = "tool")]
    _tool: Option<toml::Table>,
    #[serde(rename = "targets")]
    _targets: Option<toml::Value>,
    trigger: Option<toml::Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawComponent {
    source: toml::Value,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    allowed_outbound_hosts: Vec<String>,
    #[serde(default)]
    dependencies: BTreeMap<String, toml::Value>,
    #[serde(default)]
    dependencies_inherit_configuration: bool,
    // These say nothing about how the component runs.
    #[serde(rename = "description")]
    _description: Option<String>,
    #[serde(rename = "build")]
    _build: Option<RawBuild>,
    #[serde(rename = "tool")]
    _tool: Option<toml::Table>,
    #[serde(rename = "targets")]
    _targets: Option<toml::Value>,
    // These do, and the host has nothing to give.
    files: Option<toml::Value>,
    exclude_files: Option<toml::Value>,
    key_value_stores: Option<toml::Value>,
    sqlite_databases: Option<toml::Value>,
    ai_models: Option<toml::Value>,
    allowed_http_hosts: Option<toml::Value>,
    profile: Option<toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBuild {
    #[serde(rename = "command")]
    _command: toml::Value,
    #[serde(rename = "workdir")]
    _workdir: Option<String>,
    #[serde(rename = "watch")]
    _watch: Option<Vec<String>>,
    #[serde(rename = "environment")]
    _environment: Option<BTreeMap<String, String>>,
}

impl Manifest {
    /// Reads and checks a manifest file.
    pub fn load(path: &Path) -> Result<Self, ManifestError> {
        let text = std::fs::read_to_string(path).map_err(ManifestError::Read)?;
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Self::parse(&text, &folder)
    }

    /// Checks the text of a manifest whose relative paths start from `folder`.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, ManifestError> {
        let raw: RawManifest = toml::from_str(text).map_err(|error| ManifestError::Syntax {
            line: error
                .span()
                .and_then(|span| text.get(..span.start))
                .map_or(1, |before| before.matches('\n').count() + 1),
            message: error.message().replace('\n', " "),
        })?;
        if raw.spin_manifest_version != 2 {
            return Err(ManifestError::Version(raw.spin_manifest_version));
        }
        if raw
            .application
            .trigger
            .is_some_and(|table| !table.is_empty())
        {
            return Err(unsupported("application", "trigger", ""));
        }
        for (name, variable) in &raw.variables {
            check_variable(name, variable)?;
        }

        let sources = raw
            .component
            .iter()
            .map(|(id, component)| Ok((id.clone(), source(id, component, folder)?)))
            .collect::<Result<BTreeMap<_, _>, ManifestError>>()?;
        let mut components = BTreeMap::new();
        for (id, component) in raw.component {
            components.insert(
                id.clone(),
                check_component(&id, component, &sources, folder)?,
            );
        }

        let mut routes = Vec::new();
        for (kind, triggers) in raw.trigger {
            if kind != "http" {
                return Err(unsupported(
                    "trigger",
                    &kind,
                    ": only HTTP triggers run here",
                ));
            }
            for (index, trigger) in triggers.into_iter().enumerate() {
                let place = format!("trigger.http number {}", index + 1);
                if let Some(pair) = check_trigger(&place, &trigger, &mut components)? {
                    routes.push(pair);
                }
            }
        }
        let router = Router::new(routes.iter().map(|(r, c)| (r.as_str(), c.as_str())))?;

        Ok(Self {
            name: raw.application.name,
            version: raw.application.version,
            variables: raw.variables,
            router,
            components,
            folder: folder.to_owned(),
        })
    }
}

fn unsupported(place: &str, key: &str, advice: &'static str) -> ManifestError {
    ManifestError::Unsupported {
        place: place.to_owned(),
        key: key.to_owned(),
        advice,
    }
}

fn check_variable(name: &str, variable: &Variable) -> Result<(), ManifestError> {
    let place = format!("variables.{name}");
    if !is_variable_name(name) {
        return Err(ManifestError::invalid(
            place,
            "a variable's name is lower_snake_case",
        ));
    }
    match (&variable.default, variable.required) {
        (Some(_), true) => Err(ManifestError::invalid(
            place,
            "has a default and is required: one of the two",
        )),
        (None, false) => Err(ManifestError::invalid(
            place,
            "needs a `default` or `required = true`",
        )),
        _ => Ok(()),
    }
}

fn source(id: &str, component: &RawComponent, folder: &Path) -> Result<PathBuf, ManifestError> {
    let place = format!("component.{id}");
    if !is_words(id, '-') {
        return Err(ManifestError::invalid(
            place,
            "a component's id is kebab-case",
        ));
    }
    match &component.source {
        toml::Value::String(path) if path.contains("://") => Err(unsupported(
            &place,
            "source",
            " from a URL: give the path of a local file",
        )),
        toml::Value::String(path) => Ok(folder.join(path)),
        toml::Value::Table(table) if table.contains_key("url") => Err(unsupported(
            &place,
            "source.url",
            ": give the path of a local file",
        )),
        toml::Value::Table(table) if table.contains_key("registry") => Err(unsupported(
            &place,
            "source.registry",
            ": give the path of a local file",
        )),
        _ => Err(ManifestError::invalid(
            place,
            "`source` is the path of a Wasm file",
        )),
    }
}

fn check_component(
    id: &str,
    raw: RawComponent,
    sources: &BTreeMap<String, PathBuf>,
    folder: &Path,
) -> Result<Component, ManifestError> {
    let place = format!("component.{id}");
    for (key, value, advice) in [
        ("files", &raw.files, ""),
        ("exclude_files", &raw.exclude_files, ""),
        (
            "key_value_stores",
            &raw.key_value_stores,
            ": keep state behind the sidecar",
        ),
        (
            "sqlite_databases",
            &raw.sqlite_databases,
            ": keep state behind the sidecar",
        ),
        (
            "ai_models",
            &raw.ai_models,
            ": ask a model through the sidecar",
        ),
        (
            "allowed_http_hosts",
            &raw.allowed_http_hosts,
            ": use `allowed_outbound_hosts`",
        ),
        ("profile", &raw.profile, ""),
    ] {
        let empty = value
            .as_ref()
            .is_none_or(|v| v.as_array().is_some_and(Vec::is_empty));
        if !empty {
            return Err(unsupported(&place, key, advice));
        }
    }
    for name in raw.variables.keys() {
        if !is_variable_name(name) {
            return Err(ManifestError::invalid(
                format!("{place}.variables.{name}"),
                "a variable's name is lower_snake_case",
            ));
        }
    }
    let mut dependencies = BTreeMap::new();
    for (import, value) in raw.dependencies {
        let place = format!("{place}.dependencies.\"{import}\"");
        let dependency = check_dependency(&place, &import, &value, sources, folder)?;
        dependencies.insert(import, dependency);
    }
    Ok(Component {
        source: sources.get(id).cloned().unwrap_or_default(),
        variables: raw.variables,
        environment: raw.environment,
        allowed_outbound_hosts: raw.allowed_outbound_hosts,
        dependencies,
        dependencies_inherit_configuration: raw.dependencies_inherit_configuration,
        has_route: false,
    })
}

fn check_dependency(
    place: &str,
    import: &str,
    value: &toml::Value,
    sources: &BTreeMap<String, PathBuf>,
    folder: &Path,
) -> Result<Dependency, ManifestError> {
    let Some(table) = value.as_table() else {
        return Err(ManifestError::invalid(
            place,
            "the host takes dependencies as `{ path = … }` or `{ component = … }`, not from a registry",
        ));
    };
    let mut path = None;
    let mut export = None;
    for (key, value) in table {
        match (key.as_str(), value.as_str()) {
            ("path", Some(text)) => path = Some(folder.join(text)),
            ("component", Some(id)) => {
                let Some(source) = sources.get(id) else {
                    return Err(ManifestError::invalid(
                        place,
                        format!("there is no component `{id}`"),
                    ));
                };
                path = Some(source.clone());
            }
            ("export", Some(name)) => export = Some(name.to_owned()),
            ("version" | "registry" | "package" | "url" | "digest" | "sha256", _) => {
                return Err(unsupported(place, key, ": give the `path` of a local file"));
            }
            ("inherit_configuration", _) => {
                return Err(unsupported(
                    place,
                    key,
                    ": set `dependencies_inherit_configuration`",
                ));
            }
            _ => {
                return Err(ManifestError::invalid(
                    place,
                    format!("unknown key `{key}`"),
                ));
            }
        }
    }
    if export.is_some() && import.contains(':') && !import.contains('/') {
        return Err(ManifestError::invalid(
            place,
            "a whole package cannot be satisfied by one `export`",
        ));
    }
    match path {
        Some(path) => Ok(Dependency { path, export }),
        None => Err(ManifestError::invalid(
            place,
            "needs a `path` or a `component`",
        )),
    }
}

fn check_trigger(
    place: &str,
    trigger: &toml::Table,
    components: &mut BTreeMap<String, Component>,
) -> Result<Option<(String, String)>, ManifestError> {
    let mut component = None;
    let mut route = None;
    for (key, value) in trigger {
        match key.as_str() {
            "id" => {}
            "component" => match value.as_str() {
                Some(id) => component = Some(id.to_owned()),
                None => return Err(unsupported(place, "component", " written inline: name one")),
            },
            "route" => route = Some(value),
            "executor" => {
                let kind = value.get("type").and_then(toml::Value::as_str);
                if kind != Some("http") {
                    return Err(unsupported(
                        place,
                        "executor",
                        " other than { type = \"http\" }",
                    ));
                }
            }
            "components" | "dependencies" | "static_response" => {
                return Err(unsupported(place, key, ""));
            }
            _ => {
                return Err(ManifestError::invalid(
                    place,
                    format!("unknown key `{key}`"),
                ));
            }
        }
    }
    let Some(id) = component else {
        return Err(ManifestError::invalid(place, "needs a `component`"));
    };
    let Some(target) = components.get_mut(&id) else {
        return Err(ManifestError::invalid(
            place,
            format!("there is no component `{id}`"),
        ));
    };
    match route {
        Some(toml::Value::String(route)) => {
            target.has_route = true;
            Ok(Some((route.clone(), id)))
        }
        Some(toml::Value::Table(table))
            if table.len() == 1
                && table.get("private").and_then(toml::Value::as_bool) == Some(true) =>
        {
            Ok(None)
        }
        Some(_) => Err(ManifestError::invalid(
            place,
            "`route` is a path or `{ private = true }`",
        )),
        None => Err(ManifestError::invalid(place, "needs a `route`")),
    }
}
