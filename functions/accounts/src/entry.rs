//! Where Spin calls in.

use axum::Router;
use docket_service::spin::{self, Spin};
use spin_sdk::http::{IntoResponse, Request};
use std::sync::OnceLock;

use crate::{App, Place, router};

/// What spin.toml tells this function beside what it tells every one, in the order in which [`Place::read`] takes it.
const TOLD: [&str; 4] = [
    "public_url",
    "trusted_proxies",
    "sign_ups_per_hour",
    "cors_origins",
];

#[spin_sdk::http_service]
async fn handle(request: Request) -> impl IntoResponse {
    static ROUTER: OnceLock<Router> = OnceLock::new();
    spin::answer_told(
        &ROUTER,
        TOLD,
        |config, [url, proxies, sign_ups, origins]| {
            let place = Place::read(url, proxies, sign_ups, origins)?;
            App::new(Spin, config, place).map(router)
        },
        request,
    )
    .await
}
