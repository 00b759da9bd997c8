//! The planner, as this function uses it.

/// Checks a recurrence rule: gives its canonical spelling, or says what is wrong with it.
pub fn check(rule: &str) -> Result<String, String> {
    docket_domain::recurrence::check(rule)
}
