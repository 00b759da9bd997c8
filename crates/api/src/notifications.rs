//! The inbox, what became of reminders, the event that open clients get, and what `accounts` asks by service invocation.

use docket_domain::inbox::{Content, Notification, NotificationId};
use docket_domain::{AccountId, Instant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::reminders::ReminderState;

/// Where the events of `notifications` come from, as CloudEvents' `source`.
pub const SOURCE: &str = "/docket/notifications";
/// The type of [`created`].
pub const NOTIFICATION_CREATED: &str = "notification-created";

/// The app that `accounts` asks.
pub const APP: &str = "notifications";
/// Where [`NewSettings`](crate::reminders::NewSettings) go; answered with [`Taken`].
pub const SETTINGS: &str = "/internal/notifications/settings";
/// Where an [`AccountMail`] goes; answered with [`Taken`].
pub const MAILS: &str = "/internal/notifications/mails";
/// Where a [`NewAddress`] goes; answered with [`Taken`].
pub const ADDRESSES: &str = "/internal/notifications/addresses";

/// The address of an account from now on, which its owner has verified.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct NewAddress {
    /// Whose account.
    pub account: AccountId,
    /// The address.
    pub email: String,
}

/// A mail about the account itself. It is sent whatever the account's preferences are, at once, and tried again as other
/// mails are. It may be asked for again under its id, and is sent once.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct AccountMail {
    /// Whose account.
    pub account: AccountId,
    /// What a second request is known by: at most 64 letters, digits, `-` and `_`.
    pub id: String,
    /// The address that it goes to.
    pub to: String,
    /// One line.
    pub subject: String,
    /// What it says, as plain text.
    pub paragraphs: Vec<String>,
    /// An address (`https:` or `http:`) that its reader is to open, below the first paragraph.
    pub link: Option<String>,
    /// When what it says is of no use any more: it is not tried after that.
    pub until: Instant,
}

/// The answer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Taken {
    /// Whether that will be done. `false` for a mail when no mail server is set up.
    pub taken: bool,
}

/// A page of the inbox.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct NotificationPage<'a> {
    /// The notifications, newest first.
    pub notifications: Vec<NotificationView<'a>>,
    /// How many are unread on all pages together.
    pub unread: u64,
    /// Where the next page begins; `null` after the last.
    pub next_cursor: Option<String>,
}

/// A notification.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Notification")]
pub struct NotificationView<'a> {
    /// Its id.
    pub id: NotificationId,
    /// When it came into the inbox.
    pub created_at: Instant,
    /// Whether it was read.
    pub read: bool,
    /// What it tells.
    #[serde(flatten)]
    pub content: &'a Content,
}

impl<'a> NotificationView<'a> {
    /// A notification, and whether it was read.
    pub fn new(notification: &'a Notification, read: bool) -> Self {
        Self {
            id: notification.id,
            created_at: notification.created_at,
            read,
            content: &notification.content,
        }
    }
}

/// How many notifications are left to read.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct Unread {
    /// How many.
    pub unread: u64,
}

/// Asks for a notification to come again.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["for"]))]
pub struct SnoozeRequest {
    /// How long from now: an ISO 8601 duration of one second to 366 days.
    #[schemars(extend("format" = "duration", "examples" = ["PT10M"]))]
    pub r#for: String,
}

/// When a notification comes again.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct SnoozedUntil {
    /// When.
    pub at: Instant,
}

/// What became of a task's reminders.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct LedgerPage {
    /// The earliest first; each reminder has a line for each of its channels.
    pub entries: Vec<LedgerLine>,
}

/// What became of a reminder on a channel.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct LedgerLine {
    /// The reminder's id; a snoozed notification has one of its own.
    pub reminder: String,
    /// Which occurrence of its series the task is, counted from 1.
    pub occurrence: u32,
    /// Which channel.
    pub channel: Channel,
    /// How far it is.
    pub state: LedgerState,
    /// When the reminder was, or is, to fire.
    pub scheduled_at: Instant,
    /// When it fired.
    pub fired_at: Option<Instant>,
    /// When it came into the inbox, or the mail server took the mail.
    pub delivered_at: Option<Instant>,
    /// How often its delivery was tried; in the app, how often it was fired.
    pub attempts: u32,
    /// The notification in the inbox, when there is one.
    pub notification_id: Option<NotificationId>,
}

/// A way to a person.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// The inbox.
    InApp,
    /// E-mail.
    Email,
}

/// How far a reminder is on its way.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LedgerState {
    /// It is to come.
    Scheduled,
    /// It has fired, and is on its way.
    Fired,
    /// It was delivered.
    Delivered,
    /// A mail that the server would not take, however often it was tried.
    GivenUp,
    /// A mail that was not wanted any more when it was to be sent, or had nothing unread to tell.
    Unwanted,
    /// Its instant was in the past already when it was set: it does not fire.
    Past,
    /// Its task was done before.
    Cancelled,
}

impl From<ReminderState> for LedgerState {
    fn from(state: ReminderState) -> Self {
        match state {
            ReminderState::Scheduled => Self::Scheduled,
            ReminderState::Fired => Self::Fired,
            ReminderState::Past => Self::Past,
            ReminderState::Cancelled => Self::Cancelled,
        }
    }
}

/// The CloudEvent (1.0, structured JSON) that tells open clients of a notification; the same however often it is made.
pub fn created(account: &AccountId, notification: &Notification) -> Value {
    json!({
        "specversion": "1.0",
        "id": format!("notification-{account}-{}", notification.id),
        "source": SOURCE,
        "type": NOTIFICATION_CREATED,
        "subject": notification.content.task_id,
        "time": notification.created_at,
        "datacontenttype": "application/json",
        "partitionkey": account,
        "data": {
            "account": account,
            "notification": NotificationView::new(notification, false),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use docket_domain::TaskId;
    use docket_domain::inbox::Inbox;
    use docket_domain::task::Priority;

    const GOLDEN: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/notification-created.json"
    );

    #[test]
    fn the_event_is_as_its_golden_file() {
        let at = Instant::parse("2026-12-01T08:30:00Z").unwrap();
        let content = Content {
            task_id: TaskId::parse("0-90tj1f2kwhvp").unwrap(),
            reminder_id: "xh989w25".to_owned(),
            occurrence: 1,
            at,
            fired_at: at.plus_millis(42),
            title: "Pay rent".to_owned(),
            due: None,
            due_at: None,
            priority: Priority::High,
        };
        let mut inbox = Inbox::default();
        let (id, _) = inbox.append("due-1", content.clone(), at.plus_millis(50));
        let notification = Notification {
            id,
            created_at: at.plus_millis(50),
            content,
        };
        let event = created(&AccountId::parse("ann").unwrap(), &notification);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(std::path::Path::new(GOLDEN).parent().unwrap()).unwrap();
            let text = format!("{}\n", serde_json::to_string_pretty(&event).unwrap());
            std::fs::write(GOLDEN, text).unwrap();
        }
        let golden: Value = serde_json::from_slice(&std::fs::read(GOLDEN).unwrap()).unwrap();
        assert_eq!(
            event, golden,
            "if the change is meant, run the test with UPDATE_GOLDEN=1"
        );
    }
}
