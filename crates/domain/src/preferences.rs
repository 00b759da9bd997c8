//! What an account wants of its notifications: where it is, whether mails are sent, and when they may be.

use chrono::{NaiveDate, NaiveTime};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::command::Field;
use crate::due::{self, resolve};
use crate::reminders::Settings;
use crate::{AccountId, FieldError, FieldErrorCode, Instant};

/// The longest address, in bytes (RFC 5321, with RFC 3696's erratum 1690).
pub const MAX_ADDRESS: usize = 254;
/// The longest part of an address before the `@`, in bytes.
const MAX_LOCAL: usize = 64;
/// The longest label of a domain, in bytes.
const MAX_LABEL: usize = 63;

/// The state key of an account's preferences.
pub fn preferences_key(account: &AccountId) -> String {
    format!("preferences:{account}")
}

/// What an account wants.
#[derive(Clone, Debug, Default, Eq, JsonSchema, PartialEq, Serialize, Deserialize)]
pub struct Preferences {
    /// Where the account is, and when its day begins: as `/api/auth/me` says.
    #[serde(flatten)]
    pub settings: Settings,
    /// Whether mails are sent, and where to.
    pub email: Email,
    /// When no mail is sent; the inbox takes notifications at any time.
    pub quiet_hours: Option<QuietHours>,
    /// One mail a day instead of one for each notification.
    pub digest: Option<Digest>,
}

/// Whether mails are sent, and where to.
#[derive(Clone, Debug, Default, Eq, JsonSchema, PartialEq, Serialize, Deserialize)]
pub struct Email {
    /// Whether they are.
    pub enabled: bool,
    /// Where to: the account's address, which its owner has verified. It is there when mails are sent.
    pub address: Option<String>,
}

/// A span of the wall clock in the account's zone, every day. It goes past midnight if it ends before it begins.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize, Deserialize)]
pub struct QuietHours {
    /// Its first moment.
    #[schemars(with = "String", regex(pattern = due::TIME))]
    pub from: Clock,
    /// The moment after its last one; not the same as `from`.
    #[schemars(with = "String", regex(pattern = due::TIME))]
    pub to: Clock,
}

/// One mail a day.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize, Deserialize)]
pub struct Digest {
    /// When, on the wall clock in the account's zone.
    #[schemars(with = "String", regex(pattern = due::TIME))]
    pub at: Clock,
}

/// A time on the wall clock, `HH:MM` or `HH:MM:SS`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Clock(NaiveTime);

impl Clock {
    /// Reads a time.
    pub fn parse(text: &str) -> Option<Self> {
        due::parse_time(text).map(Self)
    }
}

impl TryFrom<String> for Clock {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not a time")
    }
}

impl From<Clock> for String {
    fn from(clock: Clock) -> Self {
        due::format_time(clock.0)
    }
}

/// Which mail tells of a notification.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Post {
    /// None.
    None,
    /// One of its own, which may be sent from then on.
    Own(Instant),
    /// The digest of this day in the account's zone, which is sent then.
    Digest(NaiveDate, Instant),
}

impl Preferences {
    /// Which mail tells of a notification that comes in now.
    pub fn post(&self, now: Instant) -> Post {
        match self.digest {
            _ if !self.email.enabled => Post::None,
            None => Post::Own(self.held_until(now)),
            Some(digest) => match digest.next(now, self.settings.time_zone) {
                Some((day, at)) => Post::Digest(day, at),
                None => Post::None,
            },
        }
    }

    /// When a mail that is ready now may be sent: now, or at the end of the quiet hours.
    pub fn held_until(&self, now: Instant) -> Instant {
        self.quiet_hours
            .and_then(|hours| hours.end(now, self.settings.time_zone))
            .unwrap_or(now)
    }
}

impl QuietHours {
    /// The end of the quiet hours, if it is quiet now. They begin and end once a day, as due dates are due: a time that
    /// the clocks skip moves forward, and of one that comes twice the first counts.
    fn end(self, now: Instant, zone: Tz) -> Option<Instant> {
        let today = now.to_datetime().with_timezone(&zone).date_naive();
        [today.pred_opt(), Some(today)]
            .into_iter()
            .flatten()
            .find_map(|day| {
                let past_midnight = self.to.0 < self.from.0;
                let last = if past_midnight { day.succ_opt()? } else { day };
                let from = resolve(day.and_time(self.from.0), zone)?;
                let to = resolve(last.and_time(self.to.0), zone)?;
                (from..to).contains(&now).then_some(to)
            })
    }
}

impl Digest {
    /// The next digest after now: its day and its instant.
    fn next(self, now: Instant, zone: Tz) -> Option<(NaiveDate, Instant)> {
        let today = now.to_datetime().with_timezone(&zone).date_naive();
        // Of three days one is left even where the calendar leaves out a day.
        today.iter_days().take(3).find_map(|day| {
            let at = resolve(day.and_time(self.at.0), zone)?;
            (at > now).then_some((day, at))
        })
    }
}

/// A JSON merge patch (RFC 7396) of preferences, as it was sent.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields are those of Preferences, documented there"
)]
pub struct PreferencesInput {
    pub email: Field<EmailInput>,
    pub quiet_hours: Field<QuietHoursInput>,
    pub digest: Field<DigestInput>,
}

/// What is to change of [`Email`].
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields are those of Email, documented there"
)]
pub struct EmailInput {
    pub enabled: Field<bool>,
}

/// What is to change of [`QuietHours`].
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields are those of QuietHours, documented there"
)]
pub struct QuietHoursInput {
    #[schemars(regex(pattern = due::TIME))]
    pub from: Field<String>,
    #[schemars(regex(pattern = due::TIME))]
    pub to: Field<String>,
}

/// What is to change of [`Digest`].
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
#[expect(missing_docs, reason = "the field is that of Digest, documented there")]
pub struct DigestInput {
    #[schemars(regex(pattern = due::TIME))]
    pub at: Field<String>,
}

/// Gathers the errors of one patch.
#[derive(Default)]
struct Errors(Vec<FieldError>);

impl Errors {
    fn add(&mut self, pointer: &str, code: FieldErrorCode, detail: &str) {
        self.0.push(FieldError {
            pointer: pointer.to_owned(),
            code,
            detail: detail.to_owned(),
        });
    }

    /// A time that a patch gives or leaves.
    fn time(&mut self, pointer: &str, given: &Field<String>, old: Option<Clock>) -> Option<Clock> {
        const TIME: &str = "a time is HH:MM or HH:MM:SS";
        let (code, detail) = match given {
            Field::Absent if old.is_some() => return old,
            Field::Absent | Field::Null => (FieldErrorCode::Required, "it needs a time"),
            Field::Value(text) => match Clock::parse(text) {
                Some(clock) => return Some(clock),
                None => (FieldErrorCode::Invalid, TIME),
            },
        };
        self.add(pointer, code, detail);
        None
    }
}

impl PreferencesInput {
    /// Whether mails are to be sent from now on.
    pub fn wants_mails(&self) -> bool {
        matches!(&self.email, Field::Value(email) if email.enabled == Field::Value(true))
    }

    /// The preferences after the patch. `address` is the account's, if it is verified; only who
    /// [wants mails](Self::wants_mails) needs it.
    ///
    /// # Errors
    /// Every field that breaks a rule.
    pub fn apply(
        &self,
        old: &Preferences,
        address: Option<&str>,
    ) -> Result<Preferences, Vec<FieldError>> {
        let mut errors = Errors::default();
        let mut new = old.clone();
        match (&self.email, address) {
            (Field::Value(_), Some(address)) if self.wants_mails() => {
                new.email = Email {
                    enabled: true,
                    address: Some(address.to_owned()),
                };
            }
            (Field::Value(_), None) if self.wants_mails() => {
                let detail = "the account's address is not verified";
                errors.add("/email/enabled", FieldErrorCode::Invalid, detail);
            }
            (Field::Value(input), _) if input.enabled == Field::Absent => {}
            (Field::Absent, _) => {}
            _ => new.email = Email::default(),
        }
        match &self.quiet_hours {
            Field::Absent => {}
            Field::Null => new.quiet_hours = None,
            Field::Value(input) => {
                let old = old.quiet_hours;
                let from = old.map(|hours| hours.from);
                let from = errors.time("/quiet_hours/from", &input.from, from);
                let to = errors.time("/quiet_hours/to", &input.to, old.map(|hours| hours.to));
                if let (Some(from), Some(to)) = (from, to) {
                    if from == to {
                        let detail = "quiet hours do not begin and end at the same time";
                        errors.add("/quiet_hours/to", FieldErrorCode::Invalid, detail);
                    }
                    new.quiet_hours = Some(QuietHours { from, to });
                }
            }
        }
        match &self.digest {
            Field::Absent => {}
            Field::Null => new.digest = None,
            Field::Value(input) => {
                let at = errors.time("/digest/at", &input.at, old.digest.map(|digest| digest.at));
                new.digest = at.map(|at| Digest { at });
            }
        }
        if errors.0.is_empty() {
            Ok(new)
        } else {
            Err(errors.0)
        }
    }
}

/// Whether a text is one plain address: a dot-atom (RFC 5322), `@` and a domain of at least two labels. Nothing that
/// could part addresses, quote, or end a line is in it.
pub fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let atom = |atom: &str| {
        let of_atoms = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
        !atom.is_empty() && atom.bytes().all(of_atoms)
    };
    let label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= MAX_ADDRESS
        && local.len() <= MAX_LOCAL
        && local.split('.').all(atom)
        && domain.contains('.')
        && domain.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn patched(old: &Preferences, patch: Value) -> Result<Preferences, Vec<FieldError>> {
        let input: PreferencesInput = serde_json::from_value(patch).unwrap();
        input.apply(old, Some("ann@example.org"))
    }

    fn given(patch: Value) -> Preferences {
        patched(&Preferences::default(), patch).unwrap()
    }

    /// What is given by somebody in a zone.
    fn within(zone: &str, patch: Value) -> Preferences {
        let settings = Settings {
            time_zone: due::parse_zone(zone).unwrap(),
            ..Settings::default()
        };
        Preferences {
            settings,
            ..given(patch)
        }
    }

    fn at(text: &str) -> Instant {
        Instant::parse(text).unwrap()
    }

    #[test]
    fn a_patch_changes_what_it_names() {
        let first = given(json!({
            "email": { "enabled": true },
            "quiet_hours": { "from": "22:00", "to": "07:00" }, "digest": { "at": "18:00" },
        }));
        let expected = json!({
            "morning": "09:00", "time_zone": "UTC",
            "email": { "enabled": true, "address": "ann@example.org" },
            "quiet_hours": { "from": "22:00", "to": "07:00" }, "digest": { "at": "18:00" },
        });
        assert_eq!(serde_json::to_value(&first).unwrap(), expected);
        assert_eq!(
            serde_json::from_value::<Preferences>(expected.clone()).unwrap(),
            first
        );
        for (patch, pointer, value) in [
            (json!({ "email": {} }), "/email/enabled", json!(true)),
            (
                json!({ "email": { "enabled": false } }),
                "/email",
                json!({ "enabled": false, "address": null }),
            ),
            (
                json!({ "email": null }),
                "/email",
                json!({ "enabled": false, "address": null }),
            ),
            (
                json!({ "quiet_hours": { "to": "06:00" } }),
                "/quiet_hours/to",
                json!("06:00"),
            ),
            (json!({ "quiet_hours": null }), "/quiet_hours", Value::Null),
            (json!({ "digest": null }), "/digest", Value::Null),
        ] {
            let mut expected = expected.clone();
            *expected.pointer_mut(pointer).unwrap() = value;
            let new = patched(&first, patch.clone()).unwrap();
            assert_eq!(serde_json::to_value(&new).unwrap(), expected, "{patch}");
        }
    }

    #[test]
    fn what_breaks_a_rule_is_told() {
        for (patch, pointer, code) in [
            (
                json!({ "quiet_hours": { "from": "22:00" } }),
                "/quiet_hours/to",
                "required",
            ),
            (
                json!({ "quiet_hours": { "from": "22:00", "to": "25:00" } }),
                "/quiet_hours/to",
                "invalid",
            ),
            (
                json!({ "quiet_hours": { "from": "22:00", "to": "22:00:00" } }),
                "/quiet_hours/to",
                "invalid",
            ),
            (json!({ "digest": {} }), "/digest/at", "required"),
            (
                json!({ "digest": { "at": null } }),
                "/digest/at",
                "required",
            ),
        ] {
            let errors = patched(&Preferences::default(), patch.clone()).unwrap_err();
            let told: Vec<_> = errors
                .iter()
                .map(|e| (e.pointer.as_str(), json!(e.code)))
                .collect();
            assert_eq!(told, [(pointer, json!(code))], "{patch}");
        }
    }

    #[test]
    fn mails_go_to_a_verified_address_alone() {
        let input = |patch: Value| serde_json::from_value::<PreferencesInput>(patch).unwrap();
        let on = input(json!({ "email": { "enabled": true } }));
        let errors = on.apply(&Preferences::default(), None).unwrap_err();
        assert_eq!(errors[0].pointer, "/email/enabled");
        let sent = on
            .apply(&Preferences::default(), Some("ann@example.org"))
            .unwrap();
        let kept = input(json!({ "digest": { "at": "18:00" } }))
            .apply(&sent, None)
            .unwrap();
        assert_eq!(kept.email, sent.email);
    }

    #[test]
    fn an_address_is_one_and_plain() {
        for good in [
            "ann@example.org",
            "a.b+c_d@mail.example.co.uk",
            "o'hara@x-y.example",
        ] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "ann",
            "@example.org",
            "ann@",
            "ann@localhost",
            "ann@@example.org",
            "ann@example.org;bob@example.org",
            "ann@example.org,bob@example.org",
            "ann@example.org\r\nBcc: bob@example.org",
            "Ann <ann@example.org>",
            "\"a b\"@example.org",
            ".ann@example.org",
            "a..b@example.org",
            "ann@-x.org",
            "ann@example..org",
            "änn@example.org",
            &format!("{}@example.org", "a".repeat(65)),
            &format!("a@{}.org", "b".repeat(64)),
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn mails_wait_for_the_end_of_the_quiet_hours() {
        for (zone, from, to, now, until) in [
            // Past midnight, in the zone of the account.
            ("UTC", "22:00", "07:00", "2026-11-23T21:59:59Z", None),
            (
                "UTC",
                "22:00",
                "07:00",
                "2026-11-23T22:00:00Z",
                Some("2026-11-24T07:00:00Z"),
            ),
            (
                "UTC",
                "22:00",
                "07:00",
                "2026-11-24T06:59:59Z",
                Some("2026-11-24T07:00:00Z"),
            ),
            ("UTC", "22:00", "07:00", "2026-11-24T07:00:00Z", None),
            (
                "Asia/Karachi",
                "22:00",
                "07:00",
                "2026-11-23T17:30:00Z",
                Some("2026-11-24T02:00:00Z"),
            ),
            // Within a day.
            (
                "UTC",
                "12:00",
                "13:00",
                "2026-11-23T12:30:00Z",
                Some("2026-11-23T13:00:00Z"),
            ),
            ("UTC", "12:00", "13:00", "2026-11-23T11:30:00Z", None),
            // The night in which the clocks go forward is an hour shorter; back, an hour longer.
            (
                "Europe/Berlin",
                "22:00",
                "07:00",
                "2026-03-28T22:00:00Z",
                Some("2026-03-29T05:00:00Z"),
            ),
            (
                "Europe/Berlin",
                "22:00",
                "07:00",
                "2026-10-24T22:00:00Z",
                Some("2026-10-25T06:00:00Z"),
            ),
            // An end that the clocks skip, 02:30, comes at 03:30.
            (
                "Europe/Berlin",
                "22:00",
                "02:30",
                "2026-03-29T01:15:00Z",
                Some("2026-03-29T01:30:00Z"),
            ),
            // An end that comes twice counts the first time, and what is after it is not quiet.
            (
                "Europe/Berlin",
                "22:00",
                "02:30",
                "2026-10-25T00:15:00Z",
                Some("2026-10-25T00:30:00Z"),
            ),
            (
                "Europe/Berlin",
                "22:00",
                "02:30",
                "2026-10-25T01:15:00Z",
                None,
            ),
        ] {
            let patch = json!({ "quiet_hours": { "from": from, "to": to } });
            let preferences = within(zone, patch);
            let expected = until.map_or(at(now), at);
            assert_eq!(
                preferences.held_until(at(now)),
                expected,
                "{zone} {from} {to} {now}"
            );
        }
    }

    #[test]
    fn the_digest_comes_at_its_time_every_day() {
        for (zone, time, now, day, next) in [
            (
                "UTC",
                "18:00",
                "2026-11-23T17:59:59Z",
                "2026-11-23",
                "2026-11-23T18:00:00Z",
            ),
            (
                "UTC",
                "18:00",
                "2026-11-23T18:00:00Z",
                "2026-11-24",
                "2026-11-24T18:00:00Z",
            ),
            // 02:30 is skipped on the 29th of March, and comes twice on the 25th of October.
            (
                "Europe/Berlin",
                "02:30",
                "2026-03-28T12:00:00Z",
                "2026-03-29",
                "2026-03-29T01:30:00Z",
            ),
            (
                "Europe/Berlin",
                "02:30",
                "2026-10-24T12:00:00Z",
                "2026-10-25",
                "2026-10-25T00:30:00Z",
            ),
            (
                "Europe/Berlin",
                "02:30",
                "2026-10-25T00:45:00Z",
                "2026-10-26",
                "2026-10-26T01:30:00Z",
            ),
            (
                "Pacific/Auckland",
                "08:00",
                "2026-11-23T18:59:00Z",
                "2026-11-24",
                "2026-11-23T19:00:00Z",
            ),
        ] {
            let patch = json!({ "digest": { "at": time }, "email": { "enabled": true } });
            let preferences = within(zone, patch);
            let day = due::parse_date(day).unwrap();
            assert_eq!(
                preferences.post(at(now)),
                Post::Digest(day, at(next)),
                "{zone} {now}"
            );
        }
    }

    #[test]
    fn which_mail_tells_of_a_notification() {
        let now = at("2026-11-23T23:00:00Z");
        let email = json!({ "enabled": true, "address": "ann@example.org" });
        assert_eq!(Preferences::default().post(now), Post::None);
        assert_eq!(
            given(json!({ "digest": { "at": "18:00" } })).post(now),
            Post::None
        );
        assert_eq!(given(json!({ "email": email })).post(now), Post::Own(now));
        let quiet =
            given(json!({ "email": email, "quiet_hours": { "from": "22:00", "to": "07:00" } }));
        assert_eq!(quiet.post(now), Post::Own(at("2026-11-24T07:00:00Z")));
    }
}
