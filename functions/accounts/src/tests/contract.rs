//! The routes beside `docs/openapi.json`.

use docket_api::openapi;
use docket_fake::{Fake, check_document};

use super::instance;
use crate::routes::table;

#[test]
fn the_document_has_every_route_and_no_other() {
    let paths = table::<Fake>().into_iter().map(|(path, _)| path);
    let public = paths.filter(|path| !path.starts_with("/internal/"));
    check_document(
        &openapi::document(),
        &["accounts"],
        &instance().router,
        public,
    );
}

#[test]
fn internal_routes_are_for_the_sidecar_alone() {
    use super::*;
    block_on(async {
        let instance = instance();
        let paths = table::<Fake>().into_iter().map(|(path, _)| path);
        for path in paths.filter(|path| path.starts_with("/internal/")) {
            let request = Request::post(path).header("dapr-api-token", "wrong");
            let request = request.body(Body::empty()).unwrap();
            instance.send(request).await.expect(401);
        }
    });
}
