//! Import and export.

use super::*;

const TODO_TXT: &str = include_str!("../../../../tests/data/todo.txt");
const TODOIST_CSV: &str = include_str!("../../../../tests/data/todoist.csv");
const TASKS_ICS: &str = include_str!("../../../../tests/data/tasks.ics");

impl Instance {
    /// An export: its headers and its pieces, each a frame of the body; an error for a body that is cut off.
    async fn export(
        &self,
        account: &str,
        query: &str,
    ) -> (HeaderMap, Result<Vec<String>, axum::Error>) {
        let request = self.request(account, "GET", &format!("/api/export?{query}"), "");
        let response = serve(&self.fake, self.router.clone(), request).await;
        assert_eq!(response.status(), 200, "{query}");
        let (parts, mut body) = response.into_parts();
        let mut pieces = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => {
                    pieces.push(String::from_utf8(frame.into_data().unwrap().into()).unwrap())
                }
                Err(error) => return (parts.headers, Err(error)),
            }
        }
        (parts.headers, Ok(pieces))
    }

    /// Imports a file; gives how many tasks are new and how many were there, and the lines of the problems.
    async fn import(&self, account: &str, query: &str, file: &str) -> (u64, u64, Vec<u64>) {
        let answer = self
            .ask(
                account,
                "POST",
                &format!("/api/import?{query}"),
                file.to_owned(),
            )
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let problems = answer.body["problems"].as_array().unwrap().iter();
        (
            answer.body["created"].as_u64().unwrap(),
            answer.body["skipped"].as_u64().unwrap(),
            problems
                .map(|problem| problem["line"].as_u64().unwrap())
                .collect(),
        )
    }

    /// All tasks, without what is the account's own.
    async fn tasks(&self, account: &str) -> Vec<Value> {
        let mut tasks = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/api/tasks?status=all&sort=position&limit=200&cursor={cursor}");
            let mut page = self.ask(account, "GET", &path, "").await.body;
            for mut task in page["tasks"].as_array().unwrap().clone() {
                let id = task["id"].take();
                task["id"] = id.as_str().unwrap().split_once('-').unwrap().1.into();
                task["version"].take();
                tasks.push(task);
            }
            match page["next_cursor"].take() {
                Value::String(next) => cursor = next,
                _ => return tasks,
            }
        }
    }
}

#[test]
fn a_file_is_imported_once_however_often_it_is_sent() {
    block_on(async {
        let instance = instance();
        for (account, query, file, tasks, problems) in [
            ("ann", "format=todotxt", TODO_TXT, 28, vec![22, 28]),
            (
                "bea",
                "format=ics",
                TASKS_ICS,
                10,
                vec![58, 82, 92, 101, 108],
            ),
            (
                "cem",
                "format=todoist-csv&time_zone=Europe/Berlin",
                TODOIST_CSV,
                14,
                vec![],
            ),
        ] {
            for (created, skipped) in [(tasks, 0), (0, tasks)] {
                let (new, old, lines) = instance.import(account, query, file).await;
                assert_eq!((new, old), (created, skipped), "{query}");
                if !problems.is_empty() {
                    assert_eq!(lines, problems, "{query}");
                }
            }
            assert_eq!(instance.titles(account).await.len() as u64, tasks);
        }

        let many: String = (0..1_000).map(|n| format!("line {n}\n")).collect();
        let (one, two) = futures::join!(
            instance.import("bob", "format=todotxt", &many),
            instance.import("bob", "format=todotxt", &many),
        );
        assert_eq!((one.0 + two.0, one.1 + two.1), (1_000, 1_000));
        instance.fake.settle().await;
        assert_eq!(instance.fake.events("task-events").len(), 1_052);
    });
}

#[test]
fn an_export_makes_the_same_tasks_in_a_fresh_account() {
    block_on(async {
        let instance = instance();
        instance.import("ann", "format=ics", TASKS_ICS).await;
        let many: String = (0..300)
            .map(|n| format!("(A) line {n} +tag due:2026-12-01 rec:+1d\n"))
            .collect();
        instance.import("ann", "format=todotxt", &many).await;
        for (format, file_name, content_type) in [
            ("jsonl", "tasks.jsonl", "application/jsonl"),
            (
                "ics",
                "tasks.ics",
                "text/calendar; charset=utf-8; component=VTODO",
            ),
        ] {
            let (headers, pieces) = instance.export("ann", &format!("format={format}")).await;
            let pieces = pieces.unwrap();
            assert_eq!(headers["content-type"], content_type);
            assert_eq!(
                headers["content-disposition"],
                format!("attachment; filename=\"{file_name}\"")
            );
            assert!(pieces.len() > 4, "each segment leaves by itself");
            let file = pieces.concat();
            let query = format!("format={format}");
            assert_eq!(
                instance.import(format, &query, &file).await,
                (310, 0, vec![])
            );
            assert_eq!(instance.tasks(format).await, instance.tasks("ann").await);
            // In its own account each task is known again.
            assert_eq!(
                instance.import("ann", &query, &file).await,
                (0, 310, vec![])
            );
        }
    });
}

#[test]
fn an_export_has_the_tasks_of_a_status() {
    block_on(async {
        let instance = instance();
        instance.import("ann", "format=todotxt", TODO_TXT).await;
        for (query, tasks) in [
            ("format=todotxt", 28),
            ("format=todotxt&status=all", 28),
            ("format=todotxt&status=open", 25),
            ("format=todotxt&status=done", 3),
            ("format=jsonl&status=done", 3),
            // And the row of the columns.
            ("format=todoist-csv", 26),
            ("format=todoist-csv&status=open", 26),
        ] {
            let (_, pieces) = instance.export("ann", query).await;
            assert_eq!(pieces.unwrap().concat().lines().count(), tasks, "{query}");
        }
        let (_, pieces) = instance.export("nobody", "format=ics").await;
        assert!(pieces.unwrap().concat().ends_with("END:VCALENDAR\r\n"));
    });
}

#[test]
fn an_export_has_each_task_once_though_segments_are_put_together_meanwhile() {
    block_on(async {
        let instance = instance();
        let many: String = (0..640).map(|n| format!("line {n}\n")).collect();
        instance.import("ann", "format=todotxt", &many).await;
        let ids = |lines: &str| -> Vec<String> {
            let tasks = lines
                .lines()
                .map(|line| serde_json::from_str(line).unwrap());
            let id = |task: Value| task["id"].as_str().unwrap().to_owned();
            tasks.map(id).collect()
        };
        let (_, whole) = instance.export("ann", "format=jsonl").await;
        let whole = ids(&whole.unwrap().concat());
        assert_eq!(whole.len(), 640);
        // Two of three segments lose most of their tasks when the export is at its third piece.
        let (mut lost, mut stay) = (Vec::new(), Vec::new());
        for (n, id) in whole.iter().enumerate() {
            let goes = n / 64 % 3 < 2 && n % 64 >= 20;
            if goes { &mut lost } else { &mut stay }.push(id);
        }
        let segments = instance.fake.keys("segment:ann:").len();
        let request = instance.request("ann", "GET", "/api/export?format=jsonl", "");
        let response = serve(&instance.fake, instance.router.clone(), request).await;
        let (mut body, mut pieces) = (response.into_body(), Vec::new());
        while let Some(frame) = body.frame().await {
            let bytes = frame.expect("it is not cut off").into_data().unwrap();
            pieces.push(String::from_utf8(bytes.into()).unwrap());
            for id in lost.iter().filter(|_| pieces.len() == 3) {
                let path = format!("/api/tasks/{id}");
                assert_eq!(instance.ask("ann", "DELETE", &path, "").await.status, 204);
            }
        }
        assert!(instance.fake.keys("segment:ann:").len() < segments);
        let found = ids(&pieces.concat());
        assert!(found.len() < 640, "what was read later lacks what was lost");
        let mut order = whole.iter();
        let is_in_order = |id: &String| order.any(|next| next == id);
        assert!(found.iter().all(is_in_order), "each once, in the order");
        assert!(stay.iter().all(|id| found.contains(id)), "all that stay");
    });
}

#[test]
fn an_export_that_cannot_go_on_is_cut_off() {
    block_on(async {
        let instance = instance();
        let many: String = (0..300).map(|n| format!("line {n}\n")).collect();
        instance.import("ann", "format=todotxt", &many).await;
        let lost = instance.fake.keys("segment:ann:2");
        instance.fake.world().state.remove(&lost[0]);
        assert!(instance.export("ann", "format=jsonl").await.1.is_err());
        instance.fake.world().away = true;
        let answer = instance
            .ask("ann", "GET", "/api/export?format=jsonl", "")
            .await;
        assert_eq!(answer.body["code"], "unavailable");
    });
}

#[test]
fn what_cannot_be_imported_or_exported_gets_a_clear_error_and_changes_nothing() {
    block_on(async {
        let instance = instance();
        instance.create("ann", "one").await;
        instance.fake.settle().await;
        let before = instance.fake.world().state.clone();
        let invalid = |pointer| (422, "invalid", pointer);
        let malformed = (400, "malformed", "");
        let cases = [
            ("POST", "/api/import", "", invalid("/format")),
            ("POST", "/api/import?format=xls", "", invalid("/format")),
            ("POST", "/api/import?format=", "", invalid("/format")),
            (
                "POST",
                "/api/import?format=todotxt&time_zone=Mars/Olympus",
                "a",
                invalid("/time_zone"),
            ),
            (
                "POST",
                "/api/import?format=todotxt&mode=x",
                "a",
                invalid("/mode"),
            ),
            ("POST", "/api/import?format=ics", "milk", malformed),
            (
                "POST",
                "/api/import?format=ics",
                "BEGIN:VCALENDAR\nBEGIN:VTODO\nSUMMARY:a\nEND:VTODO\n",
                malformed,
            ),
            (
                "POST",
                "/api/import?format=todoist-csv",
                "TYPE,CONTENT\ntask,a\ntask,\"b\n",
                malformed,
            ),
            (
                "POST",
                "/api/import?format=todotxt",
                &"a\n".repeat(20_001),
                malformed,
            ),
            (
                "POST",
                "/api/import?format=todotxt",
                &"a".repeat(9_000_000),
                (413, "too_large", ""),
            ),
            ("GET", "/api/export", "", invalid("/format")),
            ("GET", "/api/export?format=xls", "", invalid("/format")),
            (
                "GET",
                "/api/export?format=ics&status=some",
                "",
                invalid("/status"),
            ),
            (
                "GET",
                "/api/export?format=todoist-csv&status=all",
                "",
                invalid("/status"),
            ),
            (
                "GET",
                "/api/export?format=ics&time_zone=UTC",
                "",
                invalid("/time_zone"),
            ),
        ];
        for (method, path, file, (status, code, pointer)) in cases {
            let answer = instance.ask("ann", method, path, file.to_owned()).await;
            let found = (answer.status.as_u16(), answer.body["code"].as_str());
            assert_eq!(found, (status, Some(code)), "{path} {}", answer.body);
            if !pointer.is_empty() {
                assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{path}");
            }
        }
        let bytes = b"ok\n\xff\n".to_vec();
        let answer = instance
            .ask("ann", "POST", "/api/import?format=todotxt", bytes)
            .await;
        assert_eq!(
            answer.body["detail"],
            "line 2 is not UTF-8; nothing was imported"
        );

        // What is announced as too large is refused before it comes: the body here never does.
        for (length, expect) in [("50000000", None), ("9000000", Some("100-continue"))] {
            let never =
                Body::from_stream(futures::stream::pending::<Result<bytes::Bytes, axum::Error>>());
            let mut request = instance.request("ann", "POST", "/api/import?format=todotxt", never);
            request
                .headers_mut()
                .insert("content-length", length.parse().unwrap());
            if let Some(expect) = expect {
                request
                    .headers_mut()
                    .insert("expect", expect.parse().unwrap());
            }
            assert_eq!(instance.send(request).await.status, 413);
        }
        assert_eq!(instance.fake.world().state, before);
    });
}
