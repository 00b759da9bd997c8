//! The routes beside `docs/openapi.json`.

use docket_api::openapi;
use docket_fake::{Fake, check_document};

use super::instance;
use crate::routes::table;

#[test]
fn the_document_has_every_route_and_no_other_and_each_wants_a_token() {
    let paths = table::<Fake>().into_iter().map(|(path, _)| path);
    let public = paths.filter(|path| !path.starts_with("/internal/"));
    check_document(
        &openapi::document(),
        &["notifications"],
        &instance().router,
        public,
    );
}
