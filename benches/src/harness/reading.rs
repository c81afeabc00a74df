//! What one run came to, and what several runs come to.

use std::time::Duration;

use serde::Serialize;

use super::meter::Spent;

/// What one run came to. Times are in microseconds; processor times are for one operation.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reading {
    /// Calls answered in the measured time, or events read.
    pub(crate) operations: u64,
    pub(crate) seconds: f64,
    pub(crate) per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) longest: f64,
    /// The first of all, where that is the point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first: Option<f64>,
    /// The 99th percentile of one kind of call, where that is told by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) singled_out_p99: Option<f64>,
    /// Of the program under test.
    pub(crate) program_cpu: f64,
    /// Of nats-server, all of them together.
    pub(crate) server_cpu: f64,
    /// Of the callers, in this process.
    pub(crate) callers_cpu: f64,
    /// How busy the rest of the machine was with other things, in percent of one core.
    pub(crate) others_percent: f64,
}

impl Reading {
    /// From the time each operation took.
    pub(crate) fn of(mut latencies: Vec<Duration>, elapsed: Duration, spent: &Spent) -> Self {
        latencies.sort_unstable();
        let mut reading = Self::without_latencies(latencies.len() as u64, elapsed, spent);
        reading.p50 = micros(percentile(&latencies, 0.50));
        reading.p99 = micros(percentile(&latencies, 0.99));
        reading.longest = micros(latencies.last().copied().unwrap_or_default());
        reading
    }

    /// With the times of one kind of call told by themselves, if there are any.
    pub(crate) fn singled_out(mut self, mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        self.singled_out_p99 = (!latencies.is_empty()).then(|| micros(percentile(&latencies, 0.99)));
        self
    }

    /// Where only the whole was timed.
    pub(crate) fn without_latencies(operations: u64, elapsed: Duration, spent: &Spent) -> Self {
        let seconds = elapsed.as_secs_f64();
        let each = |time: Duration| micros(time) / (operations.max(1) as f64);
        Self {
            operations,
            seconds,
            per_second: operations as f64 / seconds,
            p50: 0.0,
            p99: 0.0,
            longest: 0.0,
            first: None,
            singled_out_p99: None,
            program_cpu: each(spent.programs),
            server_cpu: each(spent.servers),
            callers_cpu: each(spent.callers),
            others_percent: 100.0 * spent.others.as_secs_f64() / seconds,
        }
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The nearest rank in sorted times; nothing for none.
fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The middle value, or the mean of the two in the middle; nothing for none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_micros).collect();
        assert_eq!(percentile(&times, 0.50), Duration::from_micros(50));
        assert_eq!(percentile(&times, 0.99), Duration::from_micros(99));
        assert_eq!(percentile(&times[..1], 0.99), Duration::from_micros(1));
        assert_eq!(percentile(&[], 0.99), Duration::ZERO);
    }

    #[test]
    fn a_median_of_pairs_is_not_moved_by_one_bad_run() {
        assert_eq!(median([1.0, 9000.0, 1.1]), 1.1);
        assert_eq!(median([1.0, 2.0]), 1.5);
        assert_eq!(median([]), 0.0);
    }

    #[test]
    fn processor_time_is_told_for_one_operation() {
        let spent =
            Spent { programs: Duration::from_millis(20), others: Duration::from_millis(500), ..Spent::default() };
        let reading = Reading::of(vec![Duration::from_micros(100); 1000], Duration::from_secs(1), &spent);
        assert_eq!((reading.per_second, reading.program_cpu, reading.others_percent), (1000.0, 20.0, 50.0));
    }
}
