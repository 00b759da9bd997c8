//! Rules on the engines: what a function may do is the same on each, and nobody reads a secret that is not its own.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Finding, Tree, extension, line_of};

const LOCAL: &str = "components/local/";
const CLUSTER: &str = "components/cluster/";
/// The metadata of a component that say who may do what, or how: they do not depend on where the servers are.
const SAME: [&str; 4] = [
    "consumerGroup",
    "initialOffset",
    "publishingScopes",
    "subscriptionScopes",
];

/// Each component of one engine has its like in the other: the same name, scopes and rights.
pub(super) fn alike(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (folder, other) in [(LOCAL, CLUSTER), (CLUSTER, LOCAL)] {
        for (path, text) in resources(tree, folder) {
            let file = path.strip_prefix(folder).unwrap_or(path);
            let like = format!("{other}{file}");
            let Some(like_text) = tree.text(&like) else {
                findings.push(Finding::new(path, 1, format!("there is no {like}")));
                continue;
            };
            // Once is enough.
            if folder == CLUSTER {
                continue;
            }
            let (Some(one), Some(two)) = (read(text), read(like_text)) else {
                findings.push(Finding::new(path, 1, format!("it or {like} is no YAML")));
                continue;
            };
            let mut differs = |what: &str, at: &str| {
                let message = format!("{what} is not as in {path}");
                findings.push(Finding::new(&like, line_of(like_text, at), message));
            };
            if name(&one) != name(&two) {
                differs("`metadata.name`", "name:");
            }
            if scopes(&one) != scopes(&two) {
                differs("`scopes`", "scopes:");
            }
            for item in SAME {
                if metadata(&one, item) != metadata(&two, item) {
                    differs(&format!("`{item}`"), item);
                }
            }
        }
    }
    findings
}

/// Who has a component that refers to a secret can reach the secret store; and whoever can, may read only what its
/// configuration lists.
pub(super) fn secrets(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let all: Vec<(&str, &str, Value)> = resources(tree, "components/")
        .filter_map(|(path, text)| Some((path, text, read(text)?)))
        .collect();
    let stores = || {
        all.iter().filter(|(_, _, resource)| {
            let kind = resource.pointer("/spec/type").and_then(Value::as_str);
            kind.is_some_and(|kind| kind.starts_with("secretstores."))
        })
    };
    for (path, text, resource) in &all {
        let refers = metadata_items(resource).any(|item| item.get("secretKeyRef").is_some());
        if !refers {
            continue;
        }
        let line = line_of(text, "secretKeyRef");
        let named = resource
            .pointer("/auth/secretStore")
            .and_then(Value::as_str);
        let Some((_, _, store)) = stores().find(|(_, _, store)| name(store) == named) else {
            findings.push(Finding::new(
                path,
                line,
                "`auth.secretStore` names no store",
            ));
            continue;
        };
        for app in scopes(resource).difference(&scopes(store)) {
            let message = format!("`{app}` is not in the scopes of the secret store");
            findings.push(Finding::new(path, line, message));
        }
    }
    for (path, text, store) in stores() {
        for app in scopes(store) {
            let configuration = format!("components/configurations/{app}.yaml");
            let resource = tree.text(&configuration).and_then(read);
            let limits = resource
                .as_ref()
                .and_then(|resource| resource.pointer("/spec/secrets/scopes")?.as_array())
                .into_iter()
                .flatten();
            let is_closed = limits
                .filter(|scope| scope.get("storeName").and_then(Value::as_str) == name(store))
                .any(|scope| scope.get("defaultAccess").and_then(Value::as_str) == Some("deny"));
            if !is_closed {
                let message =
                    format!("{configuration} does not deny `{app}` its secrets by default");
                findings.push(Finding::new(path, line_of(text, "scopes:"), message));
            }
        }
    }
    findings
}

fn resources<'a>(tree: &'a Tree, folder: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    tree.texts()
        .filter(move |(path, _)| path.starts_with(folder) && extension(path) == "yaml")
}

fn read(text: &str) -> Option<Value> {
    serde_saphyr::from_str(text).ok()
}

fn name(resource: &Value) -> Option<&str> {
    resource.pointer("/metadata/name")?.as_str()
}

fn scopes(resource: &Value) -> BTreeSet<&str> {
    let scopes = resource.get("scopes").and_then(Value::as_array);
    scopes
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn metadata_items(resource: &Value) -> impl Iterator<Item = &Value> {
    let items = resource.pointer("/spec/metadata").and_then(Value::as_array);
    items.into_iter().flatten()
}

fn metadata<'a>(resource: &'a Value, wanted: &str) -> Option<&'a Value> {
    metadata_items(resource)
        .find(|item| item.get("name").and_then(Value::as_str) == Some(wanted))
        .and_then(|item| item.get("value"))
}

#[cfg(test)]
mod tests {
    use super::super::check_rule;
    use super::*;

    const PUBSUB: &str = "# x\nmetadata:\n  name: pubsub\nspec:\n  metadata:\n    - name: subscriptionScopes\n      \
                          value: a=t\nscopes:\n  - a\n";

    #[test]
    fn engines_are_alike() {
        let (local, cluster) = ("components/local/p.yaml", "components/cluster/p.yaml");
        check_rule(alike, &[(local, PUBSUB), (cluster, PUBSUB)], &[]);
        check_rule(alike, &[(local, PUBSUB)], &[&format!("{local}:1")]);
        check_rule(alike, &[(cluster, PUBSUB)], &[&format!("{cluster}:1")]);
        for (from, to, line) in [
            ("name: pubsub", "name: other", 3),
            ("a=t", "a=u", 6),
            ("  - a\n", "  - a\n  - b\n", 8),
        ] {
            let other = PUBSUB.replacen(from, to, 1);
            let files = [(local, PUBSUB), (cluster, other.as_str())];
            check_rule(alike, &files, &[&format!("{cluster}:{line}")]);
        }
    }

    #[test]
    fn secrets_are_for_whom_they_are() {
        const STORE: &str = "# x\nmetadata:\n  name: secrets\nspec:\n  type: secretstores.local.file\nscopes:\n  - a\n";
        const STATE: &str = "# x\nmetadata:\n  name: state\nspec:\n  metadata:\n    - name: c\n      secretKeyRef:\n        \
                             name: u\nauth:\n  secretStore: secrets\nscopes:\n  - a\n";
        const DENIES: &str = "# x\nmetadata:\n  name: a\nspec:\n  secrets:\n    scopes:\n      - storeName: secrets\n        \
                              defaultAccess: deny\n";
        let configuration = "components/configurations/a.yaml";
        let files = |state: &'static str, store: &'static str, denies: &'static str| {
            [
                ("components/cluster/state.yaml", state),
                ("components/machine/secrets.yaml", store),
                (configuration, denies),
            ]
        };
        check_rule(secrets, &files(STATE, STORE, DENIES), &[]);
        let allows = "# x\nmetadata:\n  name: a\n";
        let store = "components/machine/secrets.yaml:6";
        check_rule(secrets, &files(STATE, STORE, allows), &[store]);
        let nobody = "# x\nmetadata:\n  name: secrets\nspec:\n  type: secretstores.local.file\n";
        let state = "components/cluster/state.yaml:7";
        check_rule(secrets, &files(STATE, nobody, DENIES), &[state]);
        let without = [("components/cluster/state.yaml", STATE)];
        check_rule(secrets, &without, &[state]);
    }
}
