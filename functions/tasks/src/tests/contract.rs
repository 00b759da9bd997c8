//! The routes beside `docs/openapi.json`.

use axum::body::Body;
use docket_api::openapi;
use futures::executor::block_on;
use http::{Method, Request, StatusCode};

use super::Instance;
use crate::routes::table;
use docket_fake::Fake;

/// What this function answers of the document.
const TAGS: [&str; 4] = ["planner", "tags", "tasks", "transfer"];

#[test]
fn the_document_has_every_route_and_no_other_and_each_wants_a_token() {
    let document = openapi::document();
    let told = |path: &str, method: &str| {
        let tag = document["paths"][path][method]["tags"][0].as_str();
        tag.is_some_and(|tag| TAGS.contains(&tag))
    };
    let mut documented: Vec<&str> = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        if methods
            .as_object()
            .unwrap()
            .keys()
            .any(|name| told(path, name))
        {
            documented.push(path);
        }
    }
    let instance = Instance::new(&Fake::default());
    let mut paths = Vec::new();
    for (path, _) in table::<Fake>() {
        if path.starts_with("/internal/") || path == "/inbox" {
            continue;
        }
        paths.push(path);
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ] {
            let request = Request::builder()
                .method(&method)
                .uri(path.replace(['{', '}'], ""))
                .body(Body::empty());
            let status = block_on(instance.send(request.unwrap())).status;
            let name = method.as_str().to_lowercase();
            let expected = if told(path, &name) {
                StatusCode::UNAUTHORIZED
            } else {
                StatusCode::METHOD_NOT_ALLOWED
            };
            assert_eq!(status, expected, "{method} {path}");
        }
    }
    paths.sort_unstable();
    assert_eq!(paths, documented);
}
