//! What an account's owner says of himself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::command::Field;
use crate::due;
use crate::reminders::Settings;
use crate::{FieldError, FieldErrorCode};

/// The longest name, in characters.
pub const MAX_NAME: usize = 100;
/// The longest locale, in bytes.
pub const MAX_LOCALE: usize = 35;
/// The most bytes of the clients' own preferences, as JSON.
pub const MAX_PREFERENCES: usize = 8 * 1_024;
/// The most levels of objects and arrays in them: what is stored has some more around it, and has to be read again.
pub const MAX_LEVELS: usize = 32;
/// What names of `serde_json`'s own begin with. An object whose first field has one is read as something else, and which is
/// first may be another when it has been stored.
const RESERVED: &str = "$serde_json::";

/// What an account's owner says of himself.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Profile {
    /// What he is called.
    pub name: String,
    /// His language: the shape of a BCP 47 tag; `null` for the device's own.
    pub locale: Option<String>,
    /// Where he is, and when his day begins.
    #[serde(flatten)]
    pub settings: Settings,
    /// What clients keep for themselves, at most 8 KiB of JSON.
    pub preferences: Map<String, Value>,
}

/// A JSON merge patch (RFC 7396) of a profile, as it was sent.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields are those of Profile, documented there"
)]
pub struct ProfileInput {
    #[schemars(length(max = MAX_NAME))]
    pub name: Field<String>,
    #[schemars(length(max = MAX_LOCALE))]
    pub locale: Field<String>,
    pub time_zone: Field<String>,
    #[schemars(regex(pattern = due::TIME))]
    pub morning: Field<String>,
    pub preferences: Field<Map<String, Value>>,
}

impl ProfileInput {
    /// Whether it says something about [`Profile::settings`].
    pub fn names_settings(&self) -> bool {
        self.morning != Field::Absent || self.time_zone != Field::Absent
    }

    /// The profile after the patch.
    ///
    /// # Errors
    /// Every field that breaks a rule.
    pub fn apply(&self, old: &Profile) -> Result<Profile, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut refuse = |pointer: &str, code, detail: &str| {
            errors.push(FieldError {
                pointer: pointer.to_owned(),
                code,
                detail: detail.to_owned(),
            });
        };
        let mut new = old.clone();
        let usual = Settings::default();
        match &self.name {
            Field::Absent => {}
            Field::Null => new.name.clear(),
            Field::Value(name) => {
                let name = name.trim();
                if name.chars().count() > MAX_NAME {
                    let detail = format!("a name has at most {MAX_NAME} characters");
                    refuse("/name", FieldErrorCode::TooLong, &detail);
                } else if name.chars().any(char::is_control) {
                    let detail = "a name is one line, without control characters";
                    refuse("/name", FieldErrorCode::Invalid, detail);
                }
                name.clone_into(&mut new.name);
            }
        }
        match &self.locale {
            Field::Absent => {}
            Field::Null => new.locale = None,
            Field::Value(locale) if is_locale(locale) => new.locale = Some(locale.clone()),
            Field::Value(_) => {
                let detail = "a language tag as in BCP 47, such as en or ur-PK";
                refuse("/locale", FieldErrorCode::Invalid, detail);
            }
        }
        match &self.time_zone {
            Field::Absent => {}
            Field::Null => new.settings.time_zone = usual.time_zone,
            Field::Value(text) => match due::parse_zone(text) {
                Some(zone) => new.settings.time_zone = zone,
                None => {
                    let detail = "not the name of an IANA time zone";
                    refuse("/time_zone", FieldErrorCode::Invalid, detail);
                }
            },
        }
        match &self.morning {
            Field::Absent => {}
            Field::Null => new.settings.morning = usual.morning,
            Field::Value(text) => match due::parse_time(text) {
                Some(time) => new.settings.morning = time,
                None => {
                    let detail = "a time is HH:MM or HH:MM:SS";
                    refuse("/morning", FieldErrorCode::Invalid, detail);
                }
            },
        }
        match &self.preferences {
            Field::Absent => {}
            Field::Null => new.preferences.clear(),
            Field::Value(patch) if !are_kept(patch, MAX_LEVELS) => {
                let detail = format!(
                    "preferences have at most {MAX_LEVELS} levels, and no name begins with {RESERVED}"
                );
                refuse("/preferences", FieldErrorCode::Invalid, &detail);
            }
            Field::Value(patch) => {
                merge(&mut new.preferences, patch);
                let size =
                    serde_json::to_vec(&new.preferences).map_or(usize::MAX, |json| json.len());
                if size > MAX_PREFERENCES {
                    let detail =
                        format!("preferences have at most {MAX_PREFERENCES} bytes of JSON");
                    refuse("/preferences", FieldErrorCode::TooLong, &detail);
                }
            }
        }
        if errors.is_empty() {
            Ok(new)
        } else {
            Err(errors)
        }
    }
}

/// Whether fields come back from the store as they went there: there are not more levels, and no names that mean something
/// else.
fn are_kept(fields: &Map<String, Value>, levels: usize) -> bool {
    levels > 0
        && fields
            .iter()
            .all(|(name, value)| !name.starts_with(RESERVED) && is_kept(value, levels - 1))
}

fn is_kept(value: &Value, levels: usize) -> bool {
    match value {
        Value::Object(fields) => are_kept(fields, levels),
        Value::Array(items) => levels > 0 && items.iter().all(|item| is_kept(item, levels - 1)),
        _ => true,
    }
}

/// RFC 7396, for objects.
fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                target.remove(name);
            }
            Value::Object(patch) => {
                let field = target.entry(name).or_insert(Value::Null);
                if !field.is_object() {
                    *field = Value::Object(Map::new());
                }
                if let Value::Object(field) = field {
                    merge(field, patch);
                }
            }
            value => {
                target.insert(name.clone(), value.clone());
            }
        }
    }
}

/// Whether a text has the shape of a language tag (RFC 5646): a language of letters, then subtags of letters and digits.
fn is_locale(text: &str) -> bool {
    let mut subtags = text.split('-');
    let language = subtags.next().unwrap_or_default();
    text.len() <= MAX_LOCALE
        && (2..=8).contains(&language.len())
        && language.bytes().all(|b| b.is_ascii_alphabetic())
        && subtags.all(|subtag| {
            (1..=8).contains(&subtag.len()) && subtag.bytes().all(|b| b.is_ascii_alphanumeric())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn patched(old: &Profile, patch: Value) -> Result<Value, Vec<String>> {
        let input: ProfileInput = serde_json::from_value(patch).unwrap();
        match input.apply(old) {
            Ok(profile) => Ok(serde_json::to_value(profile).unwrap()),
            Err(errors) => Err(errors.into_iter().map(|error| error.pointer).collect()),
        }
    }

    #[test]
    fn a_patch_changes_what_it_names() {
        let usual = json!({
            "name": "", "locale": null, "time_zone": "UTC", "morning": "09:00", "preferences": {},
        });
        assert_eq!(patched(&Profile::default(), json!({})), Ok(usual.clone()));
        let ann = json!({
            "name": " Ann ", "locale": "ur-PK", "time_zone": "Asia/Karachi", "morning": "07:30",
            "preferences": { "theme": "dark", "list": { "sort": "due", "group": true } },
        });
        let mut expected = ann.clone();
        expected["name"] = "Ann".into();
        assert_eq!(patched(&Profile::default(), ann), Ok(expected.clone()));
        let ann: Profile = serde_json::from_value(expected.clone()).unwrap();
        let patch = json!({ "preferences": { "theme": null, "list": { "sort": null, "wide": [1] }, "new": { "a": null } } });
        expected["preferences"] = json!({ "list": { "group": true, "wide": [1] }, "new": {} });
        assert_eq!(patched(&ann, patch), Ok(expected));
        let none = json!({ "name": null, "locale": null, "time_zone": null, "morning": null, "preferences": null });
        assert_eq!(patched(&ann, none), Ok(usual));
    }

    #[test]
    fn what_breaks_a_rule_is_told_all_at_once() {
        let wrong = json!({
            "name": "a\nb", "locale": "english language", "time_zone": "Nowhere", "morning": "9",
            "preferences": { "a": "x".repeat(MAX_PREFERENCES) },
        });
        let all = ["/name", "/locale", "/time_zone", "/morning", "/preferences"];
        assert_eq!(
            patched(&Profile::default(), wrong),
            Err(all.map(str::to_owned).to_vec())
        );
        let long = json!({ "name": "x".repeat(101) });
        assert_eq!(
            patched(&Profile::default(), long),
            Err(vec!["/name".to_owned()])
        );
    }

    #[test]
    fn preferences_are_such_as_come_back_from_the_store() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        for (preferences, kept) in [
            (format!(r#"{{"a":{}}}"#, nested(MAX_LEVELS - 1)), true),
            (format!(r#"{{"a":{}}}"#, nested(MAX_LEVELS)), false),
            (
                format!(r#"{{"a":{{"b":{}}}}}"#, nested(MAX_LEVELS - 2)),
                true,
            ),
            (
                format!(r#"{{"a":{{"b":{}}}}}"#, nested(MAX_LEVELS - 1)),
                false,
            ),
            (r#"{"a":{"$b":1}}"#.to_owned(), true),
            (r#"{"$serde_json::private::RawValue":1}"#.to_owned(), false),
            // It comes first when it is stored.
            (
                r#"{"a":[{"b":1,"$serde_json::private::RawValue":5}]}"#.to_owned(),
                false,
            ),
        ] {
            let text = format!(r#"{{"preferences":{preferences}}}"#);
            let input: ProfileInput = serde_json::from_str(&text).unwrap();
            match input.apply(&Profile::default()) {
                Ok(profile) => {
                    assert!(kept, "{text}");
                    let stored = serde_json::to_string(&profile).unwrap();
                    assert_eq!(serde_json::from_str::<Profile>(&stored).unwrap(), profile);
                }
                Err(errors) => {
                    assert!(!kept, "{text}");
                    assert_eq!(errors[0].pointer, "/preferences");
                }
            }
        }
    }

    #[test]
    fn locales_have_a_shape() {
        for (text, fits) in [
            ("en", true),
            ("de-CH-1996", true),
            ("zh-Hant-TW", true),
            ("", false),
            ("e", false),
            ("en-", false),
            ("en_US", false),
            ("12-34", false),
            (&"a-".repeat(20), false),
        ] {
            assert_eq!(is_locale(text), fits, "{text}");
        }
    }
}
