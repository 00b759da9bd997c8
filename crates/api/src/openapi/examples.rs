//! Bodies as they may be sent: what a schema allows is far more than what makes sense, so these show the sense.

use serde_json::{Value, json};

/// A body that an operation takes, by its id. Operations whose bodies need what only the running stack knows have none.
pub(super) fn example(id: &str) -> Option<Value> {
    let body = match id {
        "createTask" => json!({
            "title": "Pay the rent",
            "priority": "high",
            "tags": ["home"],
            "due": { "date": "2031-01-31", "time": "09:00", "time_zone": "Europe/Berlin" },
            "recurrence": { "rule": "monthly" },
            "reminders": [{ "before": "PT30M" }],
        }),
        "changeTasks" => json!({
            "operations": [
                { "op": "create", "task": { "title": "Buy milk", "tags": ["shop"] } },
                { "op": "create", "task": { "title": "Buy bread", "tags": ["shop"] } },
            ],
        }),
        "importTasks" => json!("(A) Call the bank +home due:2031-12-01\nx 2026-11-20 Buy milk\n"),
        "previewRecurrence" => json!({
            "recurrence": { "rule": "FREQ=MONTHLY;BYDAY=-1FR" },
            "due": { "date": "2031-01-31" },
            "count": 3,
        }),
        "parseQuickAdd" => json!({
            "text": "Call Ann tomorrow at 9 #work !high every week",
            "locale": "en",
            "now": "2026-11-23T08:00:00Z",
            "time_zone": "Asia/Karachi",
        }),
        "changePreferences" => json!({
            "email": { "enabled": false },
            "quiet_hours": { "from": "22:00", "to": "07:00" },
            "digest": { "at": "08:00" },
        }),
        "signUp" => json!({
            "email": "ann@example.com",
            "password": "correct horse battery",
            "name": "Ann",
            "locale": "en",
            "time_zone": "Europe/Berlin",
        }),
        "signIn" => json!({ "email": "ann@example.com", "password": "correct horse battery" }),
        "changeAccount" => json!({
            "name": "Ann",
            "locale": "ur-PK",
            "time_zone": "Asia/Karachi",
            "morning": "08:30",
            "preferences": { "theme": "dark" },
        }),
        "makeToken" => json!({
            "name": "a shell script",
            "scopes": ["tasks:read", "tasks:write"],
            "expires_in": 86_400,
            "changes_per_hour": 100,
        }),
        "requestReset" => json!({ "email": "ann@example.com" }),
        _ => return None,
    };
    Some(body)
}
