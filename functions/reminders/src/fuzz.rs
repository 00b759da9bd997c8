//! Whatever is asked is answered, and no answer is a failure.

use docket_fake::{ask_anything, config};

use crate::{App, router};

const PATHS: &[&str] = &[
    "/internal/reminders/task-events",
    "/internal/reminders/snooze",
    "/internal/reminders/settings",
    "/internal/reminders/ledger",
    "/job/{name}",
];

#[test]
fn requests() {
    ask_anything("requests to `reminders`", PATHS, |fake| {
        router(App::new(fake.clone(), &config()).unwrap())
    });
}
