//! What was measured: percentiles, and how they are shown.

use anyhow::Result;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

/// How long each of many things took.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// One duration each.
    pub took: Vec<Duration>,
    /// How long all rounds together were.
    pub elapsed: Duration,
    /// What was answered otherwise than it should be.
    pub refused: usize,
}

impl Samples {
    /// Adds another round's.
    pub fn add(&mut self, other: Self) {
        self.took.extend(other.took);
        self.elapsed += other.elapsed;
        self.refused += other.refused;
    }

    /// The percentiles, in milliseconds, and the rate.
    pub fn summary(&self) -> Summary {
        let mut took = self.took.clone();
        took.sort_unstable();
        let at = |percent: usize| {
            let rank = (took.len() * percent).div_ceil(100).max(1) - 1;
            took.get(rank)
                .map_or(0.0, |took| round(took.as_secs_f64() * 1e3))
        };
        let seconds = self.elapsed.as_secs_f64().max(f64::EPSILON);
        Summary {
            count: took.len(),
            refused: self.refused,
            p50_ms: at(50),
            p90_ms: at(90),
            p99_ms: at(99),
            per_second: round(took.len() as f64 / seconds),
        }
    }
}

fn round(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// Samples in few numbers.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// How many were answered well.
    pub count: usize,
    /// How many were not.
    pub refused: usize,
    /// Half of them took at most so long, in milliseconds.
    pub p50_ms: f64,
    /// Nine of ten.
    pub p90_ms: f64,
    /// Ninety-nine of a hundred.
    pub p99_ms: f64,
    /// How many a second, all clients together.
    pub per_second: f64,
}

/// A figure of the API beside the sidecar's.
#[derive(Clone, Debug, Serialize)]
struct Compared {
    name: String,
    clients: usize,
    api: Summary,
    raw: Summary,
    ratio: Ratio,
}

/// The API's figure for each of the sidecar's.
#[derive(Clone, Debug, Serialize)]
struct Ratio {
    p50: f64,
    p90: f64,
    p99: f64,
    per_second: f64,
}

/// A figure without a counterpart.
#[derive(Clone, Debug, Serialize)]
struct Alone {
    name: String,
    #[serde(flatten)]
    summary: Summary,
}

impl Alone {
    fn new(name: &str, samples: &Samples) -> Self {
        Self {
            name: name.to_owned(),
            summary: samples.summary(),
        }
    }
}

/// What an operation takes in accounts of several sizes.
#[derive(Clone, Debug, Serialize)]
struct Cost {
    name: String,
    /// Tasks in the account, and the milliseconds of half of the operations.
    p50_ms: Vec<(usize, f64)>,
    /// The largest account's for the smallest one's.
    growth: f64,
}

/// All of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether it was only a smoke run: its figures say nothing.
    quick: bool,
    /// The processors that the system offers.
    cores: usize,
    /// How many processes wanted one in the last minute, at the begin: beyond `cores`, figures are too high.
    load: f64,
    compared: Vec<Compared>,
    events: Vec<Alone>,
    late: Vec<Alone>,
    cost: Vec<Cost>,
}

impl Report {
    /// An empty one, with what is to be known of the machine.
    pub fn begin(quick: bool) -> Self {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            quick,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load: load
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok())
                .unwrap_or_default(),
            compared: Vec::new(),
            events: Vec::new(),
            late: Vec::new(),
            cost: Vec::new(),
        }
    }

    /// Adds a figure of both.
    pub fn compare(&mut self, name: &str, clients: usize, api: &Samples, raw: &Samples) {
        let (api, raw) = (api.summary(), raw.summary());
        let of = |a: f64, b: f64| round(a / b.max(f64::EPSILON));
        self.compared.push(Compared {
            name: name.to_owned(),
            clients,
            ratio: Ratio {
                p50: of(api.p50_ms, raw.p50_ms),
                p90: of(api.p90_ms, raw.p90_ms),
                p99: of(api.p99_ms, raw.p99_ms),
                per_second: of(api.per_second, raw.per_second),
            },
            api,
            raw,
        });
    }

    /// Adds a figure of the events.
    pub fn event(&mut self, name: &str, samples: &Samples) {
        self.events.push(Alone::new(name, samples));
    }

    /// Adds a figure of how late something was.
    pub fn late(&mut self, name: &str, samples: &Samples) {
        self.late.push(Alone::new(name, samples));
    }

    /// Adds an operation's cost by the account's size.
    pub fn cost(&mut self, name: &str, sizes: &[(usize, Samples)]) {
        let p50_ms: Vec<(usize, f64)> = sizes
            .iter()
            .map(|(size, samples)| (*size, samples.summary().p50_ms))
            .collect();
        let growth = match (p50_ms.first(), p50_ms.last()) {
            (Some((_, first)), Some((_, last))) => round(last / first.max(f64::EPSILON)),
            _ => 0.0,
        };
        self.cost.push(Cost {
            name: name.to_owned(),
            p50_ms,
            growth,
        });
    }

    /// Prints it on standard output: a table, or JSON.
    ///
    /// # Errors
    /// Nobody reads it.
    pub fn print(&self, json: bool) -> Result<()> {
        let text = if json {
            serde_json::to_string_pretty(self)?
        } else {
            self.table()?
        };
        writeln!(std::io::stdout(), "{}", text.trim_end())?;
        Ok(())
    }

    fn table(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        writeln!(
            text,
            "{} cores, load {} at the begin{}",
            self.cores,
            self.load,
            if self.quick {
                "; a smoke run: the figures say nothing"
            } else {
                ""
            }
        )?;
        if !self.compared.is_empty() {
            writeln!(
                text,
                "\n{:<26}{:>8}{:>12}{:>12}{:>12}{:>10}{:>8}",
                "", "clients", "p50", "p90", "p99", "a second", "of"
            )?;
        }
        for one in &self.compared {
            for (who, figures) in [("API", &one.api), ("sidecar", &one.raw)] {
                let name = format!("{} {who}", one.name);
                write!(text, "{name:<26}{:>8}", one.clients)?;
                line(&mut text, figures)?;
            }
            let ratio = &one.ratio;
            writeln!(
                text,
                "{:<26}{:>8}{:>11.2}x{:>11.2}x{:>11.2}x{:>9.2}x",
                "  ratio", "", ratio.p50, ratio.p90, ratio.p99, ratio.per_second
            )?;
        }
        for (what, figures) in [
            ("2xx to a consumer of task-events", &self.events),
            ("how late reminders are", &self.late),
        ] {
            if !figures.is_empty() {
                writeln!(
                    text,
                    "\n{what:<34}{:>12}{:>12}{:>12}{:>10}{:>8}",
                    "p50", "p90", "p99", "a second", "of"
                )?;
            }
            for one in figures {
                write!(text, "{:<34}", one.name)?;
                line(&mut text, &one.summary)?;
            }
        }
        if let Some(first) = self.cost.first() {
            write!(text, "\n{:<20}", "p50 by tasks")?;
            for (size, _) in &first.p50_ms {
                write!(text, "{size:>12}")?;
            }
            writeln!(text, "{:>10}", "growth")?;
        }
        for one in &self.cost {
            write!(text, "{:<20}", one.name)?;
            for (_, took) in &one.p50_ms {
                write!(text, "{took:>9.2} ms")?;
            }
            writeln!(text, "{:>9.2}x", one.growth)?;
        }
        Ok(text)
    }
}

fn line(text: &mut String, figures: &Summary) -> std::fmt::Result {
    write!(
        text,
        "{:>9.2} ms{:>9.2} ms{:>9.2} ms{:>10.0}{:>8}",
        figures.p50_ms, figures.p90_ms, figures.p99_ms, figures.per_second, figures.count
    )?;
    if figures.refused > 0 {
        write!(text, "  {} refused", figures.refused)?;
    }
    writeln!(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let samples = |count: u64| Samples {
            took: (1..=count).rev().map(Duration::from_millis).collect(),
            elapsed: Duration::from_secs(2),
            refused: 0,
        };
        for (count, p50, p90, p99) in [
            (0, 0.0, 0.0, 0.0),
            (1, 1.0, 1.0, 1.0),
            (10, 5.0, 9.0, 10.0),
            (200, 100.0, 180.0, 198.0),
        ] {
            let summary = samples(count).summary();
            assert_eq!(
                (summary.p50_ms, summary.p90_ms, summary.p99_ms),
                (p50, p90, p99),
                "{count}"
            );
        }
        assert_eq!(samples(10).summary().per_second, 5.0);
    }
}
