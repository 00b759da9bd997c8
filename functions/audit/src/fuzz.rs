//! Whatever is asked is answered, and no answer is a failure.

use docket_fake::{ask_anything, config};

use crate::{App, router};

const PATHS: &[&str] = &[
    "/api/audit",
    "/api/audit/verify",
    "/api/tasks/{id}/history",
    "/internal/audit/task-events",
    "/internal/audit/entry",
];

#[test]
fn requests() {
    ask_anything("requests to `audit`", PATHS, |fake| {
        router(App::new(fake.clone(), &config()).unwrap())
    });
}
