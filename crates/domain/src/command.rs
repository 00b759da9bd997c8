//! What may be asked of an account's tasks, and how an asking is refused.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::audit::Content;
use crate::due::{self, Due};
use crate::ids::{Entropy, Purpose, SegmentNumber};
use crate::recurrence::{self, NextDate, Recurrence, Rule};
use crate::task::{
    Before, MAX_DESCRIPTION, MAX_REMINDERS, MAX_TAG, MAX_TAGS, MAX_TITLE, Priority, Reminder, Task,
    When,
};
use crate::{Context, EventKind, Instant, Scope, Scopes, TaskId, base32, parent};

/// The most operations of a batch.
pub const MAX_OPERATIONS: usize = 200;
/// So many errors of a batch are told.
const MAX_ERRORS: usize = 100;

/// A change that is asked for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Create one task.
    Create(TaskInput),
    /// Create the tasks of an import that are not there yet; each is known again by its token.
    Import {
        /// The tasks.
        tasks: Vec<NewTask>,
        /// The closed segments below this number are known to have none of them; the others must be loaded.
        scanned: SegmentNumber,
    },
    /// Change some fields of a task (a JSON merge patch, RFC 7396).
    Update(TaskId, TaskInput),
    /// Mark a task as done; a done one stays as it is.
    Complete(TaskId),
    /// Mark a task as open again; an open one stays as it is.
    Reopen(TaskId),
    /// Remove a task.
    Delete(TaskId),
    /// Create the next occurrence of a recurring task that is done, unless that was done before. Nothing happens if the
    /// task or the account is gone, or it is open, has no recurrence, or was the last of its series.
    Recur {
        /// The task that is done.
        task: TaskId,
        /// Knows the date.
        next: NextDate,
    },
    /// Take back what an event did to a task, as the audit log tells it, unless something newer has touched the same.
    Undo(Box<Content>),
    /// Put another tag in the place of one, or take it away, in the tasks of some segments from one on; what is left to
    /// do is told.
    Retag {
        /// The tag that goes.
        tag: String,
        /// The tag that comes.
        to: Option<String>,
        /// The segment to begin with.
        from: SegmentNumber,
    },
    /// Several of the changes that are about one task each, one after the other: all of them, or none.
    Batch(Vec<Command>),
}

impl Command {
    /// What an agent's token has to allow.
    pub fn scopes(&self) -> Scopes {
        match self {
            Self::Delete(_) => Scopes::from([Scope::TasksDelete]),
            Self::Undo(event) if event.kind == EventKind::TaskCreated => {
                Scopes::from([Scope::TasksDelete])
            }
            Self::Batch(commands) => commands.iter().flat_map(Self::scopes).collect(),
            _ => Scopes::from([Scope::TasksWrite]),
        }
    }

    /// The task that the command is about, if it is about one that is there.
    pub fn task(&self) -> Option<TaskId> {
        match self {
            Self::Create(_) | Self::Import { .. } | Self::Retag { .. } | Self::Batch(_) => None,
            Self::Update(id, _)
            | Self::Complete(id)
            | Self::Reopen(id)
            | Self::Delete(id)
            | Self::Recur { task: id, .. } => Some(*id),
            Self::Undo(event) => Some(event.task_id),
        }
    }

    /// The tasks that are to be parents.
    pub(crate) fn parents(&self) -> Vec<TaskId> {
        match self {
            Self::Create(input) | Self::Update(_, input) => input.parent().into_iter().collect(),
            Self::Import { tasks, .. } => tasks.iter().filter_map(|t| t.input.parent()).collect(),
            Self::Batch(commands) => commands.iter().flat_map(Self::parents).collect(),
            Self::Undo(event) => event.parents(),
            Self::Complete(_)
            | Self::Reopen(_)
            | Self::Delete(_)
            | Self::Recur { .. }
            | Self::Retag { .. } => Vec::new(),
        }
    }
}

/// A task that an import brings: its fields, and what only an import may set.
#[derive(Clone, Debug, Default)]
pub struct NewTask {
    /// The fields, by the same rules as any other task's.
    pub input: TaskInput,
    /// The unique part of its id: a hash of what was imported, so that a second import finds it.
    pub token: u64,
    /// What it was elsewhere, before `input` is put on it as a patch is.
    pub known: Known,
    /// When it was created elsewhere.
    pub created_at: Option<Instant>,
    /// When it was last changed elsewhere, if that is known; else it counts as changed by the import.
    pub updated_at: Option<Instant>,
    /// Whether it is done.
    pub done: bool,
    /// When it was done elsewhere, if that is known; else it counts as done at the import.
    pub completed_at: Option<Instant>,
}

/// What a copy of a task brings beyond its fields: the ids of its reminders, and its series with the occurrence that it
/// began with. It counts as far as the fields agree with it: an id that no reminder has is lost, and a series begins anew
/// when the due date or the rule is another.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are the task's, documented there")]
pub struct Known {
    pub due: Option<Due>,
    pub reminders: Vec<Reminder>,
    pub recurrence: Option<Recurrence>,
}

/// A field of a JSON merge patch: left out, taken away, or given.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Field<T> {
    /// Not in the patch: stays as it is.
    #[default]
    Absent,
    /// `null`: back to its default.
    Null,
    /// A new value.
    Value(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}

/// The fields of a task that a person may set, as they were sent: to create one, or to patch one. (Whoever reads it
/// from outside refuses fields that it does not have.)
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the task's, documented there")]
pub struct TaskInput {
    #[schemars(length(min = 1, max = MAX_TITLE))]
    pub title: Field<String>,
    #[schemars(length(max = MAX_DESCRIPTION))]
    pub description: Field<String>,
    #[schemars(with = "Field<Priority>")]
    pub priority: Field<String>,
    #[schemars(length(max = MAX_TAGS), inner(length(min = 1, max = MAX_TAG)))]
    pub tags: Field<Vec<String>>,
    pub due: Field<DueInput>,
    #[schemars(length(max = MAX_REMINDERS))]
    pub reminders: Field<Vec<ReminderInput>>,
    pub recurrence: Field<RecurrenceInput>,
    #[schemars(with = "Field<TaskId>")]
    pub parent_id: Field<String>,
    pub position: Field<f64>,
}

/// A due date as it was sent.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of Due, documented there")]
pub struct DueInput {
    #[schemars(extend("format" = "date"))]
    pub date: Field<String>,
    #[schemars(regex(pattern = due::TIME))]
    pub time: Field<String>,
    pub time_zone: Field<String>,
}

/// A reminder as it was sent: exactly one of `at` and `before`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields are those of Reminder, documented there"
)]
pub struct ReminderInput {
    pub id: Option<String>,
    #[schemars(with = "Option<Instant>")]
    pub at: Option<String>,
    #[schemars(with = "Option<Before>")]
    pub before: Option<String>,
}

/// A recurrence as it was sent.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields are those of Recurrence, documented there"
)]
pub struct RecurrenceInput {
    #[schemars(length(max = recurrence::MAX_RULE))]
    pub rule: Field<String>,
    #[schemars(with = "Field<recurrence::From>")]
    pub from: Field<String>,
}

/// Why a command is refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Rejection {
    /// The account has no such task.
    #[error("no such task")]
    NotFound,
    /// The task's version is not the one that the client has seen.
    #[error("the task has changed: it is at version {current}")]
    Stale {
        /// The version that it is at.
        current: u64,
    },
    /// Fields break rules: all that do, not only the first.
    #[error("{} field(s) break a rule", .0.len())]
    Invalid(Vec<FieldError>),
    /// Something newer stands against it: in these fields.
    #[error("something newer has changed {} field(s)", .0.len())]
    Conflict(Vec<FieldError>),
    /// The account holds as many tasks as one may.
    #[error("an account holds at most {max} tasks")]
    Full {
        /// The limit.
        max: u64,
    },
    /// There were too many changes of late.
    #[error("{what}; in {seconds} s there may be more")]
    TooMany {
        /// Of what there were too many.
        what: &'static str,
        /// When it may be tried again.
        seconds: u32,
    },
    /// The account was deleted.
    #[error("the account was deleted")]
    Gone,
}

impl Rejection {
    /// What is wrong with the `index`-th operation of a batch.
    ///
    /// # Errors
    /// What is wrong with the batch as a whole.
    fn of_operation(self, index: usize) -> Result<Vec<FieldError>, Self> {
        let operation = format!("/operations/{index}");
        match self {
            Self::NotFound | Self::Stale { .. } => Ok(vec![FieldError::no_task(&operation)]),
            Self::Invalid(mut errors) => {
                for error in &mut errors {
                    error.pointer = format!("{operation}/task{}", error.pointer);
                }
                Ok(errors)
            }
            whole @ (Self::Full { .. } | Self::Conflict(_) | Self::TooMany { .. } | Self::Gone) => {
                Err(whole)
            }
        }
    }
}

/// Gathers what is wrong with the operations of a batch.
#[derive(Debug, Default)]
pub(crate) struct BatchErrors(Vec<FieldError>);

impl BatchErrors {
    /// Takes the rejection of the `index`-th operation.
    ///
    /// # Errors
    /// There is no use in going on.
    pub(crate) fn add(&mut self, index: usize, rejection: Rejection) -> Result<(), Rejection> {
        self.0.extend(rejection.of_operation(index)?);
        if self.0.len() < MAX_ERRORS {
            return Ok(());
        }
        self.0.truncate(MAX_ERRORS);
        Err(Rejection::Invalid(std::mem::take(&mut self.0)))
    }

    /// # Errors
    /// There are some.
    pub(crate) fn none(self) -> Result<(), Rejection> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Rejection::Invalid(self.0))
        }
    }
}

impl FieldError {
    /// The operation that stands at `pointer` is about a task that is not there.
    pub fn no_task(pointer: &str) -> Self {
        Self {
            pointer: format!("{pointer}/id"),
            code: FieldErrorCode::NotFound,
            detail: "there is no such task".to_owned(),
        }
    }
}

/// A field that breaks a rule.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct FieldError {
    /// Which: an RFC 6901 pointer into the body that was sent.
    pub pointer: String,
    /// What kind of rule.
    pub code: FieldErrorCode,
    /// The rule, for a person.
    pub detail: String,
}

/// The kinds of rules that a field can break.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldErrorCode {
    /// It must be there.
    Required,
    /// It has too many characters.
    TooLong,
    /// It has too many elements.
    TooMany,
    /// It is not of its form.
    Invalid,
    /// There is no such field, or it cannot be set.
    UnknownField,
    /// It names something that is not there.
    NotFound,
    /// Something newer has changed it.
    Changed,
}

/// Gathers the errors of one input.
#[derive(Default)]
struct Errors(Vec<FieldError>);

impl Errors {
    fn add(&mut self, pointer: impl Into<String>, code: FieldErrorCode, detail: impl Into<String>) {
        self.0.push(FieldError {
            pointer: pointer.into(),
            code,
            detail: detail.into(),
        });
    }

    fn invalid(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.add(pointer, FieldErrorCode::Invalid, detail);
    }
}

impl TaskInput {
    /// Puts the input's fields on `task`: a new one, or one that is being patched. `find` knows the account's tasks, as
    /// far as they can be above the task.
    ///
    /// # Errors
    /// [`Rejection::Invalid`] with every field that breaks a rule; `task` may then be half changed, and is to be
    /// thrown away.
    pub fn apply_to<'a>(
        &self,
        task: &mut Task,
        context: &Context,
        find: impl Fn(TaskId) -> Option<&'a Task>,
    ) -> Result<(), Rejection> {
        let mut errors = Errors::default();
        let begun = (task.due.clone(), rule_of(task).cloned());
        match &self.title {
            Field::Absent if task.title.is_empty() => {
                errors.add("/title", FieldErrorCode::Required, "a task has a title");
            }
            Field::Absent => {}
            Field::Null => errors.add("/title", FieldErrorCode::Required, "a task has a title"),
            Field::Value(title) => check_title(title, task, &mut errors),
        }
        match &self.description {
            Field::Absent => {}
            Field::Null => task.description.clear(),
            Field::Value(text) => {
                if text.chars().count() > MAX_DESCRIPTION {
                    errors.add(
                        "/description",
                        FieldErrorCode::TooLong,
                        format!("a description has at most {MAX_DESCRIPTION} characters"),
                    );
                }
                if text.contains('\0') {
                    errors.invalid("/description", "a description has no NUL character");
                }
                task.description.clone_from(text);
            }
        }
        match &self.priority {
            Field::Absent => {}
            Field::Null => task.priority = Priority::default(),
            Field::Value(text) => match Priority::parse(text) {
                Some(priority) => task.priority = priority,
                None => errors.invalid("/priority", "a priority is low, medium or high"),
            },
        }
        match &self.tags {
            Field::Absent => {}
            Field::Null => task.tags.clear(),
            Field::Value(tags) => task.tags = check_tags(tags, &mut errors),
        }
        match &self.due {
            Field::Absent => {}
            Field::Null => task.due = None,
            Field::Value(input) => input.merge_into(&mut task.due, &mut errors),
        }
        match &self.reminders {
            Field::Absent => {}
            Field::Null => task.reminders.clear(),
            Field::Value(inputs) => {
                task.reminders =
                    check_reminders(inputs, &task.reminders, context.entropy, &mut errors);
            }
        }
        match &self.recurrence {
            Field::Absent => {}
            Field::Null => task.recurrence = None,
            Field::Value(input) => input.merge_into(&mut task.recurrence, context, &mut errors),
        }
        if begun != (task.due.clone(), rule_of(task).cloned())
            && let Some(recurrence) = &mut task.recurrence
        {
            recurrence.start = None;
        }
        match &self.parent_id {
            Field::Absent => {}
            Field::Null => task.parent_id = None,
            Field::Value(text) => match TaskId::parse(text) {
                // Whoever sends back what is there sets nothing, even if that parent is gone.
                same if same.is_some() && same == task.parent_id => {}
                Some(id) => match parent::check(id, task.id, find) {
                    Ok(()) => task.parent_id = Some(id),
                    Err(detail) => errors.invalid("/parent_id", detail),
                },
                None => errors.invalid("/parent_id", parent::UNKNOWN),
            },
        }
        match self.position {
            Field::Absent => {}
            Field::Null => task.position = None,
            Field::Value(position) if position.is_finite() => task.position = Some(position),
            Field::Value(_) => errors.invalid("/position", "a position is a finite number"),
        }
        if errors.0.is_empty() {
            Ok(())
        } else {
            Err(Rejection::Invalid(errors.0))
        }
    }

    /// The task that is to be the parent, if the input names one that can be.
    fn parent(&self) -> Option<TaskId> {
        match &self.parent_id {
            Field::Value(text) => TaskId::parse(text),
            Field::Absent | Field::Null => None,
        }
    }
}

fn rule_of(task: &Task) -> Option<&Rule> {
    task.recurrence.as_ref().map(|recurrence| &recurrence.rule)
}

fn check_title(title: &str, task: &mut Task, errors: &mut Errors) {
    let title = title.trim();
    if title.is_empty() {
        errors.add("/title", FieldErrorCode::Required, "a title is not blank");
    }
    if title.chars().count() > MAX_TITLE {
        errors.add(
            "/title",
            FieldErrorCode::TooLong,
            format!("a title has at most {MAX_TITLE} characters"),
        );
    }
    if title.chars().any(|c| c.is_control() && c != '\t') {
        errors.invalid("/title", "a title is one line, without control characters");
    }
    title.clone_into(&mut task.title);
}

fn check_tags(tags: &[String], errors: &mut Errors) -> Vec<String> {
    if tags.len() > MAX_TAGS {
        // One error for all of them: ten thousand tags do not make ten thousand errors.
        errors.add(
            "/tags",
            FieldErrorCode::TooMany,
            format!("a task has at most {MAX_TAGS} tags"),
        );
        return Vec::new();
    }
    let mut kept: Vec<String> = Vec::with_capacity(tags.len());
    for (i, tag) in tags.iter().enumerate() {
        match check_tag(tag, &format!("/tags/{i}")) {
            Err(error) => errors.0.push(error),
            Ok(()) if kept.contains(tag) => {}
            Ok(()) => kept.push(tag.clone()),
        }
    }
    kept
}

/// Checks the form of a tag that stands at `pointer`.
///
/// # Errors
/// What is wrong with it.
pub fn check_tag(tag: &str, pointer: &str) -> Result<(), FieldError> {
    let error = |code, detail| FieldError {
        pointer: pointer.to_owned(),
        code,
        detail,
    };
    if tag.chars().count() > MAX_TAG {
        let detail = format!("a tag has at most {MAX_TAG} characters");
        return Err(error(FieldErrorCode::TooLong, detail));
    }
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == ',';
    if tag.is_empty() || tag.chars().any(odd) {
        let detail = "a tag is one word without commas".to_owned();
        return Err(error(FieldErrorCode::Invalid, detail));
    }
    Ok(())
}

impl DueInput {
    fn merge_into(&self, due: &mut Option<Due>, errors: &mut Errors) {
        let date: Option<NaiveDate> = match &self.date {
            Field::Absent => due.as_ref().map(|d| d.date),
            Field::Null => None,
            Field::Value(text) => match due::parse_date(text) {
                Some(date) => Some(date),
                None => {
                    return errors
                        .invalid("/due/date", "a date is YYYY-MM-DD in the years 1 to 9999");
                }
            },
        };
        let Some(date) = date else {
            return errors.add(
                "/due/date",
                FieldErrorCode::Required,
                "a due date has a date",
            );
        };
        let time = match &self.time {
            Field::Absent => due.as_ref().and_then(|d| d.time),
            Field::Null => None,
            Field::Value(text) => match due::parse_time(text) {
                Some(time) => Some(time),
                None => return errors.invalid("/due/time", "a time is HH:MM or HH:MM:SS"),
            },
        };
        let time_zone = match &self.time_zone {
            Field::Absent => due.as_ref().and_then(|d| d.time_zone),
            Field::Null => None,
            Field::Value(text) => match due::parse_zone(text) {
                Some(zone) => Some(zone),
                None => {
                    return errors.invalid("/due/time_zone", "not the name of an IANA time zone");
                }
            },
        };
        if time.is_none() && time_zone.is_some() {
            return errors.add(
                "/due/time",
                FieldErrorCode::Required,
                "a due date with a zone has a time",
            );
        }
        let merged = Due {
            date,
            time,
            time_zone,
        };
        if time_zone.is_some() && merged.at().is_none() {
            return errors.invalid("/due", "the instant lies outside of the years 1 to 9999");
        }
        *due = Some(merged);
    }
}

fn check_reminders(
    inputs: &[ReminderInput],
    old: &[Reminder],
    entropy: Entropy,
    errors: &mut Errors,
) -> Vec<Reminder> {
    if inputs.len() > MAX_REMINDERS {
        let detail = format!("a task has at most {MAX_REMINDERS} reminders");
        errors.add("/reminders", FieldErrorCode::TooMany, detail);
        return Vec::new();
    }
    let mut kept: Vec<Reminder> = Vec::with_capacity(inputs.len());
    for (i, input) in inputs.iter().enumerate() {
        let pointer = |field: &str| format!("/reminders/{i}{field}");
        let when = match (&input.at, &input.before) {
            (Some(at), None) => match Instant::parse(at) {
                Some(at) => When::At(at),
                None => {
                    errors.invalid(pointer("/at"), "an instant is as in RFC 3339");
                    continue;
                }
            },
            (None, Some(before)) => match Before::parse(before) {
                Some(before) => When::Before(before),
                None => {
                    let detail = "an ISO 8601 duration of at most 366 days, as PT30M or P1D";
                    errors.invalid(pointer("/before"), detail);
                    continue;
                }
            },
            _ => {
                errors.invalid(pointer(""), "a reminder has either \"at\" or \"before\"");
                continue;
            }
        };
        let id = match &input.id {
            None => base32::encode(entropy.derive(Purpose::Reminder, i as u64) >> 24, 8),
            Some(id) if kept.iter().any(|r| r.id == *id) => {
                errors.invalid(pointer("/id"), "two reminders have this id");
                continue;
            }
            Some(id) if old.iter().any(|r| r.id == *id) => id.clone(),
            Some(_) => {
                errors.invalid(
                    pointer("/id"),
                    "the task has no reminder of this id; leave it out for a new one",
                );
                continue;
            }
        };
        kept.push(Reminder { id, when });
    }
    kept
}

impl RecurrenceInput {
    fn merge_into(
        &self,
        recurrence: &mut Option<Recurrence>,
        context: &Context,
        errors: &mut Errors,
    ) {
        let rule = match (&self.rule, recurrence.as_ref()) {
            (Field::Value(text), _) => match (context.check_rule)(text) {
                Ok(canonical) => Rule::checked(canonical),
                Err(detail) => return errors.invalid("/recurrence/rule", detail),
            },
            (Field::Absent, Some(old)) => old.rule.clone(),
            (Field::Absent | Field::Null, _) => {
                return errors.add(
                    "/recurrence/rule",
                    FieldErrorCode::Required,
                    "a recurrence has a rule",
                );
            }
        };
        let from = match &self.from {
            Field::Absent => recurrence
                .as_ref()
                .map_or(recurrence::From::Due, |r| r.from),
            Field::Null => recurrence::From::Due,
            Field::Value(text) => match text.as_str() {
                "due" => recurrence::From::Due,
                "completion" => recurrence::From::Completion,
                _ => {
                    return errors
                        .invalid("/recurrence/from", "a recurrence is from due or completion");
                }
            },
        };
        *recurrence = Some(match recurrence.take() {
            Some(old) => Recurrence { rule, from, ..old },
            None => Recurrence {
                rule,
                from,
                series_id: base32::encode(context.entropy.derive(Purpose::Series, 0), 13),
                index: 1,
                start: None,
                next: None,
            },
        });
    }
}
