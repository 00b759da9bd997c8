//! The routes beside `docs/openapi.json`.

use axum::body::Body;
use docket_api::openapi;
use futures::executor::block_on;
use http::{Method, Request, StatusCode};

use super::Instance;
use crate::routes::table;
use docket_fake::Fake;

#[test]
fn the_document_has_every_route_and_no_other_and_each_wants_a_token() {
    let document = openapi::document();
    let documented = document["paths"].as_object().unwrap();
    let instance = Instance::new(&Fake::default());
    let mut paths = Vec::new();
    for (path, _) in table::<Fake>() {
        if path.starts_with("/internal/") {
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
            let told = documented.get(path).and_then(|methods| methods.get(&name));
            let expected = match told {
                Some(_) => StatusCode::UNAUTHORIZED,
                None => StatusCode::METHOD_NOT_ALLOWED,
            };
            assert_eq!(status, expected, "{method} {path}");
        }
    }
    paths.sort_unstable();
    assert_eq!(paths, documented.keys().collect::<Vec<_>>());
}
