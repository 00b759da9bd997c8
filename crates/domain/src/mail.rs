//! Mails on their way: what is to be sent, how often that was tried, and what came of it.
//!
//! A mail is claimed before it is sent: the claim counts the try and puts the next one off, and it is stored first. So two
//! never send one mail at once, and one whose sender died is sent again when its pause is over. It may then come twice: the
//! server may have taken it before the sender could say so.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::inbox::{Notification, NotificationId};
use crate::{AccountId, Instant};

/// The pauses after the tries, in seconds. There is one try more than pauses.
const PAUSES: [i64; 7] = [15, 60, 300, 1_200, 3_600, 14_400, 43_200];
/// How often a mail is tried before it is given up.
pub const MAX_ATTEMPTS: u32 = PAUSES.len() as u32 + 1;
/// How long the last try may take until it counts as failed.
const LAST_PAUSE: i64 = 60;

/// A mail's id within its account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MailId<'a> {
    /// The mail that tells of one notification.
    Own(NotificationId),
    /// The digest of a day.
    Digest(NaiveDate),
    /// A mail about the account itself, by the id that `accounts` gave it.
    Account(&'a str),
}

impl MailId<'_> {
    /// The state key of the mail.
    pub fn key(self, account: &AccountId) -> String {
        match self {
            Self::Own(id) => format!("mail:{account}:{id}"),
            Self::Digest(day) => format!("mail:{account}:digest-{}", day.format("%Y-%m-%d")),
            Self::Account(id) => format!("mail:{account}:account-{id}"),
        }
    }
}

/// A mail.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Mail {
    /// To whom it goes.
    pub account: AccountId,
    /// What it tells. It is forgotten when the mail is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// From when on it is to be tried.
    pub due_at: Instant,
    /// How often it was tried.
    pub attempts: u32,
    /// What came of it in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// What a mail tells.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// One notification.
    Notification(Notification),
    /// What is unread when it is sent.
    Digest,
    /// Something about the account itself, which no preference holds back.
    Account(AccountLetter),
}

/// A letter about the account itself.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct AccountLetter {
    /// The address that it goes to.
    pub to: String,
    /// Its subject, one line.
    pub subject: String,
    /// What it says, as plain text.
    pub paragraphs: Vec<String>,
    /// An address that its reader is to open.
    pub link: Option<String>,
    /// From when on it is of no use.
    pub until: Instant,
}

/// What came of a mail.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The server took it then.
    Sent(Instant),
    /// It was tried [`MAX_ATTEMPTS`] times.
    GivenUp(Instant),
    /// When it was to be sent, the account wanted no mails any more, or it was of no use any more.
    Unwanted(Instant),
}

impl Mail {
    /// A mail that is to be sent from `due_at` on.
    pub fn new(account: AccountId, subject: Subject, due_at: Instant) -> Self {
        Self {
            account,
            subject: Some(subject),
            due_at,
            attempts: 0,
            outcome: None,
        }
    }

    /// Whether it is to be tried now.
    pub fn is_due(&self, now: Instant) -> bool {
        self.outcome.is_none() && self.due_at <= now
    }

    /// Counts a try that begins now, and puts the next one off. If there were as many as there may be, the mail is given
    /// up instead; whether it is to be tried.
    pub fn claim(&mut self, now: Instant) -> bool {
        if self.attempts >= MAX_ATTEMPTS {
            self.finish(Outcome::GivenUp(now));
            return false;
        }
        let pause = PAUSES.get(self.attempts as usize).unwrap_or(&LAST_PAUSE);
        self.due_at = now.plus_millis(pause * 1_000);
        self.attempts += 1;
        true
    }

    /// Takes in that a try has failed.
    pub fn fail(&mut self, now: Instant) {
        if self.attempts >= MAX_ATTEMPTS {
            self.finish(Outcome::GivenUp(now));
        }
    }

    /// Says what came of it.
    pub fn finish(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
        self.subject = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Instant {
        Instant::from_millis(second * 1_000).unwrap()
    }

    fn mail() -> Mail {
        let account = AccountId::parse("ann").unwrap();
        Mail::new(account, Subject::Digest, at(0))
    }

    #[test]
    fn a_mail_is_tried_ever_more_rarely_and_then_given_up() {
        let mut mail = mail();
        let mut now = 0;
        let mut tries = Vec::new();
        while mail.outcome.is_none() {
            assert!(!mail.is_due(at(now - 1)) && mail.is_due(at(now)), "{now}");
            assert!(mail.claim(at(now)));
            tries.push(now);
            mail.fail(at(now + 1));
            now = mail.due_at.as_millis() / 1_000;
        }
        assert_eq!(tries, [0, 15, 75, 375, 1_575, 5_175, 19_575, 62_775]);
        assert_eq!(mail.attempts, MAX_ATTEMPTS);
        assert_eq!(mail.outcome, Some(Outcome::GivenUp(at(62_776))));
        assert!(!mail.is_due(Instant::MAX));
    }

    #[test]
    fn a_mail_whose_sender_died_each_time_is_given_up_as_well() {
        let mut mail = mail();
        for _ in 0..MAX_ATTEMPTS {
            assert!(mail.claim(mail.due_at));
        }
        assert!(mail.is_due(mail.due_at));
        assert!(!mail.claim(mail.due_at));
        assert_eq!(mail.outcome, Some(Outcome::GivenUp(mail.due_at)));
    }

    #[test]
    fn what_is_done_is_kept_without_its_content() {
        let mut mail = mail();
        assert!(mail.claim(at(0)));
        mail.finish(Outcome::Sent(at(1)));
        let text = serde_json::to_string(&mail).unwrap();
        assert_eq!(
            text,
            r#"{"account":"ann","due_at":"1970-01-01T00:00:15.000Z","attempts":1,"outcome":{"sent":"1970-01-01T00:00:01.000Z"}}"#
        );
        assert_eq!(serde_json::from_str::<Mail>(&text).unwrap(), mail);
    }

    #[test]
    fn a_mail_is_found_by_what_it_tells() {
        let account = AccountId::parse("ann").unwrap();
        let id = NotificationId::new(1, "e");
        let day = NaiveDate::from_ymd_opt(2026, 11, 23).unwrap();
        assert_eq!(MailId::Own(id).key(&account), format!("mail:ann:{id}"));
        assert_eq!(
            MailId::Digest(day).key(&account),
            "mail:ann:digest-2026-11-23"
        );
        assert_eq!(MailId::Account("v1").key(&account), "mail:ann:account-v1");
    }
}
