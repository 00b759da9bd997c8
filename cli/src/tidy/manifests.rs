//! Rules across manifests: one name per capability, and each function within its bounds.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::{Finding, Tree, extension, file_name, line_of};

const SPIN: &str = "spin.toml";

/// Routes that stand outside `/api` and `/internal`, since others' conventions place them.
const OTHER_ROUTES: [(&str, &str); 4] = [
    // Where Dapr delivers jobs.
    ("reminders", "/job/..."),
    // Where the binding of a topic leads by Dapr's custom: to the name of what it brings.
    ("tasks", "/inbox"),
    // The Model Context Protocol's usual place.
    ("mcp", "/mcp"),
    // The browser's client, behind all other routes.
    ("web", "/..."),
];

/// Versions and lints are said once, in the root manifest.
pub(super) fn versions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree
        .texts()
        .filter(|(path, _)| file_name(path) == "Cargo.toml" && *path != "Cargo.toml")
    {
        let Some(manifest) = parse(path, text, &mut findings) else {
            continue;
        };
        let targets = manifest
            .get("target")
            .and_then(Value::as_table)
            .into_iter()
            .flat_map(Table::values)
            .filter_map(Value::as_table);
        for table in std::iter::once(&manifest).chain(targets) {
            for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
                let dependencies = table.get(kind).and_then(Value::as_table);
                for (name, dependency) in dependencies.into_iter().flatten() {
                    if !inherits(dependency) {
                        let message = format!(
                            "`{name}`: say its version in the root Cargo.toml, here `workspace = true`"
                        );
                        findings.push(Finding::new(path, line_of_key(text, name), message));
                    }
                }
            }
        }
        if !manifest.get("lints").is_some_and(inherits) {
            let message = "take the workspace's lints: `[lints]` with `workspace = true`";
            findings.push(Finding::new(path, 1, message));
        }
    }
    findings
}

/// The line of a key, not of whatever else has it in its midst.
fn line_of_key(text: &str, key: &str) -> usize {
    text.lines()
        .position(|line| {
            line.strip_prefix(key)
                .is_some_and(|rest| rest.starts_with([' ', '=', '.']))
        })
        .map_or(1, |index| index + 1)
}

fn inherits(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

/// Folder under functions/ = cargo package = component id, in kebab-case, with a `source` and a
/// build command that follow from it.
pub(super) fn names(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some((text, spin)) = spin(tree, &mut findings) else {
        return findings;
    };
    let components = components(&spin);
    let folders: BTreeSet<&str> = tree
        .paths()
        .filter_map(|path| path.strip_prefix("functions/")?.split_once('/'))
        .map(|(folder, _)| folder)
        .collect();
    for folder in &folders {
        let manifest = format!("functions/{folder}/Cargo.toml");
        if !is_kebab(folder) {
            findings.push(Finding::new(
                &manifest,
                1,
                "a function's name is in kebab-case",
            ));
        }
        if !components.iter().any(|(id, _)| id == folder) {
            let message = format!("spin.toml has no component `{folder}`");
            findings.push(Finding::new(&manifest, 1, message));
        }
        let manifest_text = tree.text(&manifest).unwrap_or("");
        let package = manifest_text
            .parse::<Table>()
            .ok()
            .and_then(|table| Some(table.get("package")?.get("name")?.as_str()?.to_owned()));
        if package.as_deref() != Some(folder) {
            let line = line_of(manifest_text, "name = ");
            let message = format!("the package of functions/{folder} is named `{folder}`");
            findings.push(Finding::new(&manifest, line, message));
        }
    }
    for (id, component) in components {
        let line = line_of(text, &format!("[component.{id}]"));
        let mut wrong = |message| findings.push(Finding::new(SPIN, line, message));
        if !folders.contains(id.as_str()) {
            wrong(format!("component `{id}` has no folder functions/{id}"));
        }
        let file = id.replace('-', "_");
        let source = format!("target/wasm32-wasip2/release/{file}.wasm");
        if component.get("source").and_then(Value::as_str) != Some(&source) {
            wrong(format!("component `{id}` has the source \"{source}\""));
        }
        let command = component
            .get("build")
            .and_then(|build| build.get("command")?.as_str())
            .unwrap_or("");
        if crate::build::package_of(command) != Some(id) {
            wrong(format!(
                "component `{id}` is built by `cargo build --package {id} …`"
            ));
        }
    }
    findings
}

/// Routes are under `/api`, or under `/internal/<function>` of their own function.
pub(super) fn routes(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some((text, spin)) = spin(tree, &mut findings) else {
        return findings;
    };
    for trigger in triggers(&spin) {
        let route = trigger.get("route").and_then(Value::as_str);
        let (Some(component), Some(route)) = (component_of(trigger), route) else {
            // Private endpoints (`route = { private = true }`) have no public name.
            continue;
        };
        let internal = format!("/internal/{component}/");
        let fits = route.starts_with("/api/")
            || route.starts_with(&internal)
            || OTHER_ROUTES.contains(&(component, route));
        if !fits {
            let message =
                format!("`{route}` of `{component}` is neither under /api/ nor {internal}");
            findings.push(Finding::new(
                SPIN,
                line_of(text, &format!("\"{route}\"")),
                message,
            ));
        }
    }
    findings
}

/// A component that no route leads to is given to another one, and can do nothing by itself.
pub(super) fn dependencies(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some((text, spin)) = spin(tree, &mut findings) else {
        return findings;
    };
    let components = components(&spin);
    let given: BTreeSet<&str> = components
        .iter()
        .filter_map(|(_, component)| component.get("dependencies")?.as_table())
        .flat_map(Table::values)
        .filter_map(|dependency| dependency.get("component")?.as_str())
        .collect();
    for (id, _) in &components {
        let mut wrong = |message| {
            let line = line_of(text, &format!("[component.{id}]"));
            findings.push(Finding::new(SPIN, line, message));
        };
        if given.contains(id.as_str()) {
            let manifest = tree.text(&format!("functions/{id}/Cargo.toml"));
            let pure = manifest
                .and_then(|text| text.parse::<Table>().ok())
                .and_then(|table| {
                    let metadata = table.get("package")?.get("metadata")?;
                    metadata.get("docket")?.get("pure")?.as_bool()
                });
            if pure != Some(true) {
                wrong(format!(
                    "`{id}` is given to other components, so its package has `pure = true` in \
                     [package.metadata.docket]"
                ));
            }
        } else if !triggers(&spin).any(|trigger| component_of(trigger) == Some(id)) {
            wrong(format!("no route and no component leads to `{id}`"));
        }
    }
    findings
}

/// A function reaches its own sidecar and nothing else.
pub(super) fn outbound_hosts(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some((text, spin)) = spin(tree, &mut findings) else {
        return findings;
    };
    for (id, component) in components(&spin) {
        let own = format!("{{{{ {}_dapr_url }}}}", id.replace('-', "_"));
        let hosts = component
            .get("allowed_outbound_hosts")
            .and_then(Value::as_array);
        for host in hosts.into_iter().flatten() {
            let host = host.as_str().unwrap_or("");
            if host != own {
                let message = format!("`{id}` may reach only \"{own}\", not \"{host}\"");
                findings.push(Finding::new(SPIN, line_of(text, host), message));
            }
        }
    }
    findings
}

/// A function is given nothing of the host but its sidecar, its own variables and what it is composed of; a secret only
/// if it bears the function's name.
pub(super) fn grants(tree: &Tree) -> Vec<Finding> {
    const GRANTS: [&str; 5] = [
        "allowed_outbound_hosts",
        "build",
        "dependencies",
        "source",
        "variables",
    ];
    let mut findings = Vec::new();
    let Some((text, spin)) = spin(tree, &mut findings) else {
        return findings;
    };
    for (id, component) in components(&spin) {
        let keys = component.as_table().into_iter().flat_map(Table::keys);
        for key in keys.filter(|key| !GRANTS.contains(&key.as_str())) {
            let line = line_of(text, &format!("[component.{id}]"));
            let message = format!("`{id}` may not have `{key}`");
            findings.push(Finding::new(SPIN, line, message));
        }
        let values = component.get("variables").and_then(Value::as_table);
        let own = format!("{}_", id.replace('-', "_"));
        for value in values.into_iter().flat_map(Table::values) {
            let value = value.as_str().unwrap_or("");
            let foreign =
                templates(value).find(|name| is_secret(&spin, name) && !name.starts_with(&own));
            if let Some(name) = foreign {
                let lines = text.lines().enumerate();
                // The declaration has no braces.
                let line = lines
                    .skip(line_of(text, &format!("[component.{id}]")))
                    .find(|(_, line)| line.contains(value))
                    .map_or(1, |(index, _)| index + 1);
                let message = format!("`{name}` is a secret of another than `{id}`");
                findings.push(Finding::new(SPIN, line, message));
            }
        }
    }
    findings
}

/// The variables that a value is made of.
fn templates(value: &str) -> impl Iterator<Item = &str> {
    value
        .split("{{")
        .skip(1)
        .filter_map(|rest| rest.split("}}").next())
        .map(str::trim)
}

fn is_secret(spin: &Table, variable: &str) -> bool {
    let declared = spin.get("variables").and_then(|all| all.get(variable));
    declared.and_then(|one| one.get("secret")?.as_bool()) == Some(true)
}

/// What Dapr's files call an app is one.
pub(super) fn scopes(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some((_, spin)) = spin(tree, &mut findings) else {
        return findings;
    };
    let apps = apps(tree, &spin);
    for (path, text) in resources(tree) {
        for (line, name) in named_apps(text) {
            if !apps.contains(name) {
                let message = format!("`{name}` is no app id");
                findings.push(Finding::new(path, line, message));
            }
        }
    }
    findings
}

/// The app ids that a Dapr resource names: its scopes, and those whom a policy lets in.
fn named_apps(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_scopes = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.split(" #").next().unwrap_or("").trim_end();
        if let Some(list) = line.strip_prefix("scopes:") {
            in_scopes = true;
            let list = list.trim().trim_matches(['[', ']']);
            found.extend(items(list).map(|name| (index + 1, name)));
        } else if let Some(item) = line.trim_start().strip_prefix("- ").filter(|_| in_scopes) {
            found.extend(items(item).map(|name| (index + 1, name)));
        } else if !line.trim().is_empty() && !line.starts_with('#') {
            in_scopes = false;
        }
        let key = line.trim_start().trim_start_matches("- ");
        if let Some(name) = key.strip_prefix("appId:") {
            found.extend(items(name).map(|name| (index + 1, name)));
        }
    }
    found
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',')
        .map(|item| item.trim().trim_matches(['"', '\'']))
        .filter(|item| !item.is_empty())
}

/// Each app has its Dapr configuration, and each configuration its app.
pub(super) fn configurations(tree: &Tree) -> Vec<Finding> {
    const FOLDER: &str = "components/configurations/";
    let mut findings = Vec::new();
    let Some((text, spin)) = spin(tree, &mut findings) else {
        return findings;
    };
    let apps = apps(tree, &spin);
    for app in &apps {
        let path = format!("{FOLDER}{app}.yaml");
        match tree.text(&path) {
            None => {
                let line = line_of(text, &format!("{}_dapr_url", app.replace('-', "_")));
                findings.push(Finding::new(SPIN, line, format!("`{app}` has no {path}")));
            }
            Some(configuration) => {
                let name = format!("  name: {app}");
                if !configuration.lines().any(|line| line == name) {
                    let line = line_of(configuration, "name:");
                    let message = format!("the configuration of `{app}` is named `{app}`");
                    findings.push(Finding::new(&path, line, message));
                }
            }
        }
    }
    for path in tree.paths().filter(|path| extension(path) == "yaml") {
        let app = path
            .strip_prefix(FOLDER)
            .and_then(|name| name.strip_suffix(".yaml"));
        if let Some(app) = app
            && !apps.contains(app)
        {
            findings.push(Finding::new(path, 1, format!("there is no app `{app}`")));
        }
    }
    findings
}

fn resources(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.texts()
        .filter(|(path, _)| path.starts_with("components/") && extension(path) == "yaml")
}

fn spin<'a>(tree: &'a Tree, findings: &mut Vec<Finding>) -> Option<(&'a str, Table)> {
    let text = tree.text(SPIN)?;
    Some((text, parse(SPIN, text, findings)?))
}

fn parse(path: &str, text: &str, findings: &mut Vec<Finding>) -> Option<Table> {
    match text.parse() {
        Ok(table) => Some(table),
        Err(error) => {
            let error: toml::de::Error = error;
            findings.push(Finding::new(path, 1, error.message()));
            None
        }
    }
}

fn components(spin: &Table) -> Vec<(&String, &Value)> {
    spin.get("component")
        .and_then(Value::as_table)
        .into_iter()
        .flatten()
        .collect()
}

fn triggers(spin: &Table) -> impl Iterator<Item = &Value> {
    spin.get("trigger")
        .and_then(|trigger| trigger.get("http")?.as_array())
        .into_iter()
        .flatten()
}

fn component_of(trigger: &Value) -> Option<&str> {
    trigger.get("component").and_then(Value::as_str)
}

/// The functions that have a sidecar of their own, and the gateway.
fn apps(tree: &Tree, spin: &Table) -> BTreeSet<String> {
    let variables = spin.get("variables").and_then(Value::as_table);
    let mut apps: BTreeSet<String> = variables
        .into_iter()
        .flat_map(Table::keys)
        .filter_map(|name| name.strip_suffix("_dapr_url"))
        .map(|name| name.replace('_', "-"))
        .collect();
    if tree.has("gateway") {
        apps.insert("gateway".to_owned());
    }
    apps
}

fn is_kebab(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && !name.contains("--")
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::super::check_rule;
    use super::*;

    const GOOD: &str = r#"
[variables]
two_words_dapr_url = { default = "x" }
[[trigger.http]]
route = "/api/x/..."
component = "two-words"
[[trigger.http]]
route = "/internal/two-words/..."
component = "two-words"
[component.two-words]
source = "target/wasm32-wasip2/release/two_words.wasm"
allowed_outbound_hosts = ["{{ two_words_dapr_url }}"]
[component.two-words.build]
command = "cargo build --package two-words --target wasm32-wasip2 --release"
"#;
    const PACKAGE: &str = "[package]\nname = \"two-words\"\n";
    const MANIFEST: &str = "functions/two-words/Cargo.toml";

    /// `GOOD` with one thing changed.
    fn changed(from: &str, to: &str) -> String {
        assert!(GOOD.contains(from), "{from}");
        GOOD.replacen(from, to, 1)
    }

    #[test]
    fn versions_are_said_once() {
        let lints = "[lints]\nworkspace = true\n";
        let good = format!(
            "[dependencies]\na.workspace = true\nb = {{ workspace = true, features = [] }}\n{lints}"
        );
        check_rule(versions, &[("a/Cargo.toml", &good)], &[]);
        for bad in [
            "[dependencies]\na = \"1\"\n",
            "[dev-dependencies]\na = { path = \"../a\" }\n",
            "[target.'cfg(unix)'.dependencies]\na = { version = \"1\" }\n",
        ] {
            let bad = format!("{bad}{lints}");
            check_rule(versions, &[("a/Cargo.toml", &bad)], &["a/Cargo.toml:2"]);
        }
        check_rule(
            versions,
            &[("a/Cargo.toml", "[package]\n")],
            &["a/Cargo.toml:1"],
        );
        check_rule(
            versions,
            &[("a/Cargo.toml", "[package\n")],
            &["a/Cargo.toml:1"],
        );
        check_rule(
            versions,
            &[("Cargo.toml", "[workspace.dependencies]\na = \"1\"\n")],
            &[],
        );
    }

    #[test]
    fn one_name_everywhere() {
        check_rule(names, &[(SPIN, GOOD), (MANIFEST, PACKAGE)], &[]);
        check_rule(names, &[(SPIN, GOOD)], &["spin.toml:10"]);
        for (from, to) in [
            ("release/two_words.wasm", "release/two-words.wasm"),
            ("--package two-words", "--package words"),
        ] {
            let bad = changed(from, to);
            check_rule(
                names,
                &[(SPIN, &bad), (MANIFEST, PACKAGE)],
                &["spin.toml:10"],
            );
        }
        let other = "[package]\nname = \"words\"\n";
        check_rule(
            names,
            &[(SPIN, GOOD), (MANIFEST, other)],
            &["functions/two-words/Cargo.toml:2"],
        );
        check_rule(
            names,
            &[
                (SPIN, "# none"),
                (
                    "functions/Two_Words/Cargo.toml",
                    "[package]\nname = \"Two_Words\"\n",
                ),
            ],
            &[
                "functions/Two_Words/Cargo.toml:1",
                "functions/Two_Words/Cargo.toml:1",
            ],
        );
    }

    #[test]
    fn routes_are_where_they_belong() {
        check_rule(routes, &[(SPIN, GOOD)], &[]);
        let bad = changed("/api/x/...", "/x");
        check_rule(routes, &[(SPIN, &bad)], &["spin.toml:5"]);
        let bad = changed("/internal/two-words/...", "/internal/tasks/...");
        check_rule(routes, &[(SPIN, &bad)], &["spin.toml:8"]);
        let mcp = "[[trigger.http]]\nroute = \"/mcp\"\ncomponent = \"mcp\"\n";
        check_rule(routes, &[(SPIN, mcp)], &[]);
    }

    #[test]
    fn a_component_without_a_route_is_given_to_another_and_pure() {
        const MORE: &str = "[component.lib]\nsource = \"lib.wasm\"\n";
        const GIVEN: &str =
            "[component.two-words.dependencies]\n\"a:b\" = { component = \"lib\" }\n";
        const PURE: &str = "[package.metadata.docket]\npure = true\n";
        let manifest = "functions/lib/Cargo.toml";
        let idle = format!("{MORE}{GOOD}");
        let given = format!("{MORE}{GOOD}{GIVEN}");
        check_rule(dependencies, &[(SPIN, GOOD)], &[]);
        check_rule(
            dependencies,
            &[(SPIN, &idle), (manifest, PURE)],
            &["spin.toml:1"],
        );
        check_rule(dependencies, &[(SPIN, &given), (manifest, PURE)], &[]);
        for impure in [
            "",
            "[package]\nname = \"lib\"\n",
            "[package.metadata.docket]\npure = false\n",
        ] {
            check_rule(
                dependencies,
                &[(SPIN, &given), (manifest, impure)],
                &["spin.toml:1"],
            );
        }
    }

    #[test]
    fn a_function_reaches_its_own_sidecar() {
        check_rule(outbound_hosts, &[(SPIN, GOOD)], &[]);
        for host in ["*://*:*", "{{ tasks_dapr_url }}", "http://example.com"] {
            let bad = changed("[\"{{ two_words_dapr_url }}\"]", &format!("[\"{host}\"]"));
            check_rule(outbound_hosts, &[(SPIN, &bad)], &["spin.toml:12"]);
        }
    }

    #[test]
    fn a_function_is_given_no_more_than_it_needs() {
        const VARIABLES: &str = "\n[component.two-words.variables]\n";
        const SECRETS: &str = "\n[variables.two_words_token]\nsecret = true\n[variables.tasks_token]\nsecret = true\n\
                               [variables.shared]\ndefault = \"x\"\n";
        for good in [
            "a = \"{{ two_words_token }}\"\n",
            "a = \"{{shared}} {{ two_words_token }}\"\n",
            "a = \"tasks_token\"\n",
        ] {
            let spin = format!("{GOOD}{VARIABLES}{good}{SECRETS}");
            check_rule(grants, &[(SPIN, &spin)], &[]);
        }
        for bad in [
            "a = \"{{ tasks_token }}\"\n",
            "a = \"{{shared}}{{tasks_token}}\"\n",
        ] {
            let spin = format!("{GOOD}{VARIABLES}{bad}{SECRETS}");
            check_rule(grants, &[(SPIN, &spin)], &["spin.toml:17"]);
        }
        for bad in [
            "files = [\"secret\"]\n",
            "environment = { A = \"b\" }\n",
            "key_value_stores = [\"default\"]\n",
        ] {
            let spin = changed(
                "allowed_outbound_hosts",
                &format!("{bad}allowed_outbound_hosts"),
            );
            check_rule(grants, &[(SPIN, &spin)], &["spin.toml:10"]);
        }
    }

    #[test]
    fn scopes_are_apps() {
        let path = "components/a.yaml";
        for good in [
            "scopes:\n  - two-words\n",
            "scopes: [\"two-words\"]\n",
            "scopes:\n- two-words # why\nspec: x\n- elsewhere\n",
            "policies:\n  - appId: two-words\n",
        ] {
            check_rule(scopes, &[(SPIN, GOOD), (path, good)], &[]);
        }
        for bad in [
            "#\nscopes: [gone]\n",
            "scopes:\n  - gone\n",
            "policies:\n  - appId: gone\n",
            "policies:\n    appId: \"gone\"\n",
        ] {
            check_rule(
                scopes,
                &[(SPIN, GOOD), (path, bad)],
                &["components/a.yaml:2"],
            );
        }
        let gateway = ("gateway/Cargo.toml", "");
        check_rule(
            scopes,
            &[(SPIN, GOOD), (path, "scopes: [gateway]\n"), gateway],
            &[],
        );
    }

    #[test]
    fn each_app_has_a_configuration() {
        let path = "components/configurations/two-words.yaml";
        let good = "metadata:\n  name: two-words\n";
        check_rule(configurations, &[(SPIN, GOOD), (path, good)], &[]);
        check_rule(configurations, &[(SPIN, GOOD)], &["spin.toml:3"]);
        let other = "metadata:\n  name: other\n";
        check_rule(
            configurations,
            &[(SPIN, GOOD), (path, other)],
            &["components/configurations/two-words.yaml:2"],
        );
        let orphan = "components/configurations/gone.yaml";
        check_rule(
            configurations,
            &[(SPIN, GOOD), (path, good), (orphan, "x")],
            &["components/configurations/gone.yaml:1"],
        );
    }
}
