//! Programs with agent tokens: what they may do, how often, and what is told of them.

use super::*;
use docket_domain::Scope;

/// The tokens that `accounts` knows, by their scopes: `dkt_<scopes>`; how often it was asked.
fn instance_with_agents(changes_per_hour: Option<u32>) -> Instance {
    let instance = instance();
    let accounts = Box::new(move |path: &str, body: &Value| {
        assert_eq!(path, "/internal/accounts/agent-token");
        let scopes = body["token"]
            .as_str()
            .unwrap()
            .strip_prefix("dkt_")
            .unwrap();
        let scopes: Vec<&str> = scopes.split('+').collect();
        if !scopes.iter().all(|scope| Scope::parse(scope).is_some()) {
            return (404, json!({ "code": "not_found" }));
        }
        let grant = json!({
            "account": "ann",
            "id": "t1",
            "name": "Calendar",
            "scopes": scopes,
            "expires_at": "2026-11-23T09:00:00Z",
            "changes_per_hour": changes_per_hour,
        });
        (200, grant)
    });
    instance
        .fake
        .world()
        .apps
        .insert("accounts".to_owned(), accounts);
    instance
}

async fn ask(instance: &Instance, scopes: &str, method: &str, path: &str, body: Value) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer dkt_{scopes}"));
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    instance.send(request.body(body.into()).unwrap()).await
}

#[test]
fn an_agent_may_do_what_its_token_allows_and_nothing_else() {
    block_on(async {
        let instance = instance_with_agents(None);
        let made = instance
            .json("ann", "POST", "/api/tasks", json!({ "title": "a" }))
            .await;
        let path = format!("/api/tasks/{}", made.body["id"].as_str().unwrap());
        let deletion = json!({ "operations": [{ "op": "delete", "id": made.body["id"] }] });
        let change = json!({ "title": "b" });
        let (read, write, delete) = ("tasks:read", "tasks:write", "tasks:delete");
        for (method, path, body, needed) in [
            ("GET", "/api/tasks", Value::Null, vec![read]),
            ("GET", path.as_str(), Value::Null, vec![read]),
            ("GET", "/api/changes", Value::Null, vec![read]),
            ("GET", "/api/tags", Value::Null, vec![read]),
            ("GET", "/api/export?format=jsonl", Value::Null, vec![read]),
            ("POST", "/api/tasks", json!({ "title": "b" }), vec![write]),
            ("PATCH", path.as_str(), change.clone(), vec![write]),
            (
                "POST",
                &format!("{path}/complete"),
                Value::Null,
                vec![write],
            ),
            ("POST", &format!("{path}/reopen"), Value::Null, vec![write]),
            (
                "PATCH",
                "/api/tags/home",
                json!({ "name": "x" }),
                vec![write],
            ),
            ("DELETE", "/api/tags/home", Value::Null, vec![write]),
            ("POST", "/api/tasks/batch", deletion, vec![write, delete]),
            ("DELETE", path.as_str(), Value::Null, vec![delete]),
        ] {
            for scope in Scope::ALL {
                if needed != [scope.as_str()] {
                    let refused = ask(&instance, scope.as_str(), method, path, body.clone()).await;
                    assert_eq!(refused.status, 403, "{method} {path} with {scope}");
                    assert_eq!(refused.body["code"], "forbidden");
                }
            }
            // What was deleted by the batch is gone when it is deleted alone.
            let done = ask(&instance, &needed.join("+"), method, path, body).await;
            let is_done = done.status.is_success() || (method == "DELETE" && done.status == 404);
            assert!(is_done, "{method} {path}: {} {}", done.status, done.body);
        }
    });
}

#[test]
fn an_agent_is_named_as_the_doer() {
    block_on(async {
        let instance = instance_with_agents(None);
        let made = ask(
            &instance,
            "tasks:write",
            "POST",
            "/api/tasks",
            json!({ "title": "a" }),
        )
        .await;
        assert_eq!(made.status, 201);
        instance.fake.settle().await;
        let events = instance.fake.events("task-events");
        let agent = json!({ "kind": "agent", "id": "t1", "name": "Calendar" });
        assert_eq!(
            (&events[0]["data"]["actor"], &events[0]["data"]["account"]),
            (&agent, &json!("ann"))
        );
    });
}

#[test]
fn a_token_is_asked_about_every_few_seconds_and_ends_in_time() {
    block_on(async {
        let instance = instance_with_agents(None);
        let read = async || {
            ask(&instance, "tasks:read", "GET", "/api/tasks", Value::Null)
                .await
                .status
                .as_u16()
        };
        let asked = || instance.fake.world().invoked.len();
        let pass = |seconds: i64| instance.fake.world().micros += seconds * 1_000_000;
        assert_eq!((read().await, read().await, asked()), (200, 200, 1));
        pass(15);
        assert_eq!((read().await, asked()), (200, 2));
        pass(3_600);
        assert_eq!(read().await, 401);
        assert_eq!(
            ask(&instance, "what", "GET", "/api/tasks", Value::Null)
                .await
                .status,
            401
        );
        instance.fake.world().apps.clear();
        assert_eq!(
            ask(&instance, "tasks:write", "GET", "/api/tasks", Value::Null)
                .await
                .status,
            503
        );
    });
}

#[test]
fn an_agent_that_is_bound_changes_no_more_than_that_within_an_hour() {
    block_on(async {
        let instance = instance_with_agents(Some(3));
        let create = async |n: usize| {
            let operations: Vec<Value> = (0..n)
                .map(|n| json!({ "op": "create", "task": { "title": n.to_string() } }))
                .collect();
            let body = json!({ "operations": operations });
            ask(&instance, "tasks:write", "POST", "/api/tasks/batch", body).await
        };
        assert_eq!(create(2).await.status, 200);
        let refused = create(2).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.body["code"]),
            (429, &json!("too_many_requests"))
        );
        let seconds: u32 = refused.headers["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((3_590..=3_600).contains(&seconds), "{seconds}");
        assert_eq!(create(1).await.status, 200);
        assert_eq!(create(1).await.status, 429);
        // The person is not.
        let made = instance
            .json("ann", "POST", "/api/tasks", json!({ "title": "a" }))
            .await;
        assert_eq!(made.status, 201);
    });
}
