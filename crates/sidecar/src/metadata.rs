//! Dapr's metadata API: <https://docs.dapr.io/reference/api/metadata_api/>.

use bytes::Bytes;
use http::Method;
use serde::Deserialize;

use crate::{Error, Sidecar, Transport, checked, parse};

impl<T: Transport> Sidecar<T> {
    /// Whether the sidecar has loaded a component of this name.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn has_component(&self, name: &str) -> Result<bool, Error> {
        #[derive(Deserialize)]
        struct Metadata {
            #[serde(default)]
            components: Vec<Component>,
        }
        #[derive(Deserialize)]
        struct Component {
            name: String,
        }
        const CALL: &str = "metadata";
        let answer = self
            .send(CALL, Method::GET, "/v1.0/metadata", &[], Bytes::new())
            .await?;
        let metadata: Metadata = parse(CALL, checked(CALL, answer)?.body())?;
        Ok(metadata.components.iter().any(|one| one.name == name))
    }
}
