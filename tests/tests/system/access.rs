//! Who may ask whom for what: every forbidden call is tried on the running stack. What is forbidden follows from
//! `components/`, spin.toml and the routes in the code, so a new function is covered without a word here.

use anyhow::{Context as _, Result, bail, ensure};
use docket_cli::layout::Project;
use docket_tests::client::Answer;
use docket_tests::stack::Stack;
use docket_tests::suite::Suite;
use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The pub/sub component, whose topics have scopes of their own.
const PUBSUB: &str = "pubsub.kafka";

/// A call that a policy lets through: who, whom, which path, which method.
type Allowed = BTreeSet<(String, String, String, String)>;

/// What `components/` and the code say.
struct Rules {
    apps: Vec<String>,
    /// Each app's routes that are for sidecars.
    routes: BTreeMap<String, BTreeSet<String>>,
    allowed: Allowed,
    /// Which secrets each app may read.
    secrets: BTreeMap<String, BTreeSet<String>>,
    /// Components: name, type, the apps in scope, the metadata.
    components: Vec<Component>,
}

struct Component {
    name: String,
    kind: String,
    scopes: BTreeSet<String>,
    metadata: BTreeMap<String, String>,
}

impl Rules {
    fn read(project: &Project) -> Result<Self> {
        let apps: Vec<String> = project.apps().iter().map(|app| app.id.clone()).collect();
        let (mut allowed, mut secrets) = (Allowed::new(), BTreeMap::new());
        for app in project.apps() {
            let spec = yaml(&project.configuration(app))?["spec"].take();
            ensure!(
                spec["accessControl"]["defaultAction"] == "deny",
                "`{}` lets in whom nothing is said about",
                app.id
            );
            for policy in list(&spec["accessControl"]["policies"]) {
                ensure!(policy["defaultAction"] == "deny", "{}: {policy}", app.id);
                for operation in list(&policy["operations"]) {
                    ensure!(operation["action"] == "allow", "{}: {operation}", app.id);
                    for verb in list(&operation["httpVerb"]) {
                        allowed.insert((
                            text(&policy["appId"])?,
                            app.id.clone(),
                            text(&operation["name"])?,
                            text(verb)?,
                        ));
                    }
                }
            }
            let mut readable = BTreeSet::new();
            for scope in list(&spec["secrets"]["scopes"]) {
                ensure!(scope["defaultAccess"] == "deny", "{}: {scope}", app.id);
                for name in list(&scope["allowedSecrets"]) {
                    readable.insert(text(name)?);
                }
            }
            secrets.insert(app.id.clone(), readable);
        }
        let mut components = Vec::new();
        for file in files(&project.components(), "yaml")? {
            let resource = yaml(&file)?;
            if resource["kind"] == "Component" {
                components.push(Component::read(&resource)?);
            }
        }
        let routes = routes(project, &apps)?;
        Ok(Self {
            apps,
            routes,
            allowed,
            secrets,
            components,
        })
    }
}

impl Component {
    fn read(resource: &Value) -> Result<Self> {
        let scopes = list(&resource["scopes"]).map(text).collect::<Result<_>>()?;
        let entries = list(&resource["spec"]["metadata"]);
        let metadata = entries
            .filter_map(|entry| Some((entry["name"].as_str()?, entry["value"].as_str()?)))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Ok(Self {
            name: text(&resource["metadata"]["name"])?,
            kind: text(&resource["spec"]["type"])?,
            scopes,
            metadata,
        })
    }
}

/// The routes that are for sidecars, out of the string literals of the functions and of what they share.
fn routes(project: &Project, apps: &[String]) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for app in apps {
        let own = format!("/internal/{app}/");
        let folder = project.root().join("functions").join(app).join("src");
        let mut sources = files(&folder, "rs")?;
        sources.extend(files(&project.root().join("crates"), "rs")?);
        for source in sources {
            let of_tests = source.components().any(|part| {
                [OsStr::new("tests"), OsStr::new("tests.rs")].contains(&part.as_os_str())
            });
            if of_tests {
                continue;
            }
            let in_function = source.starts_with(&folder);
            let code = std::fs::read_to_string(&source)?;
            for literal in code.split('"').skip(1) {
                let outside = in_function && ["/job/{name}", "/inbox"].contains(&literal);
                if literal.starts_with(&own) && !literal.contains(char::is_whitespace) || outside {
                    let route = literal.replace("{name}", "x");
                    found.entry(app.clone()).or_default().insert(route);
                }
            }
        }
        ensure!(
            found.contains_key(app),
            "no internal route of `{app}` was found"
        );
    }
    Ok(found)
}

fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, extension)?);
        } else if path.extension().is_some_and(|end| end == extension) {
            found.push(path);
        }
    }
    Ok(found)
}

fn yaml(file: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(file)?;
    serde_saphyr::from_str(&text).with_context(|| file.display().to_string())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> Result<String> {
    let text = value.as_str().with_context(|| format!("no text: {value}"));
    Ok(text?.to_owned())
}

/// A call of an app's sidecar, with its token.
fn sidecar(stack: &Stack, app: &str, method: Method, path: &str) -> Result<RequestBuilder> {
    let url = format!("{}{path}", stack.sidecar_address(app)?);
    Ok(stack
        .http()
        .request(method, url)
        .header("dapr-api-token", stack.api_tokens(app)?.dapr_api_token))
}

pub async fn internal_routes_want_the_apps_own_token(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let rules = Rules::read(stack.project())?;
    let person = stack.account("intern").await?;
    let mut tried = 0;
    for (app, routes) in &rules.routes {
        let own = stack.api_tokens(app)?;
        let mut wrong = vec![
            String::new(),
            "wrong".to_owned(),
            own.dapr_api_token.clone(),
        ];
        for other in rules.apps.iter().filter(|other| *other != app) {
            wrong.push(stack.api_tokens(other)?.app_api_token);
        }
        // The right one, but for its end.
        wrong.push(own.app_api_token.chars().skip(1).collect());
        for route in routes {
            // The route is there: with the right token another method is what is wrong. (What only the shared types name
            // may have nobody who answers it yet.)
            let request = person
                .anonymous(Method::GET, route)
                .header("dapr-api-token", &own.app_api_token);
            let answer = Answer::of(request).await?;
            if answer.status == 404 {
                eprintln!("[access] nobody answers {route}");
                continue;
            }
            answer.check(405).with_context(|| route.clone())?;
            for token in &wrong {
                let request = person
                    .request(Method::POST, route)
                    .header("dapr-api-token", token)
                    .json(&json!({}));
                let answer = Answer::of(request).await?;
                answer
                    .problem(401, "unauthorized")
                    .with_context(|| route.clone())?;
                tried += 1;
            }
        }
    }
    ensure!(tried > 0, "nothing was tried");
    eprintln!("[access] {tried} calls of internal routes refused");
    Ok(())
}

pub async fn functions_may_ask_each_other_for_what_policies_say(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let rules = Rules::read(stack.project())?;
    let (mut refused, mut let_in) = (0, 0);
    for caller in &rules.apps {
        // Whoever has an app's token and port can play its sidecar to it anyway.
        for target in rules.apps.iter().filter(|target| *target != caller) {
            let own = rules.routes.get(target).into_iter().flatten();
            let public = ["/", "/api/tasks", "/api/auth/me", "/.well-known/spin/info"];
            let mut paths: BTreeSet<String> = own.cloned().collect();
            paths.extend(public.map(str::to_owned));
            // What a policy allows must open nothing beside it.
            let opened: Vec<String> = rules
                .allowed
                .iter()
                .filter(|(who, whom, ..)| who == caller && whom == target)
                .map(|(_, _, path, _)| path.clone())
                .collect();
            for route in rules.routes.get(target).into_iter().flatten() {
                let Some((_, last)) = route.rsplit_once('/') else {
                    continue;
                };
                for open in opened.iter().filter(|open| *open != route) {
                    paths.insert(format!("{open}/../{last}"));
                    paths.insert(format!("{open}/%2e%2e/{last}"));
                    paths.insert(format!("{open}%2F..%2F{last}"));
                    paths.insert(format!("{open}/{last}"));
                }
            }
            for path in &paths {
                for method in [Method::POST, Method::GET, Method::PUT] {
                    let call = (
                        caller.clone(),
                        target.clone(),
                        path.clone(),
                        method.to_string(),
                    );
                    let url = format!("/v1.0/invoke/{target}/method{path}");
                    let request = sidecar(stack, caller, method.clone(), &url)?.json(&json!({}));
                    let answer = Answer::of(request).await?;
                    let what = || format!("{caller} asks {target}: {method} {path}: {answer}");
                    if rules.allowed.contains(&call) {
                        // Nobody's wish is an empty one; but the policy let it through.
                        ensure!(![401, 403].contains(&answer.status), what());
                        let_in += 1;
                    } else if opened.iter().any(|open| path.starts_with(open.as_str())) {
                        ensure!((400..500).contains(&answer.status), what());
                        refused += 1;
                    } else {
                        ensure!(answer.status == 403, what());
                        refused += 1;
                    }
                }
            }
        }
    }
    ensure!(
        let_in == rules.allowed.len(),
        "{let_in} of {:?}",
        rules.allowed
    );
    eprintln!("[access] {refused} invocations refused, {let_in} let in");
    Ok(())
}

pub async fn sidecars_want_their_own_token(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let rules = Rules::read(stack.project())?;
    for app in &rules.apps {
        let own = stack.api_tokens(app)?;
        let mut wrong = vec![None, Some("wrong".to_owned()), Some(own.app_api_token)];
        for other in rules.apps.iter().filter(|other| *other != app) {
            wrong.push(Some(stack.api_tokens(other)?.dapr_api_token));
        }
        for (method, path) in [
            (Method::GET, "/v1.0/metadata"),
            (Method::GET, "/v1.0/state/state/x"),
            (Method::POST, "/v1.0/state/state"),
            (Method::GET, "/v1.0/secrets/secrets/bulk"),
            (Method::POST, "/v1.0/publish/pubsub/task-events"),
            (
                Method::POST,
                "/v1.0/invoke/tasks/method/internal/tasks/occurrences",
            ),
            (Method::POST, "/v1.0/bindings/task-inbox-results"),
            (Method::GET, "/v1.0-alpha1/jobs/x"),
            (Method::POST, "/v1.0/shutdown"),
        ] {
            for token in &wrong {
                let url = format!("{}{path}", stack.sidecar_address(app)?);
                let mut request = stack.http().request(method.clone(), url).json(&json!({}));
                if let Some(token) = token {
                    request = request.header("dapr-api-token", token);
                }
                let answer = Answer::of(request).await?;
                answer
                    .check(401)
                    .with_context(|| format!("{app}: {method} {path}"))?;
            }
        }
    }
    Ok(())
}

pub async fn components_are_there_for_their_scopes(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let rules = Rules::read(stack.project())?;
    let file = std::fs::read(stack.data().secrets_file())?;
    let secrets: Map<String, Value> = serde_json::from_slice(&file)?;
    ensure!(secrets.len() > 1, "no secret that nobody may read");
    let mut refused = 0;
    for component in &rules.components {
        ensure!(
            !component.scopes.is_empty(),
            "`{}` is for all",
            component.name
        );
        let name = &component.name;
        for app in &rules.apps {
            let in_scope = component.scopes.contains(app);
            if component.kind.starts_with("secretstores.") {
                refused += secrets_of(stack, &rules, app, name, in_scope, &secrets).await?;
                continue;
            }
            if component.kind == PUBSUB {
                refused += topics_of(stack, component, app, in_scope).await?;
                continue;
            }
            let request = if component.kind.starts_with("state.") {
                sidecar(
                    stack,
                    app,
                    Method::GET,
                    &format!("/v1.0/state/{name}/nothing"),
                )?
            } else if component.kind.starts_with("bindings.") {
                if in_scope {
                    continue; // it would send something
                }
                sidecar(stack, app, Method::POST, &format!("/v1.0/bindings/{name}"))?
                    .json(&json!({ "operation": "create", "data": "x" }))
            } else {
                bail!("how is a component of the kind {} used?", component.kind);
            };
            let answer = Answer::of(request).await?;
            let is_known = (200..300).contains(&answer.status);
            ensure!(is_known == in_scope, "{name} for {app}: {answer}");
            ensure!(answer.status != 401, "{name} for {app}: {answer}");
            refused += usize::from(!in_scope);
        }
    }
    eprintln!("[access] {refused} uses of components, secrets and topics refused");
    Ok(())
}

/// Tries to read each secret; how many were refused.
async fn secrets_of(
    stack: &Stack,
    rules: &Rules,
    app: &str,
    store: &str,
    in_scope: bool,
    secrets: &Map<String, Value>,
) -> Result<usize> {
    let mut refused = 0;
    for name in secrets.keys() {
        let allowed = rules.secrets.get(app).is_some_and(|all| all.contains(name));
        ensure!(in_scope || !allowed, "`{app}` may read {name} of no store");
        let path = format!("/v1.0/secrets/{store}/{name}");
        let answer = Answer::of(sidecar(stack, app, Method::GET, &path)?).await?;
        // What is read must not be told in a failure either.
        ensure!(
            (answer.status == 200) == allowed,
            "{app}: {name}: {}",
            answer.status
        );
        ensure!(answer.status != 401, "{app}: {name}");
        refused += usize::from(!allowed);
    }
    let path = format!("/v1.0/secrets/{store}/bulk");
    let answer = Answer::of(sidecar(stack, app, Method::GET, &path)?).await?;
    if answer.status == 200 {
        let bulk: Map<String, Value> = answer.read(200)?;
        for name in bulk.keys() {
            let allowed = rules.secrets.get(app).is_some_and(|all| all.contains(name));
            ensure!(allowed, "bulk shows {name} to {app}");
        }
    }
    Ok(refused)
}

/// Tries to publish on each topic that is not the app's; how many were refused.
async fn topics_of(stack: &Stack, pubsub: &Component, app: &str, in_scope: bool) -> Result<usize> {
    let scopes = |key: &str| -> Option<BTreeSet<&str>> {
        let all = pubsub.metadata.get(key)?;
        all.split(';')
            .filter_map(|one| one.split_once('='))
            .find(|(who, _)| who.trim() == app)
            .map(|(_, topics)| topics.split(',').map(str::trim).collect())
    };
    let published = scopes("publishingScopes");
    ensure!(
        !in_scope || published.is_some() && scopes("subscriptionScopes").is_some(),
        "`{app}` may publish and read everything: name its topics in the pub/sub component"
    );
    let allowed = published.unwrap_or_default();
    let mut refused = 0;
    for topic in stack.project().topics()? {
        if allowed.contains(topic.name.as_str()) {
            continue;
        }
        let path = format!("/v1.0/publish/{}/{}", pubsub.name, topic.name);
        let request = sidecar(stack, app, Method::POST, &path)?.json(&json!({}));
        let answer = Answer::of(request).await?;
        ensure!(
            answer.status >= 400 && answer.status != 401,
            "{app} publishes on {}: {answer}",
            topic.name
        );
        refused += 1;
    }
    Ok(refused)
}
