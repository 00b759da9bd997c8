//! The public contract as an OpenAPI 3.1 document: the operations are listed here, their bodies follow from the types.
//!
//! `docs/openapi.json` is what [`document`] gives; a golden test keeps it so.

mod accounts;
mod examples;

use docket_domain::audit::{self, Verified};
use docket_domain::changes::{self, MAX_SINCE};
use docket_domain::find::{DEFAULT_LIMIT, MAX_LIMIT, MAX_SEARCH};
use docket_domain::idempotency::MAX_KEY;
use docket_domain::inbox;
use docket_domain::preferences::{Preferences, PreferencesInput};
use docket_domain::task::{MAX_TAG, Priority, TaskView};
use docket_domain::{EventKind, Instant, TaskId, TaskInput};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

use crate::problem::{Code, Problem};
use crate::{
    AuditPage, BatchAnswer, BatchRequest, ChangePage, Imported, LedgerPage, NotificationPage,
    ParseRequest, Parsed, Preview, PreviewRequest, SnoozeRequest, SnoozedUntil, TagList, TagRename,
    TagsChanged, TaskPage, UndoRequest, Undone, Unread,
};

/// What any operation may be refused with: by the host or by the function, before its own work or in the midst of it.
const ANYWHERE: [Code; 7] = [
    Code::Malformed,
    Code::Unauthorized,
    Code::Forbidden,
    Code::TooManyRequests,
    Code::Internal,
    Code::Unavailable,
    Code::Timeout,
];

/// Where a schema comes from.
type SchemaOf = fn(&mut SchemaGenerator) -> Value;

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

/// One of several words.
macro_rules! words {
    ($($word:literal),*) => {
        |_| json!({ "type": "string", "enum": [$($word),*] })
    };
}

/// A value of the path, the query or the head.
struct Parameter {
    place: &'static str,
    name: &'static str,
    schema: SchemaOf,
    says: &'static str,
    /// Whether it may be given several times.
    repeated: bool,
    /// Whether it has to be given; one of the path always has.
    required: bool,
}

/// A body: its media types, each with its schema.
type Content = &'static [(&'static str, SchemaOf)];

/// An answer that is not a problem.
struct Answer {
    status: u16,
    says: &'static str,
    headers: &'static [&'static str],
    content: Content,
}

/// What may be asked of the app.
struct Operation {
    method: &'static str,
    path: &'static str,
    id: &'static str,
    tag: &'static str,
    says: &'static str,
    parameters: &'static [Parameter],
    request: Content,
    answer: Answer,
    /// The problems beside those that may come [`ANYWHERE`].
    problems: &'static [Code],
}

const JSON: &str = "application/json";
const TASK: Content = &[(JSON, of::<TaskView<'static>>)];
const TASK_INPUT: Content = &[(JSON, of::<TaskInput>)];
const ETAG: &[&str] = &["ETag"];

const ID: Parameter = Parameter {
    place: "path",
    ..query("id", |_| json!({ "type": "string" }), "The task's id.")
};
const IF_MATCH: Parameter = Parameter {
    place: "header",
    ..query(
        "If-Match",
        |_| json!({ "type": "string", "examples": ["\"7\""] }),
        "The task's ETag: the change is refused when the task is not at that version any more.",
    )
};
const OF_ONE_TASK: &[Parameter] = &[ID, IF_MATCH];
const ONCE: &[Parameter] = &[Parameter {
    place: "header",
    ..query(
        "Idempotency-Key",
        |_| json!({ "type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[!-~]+$" }),
        "Within 24 hours the same request with the same key gets the same answer, and changes nothing more.",
    )
}];
const BODY: &[Code] = &[
    Code::TooLarge,
    Code::UnsupportedMediaType,
    Code::Invalid,
    Code::IdempotencyKeyReused,
    Code::Conflict,
];
const TAG: &[Parameter] = &[Parameter {
    place: "path",
    ..query(
        "name",
        |_| json!({ "type": "string" }),
        "The tag, as it is written.",
    )
}];
const NOTIFICATION: &[Parameter] = &[Parameter {
    place: "path",
    ..query(
        "id",
        |_| json!({ "type": "string" }),
        "The notification's id.",
    )
}];
const UNREAD: Answer = answer(
    200,
    "How many are unread now.",
    &[],
    &[(JSON, of::<Unread>)],
);
const PREFERENCES: Answer = answer(200, "The preferences.", &[], &[(JSON, of::<Preferences>)]);
const FORMAT: Parameter = required(
    "format",
    words!["todotxt", "todoist-csv", "ics", "jsonl"],
    "How the file is written. It has to be given.",
);
const TAGS_CHANGED: Answer = answer(
    200,
    "How many tasks were changed; a repetition changes those that an error left.",
    &[],
    &[(JSON, of::<TagsChanged>)],
);
const QUESTION: &[Code] = &[Code::TooLarge, Code::UnsupportedMediaType, Code::Invalid];
const ONE: &[Code] = &[Code::NotFound];
const GUARDED: &[Code] = &[Code::NotFound, Code::PreconditionFailed];
const GUARDED_BODY: &[Code] = &[
    Code::NotFound,
    Code::PreconditionFailed,
    Code::TooLarge,
    Code::UnsupportedMediaType,
    Code::Invalid,
];

const UNDO: &[Code] = &[
    Code::NotFound,
    Code::Conflict,
    Code::PreconditionFailed,
    Code::TooLarge,
    Code::UnsupportedMediaType,
    Code::Invalid,
];

const fn query(name: &'static str, schema: SchemaOf, says: &'static str) -> Parameter {
    Parameter {
        place: "query",
        name,
        schema,
        says,
        repeated: false,
        required: false,
    }
}

const fn repeated(name: &'static str, schema: SchemaOf, says: &'static str) -> Parameter {
    Parameter {
        repeated: true,
        ..query(name, schema, says)
    }
}

const fn required(name: &'static str, schema: SchemaOf, says: &'static str) -> Parameter {
    Parameter {
        required: true,
        ..query(name, schema, says)
    }
}

const fn answer(
    status: u16,
    says: &'static str,
    headers: &'static [&'static str],
    content: Content,
) -> Answer {
    Answer {
        status,
        says,
        headers,
        content,
    }
}

fn text(_: &mut SchemaGenerator) -> Value {
    json!({ "type": "string" })
}

fn boolean(_: &mut SchemaGenerator) -> Value {
    json!({ "type": "boolean" })
}

/// A day in the zone of `time_zone`, or an instant.
fn day_or_instant(generator: &mut SchemaGenerator) -> Value {
    json!({ "anyOf": [{ "type": "string", "format": "date" }, of::<Instant>(generator)] })
}

const LIST: &[Parameter] = &[
    query("status", words!["open", "done", "all"], "Default: open."),
    query(
        "q",
        |_| json!({ "type": "string", "maxLength": MAX_SEARCH }),
        "Words that all are in the title, the description or the tags, whatever their case and accents; the last may be the beginning of one.",
    ),
    repeated(
        "priority",
        of::<Priority>,
        "One of these; a list with commas does as well.",
    ),
    repeated(
        "tag",
        |_| json!({ "type": "string", "minLength": 1, "maxLength": MAX_TAG }),
        "All of these.",
    ),
    query("due_after", day_or_instant, "Due then or later."),
    query("due_before", day_or_instant, "Due before then."),
    query(
        "overdue",
        boolean,
        "Only tasks that should be done, or only others.",
    ),
    query(
        "recurring",
        boolean,
        "Only tasks that come back, or only others.",
    ),
    query(
        "parent",
        of::<TaskId>,
        "Only tasks whose `parent_id` is this; with a `status` of all, every one of them.",
    ),
    query(
        "time_zone",
        |_| json!({ "type": "string", "examples": ["Europe/Berlin"] }),
        "The IANA zone in which days begin and end, and due dates without one are meant. Default: UTC.",
    ),
    query(
        "sort",
        words![
            "due",
            "-due",
            "priority",
            "-priority",
            "created",
            "-created",
            "updated",
            "-updated",
            "title",
            "-title",
            "position",
            "-position"
        ],
        "The order; `-` reverses it. What has no due date comes last either way. Default: -created.",
    ),
    query(
        "limit",
        |_| json!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT }),
        "The page's size.",
    ),
    query(
        "cursor",
        |_| json!({ "type": "string" }),
        "`next_cursor` of the page before; it fits the same question alone.",
    ),
];

const AUDIT_LIMIT: Parameter = query(
    "limit",
    |_| json!({ "type": "integer", "minimum": 1, "maximum": audit::MAX_LIMIT, "default": DEFAULT_LIMIT }),
    "The page's size.",
);
const CURSOR: Parameter = query(
    "cursor",
    text,
    "`next_cursor` of the page before; it fits the same question alone.",
);

/// The operations of people's tasks and what follows from them, by path.
const OPERATIONS: &[Operation] = &[
    Operation {
        method: "get",
        path: "/api/tasks",
        id: "listTasks",
        tag: "tasks",
        says: "A page of tasks.",
        parameters: LIST,
        request: &[],
        answer: answer(200, "The page.", &[], &[(JSON, of::<TaskPage<'static>>)]),
        problems: &[Code::Invalid],
    },
    Operation {
        method: "post",
        path: "/api/tasks",
        id: "createTask",
        tag: "tasks",
        says: "A new task. Only its title has to be given.",
        parameters: ONCE,
        request: TASK_INPUT,
        answer: answer(201, "The task.", &["ETag", "Location"], TASK),
        problems: BODY,
    },
    Operation {
        method: "post",
        path: "/api/tasks/batch",
        id: "changeTasks",
        tag: "tasks",
        says: "Several changes, one after the other: all of them, or none.",
        parameters: ONCE,
        request: &[(JSON, of::<BatchRequest>)],
        answer: answer(
            200,
            "What came of each.",
            &[],
            &[(JSON, of::<BatchAnswer<'static>>)],
        ),
        problems: BODY,
    },
    Operation {
        method: "get",
        path: "/api/tasks/{id}",
        id: "readTask",
        tag: "tasks",
        says: "A task.",
        parameters: &[ID],
        request: &[],
        answer: answer(200, "The task.", ETAG, TASK),
        problems: ONE,
    },
    Operation {
        method: "patch",
        path: "/api/tasks/{id}",
        id: "updateTask",
        tag: "tasks",
        says: "Changes fields of a task, by a JSON merge patch (RFC 7396): `null` takes a value away.",
        parameters: OF_ONE_TASK,
        request: &[
            (JSON, of::<TaskInput>),
            ("application/merge-patch+json", of::<TaskInput>),
        ],
        answer: answer(200, "The task.", ETAG, TASK),
        problems: GUARDED_BODY,
    },
    Operation {
        method: "delete",
        path: "/api/tasks/{id}",
        id: "deleteTask",
        tag: "tasks",
        says: "Removes a task.",
        parameters: OF_ONE_TASK,
        request: &[],
        answer: answer(204, "It is gone.", &[], &[]),
        problems: GUARDED,
    },
    Operation {
        method: "post",
        path: "/api/tasks/{id}/complete",
        id: "completeTask",
        tag: "tasks",
        says: "Marks a task as done; one that is done stays as it is.",
        parameters: OF_ONE_TASK,
        request: &[],
        answer: answer(200, "The task.", ETAG, TASK),
        problems: GUARDED,
    },
    Operation {
        method: "post",
        path: "/api/tasks/{id}/reopen",
        id: "reopenTask",
        tag: "tasks",
        says: "Marks a task as open again; one that is open stays as it is.",
        parameters: OF_ONE_TASK,
        request: &[],
        answer: answer(200, "The task.", ETAG, TASK),
        problems: GUARDED,
    },
    Operation {
        method: "post",
        path: "/api/tasks/{id}/undo",
        id: "undoChange",
        tag: "tasks",
        says: "Takes a change back: what an event of the task did, unless something newer has touched the same fields. A task whose creation is undone is deleted, and one whose deletion is undone comes back with its id. It is a change like any other.",
        parameters: OF_ONE_TASK,
        request: &[(JSON, of::<UndoRequest>)],
        answer: answer(
            200,
            "The task, as it was before in what the event changed. `deleted` is null, unless its creation was undone.",
            &[],
            &[(JSON, of::<Undone<'static>>)],
        ),
        problems: UNDO,
    },
    Operation {
        method: "get",
        path: "/api/changes",
        id: "listChanges",
        tag: "tasks",
        says: "What happened since the last request, in order; a client that begins gets every task.",
        parameters: &[
            query(
                "since",
                |_| json!({ "type": "integer", "minimum": 0, "maximum": MAX_SINCE, "default": 0 }),
                "0 for a client that has nothing; else what `next` was in the last answer.",
            ),
            query(
                "limit",
                |_| json!({ "type": "integer", "minimum": 1, "maximum": changes::MAX_LIMIT, "default": changes::DEFAULT_LIMIT }),
                "The page's size.",
            ),
        ],
        request: &[],
        answer: answer(
            200,
            "A page; an empty one when there is nothing new.",
            &[],
            &[(JSON, of::<ChangePage<'static>>)],
        ),
        problems: &[Code::Invalid],
    },
    Operation {
        method: "get",
        path: "/api/tags",
        id: "listTags",
        tag: "tags",
        says: "The tags that tasks have, with how many have them.",
        parameters: &[],
        request: &[],
        answer: answer(200, "The tags.", &[], &[(JSON, of::<TagList<'static>>)]),
        problems: &[],
    },
    Operation {
        method: "patch",
        path: "/api/tags/{name}",
        id: "renameTag",
        tag: "tags",
        says: "Gives a tag another name on every task; if that name is there already, the two become one.",
        parameters: TAG,
        request: &[(JSON, of::<TagRename>)],
        answer: TAGS_CHANGED,
        problems: &[Code::TooLarge, Code::UnsupportedMediaType, Code::Invalid],
    },
    Operation {
        method: "delete",
        path: "/api/tags/{name}",
        id: "deleteTag",
        tag: "tags",
        says: "Takes a tag away from every task.",
        parameters: TAG,
        request: &[],
        answer: TAGS_CHANGED,
        problems: &[Code::TooLarge],
    },
    Operation {
        method: "post",
        path: "/api/import",
        id: "importTasks",
        tag: "transfer",
        says: "Tasks out of a file. Sending it again adds nothing twice.",
        parameters: &[
            FORMAT,
            query(
                "time_zone",
                |_| json!({ "type": "string", "examples": ["Europe/Berlin"] }),
                "The IANA zone of times that name none; without it they are local wherever the person is.",
            ),
        ],
        request: &[(
            "*/*",
            |_| json!({ "contentMediaType": "application/octet-stream" }),
        )],
        answer: answer(200, "What came of it.", &[], &[(JSON, of::<Imported>)]),
        problems: &[Code::Conflict, Code::TooLarge, Code::Invalid],
    },
    Operation {
        method: "post",
        path: "/api/planner/preview",
        id: "previewRecurrence",
        tag: "planner",
        says: "The next dates of a recurrence after the due date. Nothing is stored.",
        parameters: &[],
        request: &[(JSON, of::<PreviewRequest>)],
        answer: answer(200, "The dates.", &[], &[(JSON, of::<Preview>)]),
        problems: QUESTION,
    },
    Operation {
        method: "post",
        path: "/api/planner/parse",
        id: "parseQuickAdd",
        tag: "planner",
        says: "What a line of quick add means: a task to create, and which words say what. Nothing is stored.",
        parameters: &[],
        request: &[(JSON, of::<ParseRequest>)],
        answer: answer(200, "The meaning.", &[], &[(JSON, of::<Parsed>)]),
        problems: QUESTION,
    },
    Operation {
        method: "get",
        path: "/api/export",
        id: "exportTasks",
        tag: "transfer",
        says: "All tasks in a file, oldest first, as a stream: if it is cut off, something went wrong.",
        parameters: &[
            FORMAT,
            query(
                "status",
                words!["open", "done", "all"],
                "Default: all. A Todoist CSV has the open ones alone.",
            ),
        ],
        request: &[],
        answer: answer(
            200,
            "The file.",
            &[],
            &[
                ("application/jsonl", text),
                ("text/calendar", text),
                ("text/csv", text),
                ("text/plain", text),
            ],
        ),
        problems: &[Code::Invalid],
    },
    Operation {
        method: "get",
        path: "/api/audit",
        id: "listAuditEntries",
        tag: "audit",
        says: "What happened to the account's tasks, newest first. The log is some milliseconds behind the tasks.",
        parameters: &[
            query("task", of::<TaskId>, "Only what happened to this task."),
            repeated("type", of::<EventKind>, "One of these types of events."),
            query(
                "from",
                day_or_instant,
                "Then or later; a day begins in UTC.",
            ),
            query("to", day_or_instant, "Before then."),
            query(
                "actor",
                |_| json!({ "type": "string", "minLength": 1, "maxLength": 64 }),
                "Only what was done by this kind of doers, such as `person`, or by the one with this id.",
            ),
            query(
                "order",
                words!["newest", "oldest"],
                "What comes first. Default: newest.",
            ),
            AUDIT_LIMIT,
            CURSOR,
        ],
        request: &[],
        answer: answer(200, "The page.", &[], &[(JSON, of::<AuditPage>)]),
        problems: &[Code::Invalid],
    },
    Operation {
        method: "get",
        path: "/api/audit/verify",
        id: "verifyAuditLog",
        tag: "audit",
        says: "Whether the account's log is as it was written: every entry's hash, from the first on.",
        parameters: &[],
        request: &[],
        answer: answer(200, "What was found.", &[], &[(JSON, of::<Verified>)]),
        problems: &[],
    },
    Operation {
        method: "get",
        path: "/api/tasks/{id}/history",
        id: "readTaskHistory",
        tag: "audit",
        says: "Who changed what of a task, field by field, oldest first; also of a task that was deleted.",
        parameters: &[ID, AUDIT_LIMIT, CURSOR],
        request: &[],
        answer: answer(200, "The page.", &[], &[(JSON, of::<AuditPage>)]),
        problems: &[Code::Invalid, Code::NotFound],
    },
    Operation {
        method: "get",
        path: "/api/notifications",
        id: "listNotifications",
        tag: "notifications",
        says: "A page of the inbox, newest first. It has the newest 2,000 notifications.",
        parameters: &[
            query("unread", boolean, "Only those that were not read."),
            query(
                "limit",
                |_| json!({ "type": "integer", "minimum": 1, "maximum": inbox::MAX_LIMIT, "default": inbox::DEFAULT_LIMIT }),
                "The page's size.",
            ),
            CURSOR,
        ],
        request: &[],
        answer: answer(
            200,
            "The page.",
            &[],
            &[(JSON, of::<NotificationPage<'static>>)],
        ),
        problems: &[Code::Invalid],
    },
    Operation {
        method: "post",
        path: "/api/notifications/{id}/read",
        id: "readNotification",
        tag: "notifications",
        says: "Marks a notification as read; one that was read stays so.",
        parameters: NOTIFICATION,
        request: &[],
        answer: UNREAD,
        problems: ONE,
    },
    Operation {
        method: "post",
        path: "/api/notifications/read-all",
        id: "readAllNotifications",
        tag: "notifications",
        says: "Marks every notification as read.",
        parameters: &[],
        request: &[],
        answer: UNREAD,
        problems: &[],
    },
    Operation {
        method: "post",
        path: "/api/notifications/{id}/snooze",
        id: "snoozeNotification",
        tag: "notifications",
        says: "Marks a notification as read, and has it come again later; a second time puts it off anew. Not when its task is done or gone.",
        parameters: NOTIFICATION,
        request: &[(JSON, of::<SnoozeRequest>)],
        answer: answer(
            200,
            "When it comes again.",
            &[],
            &[(JSON, of::<SnoozedUntil>)],
        ),
        problems: &[
            Code::NotFound,
            Code::Conflict,
            Code::TooLarge,
            Code::UnsupportedMediaType,
            Code::Invalid,
        ],
    },
    Operation {
        method: "get",
        path: "/api/notifications/ledger",
        id: "readLedger",
        tag: "notifications",
        says: "What became of a task's reminders: what is to come, what has fired, what was delivered and how often that was tried.",
        parameters: &[required(
            "task",
            of::<TaskId>,
            "The task's id. It has to be given.",
        )],
        request: &[],
        answer: answer(
            200,
            "The ledger; an empty one if nothing is known of such a task.",
            &[],
            &[(JSON, of::<LedgerPage>)],
        ),
        problems: &[Code::Invalid],
    },
    Operation {
        method: "get",
        path: "/api/notifications/preferences",
        id: "readPreferences",
        tag: "notifications",
        says: "What the account wants of its notifications.",
        parameters: &[],
        request: &[],
        answer: PREFERENCES,
        problems: &[],
    },
    Operation {
        method: "patch",
        path: "/api/notifications/preferences",
        id: "changePreferences",
        tag: "notifications",
        says: "Changes preferences, by a JSON merge patch (RFC 7396): `null` takes a value back to its default.",
        parameters: &[],
        request: &[
            (JSON, of::<PreferencesInput>),
            ("application/merge-patch+json", of::<PreferencesInput>),
        ],
        answer: PREFERENCES,
        problems: QUESTION,
    },
];

/// Every operation.
fn operations() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().chain(accounts::OPERATIONS)
}

/// The document, with its objects in alphabetical order.
pub fn document() -> Value {
    // What is read and what is written differ in what is required, so each has its generator; they share no type that
    // would come out differently (a test looks).
    let settings = || {
        SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
    };
    let mut read = SchemaGenerator::new(settings().for_deserialize());
    let mut written = SchemaGenerator::new(settings().for_serialize());

    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in operations() {
        paths.entry(operation.path).or_default().insert(
            operation.method.to_owned(),
            operation.to_json(&mut read, &mut written),
        );
    }
    let mut schemas = written.take_definitions(true);
    schemas.append(&mut read.take_definitions(true));
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Docket",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "People's tasks. Errors are problems (RFC 9457) with a code of a closed list; only what is not HTTP (400) or has too large a head (431) is refused without a body.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "http://127.0.0.1:3000", "description": "`cargo docket up`" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "headers": headers(),
            "schemas": schemas,
            "securitySchemes": {
                "refresh": { "type": "apiKey", "in": "cookie", "name": "docket_refresh" },
                "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
            },
        },
    });
    document.sort_all_objects();
    document
}

impl Operation {
    fn to_json(&self, read: &mut SchemaGenerator, written: &mut SchemaGenerator) -> Value {
        let parameters: Vec<Value> = self
            .parameters
            .iter()
            .map(|one| one.to_json(read))
            .collect();
        let mut answers = Map::new();
        answers.insert(self.answer.status.to_string(), self.answer.to_json(written));
        for (status, codes) in by_status(ANYWHERE.iter().chain(self.problems)) {
            answers.insert(status.to_string(), refusal(status, &codes, written));
        }
        let mut operation = json!({
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.says,
            "responses": answers,
        });
        if let Some(fields) = operation.as_object_mut() {
            if let Some(security) = accounts::security(self.id) {
                fields.insert("security".to_owned(), security);
            }
            if !parameters.is_empty() {
                fields.insert("parameters".to_owned(), parameters.into());
            }
            if !self.request.is_empty() {
                let mut content = content(self.request, read);
                for one in content
                    .as_object_mut()
                    .into_iter()
                    .flat_map(Map::values_mut)
                {
                    if let Some(example) = examples::example(self.id) {
                        one["example"] = example;
                    }
                }
                // A file may be empty; all else has to be said.
                let required = self.id != "importTasks";
                let body = json!({ "required": required, "content": content });
                fields.insert("requestBody".to_owned(), body);
            }
        }
        operation
    }
}

impl Parameter {
    fn to_json(&self, read: &mut SchemaGenerator) -> Value {
        let schema = (self.schema)(read);
        let schema = if self.repeated {
            json!({ "type": "array", "items": schema })
        } else {
            schema
        };
        json!({
            "in": self.place,
            "name": self.name,
            "description": self.says,
            "required": self.place == "path" || self.required,
            "schema": schema,
        })
    }
}

impl Answer {
    fn to_json(&self, written: &mut SchemaGenerator) -> Value {
        let mut answer =
            json!({ "description": self.says, "headers": header_references(self.headers) });
        if let (Some(fields), false) = (answer.as_object_mut(), self.content.is_empty()) {
            fields.insert("content".to_owned(), content(self.content, written));
        }
        answer
    }
}

fn content(content: Content, generator: &mut SchemaGenerator) -> Value {
    let types = content.iter().map(|(media_type, schema)| {
        let schema = schema(generator);
        ((*media_type).to_owned(), json!({ "schema": schema }))
    });
    Value::Object(types.collect())
}

/// The codes by their statuses.
fn by_status<'a>(codes: impl Iterator<Item = &'a Code>) -> BTreeMap<u16, Vec<Code>> {
    let mut statuses: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        let codes = statuses.entry(code.status().as_u16()).or_default();
        if !codes.contains(code) {
            codes.push(*code);
        }
    }
    statuses
}

/// A problem with one of `codes`.
fn refusal(status: u16, codes: &[Code], written: &mut SchemaGenerator) -> Value {
    let headers: &[&str] = match status {
        401 => &["WWW-Authenticate"],
        429 | 503 => &["Retry-After"],
        _ => &[],
    };
    let titles: Vec<&str> = codes.iter().map(|code| code.title()).collect();
    let problem = of::<Problem<'static>>(written);
    let schema = json_schema!({
        "allOf": [problem, { "properties": { "code": { "enum": codes } } }],
    });
    json!({
        "description": format!("{}.", titles.join(", or: ")),
        "headers": header_references(headers),
        "content": { "application/problem+json": { "schema": schema } },
    })
}

/// Every answer has the request's id.
fn header_references(names: &[&str]) -> Value {
    let names = names.iter().chain(&["X-Request-Id"]);
    let references = names.map(|name| {
        let reference = json!({ "$ref": format!("#/components/headers/{name}") });
        ((*name).to_owned(), reference)
    });
    Value::Object(references.collect())
}

fn headers() -> Value {
    let header = |says: &str, schema: Value| json!({ "required": true, "description": says, "schema": schema });
    json!({
        "ETag": header("The task's version, for `If-Match`.", json!({ "type": "string", "pattern": "^\"[0-9]+\"$" })),
        "Location": header("The path of what is new.", json!({ "type": "string", "format": "uri-reference" })),
        "Retry-After": header("When to try again, in seconds.", json!({ "type": "integer", "minimum": 0 })),
        "Set-Cookie": header("For `/api/auth` alone: `docket_refresh` has the refresh token, and nothing after signing out; `docket_device` has a device known as one that the owner has signed in on.", json!({ "type": "string", "pattern": "^docket_(refresh|device)=" })),
        "WWW-Authenticate": header("How to say who asks.", json!({ "const": "Bearer" })),
        "X-Request-Id": header(
            "What finds the request in the log; a sane one of the client's own is taken.",
            json!({ "type": "string", "minLength": 1, "maxLength": 64 }),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

    #[test]
    fn the_document_in_docs_is_the_one_of_the_types() {
        let text = serde_json::to_string_pretty(&document()).unwrap() + "\n";
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(Path::new(GOLDEN).parent().unwrap()).unwrap();
            std::fs::write(GOLDEN, &text).unwrap();
        }
        let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
        assert!(
            golden == text,
            "docs/openapi.json is not what the types say; UPDATE_GOLDEN=1 rewrites it, then look at the difference"
        );
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn look(value: &Value, document: &Value) {
            match value {
                Value::Object(fields) => {
                    if let Some(Value::String(reference)) = fields.get("$ref") {
                        let pointer = reference.strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                    }
                    fields.values().for_each(|value| look(value, document));
                }
                Value::Array(values) => values.iter().for_each(|value| look(value, document)),
                _ => {}
            }
        }
        let document = document();
        look(&document, &document);
    }

    #[test]
    fn every_operation_has_its_own_name_and_its_paths_parameters() {
        let mut ids = BTreeSet::new();
        for operation in operations() {
            assert!(ids.insert(operation.id), "{}", operation.id);
            let in_path: Vec<&str> = operation
                .path
                .split('/')
                .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
                .collect();
            let told = operation
                .parameters
                .iter()
                .filter(|one| one.place == "path");
            assert_eq!(told.map(|one| one.name).collect::<Vec<_>>(), in_path);
        }
    }

    #[test]
    fn a_type_that_is_read_and_written_has_one_schema() {
        let settings = SchemaSettings::draft2020_12();
        let mut read = SchemaGenerator::new(settings.clone().for_deserialize());
        let mut written = SchemaGenerator::new(settings.for_serialize());
        for operation in operations() {
            operation.to_json(&mut read, &mut written);
        }
        let read = read.take_definitions(true);
        for (name, schema) in written.take_definitions(true) {
            assert!(
                read.get(&name).is_none_or(|other| *other == schema),
                "{name}"
            );
        }
    }
}
