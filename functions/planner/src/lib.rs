//! `planner`: recurrence and quick add behind `wit/planner.wit`. All that happens here is that texts become the types of
//! `crates/planner`, and these become records.

use docket_domain::Instant;
use docket_domain::due::{Due, format_time, parse_date, parse_time, parse_zone};

mod quick_add;
mod recurrence;

#[expect(unsafe_code, reason = "the canonical ABI hands out pointers")]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "planner" });
    export!(Planner with_types_in self);

    /// What the component exports.
    pub struct Planner;
}

use bindings::exports::docket::planner::recurrence as records;

fn read_due(record: &records::Due) -> Result<Due, String> {
    let date = parse_date(&record.date).ok_or("a date is YYYY-MM-DD, in the years 1 to 9999")?;
    let time = match &record.time {
        Some(text) => Some(parse_time(text).ok_or("a time is HH:MM or HH:MM:SS")?),
        None => None,
    };
    let time_zone = match &record.time_zone {
        Some(name) => Some(parse_zone(name).ok_or("a time zone is the name of an IANA zone")?),
        None => None,
    };
    Ok(Due {
        date,
        time,
        time_zone,
    })
}

fn write_due(due: Due) -> records::Due {
    records::Due {
        date: due.date.format("%Y-%m-%d").to_string(),
        time: due.time.map(format_time),
        time_zone: due.time_zone.map(|zone| zone.name().to_owned()),
    }
}

fn read_instant(text: &str) -> Result<Instant, String> {
    Instant::parse(text).ok_or_else(|| "an instant is as in RFC 3339".to_owned())
}
