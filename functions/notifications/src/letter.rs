//! What a mail says. Dapr's SMTP binding sends the body as HTML, so whatever people wrote is escaped; the subject is one line
//! without control characters, so that it stays one header.

use docket_domain::due::{Due, format_time};
use docket_domain::inbox::{Content, Notification};
use docket_domain::mail::AccountLetter;

/// The longest subject, in characters.
const MAX_SUBJECT: usize = 120;

/// A subject and a body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Letter {
    /// One line of plain text.
    pub subject: String,
    /// HTML.
    pub html: String,
}

/// The mail that tells of one notification.
pub fn of_one(notification: &Notification) -> Letter {
    let content = &notification.content;
    Letter {
        subject: one_line(&format!("Reminder: {}", content.title)),
        html: document(&format!(
            "<p><strong dir=\"auto\">{}</strong></p>{}",
            escaped(&content.title),
            due(content).map_or_else(String::new, |due| format!("<p>Due {due}</p>")),
        )),
    }
}

/// The mail that tells of what is unread: some of it, and how much there is in all.
pub fn of_many(notifications: &[&Notification], unread: u64) -> Letter {
    let items: String = notifications
        .iter()
        .map(|one| {
            let due = due(&one.content).map_or_else(String::new, |due| format!(", due {due}"));
            let title = escaped(&one.content.title);
            format!("<li><span dir=\"auto\">{title}</span>{due}</li>")
        })
        .collect();
    let left = unread.saturating_sub(notifications.len() as u64);
    let more = match left {
        0 => String::new(),
        left => format!("<p>And {left} more.</p>"),
    };
    let noun = if unread == 1 { "reminder" } else { "reminders" };
    let subject = format!("{unread} unread {noun}");
    Letter {
        html: document(&format!("<p>{subject}:</p><ul>{items}</ul>{more}")),
        subject,
    }
}

/// A mail about the account itself.
pub fn of_account(letter: &AccountLetter) -> Letter {
    let paragraphs = letter.paragraphs.iter();
    let mut paragraphs = paragraphs.map(|text| format!("<p>{}</p>", escaped(text)));
    let first = paragraphs.next().unwrap_or_default();
    let link = letter.link.as_deref().map_or_else(String::new, |link| {
        let link = escaped(link);
        format!("<p><a href=\"{link}\">{link}</a></p>")
    });
    let rest: String = paragraphs.collect();
    Letter {
        subject: one_line(&letter.subject),
        html: document(&format!("{first}{link}{rest}")),
    }
}

fn document(body: &str) -> String {
    format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"></head><body>{body}</body></html>"
    )
}

/// When the task is due: all of it is of our own making, so nothing needs escaping.
fn due(content: &Content) -> Option<String> {
    let Due {
        date,
        time,
        time_zone,
    } = content.due.as_ref()?;
    let mut text = date.format("%A, %-d %B %Y").to_string();
    if let Some(time) = time {
        text += &format!(", {}", format_time(*time));
    }
    if let Some(zone) = time_zone {
        text += &format!(" ({})", zone.name());
    }
    Some(text)
}

/// Text as it may stand in an element of HTML, or in a quoted attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if breaks(c) => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Text as one line of bounded length.
fn one_line(text: &str) -> String {
    let clean = text.chars().map(|c| if breaks(c) { ' ' } else { c });
    let mut line: String = clean.clone().take(MAX_SUBJECT).collect();
    if clean.count() > MAX_SUBJECT {
        line.pop();
        line.push('…');
    }
    line
}

/// Whether a character ends a line, or commands instead of standing for something: also those that turn the direction of
/// what follows, with which a subject could be made to read as another.
fn breaks(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use docket_domain::due::{parse_date, parse_time, parse_zone};
    use docket_domain::inbox::NotificationId;
    use docket_domain::task::Priority;
    use docket_domain::{Instant, TaskId};

    fn notification(title: &str, due: Option<Due>) -> Notification {
        let content = Content {
            task_id: TaskId::new(0, 1),
            reminder_id: "r".to_owned(),
            occurrence: 1,
            at: Instant::MIN,
            fired_at: Instant::MIN,
            title: title.to_owned(),
            due,
            due_at: None,
            priority: Priority::Medium,
        };
        Notification {
            id: NotificationId::new(0, "e"),
            created_at: Instant::MIN,
            content,
        }
    }

    #[test]
    fn what_people_wrote_is_text() {
        for (title, subject, shown) in [
            ("Pay rent", "Reminder: Pay rent", "Pay rent"),
            (
                "<script>alert(\"1\")</script>",
                "Reminder: <script>alert(\"1\")</script>",
                "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;",
            ),
            (
                "a & b's\ttab",
                "Reminder: a & b's tab",
                "a &amp; b&#39;s tab",
            ),
            (
                "x\r\nBcc: eve@example.org\u{2028}y",
                "Reminder: x  Bcc: eve@example.org y",
                "x  Bcc: eve@example.org y",
            ),
            (
                "دودھ خریدیں \u{202e}cod",
                "Reminder: دودھ خریدیں  cod",
                "دودھ خریدیں  cod",
            ),
        ] {
            let letter = of_one(&notification(title, None));
            assert_eq!(letter.subject, subject);
            let expected = format!("<p><strong dir=\"auto\">{shown}</strong></p></body>");
            assert!(letter.html.contains(&expected), "{}", letter.html);
            let digest = of_many(&[&notification(title, None)], 1).html;
            assert!(digest.contains(&format!(">{shown}</span>")), "{digest}");
        }
    }

    #[test]
    fn a_long_title_is_cut_in_the_subject_alone() {
        let letter = of_one(&notification(&"ä".repeat(500), None));
        assert_eq!(letter.subject.chars().count(), MAX_SUBJECT);
        assert!(letter.subject.ends_with("ä…"));
        assert!(letter.html.contains(&"ä".repeat(500)));
    }

    #[test]
    fn when_it_is_due_is_told() {
        let due = |time: &str, zone: &str| {
            Some(Due {
                date: parse_date("2026-12-01").unwrap(),
                time: parse_time(time),
                time_zone: parse_zone(zone),
            })
        };
        for (due, told) in [
            (due("", ""), "<p>Due Tuesday, 1 December 2026</p>"),
            (
                due("10:00", ""),
                "<p>Due Tuesday, 1 December 2026, 10:00</p>",
            ),
            (
                due("10:00", "Europe/Berlin"),
                "<p>Due Tuesday, 1 December 2026, 10:00 (Europe/Berlin)</p>",
            ),
        ] {
            let letter = of_one(&notification("Pay rent", due));
            assert!(letter.html.contains(told), "{}", letter.html);
        }
    }

    #[test]
    fn a_digest_says_how_many_there_are() {
        let one = notification("a", None);
        assert_eq!(of_many(&[&one], 1).subject, "1 unread reminder");
        let many = of_many(&[&one, &one], 7);
        assert_eq!(many.subject, "7 unread reminders");
        assert!(many.html.contains("<p>And 5 more.</p>"), "{}", many.html);
    }
}
