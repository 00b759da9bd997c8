//! What the built components may do: their imports and exports beside their worlds in `wit/functions/`.

use anyhow::{Context as _, Result, ensure};
use docket_cli::layout::Project;
use docket_tests::suite::Suite;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use wit_parser::{
    AstItem, InterfaceId, Resolve, UnresolvedPackage, UnresolvedPackageGroup, WorldId, WorldKey,
};

/// The world of what comes along without being asked for.
const BALLAST: &str = "ballast";

/// Names of interfaces, without versions.
type Names = BTreeSet<String>;

/// What a component takes and gives.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Surface {
    imports: Names,
    exports: Names,
}

pub async fn components_stay_within_their_worlds(_: &Suite) -> Result<()> {
    let project = Project::find_from(Path::new(env!("CARGO_MANIFEST_DIR")))?;
    let mut worlds = worlds(&project.root().join("wit/functions"))?;
    let ballast = worlds.remove(BALLAST).context("no ballast")?;
    let mut known: BTreeSet<String> = worlds.keys().cloned().collect();
    for function in project.functions() {
        let id = &function.id;
        let world = worlds
            .get(id)
            .with_context(|| format!("wit/functions/worlds.wit has no world `{id}`"))?;
        let bytes = std::fs::read(project.root().join(&function.source))?;
        check(&surface(&bytes)?, world, &ballast.imports).with_context(|| format!("`{id}`"))?;
        known.remove(id);
    }
    // What is left must be there for others to include.
    let abstract_worlds: BTreeSet<String> = ["with-sidecar", "with-time"].map(str::to_owned).into();
    ensure!(known == abstract_worlds, "worlds of nobody: {known:?}");
    the_comparison_can_fail(&worlds, &ballast.imports)
}

/// A component has what its world has, ballast excepted.
fn check(component: &Surface, world: &Surface, ballast: &Names) -> Result<()> {
    let more: Vec<&String> = component.imports.difference(&world.imports).collect();
    ensure!(
        more.is_empty(),
        "it imports what its world has not: {more:?}"
    );
    let unused: Vec<&String> = world
        .imports
        .difference(&component.imports)
        .filter(|name| !ballast.contains(*name))
        .collect();
    ensure!(
        unused.is_empty(),
        "its world has what it does not need: {unused:?}"
    );
    ensure!(
        component.exports == world.exports,
        "it exports {:?}, its world {:?}",
        component.exports,
        world.exports
    );
    Ok(())
}

/// One import more, and one less, are told.
fn the_comparison_can_fail(worlds: &BTreeMap<String, Surface>, ballast: &Names) -> Result<()> {
    for (id, world) in worlds {
        check(world, world, ballast).with_context(|| id.clone())?;
        for import in [
            "wasi:sockets/tcp",
            "wasi:sockets/ip-name-lookup",
            "spin:sqlite/sqlite",
        ] {
            let mut more = world.clone();
            more.imports.insert(import.to_owned());
            ensure!(
                check(&more, world, ballast).is_err(),
                "`{id}` may import {import}"
            );
        }
        for import in world.imports.difference(ballast) {
            let mut less = world.clone();
            less.imports.remove(import);
            ensure!(
                check(&less, world, ballast).is_err(),
                "`{id}` may miss {import}"
            );
        }
    }
    Ok(())
}

/// What a component's binary takes and gives.
fn surface(component: &[u8]) -> Result<Surface> {
    let component = wit_component::decode(component)?;
    let resolve = component.resolve();
    let (_, world) = resolve
        .worlds
        .iter()
        .next_back()
        .context("a component has a world")?;
    let names = |keys: &mut dyn Iterator<Item = &WorldKey>| {
        keys.map(|key| without_version(&Resolve::name_world_key(resolve, key)))
            .collect()
    };
    Ok(Surface {
        imports: names(&mut world.imports.keys()),
        exports: names(&mut world.exports.keys()),
    })
}

fn without_version(name: &str) -> String {
    name.split('@').next().unwrap_or_default().to_owned()
}

/// Every world of a folder, with what it includes.
fn worlds(folder: &Path) -> Result<BTreeMap<String, Surface>> {
    let group = UnresolvedPackageGroup::parse_dir(folder)?;
    let package = group.main;
    let mut names: BTreeMap<InterfaceId, String> = BTreeMap::new();
    for (foreign, items) in &package.foreign_deps {
        for (name, (item, _)) in items {
            if let AstItem::Interface(id) = item {
                names.insert(
                    *id,
                    format!("{}:{}/{name}", foreign.namespace, foreign.name),
                );
            }
        }
    }
    let all = package.worlds.iter().map(|(id, world)| {
        let mut surface = Surface::default();
        gather(&package, id, &names, &mut surface)?;
        Ok((world.name.clone(), surface))
    });
    all.collect()
}

fn gather(
    package: &UnresolvedPackage,
    id: WorldId,
    names: &BTreeMap<InterfaceId, String>,
    into: &mut Surface,
) -> Result<()> {
    let world = package.worlds.get(id);
    let world = world.context("a world that is included is there")?;
    for (keys, found) in [
        (world.imports.keys(), &mut into.imports),
        (world.exports.keys(), &mut into.exports),
    ] {
        for key in keys {
            let WorldKey::Interface(id) = key else {
                anyhow::bail!("`{}`: only interfaces have a name that holds", world.name);
            };
            found.insert(
                names
                    .get(id)
                    .context("an interface of another package")?
                    .clone(),
            );
        }
    }
    for include in &world.includes {
        gather(package, include.id, names, into)?;
    }
    Ok(())
}
