//! The interface `recurrence`.

use chrono::NaiveDateTime;
use docket_domain::due::{Due, parse_date, parse_time};
use docket_planner::recurrence::{self, Occurrence, Rule, Series};

use crate::bindings::Planner;
use crate::bindings::exports::docket::planner::recurrence as records;
use crate::{read_due, write_due};

impl records::Guest for Planner {
    fn check(rule: String) -> Result<String, String> {
        Rule::parse(&rule).map(|rule| rule.to_string())
    }

    fn preview(
        series: records::Series,
        after: records::Due,
        index: u32,
        count: u32,
    ) -> Result<Vec<records::Occurrence>, String> {
        let (rule, start) = read_series(&series)?;
        let (rule, start) = (&rule, &start);
        let dates = recurrence::preview(Series { rule, start }, &read_due(&after)?, index, count);
        Ok(dates.into_iter().map(write).collect())
    }

    fn next(
        series: records::Series,
        after: records::Due,
        index: u32,
        done: Option<String>,
    ) -> Result<Option<records::Occurrence>, String> {
        let (rule, start) = read_series(&series)?;
        let (rule, start) = (&rule, &start);
        let done = done.map(|text| read_done(&text)).transpose()?;
        let date = recurrence::next(Series { rule, start }, &read_due(&after)?, index, done);
        Ok(date.map(write))
    }
}

fn read_series(series: &records::Series) -> Result<(Rule, Due), String> {
    Ok((Rule::parse(&series.rule)?, read_due(&series.start)?))
}

fn read_done(text: &str) -> Result<NaiveDateTime, String> {
    text.split_once('T')
        .and_then(|(date, time)| Some(parse_date(date)?.and_time(parse_time(time)?)))
        .ok_or_else(|| "a date with a time is YYYY-MM-DDTHH:MM:SS".to_owned())
}

fn write(occurrence: Occurrence) -> records::Occurrence {
    records::Occurrence {
        at: occurrence.at.map(|at| at.to_string()),
        due: write_due(occurrence.due),
        why: occurrence.why,
    }
}
