//! Makes a task of the pieces of a text: which of them count, and what they come to together.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike as _};
use chrono_tz::Tz;
use docket_domain::Instant;
use docket_domain::due::{Due, resolve};
use docket_domain::task::{Before, MAX_REMINDERS, MAX_TAGS, Priority, When};

use super::days::{Day, Moment, Resolved, Span};
use super::grammar::Part;
use super::matcher::{Clock, Half};
use super::pieces::{Piece, What, is_weekday};
use super::{ParsedRecurrence, ParsedTask, words};
use crate::recurrence::{MAX_NUMBER, Rule, Series, preview};

/// What became of a piece.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It does not count, and is a part of the title like any other text.
    Text,
    /// It is taken out of the title; what it means.
    Taken(String),
    /// It is understood, but stays in the title; why.
    Kept(String),
}

/// When and where a text is read.
#[derive(Clone, Copy, Debug)]
pub struct Here {
    /// When.
    pub now: Instant,
    /// The zone of the person.
    pub zone: Tz,
}

impl Here {
    /// What the clock on the wall shows in a zone.
    fn wall(self, zone: Tz) -> NaiveDateTime {
        self.now.to_datetime().with_timezone(&zone).naive_local()
    }
}

/// The task, but for its title, and what became of each piece. `text` gives the words of a piece.
pub fn read<'a>(
    pieces: &[Piece],
    here: Here,
    text: impl Fn(&Piece) -> &'a str,
) -> (ParsedTask, Vec<Fate>) {
    let mut reading = Reading {
        pieces,
        here,
        task: ParsedTask::default(),
        fates: vec![Fate::Text; pieces.len()],
        nearest: |piece: &Piece| format!("; nearest future reading of \"{}\"", text(piece)),
    };
    reading.plain_pieces();
    let recurs = reading.recurrence().is_some();
    if !recurs {
        reading.due();
    }
    reading.reminders();
    (reading.task, reading.fates)
}

struct Reading<'p, N> {
    pieces: &'p [Piece],
    here: Here,
    task: ParsedTask,
    fates: Vec<Fate>,
    /// How a span says that another reading was as good.
    nearest: N,
}

/// The time of day that the pieces give.
#[derive(Clone, Copy)]
struct Time {
    time: NaiveTime,
    zone: Tz,
    /// Whether it could as well be half a day later.
    open: bool,
    /// The piece with the time, or with the part of the day.
    piece: usize,
}

impl<N: Fn(&Piece) -> String> Reading<'_, N> {
    fn taken(&mut self, piece: usize, means: String) {
        self.decide(piece, Fate::Taken(means));
    }

    fn decide(&mut self, piece: usize, fate: Fate) {
        if let Some(slot) = self.fates.get_mut(piece) {
            *slot = fate;
        }
    }

    fn nearest(&self, piece: usize, nearest: bool) -> String {
        let piece = self.pieces.get(piece).filter(|_| nearest);
        piece.map(|piece| (self.nearest)(piece)).unwrap_or_default()
    }

    /// The last piece for which `pick` has something, and that.
    fn last<T>(&self, pick: impl Fn(&What) -> Option<T>) -> Option<(usize, T)> {
        let mut pieces = self.pieces.iter().enumerate().rev();
        pieces.find_map(|(i, piece)| Some((i, pick(&piece.what)?)))
    }

    /// Tags, the priority, and what cannot be had.
    fn plain_pieces(&mut self) {
        let pieces = self.pieces;
        let priority = self.last(|what| match what {
            What::Priority(priority) => Some(*priority),
            _ => None,
        });
        if let Some((piece, priority)) = priority {
            self.task.priority = Some(priority);
            let word = match priority {
                Priority::Low => "low",
                Priority::Medium => "medium",
                Priority::High => "high",
            };
            self.taken(piece, format!("{word} priority"));
        }
        for (i, piece) in pieces.iter().enumerate() {
            match &piece.what {
                What::Tag(tag) => {
                    let known = self.task.tags.contains(tag);
                    if known || self.task.tags.len() < MAX_TAGS {
                        self.taken(i, format!("tag {tag}"));
                        if !known {
                            self.task.tags.push(tag.clone());
                        }
                    }
                }
                What::Refused(why) => self.decide(i, Fate::Kept((*why).to_owned())),
                _ => {}
            }
        }
    }

    /// The time of day; `own` is what an `every …` brings along.
    fn time(&self, own: Option<(usize, Option<Clock>, Option<Part>)>) -> Option<Time> {
        let clock = self.last(|what| match what {
            What::Clock(clock) => Some(*clock),
            _ => None,
        });
        let part = self.last(|what| match what {
            What::Part(part, _) => Some(*part),
            _ => None,
        });
        let clock = clock.or_else(|| own.and_then(|(i, clock, _)| Some((i, clock?))));
        let part = part.or_else(|| own.and_then(|(i, _, part)| Some((i, part?))));
        let zone = clock
            .and_then(|(_, clock)| clock.zone)
            .unwrap_or(self.here.zone);
        Some(match (clock, part) {
            (Some((piece, clock)), part) => {
                let hour = clock.time.hour();
                let later = part
                    .filter(|_| clock.half != Half::Said)
                    .is_some_and(|(_, part)| match part {
                        Part::Morning => false,
                        Part::Afternoon | Part::Evening => true,
                        Part::Night => hour >= 5,
                    });
                Time {
                    time: if later {
                        half_a_day_later(clock.time)
                    } else {
                        clock.time
                    },
                    zone,
                    open: clock.half == Half::Open && part.is_none(),
                    piece,
                }
            }
            (None, Some((piece, part))) => Time {
                time: start_of(part),
                zone,
                open: false,
                piece,
            },
            (None, None) => return None,
        })
    }

    /// Notes what became of the pieces that gave the time.
    fn time_taken(&mut self, time: Time, means: String) {
        for i in 0..self.pieces.len() {
            let part = match self.pieces.get(i).map(|piece| &piece.what) {
                Some(What::Part(part, _)) => *part,
                _ => continue,
            };
            if i != time.piece {
                self.taken(i, words::part(part).to_owned());
            }
        }
        if let Some(Piece {
            what: What::Clock(_) | What::Part(..),
            ..
        }) = self.pieces.get(time.piece)
        {
            self.taken(time.piece, means);
        }
    }

    /// The due date of a task that does not come back.
    fn due(&mut self) -> Option<()> {
        let day = self.last(|what| match what {
            What::Day(day) | What::Starting(day) => Some(Ok(day.clone())),
            What::Soon(span) => Some(Err(*span)),
            _ => None,
        });
        if let Some((piece, Err(span))) = day {
            return self.soon(piece, span);
        }
        let today = self.last(|what| matches!(what, What::Part(_, true)).then_some(()));
        let day = day.and_then(|(i, day)| Some((Some(i), day.ok()?)));
        let day = day.or_else(|| today.map(|_| (None, Day::Relative(0))));
        let time = self.time(None);
        let zone = time.map_or(self.here.zone, |time| time.zone);
        let wall = self.here.wall(zone);
        let Some((piece, day)) = day else {
            // A time alone is the next such time.
            let time = time?;
            let at = ahead(wall, time);
            let is_part = matches!(self.pieces.get(time.piece)?.what, What::Part(..));
            let nearest = time.open || (at.date() != wall.date() && !is_part);
            let means = format!(
                "{}, {}{}",
                clock_words(at.time(), zone, self.here.zone),
                words::date(at.date()),
                self.nearest(time.piece, nearest)
            );
            self.time_taken(time, format!("due at {means}"));
            self.task.due = Some(due(at.date(), Some((at.time(), zone))));
            return Some(());
        };
        let today = self.here.wall(self.here.zone).date();
        let moment = Moment {
            today,
            today_is_ahead: time.is_some_and(|time| today.and_time(time.time) > wall),
        };
        let Resolved { date, nearest } = day.resolve(moment)?;
        if let Some(piece) = piece {
            let nearest = self.nearest(piece, nearest);
            self.taken(piece, format!("due {}{nearest}", words::date(date)));
        }
        let at = time.map(|time| {
            // Of "today at 5" and "today at 17" the nearest that is still ahead.
            let later = half_a_day_later(time.time);
            let over = date.and_time(time.time) <= wall && date.and_time(later) > wall;
            let at = if time.open && over { later } else { time.time };
            let nearest = self.nearest(time.piece, time.open);
            let means = format!("at {}{nearest}", clock_words(at, zone, self.here.zone));
            self.time_taken(time, means);
            (at, zone)
        });
        self.task.due = Some(due(date, at));
        Some(())
    }

    /// Due in some hours or minutes, to the minute.
    fn soon(&mut self, piece: usize, span: Span) -> Option<()> {
        let at = self.after(span)?;
        let wall = at
            .to_datetime()
            .with_timezone(&self.here.zone)
            .naive_local();
        let wall = wall.with_second(0)?.with_nanosecond(0)?;
        let means = format!(
            "due {} at {}",
            words::date(wall.date()),
            words::time(wall.time())
        );
        self.taken(piece, means);
        self.task.due = Some(due(wall.date(), Some((wall.time(), self.here.zone))));
        Some(())
    }

    /// The instant so much later; `None` beyond the year 9999.
    fn after(&self, span: Span) -> Option<Instant> {
        let now = self.here.now.to_datetime();
        let later = match span.seconds() {
            Some(seconds) => now.checked_add_signed(TimeDelta::seconds(i64::from(seconds)))?,
            None => {
                let wall = self.here.wall(self.here.zone);
                let date = span.from(wall.date(), false)?;
                return resolve(date.and_time(wall.time()), self.here.zone);
            }
        };
        Instant::from_datetime(&later)
    }

    /// How the task comes back, and its first due date.
    fn recurrence(&mut self) -> Option<()> {
        let (piece, (every, clock, part)) = self.last(|what| match what {
            What::Every(every, clock, part) => Some((every.clone(), *clock, *part)),
            _ => None,
        })?;
        let time = self.time(Some((piece, clock, part)));
        let zone = time.map_or(self.here.zone, |time| time.zone);
        let wall = self.here.wall(zone);
        let over = |date: NaiveDate| time.is_some_and(|time| date.and_time(time.time) <= wall);

        let moment = Moment {
            today: self.here.wall(self.here.zone).date(),
            today_is_ahead: true,
        };
        let start = self.start(moment);
        let base = match &start {
            Some((_, date)) => date.date,
            None if over(wall.date()) => wall.date().succ_opt()?,
            None => wall.date(),
        };
        let first = every.first(base)?;
        let (end, end_text) = self.end(first, moment);
        let rule = Rule::parse(&format!("{}{end_text}", every.rule())).ok()?;
        let begin = due(first, time.map(|time| (time.time, zone)));
        // A series that began long ago goes on from today, in its old step; one that is counted begins where it says.
        let mut next = begin.clone();
        if first < moment.today && !end_text.starts_with(";COUNT") {
            let yesterday = Due {
                date: moment.today.pred_opt()?,
                ..begin.clone()
            };
            let series = Series {
                rule: &rule,
                start: &begin,
            };
            next = preview(series, &yesterday, 1, 1)
                .into_iter()
                .next()
                .map_or(begin, |o| o.due);
        }

        let means = format!(
            "{}, first on {}",
            words::every(&every),
            words::date(next.date)
        );
        self.taken(piece, means);
        if let Some((piece, Resolved { date, nearest })) = start {
            let nearest = self.nearest(piece, nearest);
            self.taken(piece, format!("starting {}{nearest}", words::date(date)));
        }
        if let Some((piece, fate)) = end {
            self.end_decided(piece, fate);
        }
        if let Some(time) = time {
            let means = format!("at {}", clock_words(time.time, zone, self.here.zone));
            self.time_taken(time, means);
        }
        self.task.due = Some(next);
        self.task.recurrence = Some(ParsedRecurrence {
            rule: rule.to_string(),
            from: every.from,
        });
        Some(())
    }

    /// Where the series starts, if the text says so. A bare day of the week does not: "the Monday report every friday".
    fn start(&self, moment: Moment) -> Option<(usize, Resolved)> {
        let (piece, day) = self
            .last(|what| match what {
                What::Starting(day) | What::From(day, _) => Some(day.clone()),
                _ => None,
            })
            .or_else(|| {
                self.last(|what| match what {
                    What::Day(day) if !is_weekday(day) => Some(day.clone()),
                    _ => None,
                })
            })?;
        Some((piece, day.resolve(moment)?))
    }

    /// Where the series ends: what becomes of the piece that says so, and the end of the rule.
    fn end(&self, first: NaiveDate, moment: Moment) -> (Option<(usize, Fate)>, String) {
        let end = self.last(|what| match what {
            What::Until(_) | What::From(_, Some(_)) | What::For(_) | What::Times(_) => {
                Some(what.clone())
            }
            _ => None,
        });
        let Some((piece, what)) = end else {
            return (None, String::new());
        };
        let (last, means) = match what {
            What::Times(n) if n <= MAX_NUMBER => {
                return (
                    Some((piece, Fate::Taken(format!("{n} times")))),
                    format!(";COUNT={n}"),
                );
            }
            What::For(span) => {
                let last = span.from(first, false).and_then(|after| after.pred_opt());
                (last, format!("for {}, ", words::span(span)))
            }
            What::Until(day) | What::From(_, Some(day)) => {
                // "Until friday" is the Friday after the first date, "in 6 months" is from today.
                let today = match day {
                    Day::Relative(_) | Day::In(_) | Day::Date(_) => moment.today,
                    _ => first,
                };
                let last = day
                    .resolve(Moment { today, ..moment })
                    .map(|resolved| resolved.date);
                (last, String::new())
            }
            _ => (None, String::new()),
        };
        match last {
            Some(last) if last >= first => (
                Some((
                    piece,
                    Fate::Taken(format!("{means}until {}", words::date(last))),
                )),
                format!(";UNTIL={}", last.format("%Y%m%d")),
            ),
            Some(_) => (
                Some((piece, Fate::Kept(words::ENDS_BEFORE.to_owned()))),
                String::new(),
            ),
            None => (None, String::new()),
        }
    }

    /// The piece of the end may be that of the start too.
    fn end_decided(&mut self, piece: usize, fate: Fate) {
        let both = match (self.fates.get(piece), &fate) {
            (Some(Fate::Taken(start)), Fate::Taken(end)) => Fate::Taken(format!("{start}, {end}")),
            (Some(Fate::Taken(_)), _) => return,
            _ => fate,
        };
        self.decide(piece, both);
    }

    fn reminders(&mut self) {
        for i in 0..self.pieces.len() {
            let what = self.pieces.get(i).map(|piece| piece.what.clone());
            let (reminders, fate) = match what {
                Some(What::RemindBefore(all)) => self.before(&all),
                Some(What::RemindIn(span)) => self.at(self.after(span)),
                Some(What::RemindAt(day, clock)) => {
                    let at = self.remind_at(day, clock);
                    self.at(at)
                }
                _ => continue,
            };
            if self.task.reminders.len() + reminders.len() > MAX_REMINDERS {
                continue;
            }
            for reminder in reminders {
                if !self.task.reminders.contains(&reminder) {
                    self.task.reminders.push(reminder);
                }
            }
            self.decide(i, fate);
        }
    }

    fn before(&self, seconds: &[u32]) -> (Vec<When>, Fate) {
        if self.task.due.is_none() {
            return (Vec::new(), Fate::Kept(words::NOTHING_DUE.to_owned()));
        }
        let before = |seconds: &u32| Before::parse(&format!("PT{seconds}S")).map(When::Before);
        match seconds.iter().map(before).collect() {
            Some(reminders) => {
                let each: Vec<_> = seconds
                    .iter()
                    .map(|seconds| words::seconds(*seconds))
                    .collect();
                (
                    reminders,
                    Fate::Taken(format!("reminder {} before", each.join(" and "))),
                )
            }
            None => (Vec::new(), Fate::Text),
        }
    }

    fn at(&self, at: Option<Instant>) -> (Vec<When>, Fate) {
        let Some(at) = at else {
            return (Vec::new(), Fate::Text);
        };
        let wall = at
            .to_datetime()
            .with_timezone(&self.here.zone)
            .naive_local();
        let means = format!(
            "reminder {} at {}",
            words::date(wall.date()),
            words::time(wall.time())
        );
        (vec![When::At(at)], Fate::Taken(means))
    }

    /// The instant of a reminder: without a day that of the due date, else the next such time; without a time in the
    /// morning.
    fn remind_at(&self, day: Option<Day>, clock: Option<Clock>) -> Option<Instant> {
        let zone = clock.and_then(|clock| clock.zone).unwrap_or(self.here.zone);
        let wall = self.here.wall(zone);
        let time = clock.map_or(start_of(Part::Morning), |clock| clock.time);
        let at = match (day, &self.task.due) {
            (Some(day), _) => {
                let today = wall.date();
                let moment = Moment {
                    today,
                    today_is_ahead: today.and_time(time) > wall,
                };
                day.resolve(moment)?.date.and_time(time)
            }
            (None, Some(due)) => due.date.and_time(time),
            (None, None) => {
                let open = clock.is_some_and(|clock| clock.half == Half::Open);
                ahead(
                    wall,
                    Time {
                        time,
                        zone,
                        open,
                        piece: 0,
                    },
                )
            }
        };
        resolve(at, zone)
    }
}

/// The next such time, today or tomorrow.
fn ahead(wall: NaiveDateTime, time: Time) -> NaiveDateTime {
    let later = time.open.then(|| half_a_day_later(time.time));
    let today = [Some(time.time), later]
        .into_iter()
        .flatten()
        .map(|time| wall.date().and_time(time))
        .find(|at| *at > wall);
    today
        .or_else(|| Some(wall.date().succ_opt()?.and_time(time.time)))
        .unwrap_or(wall)
}

/// 17:00 for 5:00.
fn half_a_day_later(time: NaiveTime) -> NaiveTime {
    time.overflowing_add_signed(TimeDelta::hours(12)).0
}

/// When a part of the day begins, as Todoist has it.
fn start_of(part: Part) -> NaiveTime {
    let hour = match part {
        Part::Morning => 9,
        Part::Afternoon => 12,
        Part::Evening => 19,
        Part::Night => 22,
    };
    NaiveTime::MIN + TimeDelta::hours(hour)
}

fn clock_words(time: NaiveTime, zone: Tz, own: Tz) -> String {
    if zone == own {
        words::time(time)
    } else {
        format!("{} {}", words::time(time), zone.name())
    }
}

fn due(date: NaiveDate, at: Option<(NaiveTime, Tz)>) -> Due {
    Due {
        date,
        time: at.map(|(time, _)| time),
        time_zone: at.map(|(_, zone)| zone),
    }
}
