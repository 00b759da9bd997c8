//! Where Spin calls in.

use axum::Router;
use docket_service::spin::{self, Spin};
use spin_sdk::http::{IntoResponse, Request};
use std::sync::OnceLock;

use crate::{App, router};

#[spin_sdk::http_service]
async fn handle(request: Request) -> impl IntoResponse {
    static ROUTER: OnceLock<Router> = OnceLock::new();
    spin::answer(
        &ROUTER,
        |config| App::new(Spin, config).map(router),
        request,
    )
    .await
}
