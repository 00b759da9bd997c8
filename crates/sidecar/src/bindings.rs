//! Dapr's output bindings: <https://docs.dapr.io/reference/api/bindings_api/>.

use serde::Serialize;
use std::collections::BTreeMap;

use crate::{Error, Sidecar, Transport, encode, escape};

impl<T: Transport> Sidecar<T> {
    /// Hands `data` to the output binding of this name, with the metadata that its kind knows.
    ///
    /// # Errors
    /// See [`Error`]; after [`Error::Transport`] the binding may have done it.
    pub async fn bind(
        &self,
        binding: &str,
        operation: &str,
        data: &impl Serialize,
        metadata: &BTreeMap<&str, &str>,
    ) -> Result<(), Error> {
        #[derive(Serialize)]
        struct Body<'a, D> {
            operation: &'a str,
            data: &'a D,
            metadata: &'a BTreeMap<&'a str, &'a str>,
        }
        const CALL: &str = "binding";
        let body = Body {
            operation,
            data,
            metadata,
        };
        let path = format!("/v1.0/bindings/{}", escape(binding));
        self.post_json(CALL, &path, encode(CALL, &body)?)
            .await
            .map(drop)
    }
}
