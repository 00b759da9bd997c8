//! Whatever is asked is answered, and no answer is a failure.

use docket_fake::{ask_anything, config, show_wrong_tokens};

use crate::{App, router};

const PATHS: &[&str] = &[
    "/api/tasks",
    "/api/tasks/{id}",
    "/api/tasks/{id}/complete",
    "/api/tasks/{id}/undo",
    "/api/tasks/batch",
    "/api/changes",
    "/api/tags",
    "/api/tags/{name}",
    "/api/import",
    "/api/export",
    "/api/planner/preview",
    "/api/planner/parse",
    "/inbox",
    "/internal/tasks/occurrences",
];

#[test]
fn requests() {
    ask_anything("requests to `tasks`", PATHS, |fake| {
        router(App::new(fake.clone(), &config()).unwrap())
    });
}

#[test]
fn tokens() {
    show_wrong_tokens("access tokens", "/api/tasks", |fake| {
        router(App::new(fake.clone(), &config()).unwrap())
    });
}
