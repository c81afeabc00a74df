//! What was measured, as a table for people and as JSON for programs.

mod table;

use std::path::Path;

use serde::Serialize;

use crate::Fallible;
use crate::harness::machine::Machine;
use crate::harness::reading::{Reading, median};

/// Everything that one start of the command measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) started: chrono::DateTime<chrono::Utc>,
    pub(crate) machine: Machine,
    pub(crate) pairs: u32,
    pub(crate) measured_seconds: f64,
    /// Who sends the requests.
    pub(crate) caller: &'static str,
    pub(crate) cases: Vec<Case>,
    /// Scenarios without a result, and why.
    pub(crate) refused: Vec<String>,
}

/// One comparison.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Case {
    pub(crate) scenario: &'static str,
    pub(crate) case: String,
    /// What is counted: commands, gets, loads, events.
    pub(crate) unit: &'static str,
    pub(crate) server: String,
    /// Of the last minute before it began.
    pub(crate) load_average: f64,
    /// The one that is measured against the others comes first.
    pub(crate) contenders: Vec<Contender>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bar: Option<Bar>,
    /// What a reader must know to read the figures right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

/// What is asked of the first contender, beside the second.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bar {
    /// At least this many times the throughput.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) throughput: Option<f64>,
    /// At most this many times the 99th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99: Option<f64>,
    /// A 50th percentile of at most so many microseconds, whatever the others take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50_micros: Option<f64>,
}

impl Bar {
    /// At least `least` times the throughput, and nothing else.
    pub(crate) const fn throughput(least: f64) -> Self {
        Self { throughput: Some(least), p99: None, p50_micros: None }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) readings: Vec<Reading>,
    /// The first contender's figures over this one's; none for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<Ratio>,
}

/// Medians over the pairs of runs.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ratio {
    pub(crate) throughput: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Contender {
    /// All contenders of a case, with the readings of each in the same order.
    pub(crate) fn all(names: &[&'static str], readings: Vec<Vec<Reading>>) -> Vec<Self> {
        let first = readings.first().cloned().unwrap_or_default();
        let contenders = names.iter().zip(readings).enumerate();
        contenders
            .map(|(place, (name, readings))| {
                let ratio = (place > 0).then(|| Ratio::of(&first, &readings));
                Self { name, readings, ratio }
            })
            .collect()
    }

    /// The median of one figure.
    pub(crate) fn median(&self, figure: impl Fn(&Reading) -> f64) -> f64 {
        median(self.readings.iter().map(figure))
    }
}

impl Ratio {
    fn of(ours: &[Reading], theirs: &[Reading]) -> Self {
        let ratios =
            |figure: fn(&Reading) -> f64| ours.iter().zip(theirs).map(move |(our, their)| figure(our) / figure(their));
        let throughput = |reading: &Reading| reading.per_second;
        Self {
            throughput: median(ratios(throughput)),
            lowest: ratios(throughput).fold(f64::INFINITY, f64::min),
            highest: ratios(throughput).fold(0.0, f64::max),
            p50: median(ratios(|reading| reading.p50)),
            p99: median(ratios(|reading| reading.p99)),
        }
    }
}

impl Case {
    /// Whether the bar is met; none when there is none, or nobody to compare with.
    pub(crate) fn meets_bar(&self) -> Option<bool> {
        let bar = self.bar?;
        let ratio = self.contenders.get(1).and_then(|contender| contender.ratio);
        let p50 = self.contenders.first()?.median(|reading| reading.p50);
        let met = [
            bar.throughput.map(|least| ratio.is_some_and(|ratio| ratio.throughput >= least)),
            bar.p99.map(|most| ratio.is_some_and(|ratio| ratio.p99 <= most)),
            bar.p50_micros.map(|most| p50 <= most),
        ];
        Some(met.into_iter().flatten().all(|met| met))
    }
}

impl Report {
    pub(crate) fn write_json(&self, file: &Path) -> Fallible<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(std::fs::write(file, text)?)
    }

    pub(crate) fn print(&self) {
        show(&table::of(self));
    }
}

/// To standard output: what was asked for.
#[expect(clippy::print_stdout, reason = "the one place where results are printed")]
pub(crate) fn show(text: &str) {
    println!("{text}");
}

/// To standard error: what is going on.
#[expect(clippy::print_stderr, reason = "the one place where progress is told")]
pub(crate) fn tell(text: &str) {
    eprintln!("{text}");
}

/// To standard error: what went wrong.
pub(crate) fn complain(text: &str) {
    tell(&format!("error: {text}"));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::harness::meter::Spent;

    pub(super) fn readings(rates: &[u64]) -> Vec<Reading> {
        let reading = |rate: &u64| {
            let latencies = vec![Duration::from_micros(1_000_000 / rate); *rate as usize];
            Reading::of(latencies, Duration::from_secs(1), &Spent::default())
        };
        rates.iter().map(reading).collect()
    }

    pub(super) fn case(bar: Bar) -> Case {
        Case {
            scenario: "one-event",
            case: "64 in flight".to_owned(),
            unit: "commands",
            server: "2.15.1".to_owned(),
            load_average: 0.5,
            contenders: Contender::all(&["headwater", "by hand"], vec![readings(&[900, 800]), readings(&[1000, 1000])]),
            bar: Some(bar),
            note: None,
        }
    }

    #[test]
    fn a_ratio_is_of_pairs_and_not_of_medians() {
        let ratio = case(Bar { throughput: None, p99: None, p50_micros: None }).contenders[1].ratio.unwrap();
        assert!((ratio.throughput - 0.85).abs() < 1e-9, "{ratio:?}");
        assert!((ratio.lowest - 0.8).abs() < 1e-9 && (ratio.highest - 0.9).abs() < 1e-9, "{ratio:?}");
    }

    #[test]
    fn every_part_of_a_bar_has_to_be_met() {
        let bar = Bar { throughput: Some(0.8), p99: Some(1.3), p50_micros: None };
        assert_eq!(case(bar).meets_bar(), Some(true));
        assert_eq!(case(Bar { throughput: Some(0.9), ..bar }).meets_bar(), Some(false));
        assert_eq!(case(Bar { p99: Some(1.1), ..bar }).meets_bar(), Some(false));
        assert_eq!(case(Bar { p50_micros: Some(500.0), ..bar }).meets_bar(), Some(false));
    }
}
