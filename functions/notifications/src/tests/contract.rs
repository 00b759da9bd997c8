//! The routes beside `docs/openapi.json`.

use axum::body::Body;
use docket_api::openapi;
use docket_fake::Fake;
use futures::executor::block_on;
use http::{Method, Request};
use std::collections::BTreeSet;

use super::instance;
use crate::routes::table;

#[test]
fn the_document_has_every_route_and_no_other_and_each_wants_a_token() {
    let document = openapi::document();
    let told =
        |path: &str, method: &str| document["paths"][path][method]["tags"][0] == "notifications";
    let instance = instance();
    let mut paths = BTreeSet::new();
    for (path, _) in table::<Fake>() {
        if path.starts_with("/internal/") {
            continue;
        }
        paths.insert(path);
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
            let (status, _) = block_on(instance.send(request.unwrap()));
            let expected = if told(path, &method.as_str().to_lowercase()) {
                401
            } else {
                405
            };
            assert_eq!(status, expected, "{method} {path}");
        }
    }
    let documented = document["paths"].as_object().unwrap().iter();
    let ours = documented.filter(|(path, methods)| {
        let mut methods = methods.as_object().unwrap().keys();
        methods.any(|method| told(path, method))
    });
    assert_eq!(paths, ours.map(|(path, _)| path.as_str()).collect());
}
