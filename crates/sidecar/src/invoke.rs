//! Dapr's service invocation API: <https://docs.dapr.io/reference/api/service_invocation_api/>.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Sidecar, Transport, encode, escape, parse};

impl<T: Transport> Sidecar<T> {
    /// Calls another app: a POST to `path`, which begins with `/`, with a JSON body; reads the JSON that it answers.
    ///
    /// # Errors
    /// See [`Error`]. [`Error::Refused`] is the answer of either sidecar or of the app: the status tells.
    pub async fn invoke<A: DeserializeOwned>(
        &self,
        app: &str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<A, Error> {
        const CALL: &str = "invoke";
        let url = format!("/v1.0/invoke/{}/method{path}", escape(app));
        let answer = self.post_json(CALL, &url, encode(CALL, body)?).await?;
        parse(CALL, answer.body())
    }
}
