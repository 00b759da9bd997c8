//! The software bill of materials, in the form of CycloneDX 1.6 (ECMA-424), as JSON.

use serde_json::{Value, json};
use std::collections::BTreeSet;

use super::{Crate, Crates, Module};

/// The bill: the crates with their hashes and licences, what needs what, and the Go modules. The same parts give the same
/// bill, so it has no time and no serial number.
#[must_use]
pub fn bill(version: &str, crates: &Crates, modules: &BTreeSet<Module>) -> Value {
    let whole = format!("pkg:generic/docket@{version}");
    let mut components: Vec<Value> = crates.iter().map(|one| of_crate(crates, one)).collect();
    components.extend(modules.iter().map(of_module));
    components.sort_by_cached_key(|one| one["bom-ref"].to_string());
    let own = crates.iter().filter(|one| one.source.is_none()).map(purl);
    let parts: BTreeSet<String> = own.chain(modules.iter().map(module_purl)).collect();
    let mut dependencies = vec![json!({ "ref": whole, "dependsOn": parts })];
    dependencies.extend(crates.iter().map(|one| {
        let needs: BTreeSet<String> = crates.needs(one).map(purl).collect();
        json!({ "ref": purl(one), "dependsOn": needs })
    }));
    dependencies.sort_by_cached_key(|one| one["ref"].to_string());
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": whole,
                "name": "docket",
                "version": version,
                "licenses": [{ "expression": "Apache-2.0" }],
                "purl": whole,
            },
        },
        "components": components,
        "dependencies": dependencies,
    })
}

/// A crate's package URL. A `+` in its version is escaped, as the form of such URLs has it.
fn purl(one: &Crate) -> String {
    format!("pkg:cargo/{}@{}", one.name, one.version.replace('+', "%2B"))
}

fn module_purl(one: &Module) -> String {
    format!(
        "pkg:golang/{}@{}",
        one.path,
        one.version.replace('+', "%2B")
    )
}

fn of_crate(crates: &Crates, one: &Crate) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": purl(one),
        "name": one.name,
        "version": one.version,
        "purl": purl(one),
    });
    if let Some(licence) = &one.license {
        // With `/` for OR, as crates once had it.
        let expression = licence.replace(" / ", " OR ").replace('/', " OR ");
        set(
            &mut component,
            "licenses",
            json!([{ "expression": expression }]),
        );
    }
    if let Some(hash) = crates.hash(one) {
        set(
            &mut component,
            "hashes",
            json!([{ "alg": "SHA-256", "content": hash }]),
        );
    }
    component
}

/// A module, with the licences whose texts it has. (Go's own hashes are of another kind than CycloneDX's.)
fn of_module(one: &Module) -> Value {
    let licences = one.licences.iter();
    let licences: Vec<Value> = licences
        .map(|id| json!({ "license": { "id": id } }))
        .collect();
    let mut component = json!({
        "type": "library",
        "bom-ref": module_purl(one),
        "name": one.path,
        "version": one.version,
        "purl": module_purl(one),
    });
    if !licences.is_empty() {
        set(&mut component, "licenses", licences.into());
    }
    component
}

/// Gives a component a field more.
fn set(component: &mut Value, field: &str, value: Value) {
    if let Some(fields) = component.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::crates::tests::crates;
    use super::*;

    fn modules() -> BTreeSet<Module> {
        BTreeSet::from([Module {
            path: "github.com/a/b".to_owned(),
            version: "v1.2.3+incompatible".to_owned(),
            licences: BTreeSet::from(["MIT"]),
        }])
    }

    #[test]
    fn a_bill_tells_all_parts() {
        let crates = crates("a", Some("MIT/Apache-2.0"), "registry+x");
        let bill = bill("0.1.0", &crates, &modules());
        let parts = bill["components"].as_array().unwrap();
        let refs: Vec<&str> = parts
            .iter()
            .map(|one| one["bom-ref"].as_str().unwrap())
            .collect();
        assert_eq!(
            refs,
            [
                "pkg:cargo/a@1.2.3",
                "pkg:cargo/for-tests@1.2.3",
                "pkg:cargo/own@1.2.3",
                "pkg:golang/github.com/a/b@v1.2.3%2Bincompatible"
            ]
        );
        assert_eq!(parts[0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(parts[0]["hashes"][0]["content"], "ab12");
        assert_eq!(parts[3]["licenses"][0]["license"]["id"], "MIT");
        let own = bill["dependencies"].as_array().unwrap();
        let own = own.iter().find(|one| one["ref"] == refs[2]).unwrap();
        assert_eq!(own["dependsOn"], json!(["pkg:cargo/a@1.2.3"]));
    }

    /// What the form's schema wants: its required fields, and references that lead somewhere and are there once.
    #[test]
    fn a_bill_is_in_its_form() {
        let crates = crates("a", Some("MIT"), "registry+x");
        let bill = bill("0.1.0", &crates, &modules());
        assert_eq!(bill["bomFormat"], "CycloneDX");
        assert_eq!(bill["specVersion"], "1.6");
        assert_eq!(bill["version"], 1);
        let mut refs = BTreeSet::from([bill["metadata"]["component"]["bom-ref"].to_string()]);
        for one in bill["components"].as_array().unwrap() {
            for field in ["type", "name", "version", "purl"] {
                assert!(one[field].is_string(), "{one}");
            }
            assert!(refs.insert(one["bom-ref"].to_string()), "{one}");
        }
        let mut told = BTreeSet::new();
        for one in bill["dependencies"].as_array().unwrap() {
            assert!(told.insert(one["ref"].to_string()), "{one}");
            assert!(refs.contains(&one["ref"].to_string()), "{one}");
            for need in one["dependsOn"].as_array().unwrap() {
                assert!(refs.contains(&need.to_string()), "{one}");
            }
        }
    }

    #[test]
    fn the_same_parts_give_the_same_bill() {
        let made = || bill("0.1.0", &crates("a", None, "registry+x"), &modules()).to_string();
        assert_eq!(made(), made());
    }
}
