//! What spin.toml tells every function that has a sidecar.

/// The variables that each such function has, under these names.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the sidecar is: `http://host:port`.
    pub dapr_url: String,
    /// What the sidecar demands.
    pub dapr_api_token: String,
    /// What the sidecar shows.
    pub app_api_token: String,
}
