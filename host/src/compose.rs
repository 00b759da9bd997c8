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
    use std::collections::BTreeMap;

    use super::*;
    use crate::manifest::Dependency;

    const ROOT: &str = r#"(component
        (import "docket:test/math@1.0.0" (instance (export "add-one" (func (param "number" u32) (result u32))))))"#;
    const MATH: &str = r#"(component
        (core module $module
            (func (export "add-one") (param i32) (result i32) local.get 0 i32.const 1 i32.add))
        (core instance $core (instantiate $module))
        (func $add-one (param "number" u32) (result u32) (canon lift (core func $core "add-one")))
        (instance $math (export "add-one" (func $add-one)))
        (export "docket:test/math@1.0.0" (instance $math))
        (export "docket:test/other@1.0.0" (instance $math)))"#;
    const CURIOUS: &str = r#"(component
        (import "wasi:clocks/monotonic-clock@0.3.0" (instance $clock (export "now" (func (result u64)))))
        (instance $math)
        (export "docket:test/math@1.0.0" (instance $math)))"#;

    /// Composes the root with dependencies of (name, text, export).
    fn composed(
        dependencies: &[(&str, &str, Option<&str>)],
        inherit: bool,
    ) -> Result<Vec<u8>, String> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, wat::parse_str(text).unwrap()).unwrap();
            path
        };
        let dependencies = dependencies
            .iter()
            .enumerate()
            .map(|(index, (name, text, export))| {
                let path = write(&format!("{index}.wasm"), text);
                (
                    (*name).to_owned(),
                    Dependency {
                        path,
                        export: export.map(str::to_owned),
                    },
                )
            })
            .collect();
        let component = Component {
            source: write("root.wasm", ROOT),
            variables: BTreeMap::new(),
            environment: BTreeMap::new(),
            allowed_outbound_hosts: Vec::new(),
            dependencies,
            dependencies_inherit_configuration: inherit,
            has_route: true,
        };
        let text = |error: ComposeError| {
            error
                .to_string()
                .replace(&format!("{}/", folder.path().display()), "")
        };
        load(&component).map_err(text)
    }

    #[test]
    fn a_dependency_takes_an_imports_place() {
        let engine = wasmtime::Engine::default();
        for name in [
            "docket:test/math@1.0.0",
            "docket:test/math",
            "docket:test",
            "docket:test@1.0.0",
        ] {
            let bytes = composed(&[(name, MATH, None)], false).unwrap();
            let component = wasmtime::component::Component::from_binary(&engine, &bytes).unwrap();
            assert_eq!(
                component.component_type().imports(&engine).count(),
                0,
                "{name}"
            );
        }
        let other = [("docket:test/math", MATH, Some("docket:test/other@1.0.0"))];
        composed(&other, false).unwrap();
    }

    #[test]
    fn dependencies_that_do_not_fit_say_why() {
        let clock = "wasi:clocks/monotonic-clock@0.3.0";
        for (dependencies, inherit, expected) in [
            (vec![("docket:test/maths", MATH, None)], false, "the dependency `docket:test/maths` matches no import of the component".to_owned()),
            (vec![("docket:test", MATH, None), ("docket:test/math", MATH, None)], false, "the import `docket:test/math@1.0.0` is satisfied twice: by `docket:test` and by `docket:test/math`".to_owned()),
            (vec![("docket:test/math", MATH, Some("nothing"))], false, "the dependency `docket:test/math` does not export `nothing`".to_owned()),
            (vec![("docket:test/math", CURIOUS, None)], false, format!("the dependency `docket:test/math` imports `{clock}`: set `dependencies_inherit_configuration = true`, or take the import out")),
            (vec![("docket:test/math", CURIOUS, None)], true, "root.wasm: `docket:test/math@1.0.0` of `docket:test/math` does not fit".to_owned()),
            (vec![("docket:test/math", "(module)", None)], false, "0.wasm: package `docket:dependency0` is not a binary-encoded WebAssembly component".to_owned()),
        ] {
            let said = composed(&dependencies, inherit).unwrap_err();
            assert!(said.starts_with(&expected), "said     {said}\nexpected {expected}");
        }
    }

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
