//! What stands in no log.

use anyhow::Result;
use docket_tests::client::Answer;
use docket_tests::secrets;
use docket_tests::suite::Suite;
use reqwest::Method;
use serde_json::json;

/// The last test of the suite: the logs are those of all tests that shared the stack. (Every other stack's are read at its
/// end.)
pub async fn no_log_tells_a_secret(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let lola = stack.account("lola").await?;
    // What goes wrong is logged most: a token that is not right, secrets in odd places, a body that no type fits.
    let cut: String = lola.token.chars().skip(3).collect();
    let quiet = "lola.quiet@example.org";
    secrets::note(&cut);
    secrets::note(quiet);
    let list = "/api/tasks";
    let question = format!("{list}?q={quiet}&limit={cut}&cursor={}", lola.token);
    let task = json!({ "title": quiet, "password": cut, "description": [quiet] });
    for request in [
        lola.anonymous(Method::GET, list).bearer_auth(&cut),
        lola.anonymous(Method::GET, list)
            .header("authorization", &lola.token),
        lola.request(Method::GET, &question),
        lola.request(Method::POST, list).json(&task),
        lola.request(Method::POST, list)
            .json(&json!({ "title": quiet })),
        lola.request(Method::POST, list)
            .header("x-request-id", &lola.token)
            .json(&task),
        lola.request(Method::GET, list)
            .header("cookie", format!("docket_refresh={cut}")),
        lola.anonymous(Method::POST, "/internal/tasks/outbox-sweep")
            .header("dapr-api-token", &cut),
        stack
            .http()
            .get(format!(
                "{}/v1.0/secrets/secrets/{cut}",
                stack.sidecar_address("tasks")?
            ))
            .header("dapr-api-token", &cut),
    ] {
        // How each is answered is told by other tests.
        let _ = Answer::of(request).await?;
    }
    stack.logs_tell_nothing()
}
