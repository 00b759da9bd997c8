//! The suite `system`: what people, programs and attackers do to a healthy stack, and what must come of it.
#![expect(
    clippy::indexing_slicing,
    reason = "a test fails by a panic as well; with a main of its own clippy does not take it for one"
)]

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use docket_cli::events::{self, Query};
use docket_cli::token;
use docket_domain::AccountId;
use docket_domain::event::TASK_EVENTS;
use docket_tests::client::{Account, Answer, Page, Task};
use docket_tests::events::History;
use docket_tests::stack::{SIDECAR, Stack};
use docket_tests::suite::{self, Suite};
use docket_tests::workload::{self, Plan, Progress};
use docket_tests::{tests, until};
use futures::future::{join, try_join_all};
use futures::stream::{self, StreamExt as _};
use http_body::Frame;
use http_body_util::StreamBody;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[path = "system/access.rs"]
mod access;
#[path = "system/accounts.rs"]
mod accounts;
#[path = "system/audit.rs"]
mod audit;
#[path = "system/browsers.rs"]
mod browsers;
#[path = "system/capabilities.rs"]
mod capabilities;
#[path = "system/dead_letters.rs"]
mod dead_letters;
#[path = "system/isolation.rs"]
mod isolation;
#[path = "system/logs.rs"]
mod logs;
#[path = "system/reminders.rs"]
mod reminders;
#[path = "system/task_inbox.rs"]
mod task_inbox;
#[path = "system/together.rs"]
mod together;

use access::{
    components_are_there_for_their_scopes, functions_may_ask_each_other_for_what_policies_say,
    internal_routes_want_the_apps_own_token, sidecars_want_their_own_token,
};
use accounts::{
    a_deleted_account_is_forgotten_everywhere, a_page_of_somebody_else_gets_no_session,
    an_account_from_its_sign_up_to_its_end, an_address_that_guesses_tokens_is_heard_no_more,
    an_agent_token_lives_and_is_revoked, an_old_refresh_token_ends_the_session,
    keys_are_rotated_and_nobody_is_kept_out, links_come_by_mail_and_count,
    mails_follow_an_account_to_its_new_address, sign_ins_hold_up_nobodys_tasks,
    two_tabs_refresh_at_once, unknown_and_wrong_are_answered_alike,
    who_guesses_at_an_account_keeps_nobody_out_of_it,
};
use audit::{
    poison_holds_up_no_audit_log, tampering_with_the_audit_log_is_found,
    tasks_alone_may_ask_for_audit_entries, the_audit_catalogue_knows_every_event,
    the_audit_log_has_every_change_once, the_audit_log_keeps_up, what_was_done_is_undone,
};
use isolation::nothing_of_others_is_told_or_changed;
use logs::no_log_tells_a_secret;
use reminders::{
    all_day_reminders_follow_the_settings, events_and_jobs_again_change_nothing,
    reminders_fire_at_their_time_once, reminders_follow_their_task,
    the_sweep_fires_what_a_job_missed,
};

use browsers::{
    configured_sites_may_sign_people_in, only_configured_sites_may_ask,
    other_hosts_are_reached_by_tls_alone, what_people_wrote_is_never_a_page,
};
use capabilities::components_stay_within_their_worlds;
use dead_letters::what_a_consumer_cannot_take_waits_for_its_replay;
use task_inbox::{another_system_changes_tasks, bad_messages_hold_up_nobody};
use together::{
    a_batch_happens_whole_or_not_at_all, a_client_follows_the_change_feed,
    an_idempotency_key_counts_once, tags_of_many_segments, what_is_left_of_many_deletions,
};

#[path = "system/notifications.rs"]
mod notifications;

use notifications::{
    a_reminder_is_found_in_the_inbox_once,
    a_tasks_reminder_fires_and_comes_again_when_it_is_snoozed, an_inbox_of_many_pages,
    mails_reach_whom_they_are_for, nobody_may_ask_notifications,
    what_is_no_reminder_is_among_the_dead_letters, without_a_mail_server_no_mails_can_be_asked_for,
};

fn main() -> ExitCode {
    suite::main(tests![
        an_account_from_its_sign_up_to_its_end,
        two_tabs_refresh_at_once,
        a_deleted_account_is_forgotten_everywhere,
        an_old_refresh_token_ends_the_session,
        keys_are_rotated_and_nobody_is_kept_out,
        a_page_of_somebody_else_gets_no_session,
        who_guesses_at_an_account_keeps_nobody_out_of_it,
        an_agent_token_lives_and_is_revoked,
        an_address_that_guesses_tokens_is_heard_no_more,
        links_come_by_mail_and_count,
        unknown_and_wrong_are_answered_alike,
        mails_follow_an_account_to_its_new_address,
        sign_ins_hold_up_nobodys_tasks,
        a_task_from_its_creation_to_its_end,
        what_recurs_comes_back_once,
        what_is_no_event_is_among_the_dead_letters,
        a_reminder_is_found_in_the_inbox_once,
        a_tasks_reminder_fires_and_comes_again_when_it_is_snoozed,
        an_inbox_of_many_pages,
        what_is_no_reminder_is_among_the_dead_letters,
        without_a_mail_server_no_mails_can_be_asked_for,
        nobody_may_ask_notifications,
        mails_reach_whom_they_are_for,
        reminders_fire_at_their_time_once,
        reminders_follow_their_task,
        all_day_reminders_follow_the_settings,
        the_sweep_fires_what_a_job_missed,
        events_and_jobs_again_change_nothing,
        what_a_consumer_cannot_take_waits_for_its_replay,
        another_system_changes_tasks,
        bad_messages_hold_up_nobody,
        pages_by_cursor,
        tasks_are_found,
        pages_hold_while_others_write,
        a_batch_happens_whole_or_not_at_all,
        a_client_follows_the_change_feed,
        tags_of_many_segments,
        an_idempotency_key_counts_once,
        what_is_left_of_many_deletions,
        files_are_imported_once,
        an_export_makes_the_same_tasks_elsewhere,
        imports_that_cannot_be_taken_store_nothing,
        the_planner_answers_out_of_its_component,
        components_stay_within_their_worlds,
        only_configured_sites_may_ask,
        configured_sites_may_sign_people_in,
        other_hosts_are_reached_by_tls_alone,
        what_people_wrote_is_never_a_page,
        sixteen_writers_on_one_account,
        sixteen_writers_on_sixteen_accounts,
        bad_requests_are_refused_and_store_nothing,
        bad_requests_do_not_disturb_others,
        what_is_not_http_is_refused,
        internal_routes_are_for_the_sidecar,
        the_sidecar_is_for_its_app,
        another_app_may_nothing,
        internal_routes_want_the_apps_own_token,
        functions_may_ask_each_other_for_what_policies_say,
        sidecars_want_their_own_token,
        nothing_of_others_is_told_or_changed,
        components_are_there_for_their_scopes,
        recurrence_may_ask_for_occurrences_alone,
        the_audit_log_has_every_change_once,
        the_audit_log_keeps_up,
        poison_holds_up_no_audit_log,
        tasks_alone_may_ask_for_audit_entries,
        what_was_done_is_undone,
        tampering_with_the_audit_log_is_found,
        the_audit_catalogue_knows_every_event,
        a_restart_keeps_everything,
        two_stacks_side_by_side,
        no_log_tells_a_secret,
    ])
}

const KINDS: [&str; 5] = [
    "task-created",
    "task-updated",
    "task-completed",
    "task-reopened",
    "task-deleted",
];

async fn a_task_from_its_creation_to_its_end(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let ann = stack.account("ann").await?;
    let task = json!({
        "title": "Renew the passport", "description": "Both photos", "priority": "high", "tags": ["travel", "گھر"],
        "due": { "date": "2027-03-28", "time": "02:30", "time_zone": "Europe/Berlin" },
        "reminders": [{ "before": "PT30M" }], "recurrence": { "rule": "yearly", "from": "due" },
    });
    let answer = ann.send(Method::POST, "/api/tasks", Some(&task)).await?;
    let created: Task = answer.read(201)?;
    assert_eq!(
        answer.header("location"),
        Some(format!("/api/tasks/{}", created.id).as_str())
    );
    assert_eq!(answer.header("etag"), Some("\"1\""));
    assert_eq!((created.version, created.status.as_str()), (1, "open"));
    assert_eq!(created.tags, ["travel", "گھر"]);
    // A wall-clock time that the change to summer time skips moves forward.
    assert_eq!(created.due_at.as_deref(), Some("2027-03-28T01:30:00.000Z"));
    assert_eq!(ann.get(&created.id).await?, created);
    assert_eq!(ann.page("").await?.tasks, std::slice::from_ref(&created));

    let path = format!("/api/tasks/{}", created.id);
    let guarded = |tag: &str| {
        ann.request(Method::PATCH, &path)
            .header("if-match", tag)
            .json(&json!({ "title": "Renew both passports", "due": null, "recurrence": null }))
    };
    let updated: Task = Answer::of(guarded("\"1\"")).await?.read(200)?;
    assert_eq!((updated.version, updated.due.is_none()), (2, true));
    assert_eq!(updated.description, created.description);
    Answer::of(guarded("\"1\""))
        .await?
        .problem(412, "precondition_failed")?;
    // The same patch again changes nothing, so there is no event of it.
    let again = ann
        .patch(&created.id, &json!({ "title": "Renew both passports" }))
        .await?;
    assert_eq!(again, updated);

    let done = ann.act(&created.id, "complete").await?;
    assert_eq!((done.version, done.status.as_str()), (3, "done"));
    assert!(done.completed_at.is_some());
    assert_eq!(ann.act(&created.id, "complete").await?, done);
    assert_eq!(ann.page("").await?.total, 0);
    assert_eq!(ann.page("status=done").await?.tasks, [done]);
    let open = ann.act(&created.id, "reopen").await?;
    assert_eq!((open.version, open.completed_at), (4, None));
    let other = ann.create(&json!({ "title": "Stays" })).await?;
    ann.delete(&created.id).await?;
    let gone = ann.send(Method::GET, &path, None).await?;
    gone.problem(404, "not_found")?;
    assert_eq!(ann.page("status=all").await?.tasks, [other]);

    stack.settled().await?;
    let history = History::read(stack, &ann).await?;
    let kinds: Vec<&str> = history
        .changes
        .iter()
        .map(|change| change.kind.as_str())
        .collect();
    assert_eq!(
        kinds,
        [KINDS[0], KINDS[1], KINDS[2], KINDS[3], KINDS[0], KINDS[4]]
    );
    assert_eq!(
        history.changes[1].changes.keys().collect::<Vec<_>>(),
        ["due", "recurrence", "title"]
    );
    assert_eq!(
        history.changes[1].changes["title"],
        json!({ "from": "Renew the passport", "to": "Renew both passports" })
    );
    history.matches_the_api(&ann).await
}

async fn the_planner_answers_out_of_its_component(suite: &Suite) -> Result<()> {
    let pam = suite.stack().await?.account("pam").await?;
    let ask = async |question: &str, body: Value| -> Result<Answer> {
        let path = format!("/api/planner/{question}");
        Ok(pam.send(Method::POST, &path, Some(&body)).await?)
    };
    // The first two Sundays of the spring of 2027 at half past two: on the second the clocks skip that time in Berlin.
    let due = json!({ "date": "2027-03-14", "time": "02:30", "time_zone": "Europe/Berlin" });
    let weekly = json!({ "recurrence": { "rule": "weekly" }, "due": due, "count": 2 });
    let dates: Value = ask("preview", weekly).await?.read(200)?;
    assert_eq!(dates["dates"][0]["at"], "2027-03-21T01:30:00.000Z");
    assert_eq!(dates["dates"][1]["at"], "2027-03-28T01:30:00.000Z");
    assert_eq!(dates["dates"][0]["why"], json!([]));
    assert_ne!(dates["dates"][1]["why"], json!([]));

    let line = json!({ "text": "Call Zoë 😀 #home !high", "time_zone": "Asia/Karachi" });
    let meaning: Value = ask("parse", line).await?.read(200)?;
    assert_eq!(
        meaning["spans"][0]["start"], 12,
        "an emoji is two code units"
    );
    let made = pam.create(&meaning["task"]).await?;
    assert_eq!(
        (made.title.as_str(), &made.tags[..]),
        ("Call Zoë 😀", &["home".to_owned()][..])
    );

    let due = json!({ "date": "2026-11-23" });
    for rule in [
        "FREQ=SECONDLY;INTERVAL=1;COUNT=1000000000".to_owned(),
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30".to_owned(),
        "x".repeat(100_000),
    ] {
        let asked = Instant::now();
        let body = json!({ "recurrence": { "rule": rule }, "due": due });
        let problem = ask("preview", body).await?.problem(422, "invalid")?;
        assert_eq!(problem.errors[0]["pointer"], "/recurrence/rule");
        let task = json!({ "title": "a", "recurrence": { "rule": rule } });
        let refused = pam.send(Method::POST, "/api/tasks", Some(&task)).await?;
        refused.problem(422, "invalid")?;
        ensure!(
            asked.elapsed() < Duration::from_secs(2),
            "{:?}",
            asked.elapsed()
        );
    }
    Ok(())
}

/// Waits for the one open task of an account.
async fn only_open(account: &Account) -> Result<Task> {
    until(
        "the next one is there",
        Duration::from_secs(20),
        async || {
            let page = account.page("status=open").await?;
            ensure!(page.total <= 1, "{} open tasks", page.total);
            Ok(page.tasks.into_iter().next())
        },
    )
    .await
}

async fn what_recurs_comes_back_once(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let rea = stack.account("rea").await?;
    let first = rea
        .create(&json!({
            "title": "Water the plants", "tags": ["home"], "due": { "date": "2027-01-31" },
            "reminders": [{ "before": "P1D" }], "recurrence": { "rule": "FREQ=MONTHLY;COUNT=4" },
        }))
        .await?;
    let mut current = first.clone();
    let mut took = Vec::new();
    for date in ["2027-02-28", "2027-03-31", "2027-04-30"] {
        let done = rea.act(&current.id, "complete").await?;
        current = only_open(&rea).await?;
        let next = json!({ "title": current.title, "tags": current.tags, "due": current.due, "reminders": current.reminders });
        let same = json!({ "title": done.title, "tags": done.tags, "due": { "date": date }, "reminders": done.reminders });
        assert_eq!(next, same);
        let time = |text: &str| chrono::DateTime::parse_from_rfc3339(text);
        let until = time(&current.created_at)?;
        took.push(
            (until - time(done.completed_at.as_deref().context("done")?)?).num_milliseconds(),
        );
    }
    eprintln!("[recurrence] the next one is created {took:?} ms after the completion");
    let index = |task: &Task| task.recurrence.as_ref().map(|r| r["index"].clone());
    assert_eq!(index(&current), Some(json!(4)));
    rea.act(&current.id, "complete").await?;
    rea.act(&first.id, "reopen").await?;
    rea.act(&first.id, "complete").await?;

    // All is delivered again, and once more by hand: nothing new comes of it.
    stack.settled().await?;
    let query = Query {
        account: Some(rea.id.clone()),
        ..Query::all(TASK_EVENTS)
    };
    let token = stack.api_tokens("recurrence")?.app_api_token;
    for record in events::collect(&stack.brokers(), &query).await? {
        let delivery = rea
            .anonymous(Method::POST, "/internal/recurrence/task-events")
            .header("dapr-api-token", &token);
        let together = json!({ "entries": [{ "entryId": "0", "event": record.body }] });
        let answer: Value = Answer::of(delivery.json(&together)).await?.read(200)?;
        let taken = json!({ "statuses": [{ "entryId": "0", "status": "SUCCESS" }] });
        assert_eq!(answer, taken);
    }
    stack.settled().await?;
    let history = History::read(stack, &rea).await?;
    let kinds: Vec<&str> = history.changes.iter().map(|c| c.kind.as_str()).collect();
    let (created, done) = ("task-created", "task-completed");
    assert_eq!(
        kinds,
        [
            created,
            done,
            created,
            done,
            created,
            done,
            created,
            done,
            "task-reopened",
            done
        ]
    );
    history.matches_the_api(&rea).await
}

async fn what_is_no_event_is_among_the_dead_letters(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let mark = "not of an event's form";
    let event = json!({
        "specversion": "1.0", "id": "poison", "source": "/elsewhere", "type": "task-completed",
        "datacontenttype": "application/json", "data": { "mark": mark },
    });
    stack.publish(TASK_EVENTS, "poison", &event).await?;
    until(
        "it is among the dead letters",
        Duration::from_secs(20),
        async || {
            let query = Query::all("task-events-dead");
            let dead = events::collect(&stack.brokers(), &query).await?;
            Ok(dead
                .iter()
                .any(|record| record.body["data"]["mark"] == mark)
                .then_some(()))
        },
    )
    .await
}

async fn pages_by_cursor(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let pia = stack.account("pia").await?;
    // Enough for closed segments behind the book.
    let mut expected = Vec::new();
    for n in 0..150 {
        let task = pia.create(&json!({ "title": format!("task {n}") })).await?;
        expected.push(if n % 3 == 0 {
            pia.act(&task.id, "complete").await?
        } else {
            task
        });
    }
    expected.reverse();
    for (status, limit) in [("all", 7), ("open", 33), ("done", 200), ("all", 150)] {
        let shown = pia.all(status, limit).await?;
        let wanted: Vec<&Task> = expected
            .iter()
            .filter(|task| status == "all" || task.status == status)
            .collect();
        ensure!(
            shown.iter().collect::<Vec<_>>() == wanted,
            "{status} by {limit}"
        );
    }
    // A cursor stays right while others write: what is new comes before it, what is gone is left out.
    let first = pia.page("status=all&limit=10").await?;
    let cursor = first.next_cursor.context("there are more")?;
    pia.create(&json!({ "title": "new" })).await?;
    pia.delete(&expected[10].id).await?;
    let second: Page = pia
        .page(&format!("status=all&limit=10&cursor={cursor}"))
        .await?;
    assert_eq!(second.tasks, expected[11..21]);
    // A cursor is for its own question and its own account.
    let eve = stack.account("eve").await?;
    for (who, status) in [(&pia, "open"), (&eve, "all")] {
        let path = format!("/api/tasks?status={status}&cursor={cursor}");
        let problem = who
            .send(Method::GET, &path, None)
            .await?
            .problem(422, "invalid")?;
        assert_eq!(problem.errors[0]["pointer"], "/cursor");
    }
    stack.settled().await?;
    History::read(stack, &pia)
        .await?
        .matches_the_api(&pia)
        .await
}

async fn tasks_are_found(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let fay = stack.account("fay").await?;
    fay.import("format=todotxt", TODO_TXT).await?;
    let lost = json!({ "title": "Café bill for Zoë", "description": "Überweisung an die Straßenbahn",
        "due": { "date": "2026-11-23", "time": "09:00" }, "priority": "high", "tags": ["work"] });
    fay.create(&lost).await?;
    for (query, expected) in [
        ("q=uberprufung", &["Überprüfung der Heizung"] as &[&str]),
        ("q=ÜBERPRÜFUNG HEIZ", &["Überprüfung der Heizung"]),
        ("q=heiz der", &[]),
        ("q=بجلی", &["بجلی کا بل ادا کریں"]),
        ("q=گھر", &["بجلی کا بل ادا کریں"]),
        ("q=買い物", &["買い物に行く"]),
        ("q=物", &["買い物に行く"]),
        ("q=cafe strassenb", &["Café bill for Zoë"]),
        ("q=osei", &["Call Dr. Osei's practice about the blood test"]),
        ("q=🎂", &["🎂 order cake for Noor's party"]),
        ("q=zoe&priority=low,medium", &[]),
        (
            "tag=work&tag=@office",
            &["Draft the quarterly report t:2026-11-27"],
        ),
        ("recurring=true&tag=house", &["Water the plants"]),
        (
            "due_after=2026-12-15&due_before=2027-01-01&sort=due",
            &[
                "Renew passport",
                "🎂 order cake for Noor's party",
                "Pay rent",
            ],
        ),
        (
            "due_before=2026-11-25T00:00:00Z&sort=-due&tag=work",
            &["Café bill for Zoë"],
        ),
        (
            "due_before=2026-11-26&sort=due&limit=3",
            &["Café bill for Zoë", "Water the plants", "Take vitamins"],
        ),
        (
            "status=done&sort=title",
            &[
                "Buy birthday card for Amira",
                "Return library books",
                "Send signed contract to landlord",
            ],
        ),
        (
            "q=b&sort=-title&status=all&priority=medium",
            &[
                "Return library books",
                "Email bob@example.com about the invoice",
                "Call Dr. Osei's practice about the blood test",
                "Buy birthday card for Amira",
                "Book flights to Lahore",
                "Backup laptop",
                "(A) leading space, so no priority by the format's rules",
            ],
        ),
    ] {
        let page = fay.page(query).await?;
        let titles: Vec<&str> = page.tasks.iter().map(|task| task.title.as_str()).collect();
        assert_eq!(titles, expected, "{query}");
    }
    let all = fay.page("status=all&limit=1").await?.total;
    let parts = ["overdue=true", "overdue=false"];
    let parts = parts.map(async |part| fay.page(&format!("status=all&{part}")).await);
    let parts = try_join_all(parts).await?;
    assert_eq!(parts.iter().map(|page| page.total).sum::<u64>(), all);
    Ok(())
}

/// Every order, each way: while an account's tasks come, change and go, those that stay as they are appear once, where
/// they belong.
async fn pages_hold_while_others_write(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let account = stack.account("pat").await?;
    let file: String = (0..150)
        .map(|n| {
            format!(
                "({}) {} +t due:2026-12-{:02}\n",
                ["A", "C", "D"][n % 3],
                n * 7 % 150,
                n % 28 + 1
            )
        })
        .collect();
    account.import("format=todotxt", file).await?;
    for sort in ["due", "priority", "created", "updated", "title", "position"] {
        for sort in [sort.to_owned(), format!("-{sort}")] {
            let mut left = Vec::new();
            for n in 0..20 {
                let task = json!({ "title": format!("z{n}"), "tags": ["passing"], "due": { "date": "2026-12-14" } });
                left.push(account.create(&task).await?);
            }
            let query = format!("sort={sort}&limit=25");
            let before = account
                .page(&format!("tag=t&sort={sort}&limit=200"))
                .await?;
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = account.page(&format!("{query}&cursor={cursor}")).await?;
                seen.extend(page.tasks.into_iter().filter(|task| task.tags == ["t"]));
                let Some(next) = page.next_cursor else { break };
                cursor = next;
                let passing = json!({ "title": "new", "tags": ["passing"], "priority": "low", "position": 40 });
                account.create(&passing).await?;
                for (step, task) in left
                    .split_off(left.len().saturating_sub(3))
                    .into_iter()
                    .enumerate()
                {
                    match step {
                        0 => account.delete(&task.id).await?,
                        1 => drop(account.act(&task.id, "complete").await?),
                        _ => drop(
                            account
                                .patch(
                                    &task.id,
                                    &json!({ "title": "a", "due": null, "priority": "high" }),
                                )
                                .await?,
                        ),
                    }
                }
            }
            ensure!(
                seen == before.tasks,
                "{sort}: {} of {} tasks",
                seen.len(),
                before.total
            );
        }
    }
    Ok(())
}

const TODO_TXT: &str = include_str!("../data/todo.txt");

/// Files as people have them: the query of their import, the file, how many tasks it has, and the lines with problems.
const FILES: [(&str, &str, usize, &[u64]); 3] = [
    ("format=todotxt", TODO_TXT, 28, &[22, 28]),
    (
        "format=todoist-csv&time_zone=Europe/Berlin",
        include_str!("../data/todoist.csv"),
        14,
        &[2, 6, 7, 9, 10, 11, 17, 19, 20, 21],
    ),
    (
        "format=ics",
        include_str!("../data/tasks.ics"),
        10,
        &[58, 82, 92, 101, 108],
    ),
];

async fn files_are_imported_once(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    for (n, (query, file, tasks, lines)) in FILES.into_iter().enumerate() {
        let ida = stack.account(&format!("ida{n}")).await?;
        for (created, skipped) in [(tasks, 0), (0, tasks)] {
            let outcome = ida.import(query, file).await?;
            assert_eq!((outcome.created, outcome.skipped), (created, skipped));
            let told: Vec<_> = outcome
                .problems
                .iter()
                .map(|p| p["line"].as_u64())
                .collect();
            let expected: Vec<_> = lines.iter().copied().map(Some).collect();
            assert_eq!(told, expected, "{query}: {outcome:?}");
        }
        stack.settled().await?;
        let history = History::read(stack, &ida).await?;
        assert_eq!(history.changes.len(), tasks);
        assert!(history.changes.iter().all(|change| change.kind == KINDS[0]));
        history.matches_the_api(&ida).await?;
    }
    Ok(())
}

async fn an_export_makes_the_same_tasks_elsewhere(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let eda = stack.account("eda").await?;
    for (query, file, ..) in FILES {
        eda.import(query, file).await?;
    }
    let many: String = (0..150).map(|n| format!("(B) line {n} +tag\n")).collect();
    eda.import("format=todotxt", many).await?;
    let tasks = eda.all("all", 200).await?;
    // What an account gives a task itself: the first part of its id, and the version.
    let own = |tasks: &[Task]| -> Vec<Task> {
        let bare = |task: &Task| Task {
            id: task
                .id
                .split('-')
                .next_back()
                .unwrap_or_default()
                .to_owned(),
            version: 0,
            ..task.clone()
        };
        tasks.iter().map(bare).collect()
    };
    for format in ["jsonl", "ics"] {
        let query = format!("format={format}");
        let file = eda.export(&query).await?;
        let other = stack.account(&format!("eda-{format}")).await?;
        let outcome = other.import(&query, file).await?;
        assert_eq!(
            (outcome.created, outcome.skipped, outcome.problems.len()),
            (tasks.len(), 0, 0),
            "{format}: {outcome:?}"
        );
        let made = own(&other.all("all", 200).await?);
        let same = own(&tasks);
        let differ = made.iter().zip(&same).find(|(a, b)| a != b);
        ensure!(made == same, "{format}: {} tasks, {differ:?}", made.len());
    }
    let open = tasks.iter().filter(|task| task.status == "open").count();
    let lines = eda.export("format=todotxt").await?.lines().count();
    assert_eq!(lines, tasks.len());
    let csv = eda.export("format=todoist-csv").await?;
    let begin = |line: &&str| line.starts_with("task,");
    assert_eq!(csv.lines().filter(begin).count(), open);
    Ok(())
}

async fn imports_that_cannot_be_taken_store_nothing(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let max = stack.account("max").await?;
    let endless = "TYPE,CONTENT\ntask,Milk\ntask,\"Bread\n".repeat(1_000);
    let cases: [(&str, &str, reqwest::Body, u16, &str); 4] = [
        (
            "a quote that never ends",
            "format=todoist-csv",
            "TYPE,CONTENT\ntask,Milk\ntask,\"Bread\n".into(),
            400,
            "malformed",
        ),
        (
            "quotes that never end",
            "format=todoist-csv",
            (endless + "\"").into(),
            400,
            "malformed",
        ),
        (
            "an unknown zone",
            "format=todoist-csv&time_zone=Mars/Olympus",
            "TYPE,CONTENT\ntask,Milk\n".into(),
            422,
            "invalid",
        ),
        (
            "a calendar that is cut off",
            "format=ics",
            "BEGIN:VCALENDAR\nBEGIN:VTODO\nSUMMARY:Milk\n".into(),
            400,
            "malformed",
        ),
    ];
    for (what, query, file, status, code) in cases {
        let asked = Instant::now();
        let path = format!("/api/import?{query}");
        let answer = Answer::of(max.request(Method::POST, &path).body(file));
        let answer = answer.await.with_context(|| what)?;
        answer.problem(status, code).with_context(|| what)?;
        let took = asked.elapsed();
        ensure!(took < Duration::from_secs(2), "{what}: {took:?}");
    }
    // What announces 50 MB is refused before it is sent; what does not say how long it is, when it is read.
    let chunk = "a".repeat(1_000_000);
    let chunks = format!("{:x}\r\n{chunk}\r\n", chunk.len()).repeat(20) + "0\r\n\r\n";
    for (length, body) in [
        ("content-length: 50000000", "{"),
        ("transfer-encoding: chunked", chunks.as_str()),
    ] {
        let head = format!(
            "POST /api/import?format=jsonl HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n{length}\r\n\r\n",
            max.token
        );
        let asked = Instant::now();
        let head = raw(stack, (head + body).as_bytes(), false).await?;
        ensure!(head.starts_with("HTTP/1.1 413 "), "{length}: {head}");
        ensure!(
            head.contains("application/problem+json"),
            "{length}: {head}"
        );
        let took = asked.elapsed();
        ensure!(took < Duration::from_secs(2), "{length}: {took:?}");
    }
    assert_eq!(max.page("status=all").await?.total, 0);
    stack.settled().await?;
    assert_eq!(History::read(stack, &max).await?.changes.len(), 0);
    Ok(())
}

async fn sixteen_writers_on_one_account(suite: &Suite) -> Result<()> {
    sixteen_writers(suite, "crowd", 1).await
}

async fn sixteen_writers_on_sixteen_accounts(suite: &Suite) -> Result<()> {
    sixteen_writers(suite, "each", 16).await
}

/// 16 writers change something 25 times each, a batch now and then: none is refused, and each is there once.
async fn sixteen_writers(suite: &Suite, name: &str, accounts: usize) -> Result<()> {
    let stack = suite.stack().await?;
    let accounts = accounts_of(stack, name, accounts).await?;
    let plan = Plan {
        seed: 16,
        writers_each: 16 / accounts.len(),
        changes_each: 25,
        batches: true,
        pace: Duration::ZERO,
    };
    let progress = Progress::stopped();
    let began = Instant::now();
    let work = workload::write(&accounts, &plan, &progress).await?;
    let took = began.elapsed();
    let accepted = progress.accepted();
    ensure!(accepted >= 400, "{accepted} changes");
    assert_eq!(progress.refused(), 0);
    let settled = stack.settled().await?;
    let figures = work.check(stack).await?;
    assert_eq!(
        (figures.accepted, figures.events, figures.happened),
        (accepted, accepted, 0)
    );
    eprintln!(
        "[{name}] {accepted} changes in {:.2} s ({:.0}/s), all events out {:.2} s later, {} repeated",
        took.as_secs_f64(),
        accepted as f64 / took.as_secs_f64(),
        settled.as_secs_f64(),
        figures.duplicates,
    );
    Ok(())
}

async fn accounts_of(stack: &Stack, name: &str, count: usize) -> Result<Vec<Account>> {
    try_join_all((0..count).map(async |n| stack.account(&format!("{name}{n}")).await)).await
}

/// A request that must be refused.
struct Bad {
    what: &'static str,
    request: RequestBuilder,
    status: u16,
    code: &'static str,
    /// Which value is wrong, if one is.
    pointer: &'static str,
}

/// Everything bad that `who` can send, with a task and a cursor that are somebody else's.
fn bad_requests(stack: &Stack, who: &Account, others: &Task, cursor: &str) -> Result<Vec<Bad>> {
    let mut all = Vec::new();
    let mut add = |what, request, status, code, pointer| {
        all.push(Bad {
            what,
            request,
            status,
            code,
            pointer,
        });
    };
    let post = || who.request(Method::POST, "/api/tasks");
    let json = |body: Vec<u8>| post().header("content-type", "application/json").body(body);
    let deep = |open: &str| {
        let mut body = open.as_bytes().to_vec();
        body.extend(std::iter::repeat_n(b'[', 100_000));
        body
    };
    let long = format!(r#"{{"title":"{}"}}"#, "a".repeat(2 << 20)).into_bytes();
    add("a body of 2 MB", json(long.clone()), 413, "too_large", "");
    let chunks = long
        .chunks(64 << 10)
        .map(Bytes::copy_from_slice)
        .map(Frame::data)
        .map(Ok::<_, Infallible>);
    let unsized_body =
        reqwest::Body::wrap(StreamBody::new(stream::iter(chunks.collect::<Vec<_>>())));
    let chunked = post()
        .header("content-type", "application/json")
        .body(unsized_body);
    add("a body of 2 MB in chunks", chunked, 413, "too_large", "");
    add("no body", json(Vec::new()), 400, "malformed", "");
    add(
        "half a document",
        json(b"{\"title\": \"a".to_vec()),
        400,
        "malformed",
        "",
    );
    add(
        "two documents",
        json(b"{\"title\": \"a\"} {}".to_vec()),
        400,
        "malformed",
        "",
    );
    add(
        "broken UTF-8",
        json(b"{\"title\": \"\xff\xfe\"}".to_vec()),
        400,
        "malformed",
        "",
    );
    add(
        "a lone surrogate",
        json(br#"{"title": "\ud800"}"#.to_vec()),
        400,
        "malformed",
        "",
    );
    add(
        "a deep title",
        json(deep(r#"{"title":"#)),
        422,
        "invalid",
        "/title",
    );
    add(
        "a deep unknown field",
        json(deep(r#"{"title":"a","x":"#)),
        400,
        "malformed",
        "",
    );
    add(
        "an array",
        json(br#"["a title"]"#.to_vec()),
        422,
        "invalid",
        "",
    );
    add(
        "another type",
        post().header("content-type", "text/xml").body("<a/>"),
        415,
        "unsupported_media_type",
        "",
    );

    let mut invalid =
        |what, body: Value, pointer| add(what, post().json(&body), 422, "invalid", pointer);
    invalid("no title", json!({}), "/title");
    invalid("a blank title", json!({ "title": " \t " }), "/title");
    invalid("a title of two lines", json!({ "title": "a\nb" }), "/title");
    invalid("a title with NUL", json!({ "title": "a\0b" }), "/title");
    invalid(
        "a long title",
        json!({ "title": "ü".repeat(501) }),
        "/title",
    );
    invalid("a number as title", json!({ "title": 1 }), "/title");
    invalid(
        "a long description",
        json!({ "title": "a", "description": "b".repeat(8_001) }),
        "/description",
    );
    invalid(
        "an unknown field",
        json!({ "title": "a", "titel": "b" }),
        "/titel",
    );
    invalid(
        "a field that cannot be set",
        json!({ "title": "a", "version": 7 }),
        "/version",
    );
    invalid(
        "10,000 tags",
        json!({ "title": "a", "tags": vec!["t"; 10_000] }),
        "/tags",
    );
    invalid(
        "a tag of two words",
        json!({ "title": "a", "tags": ["ok", "not ok"] }),
        "/tags/1",
    );
    invalid(
        "a priority",
        json!({ "title": "a", "priority": "urgent" }),
        "/priority",
    );
    invalid(
        "a date",
        json!({ "title": "a", "due": { "date": "2026-02-30" } }),
        "/due/date",
    );
    invalid(
        "a zone",
        json!({ "title": "a", "due": { "date": "2026-02-03", "time": "10:00", "time_zone": "Mars/Olympus" } }),
        "/due/time_zone",
    );
    invalid(
        "a rule",
        json!({ "title": "a", "recurrence": { "rule": "FREQ=SOMETIMES" } }),
        "/recurrence/rule",
    );
    invalid(
        "1,000 reminders",
        json!({ "title": "a", "reminders": vec![json!({ "before": "PT1M" }); 1_000] }),
        "/reminders",
    );

    let get = |path: &str| who.request(Method::GET, path);
    add(
        "an unknown parameter",
        get("/api/tasks?colour=red"),
        422,
        "invalid",
        "/colour",
    );
    add(
        "an unknown status",
        get("/api/tasks?status=lost"),
        422,
        "invalid",
        "/status",
    );
    add(
        "a page of none",
        get("/api/tasks?limit=0"),
        422,
        "invalid",
        "/limit",
    );
    add(
        "a page of too many",
        get("/api/tasks?limit=201"),
        422,
        "invalid",
        "/limit",
    );
    add(
        "no cursor at all",
        get("/api/tasks?cursor=eyJzIjowfQ"),
        422,
        "invalid",
        "/cursor",
    );
    add(
        "a long cursor",
        get(&format!("/api/tasks?cursor={}", "A".repeat(4_000))),
        422,
        "invalid",
        "/cursor",
    );
    add(
        "somebody else's cursor",
        get(&format!("/api/tasks?status=all&cursor={cursor}")),
        422,
        "invalid",
        "/cursor",
    );
    for (what, query, pointer) in [
        ("a limit of 2^63", "limit=9223372036854775808", "/limit"),
        ("an unknown order", "sort=colour", "/sort"),
        ("an order twice", "sort=due&sort=title", "/sort"),
        ("a month 13", "due_after=2026-13-01", "/due_after"),
        (
            "a year 10000",
            "due_before=10000-01-01T00:00:00Z",
            "/due_before",
        ),
        ("an unknown zone", "time_zone=Mars/Base", "/time_zone"),
        ("neither true nor false", "overdue=1", "/overdue"),
        ("half a list of priorities", "priority=high,", "/priority"),
        ("an empty tag", "tag=", "/tag"),
        ("words without end", &format!("q={}", "a+".repeat(90)), "/q"),
        (
            "a search of 60 KB",
            &format!("q={}", "a".repeat(60_000)),
            "/q",
        ),
        ("parameters without end", &"tag=a&".repeat(8_000), ""),
    ] {
        let path = format!("/api/tasks?{query}");
        add(what, get(&path), 422, "invalid", pointer);
    }
    add(
        "an unknown format",
        who.request(Method::POST, "/api/import?format=docx")
            .body("x"),
        422,
        "invalid",
        "/format",
    );
    let import = |file: Vec<u8>| {
        who.request(Method::POST, "/api/import?format=todotxt")
            .body(file)
    };
    add(
        "a file that is not UTF-8",
        import(b"ok\n\xff\n".to_vec()),
        400,
        "malformed",
        "",
    );
    add(
        "a file of 9 MB",
        import(vec![b'a'; 9 << 20]),
        413,
        "too_large",
        "",
    );

    for id in [
        "0-000000000000",
        "zz-zzzzzzzzzzzz",
        "nothing",
        "%00",
        "..%2f..",
        &others.id,
    ] {
        let path = format!("/api/tasks/{id}");
        add("no such task: read", get(&path), 404, "not_found", "");
        let patch = who
            .request(Method::PATCH, &path)
            .json(&json!({ "title": "mine" }));
        add("no such task: patch", patch, 404, "not_found", "");
        add(
            "no such task: delete",
            who.request(Method::DELETE, &path),
            404,
            "not_found",
            "",
        );
        let complete = who.request(Method::POST, &format!("{path}/complete"));
        add("no such task: complete", complete, 404, "not_found", "");
    }
    let unreadable = who
        .request(Method::DELETE, &format!("/api/tasks/{}", others.id))
        .header("if-match", "7");
    add(
        "an If-Match that is no ETag",
        unreadable,
        400,
        "malformed",
        "",
    );
    add(
        "a method",
        who.request(Method::PUT, "/api/tasks"),
        405,
        "method_not_allowed",
        "",
    );
    add(
        "a path of the function",
        get("/api/tasks/a/b/c"),
        404,
        "not_found",
        "",
    );
    add(
        "a path of nobody",
        get("/api/nothing"),
        404,
        "not_found",
        "",
    );

    let anonymous = || who.anonymous(Method::GET, "/api/tasks");
    add("no token", anonymous(), 401, "unauthorized", "");
    add(
        "another scheme",
        anonymous().basic_auth("ann", Some("secret")),
        401,
        "unauthorized",
        "",
    );
    for (what, token) in bad_tokens(stack)? {
        add(
            what,
            anonymous().bearer_auth(token),
            401,
            "unauthorized",
            "",
        );
    }
    Ok(all)
}

fn bad_tokens(stack: &Stack) -> Result<Vec<(&'static str, String)>> {
    let key = stack.signing_key()?;
    let (hour, now) = (Duration::from_secs(3_600), Utc::now());
    let account = AccountId::parse("mal").context("an account")?;
    let mint =
        |kid: &str, seed: &[u8; 32], at| token::mint(kid, seed, &account, at, hour, "j".to_owned());
    let good = mint(&key.kid, &key.seed, now)?;
    let mut parts = good.split('.');
    let (Some(header), Some(claims), Some(signature)) = (parts.next(), parts.next(), parts.next())
    else {
        bail!("a token of three parts: {good}");
    };
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = encode(json!({ "alg": "none", "typ": "JWT", "kid": key.kid }));
    let mut other: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
    other["sub"] = json!("ann");
    Ok(vec![
        ("a word as token", "letmein".to_owned()),
        ("a long token", "A".repeat(8_000)),
        (
            "an expired token",
            mint(&key.kid, &key.seed, now - TimeDelta::hours(2))?,
        ),
        ("a token of another key", mint(&key.kid, &[7; 32], now)?),
        ("a token of an unknown key", mint("nobody", &[7; 32], now)?),
        ("a token without signature", format!("{header}.{claims}.")),
        ("a token of alg none", format!("{unsigned}.{claims}.")),
        (
            "a token for somebody else",
            format!("{header}.{}.{signature}", encode(other)),
        ),
    ])
}

/// Somebody whose task and cursor others try.
async fn victim(stack: &Stack, name: &str) -> Result<(Account, Task, String)> {
    let victim = stack.account(name).await?;
    let task = victim.create(&json!({ "title": "private" })).await?;
    victim.create(&json!({ "title": "private too" })).await?;
    let page = victim.page("status=all&limit=1").await?;
    Ok((victim, task, page.next_cursor.context("a second page")?))
}

async fn refused(bad: Bad) -> Result<()> {
    let answer = Answer::of(bad.request).await.with_context(|| bad.what)?;
    let problem = answer
        .problem(bad.status, bad.code)
        .with_context(|| bad.what)?;
    if !bad.pointer.is_empty() {
        let pointers: Vec<_> = problem
            .errors
            .iter()
            .map(|error| &error["pointer"])
            .collect();
        ensure!(
            pointers.contains(&&json!(bad.pointer)),
            "{}: {answer}",
            bad.what
        );
    }
    ensure!(answer.body.len() < 8 << 10, "{}: a long answer", bad.what);
    Ok(())
}

async fn bad_requests_are_refused_and_store_nothing(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let (victim, task, cursor) = victim(stack, "vic").await?;
    let mal = stack.account("mal").await?;
    let bad = bad_requests(stack, &mal, &task, &cursor)?;
    let count = bad.len();
    let mut failures = Vec::new();
    for bad in bad {
        if let Err(error) = refused(bad).await {
            failures.push(format!("{error:#}"));
        }
    }
    ensure!(
        failures.is_empty(),
        "{} of {count}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert_eq!(mal.page("status=all").await?.total, 0);
    assert_eq!(victim.get(&task.id).await?, task);
    stack.settled().await?;
    assert_eq!(History::read(stack, &mal).await?.changes.len(), 0);
    assert_eq!(History::read(stack, &victim).await?.changes.len(), 2);
    Ok(())
}

async fn bad_requests_do_not_disturb_others(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let (_, task, cursor) = victim(stack, "via").await?;
    let mal = stack.account("malory").await?;
    let mut bad = Vec::new();
    while bad.len() < 200 {
        bad.extend(bad_requests(stack, &mal, &task, &cursor)?);
    }
    let good = accounts_of(stack, "good", 2).await?;
    let plan = Plan {
        seed: 4,
        writers_each: 2,
        changes_each: 25,
        batches: true,
        pace: Duration::ZERO,
    };
    let progress = Progress::default();
    let noise = async {
        let refusals = stream::iter(bad)
            .map(refused)
            .buffer_unordered(16)
            .collect::<Vec<_>>();
        let outcome: Result<()> = refusals.await.into_iter().collect();
        progress.stop();
        outcome
    };
    let (work, noise) = join(workload::write(&good, &plan, &progress), noise).await;
    noise?;
    let work = work?;
    assert_eq!(progress.refused(), 0);
    stack.settled().await?;
    let figures = work.check(stack).await?;
    assert_eq!(
        (figures.happened, figures.accepted),
        (0, progress.accepted())
    );
    assert_eq!(mal.page("status=all").await?.total, 0);
    Ok(())
}

async fn what_is_not_http_is_refused(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let zoe = stack.account("zoe").await?;
    let head = format!(
        "POST /api/tasks HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n",
        zoe.token
    );
    let cases = [
        ("noise", "\u{1}\u{2}\u{3}\r\n\r\n".to_owned(), "400"),
        (
            "a huge header",
            format!("{head}x: {}\r\n\r\n", "a".repeat(200_000)),
            "431",
        ),
        (
            "too many headers",
            format!("{head}{}\r\n", "x: y\r\n".repeat(1_000)),
            "431",
        ),
        (
            "no host",
            "GET /api/tasks HTTP/1.1\r\n\r\n".to_owned(),
            "400",
        ),
        ("two hosts", format!("{head}host: y\r\n\r\n"), "400"),
        (
            "a length that is none",
            format!("{head}content-length: many\r\n\r\n"),
            "400",
        ),
        (
            "a chunk that is none",
            format!(
                "{head}transfer-encoding: chunked\r\n\r\nzz\r\n{{\"title\":\"a\"}}\r\n0\r\n\r\n"
            ),
            "400",
        ),
        (
            "half a body",
            format!("{head}content-length: 1000\r\n\r\n{{\"title\": \"half\"}}"),
            "400",
        ),
    ];
    for (what, sent, status) in cases {
        let hangs_up = what == "half a body";
        let answer = raw(stack, sent.as_bytes(), hangs_up)
            .await
            .with_context(|| what)?;
        ensure!(
            answer.starts_with(&format!("HTTP/1.1 {status}")) || answer.is_empty() && hangs_up,
            "{what}: {answer}"
        );
    }
    assert_eq!(zoe.page("status=all").await?.total, 0);
    Ok(())
}

/// Sends bytes and reads the head of what comes. Who `hangs_up` ends the sending side, and may get nothing: to the host
/// he has gone.
async fn raw(stack: &Stack, bytes: &[u8], hangs_up: bool) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", stack.ports().app())).await?;
    // Who is refused early may find the connection closed.
    let _ = stream.write_all(bytes).await;
    if hangs_up {
        let _ = stream.shutdown().await;
    }
    let mut answer = Vec::new();
    let head = async {
        while !answer.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => answer.push(byte),
                Err(_) => break,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), head)
        .await
        .context("no answer and no end in 10 s")?;
    ensure!(
        hangs_up || !answer.is_empty(),
        "the connection ends without an answer"
    );
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn internal_routes_are_for_the_sidecar(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let uma = stack.account("uma").await?;
    let sweep = || uma.anonymous(Method::POST, "/internal/tasks/outbox-sweep");
    Answer::of(sweep()).await?.problem(401, "unauthorized")?;
    // A person's token does not count here, nor does the token of the other direction.
    let dapr = stack.api_tokens("tasks")?.dapr_api_token;
    for wrong in ["", "wrong", &dapr] {
        let request = sweep()
            .bearer_auth(&uma.token)
            .header("dapr-api-token", wrong);
        Answer::of(request).await?.problem(401, "unauthorized")?;
    }
    let right = stack.api_tokens("tasks")?.app_api_token;
    let swept: Value = Answer::of(sweep().header("dapr-api-token", &right))
        .await?
        .read(200)?;
    ensure!(swept["freed"].is_u64(), "{swept}");
    // It opens nothing else.
    let list = uma
        .anonymous(Method::GET, "/api/tasks")
        .header("dapr-api-token", &right);
    Answer::of(list).await?.problem(401, "unauthorized")?;
    Ok(())
}

async fn the_sidecar_is_for_its_app(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let base = stack.sidecar_address("tasks")?;
    let token = stack.api_tokens("tasks")?.dapr_api_token;
    let paths = [
        "/v1.0/state/state/outbox:0",
        "/v1.0/secrets/secrets/jwt-keys",
        "/v1.0/metadata",
        "/v1.0/invoke/tasks/method/api/tasks",
    ];
    for path in paths {
        for wrong in [
            None,
            Some("wrong"),
            Some(stack.api_tokens("tasks")?.app_api_token.as_str()),
        ] {
            let request = stack.http().get(format!("{base}{path}"));
            let request = match wrong {
                Some(wrong) => request.header("dapr-api-token", wrong),
                None => request,
            };
            Answer::of(request)
                .await?
                .check(401)
                .with_context(|| path)?;
        }
    }
    let get = |path: &str| {
        stack
            .http()
            .get(format!("{base}{path}"))
            .header("dapr-api-token", &token)
    };
    Answer::of(get("/v1.0/secrets/secrets/jwt-keys"))
        .await?
        .check(200)?;
    // The key that signs is out of this function's scope.
    Answer::of(get("/v1.0/secrets/secrets/jwt-signing"))
        .await?
        .check(403)?;
    let bulk: Value = Answer::of(get("/v1.0/secrets/secrets/bulk"))
        .await?
        .read(200)?;
    ensure!(
        bulk.get("jwt-signing").is_none(),
        "bulk shows the signing key"
    );
    Ok(())
}

/// Where `recurrence` asks `tasks` for occurrences.
const OCCURRENCES: &str = "/v1.0/invoke/tasks/method/internal/tasks/occurrences";

async fn recurrence_may_ask_for_occurrences_alone(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let ria = stack.account("ria").await?;
    let base = stack.sidecar_address("recurrence")?;
    let token = stack.api_tokens("recurrence")?.dapr_api_token;
    let call = |method: Method, path: &str| {
        stack
            .http()
            .request(method, format!("{base}{path}"))
            .header("dapr-api-token", &token)
            .json(&json!({ "account": ria.id, "task_id": "0-000000000000" }))
    };
    let allowed: Value = Answer::of(call(Method::POST, OCCURRENCES))
        .await?
        .read(200)?;
    assert_eq!(allowed, json!({ "next": null }));
    for (method, path) in [
        (Method::GET, OCCURRENCES),
        (
            Method::POST,
            "/v1.0/invoke/tasks/method/internal/tasks/outbox-sweep",
        ),
        (Method::POST, "/v1.0/invoke/tasks/method/api/tasks"),
        (Method::GET, "/v1.0/invoke/tasks/method/api/tasks"),
        (Method::GET, "/v1.0/invoke/tasks/method/"),
    ] {
        let answer = Answer::of(call(method.clone(), path)).await?;
        answer
            .check(403)
            .with_context(|| format!("{method} {path}"))?;
    }
    // Nobody calls it, not even `tasks`.
    let tasks = stack
        .http()
        .post(format!(
            "{}/v1.0/invoke/recurrence/method/internal/recurrence/task-events",
            stack.sidecar_address("tasks")?
        ))
        .header("dapr-api-token", stack.api_tokens("tasks")?.dapr_api_token);
    Answer::of(tasks.json(&json!({}))).await?.check(403)?;
    // It has no state and no secrets, and publishes no events.
    for (method, path) in [
        (Method::GET, "/v1.0/state/state/outbox:0"),
        (Method::GET, "/v1.0/secrets/secrets/jwt-keys"),
        (Method::POST, "/v1.0/publish/pubsub/task-events"),
    ] {
        let answer = Answer::of(call(method, path)).await?;
        ensure!(
            answer.status >= 400 && answer.status != 401,
            "{path}: {answer}"
        );
    }
    Ok(())
}

/// Starts a sidecar with an app id that nobody knows, beside the real one and with an identity of the same Sentry.
async fn another_app_may_nothing(suite: &Suite) -> Result<()> {
    const TOKEN: &str = "intruder";
    let stack = suite.stack().await?;
    let process = stack.process(SIDECAR).await?;
    let read = |file: &str| std::fs::read(format!("/proc/{}/{file}", process.pid));
    let words = |bytes: Vec<u8>| -> Vec<String> {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.split_terminator('\0').map(str::to_owned).collect()
    };
    let mut arguments = words(read("cmdline")?);
    let program = arguments.remove(0);
    // As the real one, but for the name and the ports; the last ports of the range are nobody's.
    let last = stack.ports().base() + 90;
    let own = [
        ("--app-id", "intruder".to_owned()),
        ("--dapr-http-port", last.to_string()),
        ("--dapr-grpc-port", (last + 1).to_string()),
        ("--dapr-internal-grpc-port", (last + 2).to_string()),
        ("--metrics-port", (last + 3).to_string()),
    ];
    for (flag, value) in own {
        let place = arguments
            .iter()
            .position(|word| word == flag)
            .with_context(|| format!("no {flag}"))?;
        arguments[place + 1] = value;
    }
    let environment = words(read("environ")?);
    let environment = environment.iter().filter_map(|entry| entry.split_once('='));
    let mut child = tokio::process::Command::new(program)
        .args(&arguments)
        .env_clear()
        .envs(environment)
        .env("DAPR_API_TOKEN", TOKEN)
        .current_dir(stack.data().root())
        // Open as long as this is held: its end ends the sidecar.
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let base = format!("http://127.0.0.1:{last}");
    let call = |path: &str| {
        stack
            .http()
            .get(format!("{base}{path}"))
            .header("dapr-api-token", TOKEN)
    };
    until(
        "the other sidecar is up",
        Duration::from_secs(30),
        async || {
            ensure!(child.try_wait()?.is_none(), "the other sidecar ended");
            let answer = Answer::of(call("/v1.0/healthz/outbound")).await;
            Ok(answer
                .is_ok_and(|answer| answer.status == 204)
                .then_some(()))
        },
    )
    .await?;
    let invoked = Answer::of(call("/v1.0/invoke/tasks/method/api/tasks")).await?;
    invoked.check(403)?;
    ensure!(
        invoked.to_string().contains("intruder"),
        "refused by whom? {invoked}"
    );
    // What another app may, this one may not.
    let occurrences = stack
        .http()
        .post(format!("{base}{OCCURRENCES}"))
        .header("dapr-api-token", TOKEN);
    Answer::of(occurrences.json(&json!({}))).await?.check(403)?;
    // What is scoped to others does not exist for it.
    for path in [
        "/v1.0/state/state/outbox:0",
        "/v1.0/secrets/secrets/jwt-keys",
    ] {
        let answer = Answer::of(call(path)).await?;
        ensure!(
            (400..=500).contains(&answer.status) && answer.status != 401,
            "{path}: {answer}"
        );
        ensure!(answer.to_string().contains("not"), "{path}: {answer}");
    }
    let publish = stack
        .http()
        .post(format!("{base}/v1.0/publish/pubsub/task-events"));
    let answer = Answer::of(publish.header("dapr-api-token", TOKEN).json(&json!({}))).await?;
    ensure!(
        answer.status >= 400 && answer.status != 401,
        "publish: {answer}"
    );
    child.kill().await?;
    Ok(())
}

async fn a_restart_keeps_everything(_: &Suite) -> Result<()> {
    let stack = Stack::start("restart").await?;
    let accounts = accounts_of(&stack, "kept", 3).await?;
    let plan = Plan {
        seed: 5,
        writers_each: 2,
        changes_each: 20,
        batches: true,
        pace: Duration::ZERO,
    };
    let progress = Progress::stopped();
    let work = workload::write(&accounts, &plan, &progress).await?;
    // At once: what the outbox still holds must survive the stop too.
    let down = stack.down().await?;
    ensure!(
        Answer::of(accounts[0].request(Method::GET, "/api/tasks"))
            .await
            .is_err(),
        "it still answers"
    );
    let up = stack.up().await?;
    eprintln!(
        "[restart] down in {:.1} s, second start in {:.1} s",
        down.as_secs_f64(),
        up.as_secs_f64()
    );
    let status = stack.status().await?;
    assert_eq!(status.state, "healthy");
    eprintln!("[restart] {} MB in all", status.pss_bytes >> 20);
    // The same clients with the same tokens find what was accepted, and everything goes on.
    stack.settled().await?;
    let figures = work.check(&stack).await?;
    assert_eq!(
        (figures.accepted, figures.happened),
        (progress.accepted(), 0)
    );
    let account = &accounts[0];
    let task = account
        .create(&json!({ "title": "after the restart" }))
        .await?;
    assert_eq!(account.page("limit=1").await?.tasks, [task]);
    stack.settled().await?;
    History::read(&stack, account)
        .await?
        .matches_the_api(account)
        .await?;
    stack.finish().await
}

async fn two_stacks_side_by_side(suite: &Suite) -> Result<()> {
    let first = suite.stack().await?;
    let second = Stack::start("second").await?;
    let here = first.account("twin").await?;
    let there = second.account("twin").await?;
    assert_ne!(here.id, there.id);
    let task = here.create(&json!({ "title": "only here" })).await?;
    assert_eq!(there.page("status=all").await?.total, 0);
    there.create(&json!({ "title": "only there" })).await?;
    let crossed = there
        .with_token(here.token.clone())
        .send(Method::GET, "/api/tasks", None)
        .await?;
    crossed.problem(401, "unauthorized")?;
    for (stack, account) in [(first, &here), (&second, &there)] {
        stack.settled().await?;
        let history = History::read(stack, account).await?;
        assert_eq!(history.changes.len(), 1);
        history.matches_the_api(account).await?;
    }
    second.finish().await?;
    assert_eq!(here.get(&task.id).await?, task);
    Ok(())
}
