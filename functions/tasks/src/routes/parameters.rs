//! Query parameters: each is known, or refused.

use docket_domain::FieldErrorCode;
use docket_service::Problem;

/// Splits a query string into its parameters.
pub fn parameters(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

/// The answer to a parameter that a route does not have.
pub fn unknown_parameter(name: &str) -> Problem {
    let name: String = name.chars().take(80).collect();
    Problem::field(
        &format!("/{name}"),
        FieldErrorCode::UnknownField,
        "there is no such parameter",
    )
}
