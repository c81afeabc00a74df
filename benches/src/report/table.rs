//! The table: one row for each program of each comparison.

use super::{Case, Contender, Report};

const HEADINGS: [&str; 12] = [
    "scenario",
    "case",
    "program",
    "per s",
    "p50 µs",
    "p99 µs",
    "cpu µs",
    "server µs",
    "ratio",
    "(range)",
    "p99 ×",
    "others %",
];

/// What the columns mean, and the machine.
pub(super) fn of(report: &Report) -> String {
    let machine = &report.machine;
    let mut text = format!(
        "\n{} · {} cores · Linux {} · {} · {} pairs of {} s · called by {}\n",
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.file_system,
        report.pairs,
        report.measured_seconds,
        report.caller,
    );
    if !machine.optimised {
        text.push_str("NOT OPTIMISED: built without --release; these figures say nothing.\n");
    }
    if !report.cases.is_empty() {
        text.push('\n');
        text.push_str(&rows(&report.cases));
        text.push_str(LEGEND);
    }
    for refused in &report.refused {
        text.push_str(&format!("NOT REPORTED: {refused}\n"));
    }
    text
}

const LEGEND: &str = "
per s, p50, p99, cpu, server: medians of the runs. cpu and server: processor time for one operation, of the program under
test and of nats-server. ratio: headwater's throughput over this program's, median of the pairs, with the range of the pairs;
p99 ×: the same for the 99th percentile. others: how busy the machine was with other work, in percent of one core, at
the most in any run; above 10 the figures are doubtful.
";

fn rows(cases: &[Case]) -> String {
    let mut rows: Vec<Vec<String>> = vec![HEADINGS.map(str::to_owned).to_vec()];
    let mut notes = Vec::new();
    for case in cases {
        for (place, contender) in case.contenders.iter().enumerate() {
            rows.push(row(case, contender, place == 0));
        }
        if let Some(verdict) = verdict(case) {
            notes.push(verdict);
        }
        if let Some(note) = &case.note {
            notes.push(format!("{} {}: {note}", case.scenario, case.case));
        }
    }
    let mut text = aligned(&rows);
    if !notes.is_empty() {
        text.push('\n');
        notes.iter().for_each(|note| text.push_str(&format!("{note}\n")));
    }
    text
}

fn row(case: &Case, contender: &Contender, first: bool) -> Vec<String> {
    let figure = |value: f64| if value == 0.0 { "–".to_owned() } else { number(value) };
    let most = |figure: fn(&crate::harness::reading::Reading) -> f64| {
        contender.readings.iter().map(figure).fold(0.0, f64::max)
    };
    let ratio = |show: fn(&super::Ratio) -> String| contender.ratio.as_ref().map_or_else(String::new, show);
    vec![
        if first { case.scenario.to_owned() } else { String::new() },
        if first { case.case.clone() } else { String::new() },
        contender.name.to_owned(),
        figure(contender.median(|reading| reading.per_second)),
        figure(contender.median(|reading| reading.p50)),
        figure(contender.median(|reading| reading.p99)),
        figure(contender.median(|reading| reading.program_cpu)),
        figure(contender.median(|reading| reading.server_cpu)),
        ratio(|ratio| times(ratio.throughput)),
        ratio(|ratio| format!("{}–{}", times(ratio.lowest), times(ratio.highest))),
        ratio(|ratio| times(ratio.p99)),
        format!("{:.0}", most(|reading| reading.others_percent)),
    ]
}

/// How many times as much; nothing to say where a run came to nothing within its time.
fn times(ratio: f64) -> String {
    if ratio.is_finite() { format!("{ratio:.2}") } else { "–".to_owned() }
}

/// Whether the bar is met, in words.
fn verdict(case: &Case) -> Option<String> {
    let (bar, met) = (case.bar?, case.meets_bar()?);
    let asked = [
        bar.throughput.map(|least| format!("ratio at least {least}")),
        bar.p99.map(|most| format!("p99 at most {most} times")),
        bar.p50_micros.map(|most| format!("p50 at most {} µs", number(most))),
    ];
    let asked: Vec<String> = asked.into_iter().flatten().collect();
    let outcome = if met { "met" } else { "MISSED" };
    Some(format!("bar {outcome}: {} {}: {}", case.scenario, case.case, asked.join(", ")))
}

/// Three significant digits and thin spaces between thousands.
fn number(value: f64) -> String {
    if value < 10.0 {
        return format!("{value:.2}");
    }
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// Columns under each other: the first three to the left, figures to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0..=2 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::{Bar, tests::case};
    use super::*;

    #[test]
    fn numbers_are_short_and_readable() {
        let shown = [0.256, 9.99, 42.42, 123.4, 1234.5, 1_234_567.0].map(number);
        assert_eq!(shown, ["0.26", "9.99", "42.4", "123", "1 234", "1 234 567"]);
    }

    #[test]
    fn a_missed_bar_is_said_in_words() {
        let bar = Bar { throughput: Some(0.9), p99: Some(1.3), p50_micros: None };
        let text = rows(&[case(bar)]);
        assert!(
            text.contains("bar MISSED: one-event 64 in flight: ratio at least 0.9, p99 at most 1.3 times"),
            "{text}"
        );
        assert!(text.contains("0.80–0.90"), "{text}");
    }
}
