//! Dapr's secrets API: <https://docs.dapr.io/reference/api/secrets_api/>.

use bytes::Bytes;
use http::Method;
use std::collections::BTreeMap;

use crate::{Error, Sidecar, Transport, escape, parse};

impl<T: Transport> Sidecar<T> {
    /// Reads a secret: its parts by name.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Refused`] with 403 when this function may not read it.
    pub async fn secret(&self, store: &str, name: &str) -> Result<BTreeMap<String, String>, Error> {
        const CALL: &str = "secret get";
        let path = format!("/v1.0/secrets/{}/{}", escape(store), escape(name));
        let response = crate::checked(
            CALL,
            self.send(CALL, Method::GET, &path, &[], Bytes::new())
                .await?,
        )?;
        parse(CALL, response.body())
    }
}
