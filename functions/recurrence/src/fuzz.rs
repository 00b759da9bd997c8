//! Whatever is asked is answered, and no answer is a failure.

use docket_fake::{ask_anything, config};

use crate::{App, router};

const PATHS: &[&str] = &["/internal/recurrence/task-events"];

#[test]
fn requests() {
    ask_anything("requests to `recurrence`", PATHS, |fake| {
        router(App::new(fake.clone(), &config()).unwrap())
    });
}
