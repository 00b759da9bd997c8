//! `POST /api/planner/…`: asks the planner, and changes nothing.

use axum::extract::State;
use docket_api::{
    ParseRequest, Parsed, ParsedRecurrence, ParsedTask, PlannedDate, Preview, PreviewRequest, Span,
};
use docket_domain::command::Field;
use docket_domain::due::{Due, format_time, parse_zone};
use docket_domain::{
    Command, Context, Entropy, FieldError, FieldErrorCode, Instant, Rejection, Shelf, TaskInput,
};
use docket_planner::quick_add::{self, MAX_TEXT};
use docket_planner::recurrence::{MAX_PREVIEW, Occurrence};
use docket_service::auth::TasksRead;
use docket_service::{Caller, Json, May, Problem, Runtime};

use crate::{App, planner};

/// How many dates a preview has if nobody says.
const DEFAULT_PREVIEW: u64 = 10;
/// The longest name of a language, in characters (RFC 5646, 4.4.1).
const MAX_LOCALE: usize = 35;

pub(super) async fn preview<R: Runtime>(
    State(_): State<App<R>>,
    May { caller, .. }: May<TasksRead>,
    Json(asked): Json<PreviewRequest>,
) -> Result<axum::Json<Preview>, Problem> {
    let (due, rule) = series(&asked, &caller)?;
    let count = u32::try_from(asked.count.unwrap_or(DEFAULT_PREVIEW))
        .ok()
        .filter(|count| (1..=MAX_PREVIEW).contains(count))
        .ok_or_else(|| {
            let detail = format!("a count is a number from 1 to {MAX_PREVIEW}");
            Problem::field("/count", FieldErrorCode::Invalid, detail)
        })?;
    // The rule and the date are well formed, so there is nothing left to refuse.
    let dates = planner::preview(&rule, &due, count).map_err(Problem::internal)?;
    Ok(axum::Json(Preview {
        dates: dates.into_iter().map(planned).collect(),
    }))
}

/// The first date and the rule, by the same rules as those of a task.
fn series(asked: &PreviewRequest, caller: &Caller) -> Result<(Due, String), Problem> {
    let mut errors = Vec::new();
    for (pointer, absent) in [
        ("/recurrence", is_absent(&asked.recurrence)),
        ("/due", is_absent(&asked.due)),
    ] {
        if absent {
            errors.push(FieldError {
                pointer: pointer.to_owned(),
                code: FieldErrorCode::Required,
                detail: "a preview needs a recurrence and a due date".to_owned(),
            });
        }
    }
    let task = TaskInput {
        title: Field::Value("preview".to_owned()),
        due: asked.due.clone(),
        recurrence: asked.recurrence.clone(),
        ..TaskInput::default()
    };
    let context = Context {
        account: caller.account.clone(),
        actor: caller.actor.clone(),
        now: Instant::MIN,
        entropy: Entropy(0),
        if_version: None,
        check_rule: planner::check,
        allowance: Default::default(),
    };
    match Shelf::default().apply(&Command::Create(task), &context) {
        Ok(applied) if errors.is_empty() => applied
            .tasks
            .into_iter()
            .next()
            .and_then(|task| Some((task.due?, task.recurrence?.rule.as_str().to_owned())))
            .ok_or_else(|| Problem::internal("a task without the fields that it was given")),
        Ok(_) => Err(Problem::fields(errors)),
        Err(Rejection::Invalid(more)) => {
            errors.extend(more);
            Err(Problem::fields(errors))
        }
        Err(other) => Err(other.into()),
    }
}

fn is_absent<T>(field: &Field<T>) -> bool {
    !matches!(field, Field::Value(_))
}

fn planned(occurrence: Occurrence) -> PlannedDate {
    let Occurrence { due, at, why } = occurrence;
    let at = match (at, due.time) {
        (Some(at), _) => at.to_string(),
        (None, Some(time)) => format!("{}T{}", due.date.format("%Y-%m-%d"), format_time(time)),
        (None, None) => due.date.format("%Y-%m-%d").to_string(),
    };
    PlannedDate { at, due, why }
}

pub(super) async fn parse<R: Runtime>(
    State(app): State<App<R>>,
    _: May<TasksRead>,
    Json(asked): Json<ParseRequest>,
) -> Result<axum::Json<Parsed>, Problem> {
    let invalid = |pointer, detail| Problem::field(pointer, FieldErrorCode::Invalid, detail);
    let Field::Value(text) = asked.text else {
        let detail = "a text is needed";
        return Err(Problem::field("/text", FieldErrorCode::Required, detail));
    };
    if text.chars().count() > MAX_TEXT {
        let detail = format!("a text has at most {MAX_TEXT} characters");
        return Err(Problem::field("/text", FieldErrorCode::TooLong, detail));
    }
    let now = match asked.now {
        Some(now) => {
            Instant::parse(&now).ok_or_else(|| invalid("/now", "an instant is as in RFC 3339"))?
        }
        None => app.runtime.now(),
    };
    let time_zone = parse_zone(asked.time_zone.as_deref().unwrap_or("UTC"))
        .ok_or_else(|| invalid("/time_zone", "not the name of an IANA time zone"))?;
    let locale = asked.locale.unwrap_or_else(|| "en".to_owned());
    if !is_language(&locale) {
        return Err(invalid("/locale", "a language is as in BCP 47"));
    }
    let parsed = planner::parse(&text, now, time_zone, &locale).map_err(Problem::internal)?;
    Ok(axum::Json(shown(parsed)))
}

fn is_language(text: &str) -> bool {
    text.len() <= MAX_LOCALE
        && text.split('-').all(|tag| {
            (1..=8).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric())
        })
}

fn shown(parsed: quick_add::Parsed) -> Parsed {
    let task = parsed.task;
    let spans = parsed.spans.into_iter().map(|span| Span {
        start: span.start,
        end: span.end,
        means: span.means,
    });
    Parsed {
        task: ParsedTask {
            title: task.title,
            priority: task.priority,
            tags: task.tags,
            due: task.due,
            recurrence: task.recurrence.map(|recurrence| ParsedRecurrence {
                rule: recurrence.rule,
                from: recurrence.from,
            }),
            reminders: task.reminders,
        },
        spans: spans.collect(),
    }
}
