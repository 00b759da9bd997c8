//! Whatever is asked is answered, and no answer is a failure.

use docket_fake::{ask_anything, config};

use crate::{App, router};

const PATHS: &[&str] = &[
    "/api/notifications",
    "/api/notifications/{id}/read",
    "/api/notifications/{id}/snooze",
    "/api/notifications/preferences",
    "/api/notifications/ledger",
    "/internal/notifications/reminders",
];

#[test]
fn requests() {
    ask_anything("requests to `notifications`", PATHS, |fake| {
        router(App::new(fake.clone(), &config()).unwrap())
    });
}
