//! Component dependencies: links a component's imports to other components' exports, as Spin does at load.

use std::collections::BTreeMap;
use std::path::PathBuf;

use thiserror::Error;
use wac_graph::types::{Package, SubtypeChecker, WorldId};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId};

use crate::manifest::Component;

/// Why a component cannot be composed.
#[derive(Debug, Error)]
pub enum ComposeError {
    /// A file cannot be read.
    #[error("the Wasm file {} cannot be read; `cargo docket build` makes it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file is not a component, or the components do not fit together.
    #[error("{path}: {why}", path = path.display())]
    Graph {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// The component does not import what the manifest gives it.
    #[error("the dependency `{0}` matches no import of the component")]
    Unmatched(String),
    /// Two dependencies would satisfy one import.
    #[error("the import `{import}` is satisfied twice: by `{first}` and by `{second}`")]
    Ambiguous {
        /// The import.
        import: String,
        /// A dependency.
        first: String,
        /// Another one.
        second: String,
    },
    /// The dependency does not export what the component imports.
    #[error("the dependency `{dependency}` does not export `{export}`")]
    MissingExport {
        /// The dependency's name in the manifest.
        dependency: String,
        /// The export.
        export: String,
    },
    /// The dependency imports something, and may not.
    #[error(
        "the dependency `{dependency}` imports `{import}`: set `dependencies_inherit_configuration = true`, \
         or take the import out"
    )]
    Capability {
        /// The dependency's name in the manifest.
        dependency: String,
        /// The import.
        import: String,
    },
}

/// The bytes of a component with its dependencies in it.
pub fn load(component: &Component) -> Result<Vec<u8>, ComposeError> {
    let bytes = read(&component.source)?;
    if component.dependencies.is_empty() {
        return Ok(bytes);
    }
    let mut graph = CompositionGraph::new();
    let (world, root) = register(&mut graph, "docket:root", &component.source, bytes)?;
    let imports: Vec<String> = graph.types()[world].imports.keys().cloned().collect();

    // Import -> (dependency, node of its instance, its world, its export).
    let mut satisfied: BTreeMap<String, (String, NodeId, WorldId, String)> = BTreeMap::new();
    for (index, (name, dependency)) in component.dependencies.iter().enumerate() {
        let bytes = read(&dependency.path)?;
        let package = format!("docket:dependency{index}");
        let (dependency_world, node) = register(&mut graph, &package, &dependency.path, bytes)?;
        if !component.dependencies_inherit_configuration
            && let Some(import) = graph.types()[dependency_world].imports.keys().next()
        {
            return Err(ComposeError::Capability {
                dependency: name.clone(),
                import: import.clone(),
            });
        }
        let mut matched = false;
        for import in imports.iter().filter(|import| matches(name, import)) {
            matched = true;
            let export = dependency.export.clone().unwrap_or_else(|| import.clone());
            let entry = (name.clone(), node, dependency_world, export);
            if let Some((first, ..)) = satisfied.insert(import.clone(), entry) {
                return Err(ComposeError::Ambiguous {
                    import: import.clone(),
                    first,
                    second: name.clone(),
                });
            }
        }
        if !matched {
            return Err(ComposeError::Unmatched(name.clone()));
        }
    }

    let fail = |why: String| ComposeError::Graph {
        path: component.source.clone(),
        why,
    };
    let mut cache = Default::default();
    let mut checker = SubtypeChecker::new(&mut cache);
    for (import, (dependency, node, dependency_world, export)) in &satisfied {
        let types = graph.types();
        let Some(provided) = types[*dependency_world].exports.get(export) else {
            return Err(ComposeError::MissingExport {
                dependency: dependency.clone(),
                export: export.clone(),
            });
        };
        if let Some(wanted) = types[world].imports.get(import) {
            checker
                .is_subtype(*provided, types, *wanted, types)
                .map_err(|e| fail(format!("`{export}` of `{dependency}` does not fit: {e:#}")))?;
        }
        let alias = graph
            .alias_instance_export(*node, export)
            .map_err(|e| fail(e.to_string()))?;
        graph
            .set_instantiation_argument(root, import, alias)
            .map_err(|e| fail(e.to_string()))?;
    }
    let exports: Vec<String> = graph.types()[world].exports.keys().cloned().collect();
    for export in exports {
        let alias = graph
            .alias_instance_export(root, &export)
            .map_err(|e| fail(e.to_string()))?;
        graph
            .export(alias, &export)
            .map_err(|e| fail(e.to_string()))?;
    }
    graph
        .encode(EncodeOptions::default())
        .map_err(|e| fail(e.to_string()))
}

fn read(path: &PathBuf) -> Result<Vec<u8>, ComposeError> {
    std::fs::read(path).map_err(|source| ComposeError::Read {
        path: path.clone(),
        source,
    })
}

fn register(
    graph: &mut CompositionGraph,
    name: &str,
    path: &std::path::Path,
    bytes: Vec<u8>,
) -> Result<(WorldId, NodeId), ComposeError> {
    let fail = |why: String| ComposeError::Graph {
        path: path.to_owned(),
        why,
    };
    let package = Package::from_bytes(name, None, bytes, graph.types_mut())
        .map_err(|e| fail(format!("{e:#}")))?;
    let world = package.ty();
    let package = graph
        .register_package(package)
        .map_err(|e| fail(e.to_string()))?;
    Ok((world, graph.instantiate(package)))
}

/// Whether a dependency's name in the manifest covers an import: a plain name, `pkg:name`, `pkg:name@version`,
/// `pkg:name/interface` or `pkg:name/interface@version`.
fn matches(name: &str, import: &str) -> bool {
    let Some((import_package, import_rest)) = import.split_once('/') else {
        return name == import;
    };
    let (import_interface, import_version) = split_version(import_rest);
    let (path, version) = split_version(name);
    let (package, interface) = match path.split_once('/') {
        Some((package, interface)) => (package, Some(interface)),
        None => (path, None),
    };
    package == import_package
        && interface.is_none_or(|interface| interface == import_interface)
        && version.is_none_or(|version| Some(version) == import_version)
}

fn split_version(text: &str) -> (&str, Option<&str>) {
    match text.split_once('@') {
        Some((head, version)) => (head, Some(version)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn names_cover_imports() {
        for (name, import, expected) in [
            ("a:b/c@1.0.0", "a:b/c@1.0.0", true),
            ("a:b/c", "a:b/c@1.0.0", true),
            ("a:b/c", "a:b/c", true),
            ("a:b", "a:b/c@1.0.0", true),
            ("a:b@1.0.0", "a:b/c@1.0.0", true),
            ("plain", "plain", true),
            ("a:b/c@1.0.0", "a:b/c", false),
            ("a:b/c@1.0.0", "a:b/c@1.0.1", false),
            ("a:b/c", "a:b/cc@1.0.0", false),
            ("a:b", "a:bb/c", false),
            ("plain", "a:plain/plain", false),
            ("b", "a:b/c", false),
        ] {
            assert_eq!(matches(name, import), expected, "{name} covers {import}");
        }
    }
}
