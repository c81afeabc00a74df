//! Numbers that are counted anyhow, told when somebody collects: they cost a call nothing.

use std::sync::{Arc, Weak};

use headwater_core::FailureCode;
use headwater_core::dispatch::DispatchStats;
use headwater_nats::telemetry::names;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use super::{ServiceTelemetry, decisions};
use crate::circuit_breaker::Circuits;
use crate::instance::Instance;

/// Tells what the instance counts, for as long as it lives.
pub(super) struct Told {
    instance: Weak<Instance>,
    service: KeyValue,
}

impl ServiceTelemetry {
    /// Makes the instruments that read the instance's numbers.
    pub(crate) fn observe(&self, instance: &Arc<Instance>) {
        let Some(meter) = self.recorder.meter() else { return };
        let service = KeyValue::new(names::SERVICE, self.service().to_string());
        let told = || Told { instance: Arc::downgrade(instance), service: service.clone() };
        in_flight(meter, told());
        cache(meter, told);
        turned_away(meter, told());
        decisions::observe(meter, instance, told);
        let sent = [
            KeyValue::new(names::MESSAGING_SYSTEM, self.messaging_system()),
            KeyValue::new(names::MESSAGING_OPERATION_NAME, "publish"),
            KeyValue::new(names::MESSAGING_DESTINATION_NAME, self.subjects.journal_stream()),
        ];
        counter(meter, names::SENT_MESSAGES, "{message}", "Events appended", told(), move |stats, tell| {
            tell(stats.events_appended, &sent);
        });
        counter(meter, names::SNAPSHOTS, "{snapshot}", "Snapshots, by what became of them", told(), |stats, tell| {
            for (outcome, number) in [
                ("used", stats.snapshots_used),
                ("written", stats.snapshots_written),
                ("skipped", stats.snapshots_skipped),
                ("failed", stats.snapshots_failed),
            ] {
                tell(number, &[KeyValue::new(names::OUTCOME, outcome)]);
            }
        });
        let description = "What happened to commands besides being carried out";
        counter(meter, names::COMMAND_INCIDENTS, "{incident}", description, told(), |stats, tell| {
            for (outcome, number) in [
                ("conflict", stats.conflicts),
                ("replay", stats.replays),
                ("outcome-unknown", stats.unknown_outcomes),
                ("panic", stats.panics),
            ] {
                tell(number, &[KeyValue::new(names::OUTCOME, outcome)]);
            }
        });
    }
}

impl Told {
    pub(super) fn instance(&self) -> Option<Arc<Instance>> {
        self.instance.upgrade()
    }

    fn stats(&self) -> Option<DispatchStats> {
        Some(self.instance()?.dispatcher.stats())
    }

    pub(super) fn labels(&self, more: &[KeyValue]) -> Vec<KeyValue> {
        [&self.service].into_iter().chain(more).cloned().collect()
    }
}

/// A counter that is read from the dispatcher's numbers.
fn counter(
    meter: &Meter,
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    told: Told,
    read: impl Fn(&DispatchStats, &mut dyn FnMut(u64, &[KeyValue])) + Send + Sync + 'static,
) {
    let callback = move |instrument: &dyn AsyncInstrument<u64>| {
        if let Some(stats) = told.stats() {
            read(&stats, &mut |number, labels| instrument.observe(number, &told.labels(labels)));
        }
    };
    let counter = meter.u64_observable_counter(name).with_unit(unit).with_description(description);
    // Instruments that observe live as long as their meter, not as this handle.
    let _instrument = counter.with_callback(callback).build();
}

fn in_flight(meter: &Meter, told: Told) {
    let callback = move |instrument: &dyn AsyncInstrument<i64>| {
        let Some(instance) = told.instance.upgrade() else { return };
        for endpoint in instance.endpoints.iter() {
            let under_way = i64::try_from(endpoint.counters.in_flight.get()).unwrap_or(i64::MAX);
            let method = KeyValue::new(names::RPC_METHOD, endpoint.method.name().to_owned());
            instrument.observe(under_way, &told.labels(&[method]));
        }
    };
    let gauge = meter.i64_observable_up_down_counter(names::IN_FLIGHT).with_unit("{request}");
    let _instrument = gauge.with_description("Requests under way").with_callback(callback).build();
}

fn cache(meter: &Meter, told: impl Fn() -> Told) {
    let description = "Look-ups of aggregates in memory";
    counter(meter, names::CACHE_LOOKUPS, "{lookup}", description, told(), |stats, tell| {
        for (result, number) in [("hit", stats.cache_hits), ("miss", stats.cache_misses)] {
            tell(number, &[KeyValue::new(names::CACHE_RESULT, result)]);
        }
    });
    let gauge = |name: &'static str, unit: &'static str, description: &'static str, read: fn(&DispatchStats) -> u64| {
        let told = told();
        let callback = move |instrument: &dyn AsyncInstrument<i64>| {
            if let Some(stats) = told.stats() {
                instrument.observe(i64::try_from(read(&stats)).unwrap_or(i64::MAX), &told.labels(&[]));
            }
        };
        let gauge = meter.i64_observable_up_down_counter(name).with_unit(unit).with_description(description);
        let _instrument = gauge.with_callback(callback).build();
    };
    gauge(names::CACHE_AGGREGATES, "{aggregate}", "Aggregates in memory", |stats| stats.cached_aggregates);
    gauge(names::CACHE_SIZE, "By", "The estimated size of the aggregates in memory", |stats| stats.cached_bytes);
}

fn turned_away(meter: &Meter, told: Told) {
    let callback = move |instrument: &dyn AsyncInstrument<u64>| {
        let Some(instance) = told.instance.upgrade() else { return };
        for (stage, number) in instance.turned_away() {
            instrument.observe(number, &told.labels(&[KeyValue::new(names::STAGE, stage)]));
        }
    };
    let counter = meter.u64_observable_counter(names::TURNED_AWAY).with_unit("{request}");
    let description = "Requests that a stage of the edge turned away";
    let _instrument = counter.with_description(description).with_callback(callback).build();
}

impl Instance {
    /// How many requests each stage of the edge has turned away, for stages that count them. A feature that decides about
    /// requests adds its numbers here.
    fn turned_away(&self) -> Vec<(&'static str, u64)> {
        let all = |code: FailureCode| {
            self.endpoints.iter().map(|endpoint| endpoint.counters.answered_with(&code)).sum::<u64>()
        };
        let shed: u64 = self.endpoints.iter().map(|endpoint| endpoint.counters.shed()).sum();
        let limited = all(FailureCode::RateLimited);
        vec![
            ("auth", all(FailureCode::Unauthenticated) + all(FailureCode::Forbidden)),
            ("rate-limit", limited),
            ("circuit-breaker", self.circuits.as_ref().map_or(0, Circuits::turned_away)),
            ("admission", shed.saturating_sub(limited)),
        ]
    }
}
