//! Time zones as people write them after a time.

use chrono_tz::{TZ_VARIANTS, Tz};

/// Abbreviations that mean one zone only, or almost always do. BST, CST, IST and the like mean several, and stay text.
const ABBREVIATIONS: &[(&str, Tz)] = &[
    ("aedt", Tz::Australia__Sydney),
    ("aest", Tz::Australia__Sydney),
    ("akdt", Tz::America__Anchorage),
    ("akst", Tz::America__Anchorage),
    ("cdt", Tz::America__Chicago),
    ("cest", Tz::Europe__Berlin),
    ("cet", Tz::Europe__Berlin),
    ("edt", Tz::America__New_York),
    ("eest", Tz::Europe__Helsinki),
    ("eet", Tz::Europe__Helsinki),
    ("est", Tz::America__New_York),
    ("gmt", Tz::UTC),
    ("hst", Tz::Pacific__Honolulu),
    ("jst", Tz::Asia__Tokyo),
    ("mdt", Tz::America__Denver),
    ("nzdt", Tz::Pacific__Auckland),
    ("nzst", Tz::Pacific__Auckland),
    ("pdt", Tz::America__Los_Angeles),
    ("pkt", Tz::Asia__Karachi),
    ("pst", Tz::America__Los_Angeles),
    ("utc", Tz::UTC),
];

/// The zone of an IANA name with a slash, in any case, or of an abbreviation. An abbreviation names the place, not its
/// offset: "EST" in July is New York's time in July.
pub fn find(text: &str) -> Option<Tz> {
    if text.contains('/') {
        let same = |zone: &&Tz| zone.name().eq_ignore_ascii_case(text);
        return text
            .parse()
            .ok()
            .or_else(|| TZ_VARIANTS.iter().find(same).copied());
    }
    ABBREVIATIONS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(text))
        .map(|(_, zone)| *zone)
}
