//! Where Spin calls in.

use axum::Router;
use axum::response::Response;
use docket_service::serve::{log_background, serve};
use docket_service::spin::Spin;
use docket_service::{Code, Problem};
use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::variables;
use std::sync::OnceLock;

use crate::{App, Config, router};

/// Made by an instance's first request, for all of its requests.
static ROUTER: OnceLock<Router> = OnceLock::new();

#[spin_sdk::http_service]
async fn handle(request: Request) -> impl IntoResponse {
    let router = match ROUTER.get() {
        Some(router) => router.clone(),
        None => match configured().await {
            Ok(router) => ROUTER.get_or_init(|| router).clone(),
            Err(error) => {
                log_background("error", &format!("not configured: {error}"));
                Router::new().fallback(|| async {
                    Response::from(axum::response::IntoResponse::into_response(Problem::new(
                        Code::Internal,
                        "not configured",
                    )))
                })
            }
        },
    };
    serve(&Spin, router, request).await
}

async fn configured() -> Result<Router, String> {
    let variable = async |name: &str| {
        variables::get(name)
            .await
            .map_err(|error| format!("{name}: {error}"))
    };
    let config = Config {
        dapr_url: variable("dapr_url").await?,
        dapr_api_token: variable("dapr_api_token").await?,
        app_api_token: variable("app_api_token").await?,
    };
    let app = App::new(Spin, &config).map_err(|error| format!("dapr_api_token: {error}"))?;
    Ok(router(app))
}
