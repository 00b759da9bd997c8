//! VTODO components to tasks.

use chrono::{NaiveDate, NaiveTime};
use chrono_tz::{Tz, UTC};
use docket_domain::command::{Field, ReminderInput};
use docket_domain::due::{Due, parse_date, parse_time, parse_zone, resolve};
use docket_domain::recurrence::{From, Recurrence, Rule, Start};
use docket_domain::task::{Before, Reminder, When};
use docket_domain::{Instant, Known, NewTask, TaskInput, base32};
use ical_vcard::Contentline;
use std::collections::HashMap;

use super::{MILLIS, POSITION, RECURRENCE, UID_SUFFIX, rrule};
use crate::import::{Import, Unreadable, due_input, one_line, quoted, recurrence_input};
use crate::jsonl::is_series_id;

/// How deep components are nested at most; RFC 5545 needs three.
const MAX_DEPTH: usize = 16;

/// A property and the line where it begins.
struct Property {
    line: usize,
    content: Contentline,
}

/// A VTODO, or a VALARM within one.
#[derive(Default)]
struct Component {
    line: usize,
    properties: Vec<Property>,
    alarms: Vec<Component>,
}

/// Reads a whole file.
pub(crate) fn read(text: &str, import: &mut Import) -> Result<(), Unreadable> {
    let refuse = |line, detail: &str| Unreadable::NotOfFormat {
        line,
        detail: detail.to_owned(),
    };
    let mut uids = HashMap::new();
    // The names of the components that are open, and the task among them with its alarm.
    let mut open: Vec<String> = Vec::new();
    let (mut task, mut alarm): (Option<Component>, Option<Component>) = (None, None);
    let mut calendars = 0;
    for (line, content) in lines(text) {
        let content: Contentline = match content.parse() {
            Ok(content) => content,
            Err(_) if open.is_empty() => {
                return Err(refuse(line, "not an iCalendar: BEGIN:VCALENDAR is missing"));
            }
            Err(_) => {
                let words = quoted(&content);
                import.problem(
                    line,
                    format!("left out: {words} is not a line of an iCalendar"),
                );
                continue;
            }
        };
        let value = content.value().trim().to_ascii_uppercase();
        match content.name().to_ascii_uppercase().as_str() {
            "BEGIN" => {
                if open.is_empty() && value != "VCALENDAR" {
                    return Err(refuse(line, "not an iCalendar: BEGIN:VCALENDAR is missing"));
                }
                if open.len() == MAX_DEPTH {
                    return Err(refuse(line, "too many components within each other"));
                }
                match (value.as_str(), open.last().map(String::as_str)) {
                    ("VTODO", Some("VCALENDAR")) => task = Some(Component::at(line)),
                    ("VALARM", Some("VTODO")) => alarm = Some(Component::at(line)),
                    ("VCALENDAR" | "VTIMEZONE" | "STANDARD" | "DAYLIGHT", _) => {}
                    (_, Some("VCALENDAR")) => {
                        import.problem(line, format!("left out: a {value} is not a task"));
                    }
                    _ => {}
                }
                open.push(value);
            }
            "END" => {
                if open.pop().as_ref() != Some(&value) {
                    return Err(refuse(
                        line,
                        &format!("END:{value} does not end what is open"),
                    ));
                }
                match value.as_str() {
                    "VCALENDAR" => calendars += 1,
                    "VALARM" => {
                        if let (Some(task), Some(alarm)) = (&mut task, alarm.take()) {
                            task.alarms.push(alarm);
                        }
                    }
                    "VTODO" => {
                        if let Some(todo) = task.take()
                            && let Some(task) = read_todo(&todo, &mut uids, import)
                        {
                            import.add(todo.line, task)?;
                        }
                    }
                    _ => {}
                }
            }
            _ if open.is_empty() => {
                return Err(refuse(line, "not an iCalendar: BEGIN:VCALENDAR is missing"));
            }
            _ => {
                let component = match open.last().map(String::as_str) {
                    Some("VTODO") => task.as_mut(),
                    Some("VALARM") => alarm.as_mut(),
                    _ => None,
                };
                if let Some(component) = component {
                    component.properties.push(Property { line, content });
                }
            }
        }
    }
    match open.last() {
        Some(name) => {
            let last = text.lines().count();
            Err(refuse(last, &format!("the file ends before END:{name}")))
        }
        None if calendars == 0 => Err(refuse(1, "not an iCalendar: the file is empty")),
        None => Ok(()),
    }
}

/// The content lines, unfolded, each with the number of the line where it begins.
fn lines(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut raw = (1..)
        .zip(text.split('\n'))
        .map(|(number, line)| (number, line.strip_suffix('\r').unwrap_or(line)))
        .peekable();
    std::iter::from_fn(move || {
        let (number, first) = raw.find(|(_, line)| !line.is_empty())?;
        let mut whole = first.to_owned();
        while let Some(more) = raw
            .peek()
            .and_then(|(_, line)| line.strip_prefix([' ', '\t']))
        {
            whole.push_str(more);
            raw.next();
        }
        Some((number, whole))
    })
}

impl Component {
    fn at(line: usize) -> Self {
        Self {
            line,
            ..Self::default()
        }
    }

    /// The first property of a name.
    fn get(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.is(name))
    }
}

impl Property {
    fn is(&self, name: &str) -> bool {
        self.content.name().eq_ignore_ascii_case(name)
    }

    fn value(&self) -> &str {
        self.content.value().trim()
    }

    /// The value as TEXT (RFC 5545, section 3.3.11).
    fn text(&self) -> String {
        unescaped(self.content.value())
    }

    fn param(&self, name: &str) -> Option<&str> {
        let param = self
            .content
            .params()
            .iter()
            .find(|param| param.name().eq_ignore_ascii_case(name))?;
        param.values().first().map(|value| value.as_str())
    }
}

/// Reads the escapes of TEXT; a backslash before anything else stays.
fn unescaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (c, chars.as_str().chars().next()) {
            ('\\', Some('n' | 'N')) => text.push('\n'),
            ('\\', Some(escaped @ ('\\' | ';' | ',' | ':' | '"'))) => text.push(escaped),
            _ => {
                text.push(c);
                continue;
            }
        }
        chars.next();
    }
    text
}

/// The parts of a list of TEXT, which commas separate unless they are escaped.
fn list(value: &str) -> Vec<String> {
    let (mut parts, mut begin, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in value.char_indices() {
        if c == ',' && !escaped {
            parts.push(unescaped(value.get(begin..at).unwrap_or_default()));
            begin = at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    parts.push(unescaped(value.get(begin..).unwrap_or_default()));
    parts
}

/// A DATE or DATE-TIME: the day, the time if there is one, and whether it is in UTC.
fn moment(value: &str) -> Option<(NaiveDate, Option<NaiveTime>, bool)> {
    let (date, time) = match value.split_once(['T', 't']) {
        Some((date, time)) => (date, Some(time)),
        None => (value, None),
    };
    let pairs = |digits: &str, separator: &str| {
        let pairs: Option<Vec<&str>> = (0..digits.len() / 2)
            .map(|i| digits.get(2 * i..2 * i + 2))
            .collect();
        pairs.map(|pairs| pairs.join(separator))
    };
    let (year, month_and_day) = date.split_at_checked(4).filter(|_| date.len() == 8)?;
    let date = parse_date(&format!("{year}-{}", pairs(month_and_day, "-")?))?;
    let Some(time) = time else {
        return Some((date, None, false));
    };
    let local = time.trim_end_matches(['Z', 'z']);
    let read = parse_time(&pairs(local, ":").filter(|_| local.len() == 6)?)?;
    Some((date, Some(read), local.len() < time.len()))
}

/// An instant; a time without a zone is in the person's.
fn instant(property: &Property, zone: Option<Tz>) -> Option<Instant> {
    let (date, time, utc) = moment(property.value())?;
    let named = property.param("TZID").and_then(zone_of);
    let zone = if utc { None } else { named.or(zone) };
    let at = resolve(date.and_time(time.unwrap_or_default()), zone.unwrap_or(UTC))?;
    let millis = property.param(MILLIS).and_then(|text| text.parse().ok());
    Some(
        at.plus_millis(
            millis
                .filter(|millis| (0..1_000).contains(millis))
                .unwrap_or(0),
        ),
    )
}

/// The zone of a TZID. Some programs put a path before the IANA name: `/example.org/20260101/Europe/Berlin`.
fn zone_of(name: &str) -> Option<Tz> {
    let mut rest = name;
    loop {
        if let Some(zone) = parse_zone(rest) {
            return Some(zone);
        }
        rest = rest.split_once('/')?.1;
    }
}

fn read_todo(
    todo: &Component,
    uids: &mut HashMap<String, usize>,
    import: &mut Import,
) -> Option<NewTask> {
    let line = todo.line;
    if let Some(status) = todo
        .get("STATUS")
        .filter(|status| status.value().eq_ignore_ascii_case("CANCELLED"))
    {
        import.problem(status.line, "left out: it was cancelled");
        return None;
    }
    if let Some(instance) = todo.get("RECURRENCE-ID") {
        import.problem(
            instance.line,
            "left out: a change of one occurrence of a series",
        );
        return None;
    }
    let title = todo
        .get("SUMMARY")
        .map(|summary| one_line(&summary.text()))
        .unwrap_or_default();
    if title.is_empty() {
        import.problem(line, "left out: no SUMMARY, so no title");
        return None;
    }
    let zone = import.options.time_zone;
    let token = read_uid(todo, &title, uids, import);
    let due = read_due(todo, import);
    let recurrence = read_recurrence(todo, import);
    let reminders = read_alarms(todo, due.as_ref(), import);
    let completed = todo.get("COMPLETED");
    let done = match todo.get("STATUS") {
        Some(status) => status.value().eq_ignore_ascii_case("COMPLETED"),
        None => {
            completed.is_some()
                || todo
                    .get("PERCENT-COMPLETE")
                    .is_some_and(|p| p.value() == "100")
        }
    };
    if let Some(progress) = todo
        .get("PERCENT-COMPLETE")
        .filter(|p| !done && p.value() != "0")
    {
        let percent = quoted(progress.value());
        import.problem(
            progress.line,
            format!("taken without its progress of {percent} percent"),
        );
    }
    let at = |name: &str| todo.get(name).and_then(|property| instant(property, zone));
    let input = TaskInput {
        title: Field::Value(title),
        description: todo
            .get("DESCRIPTION")
            .map_or(Field::Absent, |text| Field::Value(text.text())),
        priority: read_priority(todo, import),
        tags: Field::Value(read_categories(todo, import)),
        due: due
            .as_ref()
            .map_or(Field::Absent, |due| Field::Value(due_input(due))),
        reminders: Field::Value(reminders.iter().map(reminder_input).collect()),
        recurrence: recurrence.as_ref().map_or(Field::Absent, |found| {
            Field::Value(recurrence_input(found.rule.clone(), found.from))
        }),
        parent_id: Field::Absent,
        position: todo
            .get(POSITION)
            .and_then(|position| position.value().parse().ok())
            .filter(|position: &f64| position.is_finite())
            .map_or(Field::Absent, Field::Value),
    };
    Some(NewTask {
        input,
        token,
        known: Known {
            due,
            reminders: reminders
                .into_iter()
                .filter(|reminder| !reminder.id.is_empty())
                .collect(),
            recurrence: recurrence.and_then(|found| found.known),
        },
        created_at: at("CREATED"),
        updated_at: at("LAST-MODIFIED"),
        done,
        completed_at: completed
            .filter(|_| done)
            .and_then(|property| instant(property, zone)),
    })
}

/// What a UID makes unique. One that Docket wrote has the token itself; a second task of the same UID is another one.
fn read_uid(
    todo: &Component,
    title: &str,
    uids: &mut HashMap<String, usize>,
    import: &mut Import,
) -> u64 {
    let Some(uid) = todo.get("UID").filter(|uid| !uid.value().is_empty()) else {
        import.problem(
            todo.line,
            "no UID: changed and imported again, it would be another task",
        );
        return import.token(&["ics", title]);
    };
    let first = *uids.entry(uid.value().to_owned()).or_insert(todo.line);
    if first != todo.line {
        let detail = format!("the task of line {first} has the same UID; taken as one of its own");
        import.problem(uid.line, detail);
    } else if let Some(token) = uid
        .value()
        .strip_suffix(UID_SUFFIX)
        .filter(|token| token.len() == 12)
        .and_then(base32::decode)
    {
        return token;
    }
    import.token(&["ics uid", uid.value()])
}

/// DUE, or DTSTART and DURATION, or the start of a task that recurs.
fn read_due(todo: &Component, import: &mut Import) -> Option<Due> {
    let start = todo.get("DTSTART");
    if let Some(due) = todo.get("DUE") {
        let read = read_moment(due, import);
        if let (Some(start), Some(read)) = (start, &read)
            && (moment(start.value()).map(|(date, time, _)| (date, time)))
                != Some((read.date, read.time))
        {
            let value = quoted(start.value());
            import.problem(start.line, format!("taken without its start {value}"));
        }
        return read;
    }
    let start = start?;
    if let Some(duration) = todo.get("DURATION") {
        let seconds = duration.value().trim_start_matches('+');
        if let (Some(length), Some(mut due)) = (Before::parse(seconds), read_moment(start, import))
        {
            let begin = due.date.and_time(due.time.unwrap_or_default());
            let end = begin
                .checked_add_signed(chrono::TimeDelta::seconds(i64::from(length.seconds())))?;
            due.date = end.date();
            due.time = due.time.map(|_| end.time());
            return Some(due);
        }
    }
    if todo.get("RRULE").is_some() {
        return read_moment(start, import);
    }
    let value = quoted(start.value());
    import.problem(start.line, format!("taken without its start {value}"));
    None
}

fn read_moment(property: &Property, import: &mut Import) -> Option<Due> {
    let Some((date, time, utc)) = moment(property.value()) else {
        let (name, value) = (property.content.name(), quoted(property.value()));
        import.problem(
            property.line,
            format!("{name}: {value} is not a date; taken without it"),
        );
        return None;
    };
    let time_zone = match property.param("TZID") {
        _ if time.is_none() => None,
        _ if utc => Some(UTC),
        None => None,
        Some(name) => {
            let zone = zone_of(name);
            if zone.is_none() {
                let name = quoted(name);
                let detail = format!(
                    "{name} is not an IANA time zone; the time is taken as local wherever the person is"
                );
                import.problem(property.line, detail);
            }
            zone
        }
    };
    Some(Due {
        date,
        time,
        time_zone,
    })
}

/// A recurrence, and what only an export of ours says of it.
struct Found {
    rule: String,
    from: From,
    known: Option<Recurrence>,
}

fn read_recurrence(todo: &Component, import: &mut Import) -> Option<Found> {
    for name in ["RDATE", "EXDATE"] {
        if let Some(dates) = todo.get(name) {
            import.problem(dates.line, format!("taken without its {name}"));
        }
    }
    let standard = todo.get("RRULE");
    if let Some(ours) = todo.get(RECURRENCE) {
        let rule = ours.text();
        // Another program may have changed the rule since, or taken it away: then that counts.
        if rrule(&rule).as_deref() == standard.map(Property::value)
            && let Ok(rule) = (import.options.check_rule)(&rule)
        {
            let from = match ours.param("FROM") {
                Some("completion") => From::Completion,
                _ => From::Due,
            };
            return Some(Found {
                known: known_recurrence(ours, &rule, from),
                rule,
                from,
            });
        }
    }
    let standard = standard?;
    match (import.options.check_rule)(standard.value()) {
        Ok(rule) => Some(Found {
            rule,
            from: From::Due,
            known: None,
        }),
        Err(why) => {
            import.problem(
                standard.line,
                format!("RRULE: {why}; taken without the recurrence"),
            );
            None
        }
    }
}

fn known_recurrence(ours: &Property, rule: &str, from: From) -> Option<Recurrence> {
    let number = |name| {
        ours.param(name)
            .and_then(|text| text.parse().ok())
            .filter(|n: &u32| *n > 0)
    };
    let start = || {
        Some(Start {
            index: number("START-INDEX")?,
            due: Due {
                date: parse_date(ours.param("START")?)?,
                time: ours.param("START-TIME").and_then(parse_time),
                time_zone: ours.param("START-ZONE").and_then(parse_zone),
            },
        })
    };
    Some(Recurrence {
        rule: Rule::checked(rule.to_owned()),
        from,
        series_id: ours
            .param("SERIES")
            .filter(|id| is_series_id(id))?
            .to_owned(),
        index: number("INDEX")?,
        start: start(),
        next: None,
    })
}

/// 1 to 4 is high, 5 medium, 6 to 9 low (RFC 5545, section 3.8.1.9), and 0 is none.
fn read_priority(todo: &Component, import: &mut Import) -> Field<String> {
    let Some(priority) = todo.get("PRIORITY") else {
        return Field::Absent;
    };
    let word = match priority.value() {
        "0" => return Field::Absent,
        "1" | "2" | "3" | "4" => "high",
        "5" => "medium",
        "6" | "7" | "8" | "9" => "low",
        other => {
            let other = quoted(other);
            import.problem(
                priority.line,
                format!("{other} is not a priority from 0 to 9; taken without it"),
            );
            return Field::Absent;
        }
    };
    Field::Value(word.to_owned())
}

/// Categories as tags, which are single words.
fn read_categories(todo: &Component, import: &mut Import) -> Vec<String> {
    let mut tags = Vec::new();
    for property in todo
        .properties
        .iter()
        .filter(|property| property.is("CATEGORIES"))
    {
        for category in list(property.content.value()) {
            let category = category.trim();
            let unfit = |c: char| c.is_whitespace() || c.is_control() || c == ',';
            let tag = category.replace(unfit, "-");
            if tag != category {
                let (category, tag) = (quoted(category), quoted(&tag));
                import.problem(
                    property.line,
                    format!("the category {category} is now the tag {tag}"),
                );
            }
            if !tag.is_empty() {
                tags.push(tag);
            }
        }
    }
    tags
}

/// Alarms as reminders; one without an id of ours gets a new one.
fn read_alarms(todo: &Component, due: Option<&Due>, import: &mut Import) -> Vec<Reminder> {
    let mut reminders: Vec<Reminder> = Vec::new();
    for alarm in &todo.alarms {
        let Some(trigger) = alarm.get("TRIGGER") else {
            import.problem(alarm.line, "left out: a reminder without a TRIGGER");
            continue;
        };
        match read_trigger(trigger, todo, due, import.options.time_zone) {
            Ok(when) => {
                let id = alarm.get("UID").map(Property::text).unwrap_or_default();
                let ours = id.len() == 8 && base32::decode(&id).is_some();
                let taken = reminders.iter().any(|reminder| reminder.id == id);
                reminders.push(Reminder {
                    id: if ours && !taken { id } else { String::new() },
                    when,
                });
            }
            Err(why) => import.problem(trigger.line, format!("left out: a reminder {why}")),
        }
    }
    reminders
}

fn read_trigger(
    trigger: &Property,
    todo: &Component,
    due: Option<&Due>,
    zone: Option<Tz>,
) -> Result<When, &'static str> {
    let value = trigger.value();
    if trigger
        .param("VALUE")
        .is_some_and(|value| value.eq_ignore_ascii_case("DATE-TIME"))
    {
        return instant(trigger, zone)
            .map(When::At)
            .ok_or("whose time cannot be read");
    }
    let (earlier, length) = match value.strip_prefix('-') {
        Some(length) => (true, length),
        None => (false, value.trim_start_matches('+')),
    };
    let length =
        Before::parse(length).ok_or("whose time cannot be read, or is more than 366 days off")?;
    // Unless it says END, it counts from the start (RFC 5545, section 3.8.6.3), which a task of Docket has not.
    let from_end = trigger
        .param("RELATED")
        .is_some_and(|related| related.eq_ignore_ascii_case("END"));
    let wall = |date: NaiveDate, time: Option<NaiveTime>| date.and_time(time.unwrap_or_default());
    let lead = match (
        due,
        todo.get("DTSTART").and_then(|start| moment(start.value())),
    ) {
        (Some(due), Some((date, time, _))) if !from_end => wall(due.date, due.time)
            .signed_duration_since(wall(date, time))
            .num_seconds(),
        (None, _) if !from_end => return Err("that counts from a date, without a due date"),
        _ => 0,
    };
    let length = i64::from(length.seconds());
    let before = lead + if earlier { length } else { -length };
    if before < 0 {
        return Err("after the due date");
    }
    Before::parse(&format!("PT{before}S"))
        .map(When::Before)
        .ok_or("more than 366 days before the due date")
}

fn reminder_input(reminder: &Reminder) -> ReminderInput {
    let id = Some(reminder.id.clone()).filter(|id| !id.is_empty());
    let (at, before) = match reminder.when {
        When::At(at) => (Some(at.to_string()), None),
        When::Before(before) => (None, Some(before.to_string())),
    };
    ReminderInput { id, at, before }
}
