//! What rate limits and circuits have decided, told when somebody collects.

use headwater_nats::telemetry::names;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use super::observables::Told;
use crate::circuit_breaker::CircuitStats;
use crate::instance::Instance;

/// Makes the instruments of the features that are on.
pub(super) fn observe(meter: &Meter, instance: &Instance, told: impl Fn() -> Told) {
    if instance.rate_limiter.is_some() {
        rate_limits(meter, told());
    }
    if instance.circuits.is_some() {
        circuits(meter, told);
    }
}

fn rate_limits(meter: &Meter, told: Told) {
    let callback = move |instrument: &dyn AsyncInstrument<u64>| {
        let Some(instance) = told.instance() else { return };
        let Some(stats) = instance.rate_limiter.as_ref().map(|limiter| limiter.stats()) else { return };
        let outcome = |outcome: &'static str| KeyValue::new(names::OUTCOME, outcome);
        instrument.observe(stats.allowed, &told.labels(&[outcome("allowed")]));
        for (limit, number) in stats.refused.by_limit() {
            instrument.observe(number, &told.labels(&[outcome("refused"), KeyValue::new(names::LIMIT, limit)]));
        }
    };
    let counter = meter.u64_observable_counter(names::RATE_LIMIT_DECISIONS).with_unit("{request}");
    let description = "Requests that the rate limits let through, and refused, by limit";
    let _instrument = counter.with_description(description).with_callback(callback).build();
}

fn circuits(meter: &Meter, told: impl Fn() -> Told) {
    let counter = meter.u64_observable_counter(names::CIRCUIT_CALLS).with_unit("{call}");
    let description = "Calls through a circuit, and what it refused, by how they went";
    let outcomes = |stats: &CircuitStats| {
        let CircuitStats { good, slow, failed, given_up, refused, .. } = *stats;
        let outcomes =
            [("good", good), ("slow", slow), ("failed", failed), ("given-up", given_up), ("refused", refused)];
        outcomes.map(|(outcome, number)| (number, Some(outcome))).to_vec()
    };
    let _instrument = counter.with_description(description).with_callback(each(told(), outcomes)).build();

    let counter = meter.u64_observable_counter(names::CIRCUIT_OPENED).with_unit("{time}");
    let opened = each(told(), |stats| vec![(stats.opened, None)]);
    let _instrument = counter.with_description("How often a circuit has opened").with_callback(opened).build();

    let gauge = meter.u64_observable_gauge(names::CIRCUIT_STATE);
    let description = "How a circuit is: 0 closed, 1 half-open, 2 open";
    let state = each(told(), |stats| vec![(stats.state.number(), None)]);
    let _instrument = gauge.with_description(description).with_callback(state).build();
}

/// Numbers, with the outcome they belong to.
type Numbers = Vec<(u64, Option<&'static str>)>;

/// Tells numbers of each circuit.
fn each(told: Told, read: fn(&CircuitStats) -> Numbers) -> impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync {
    move |instrument| {
        let Some(instance) = told.instance() else { return };
        for (circuit, stats) in instance.circuits.iter().flat_map(|circuits| circuits.stats()) {
            let circuit = KeyValue::new(names::CIRCUIT, circuit);
            for (number, outcome) in read(&stats) {
                let outcome = outcome.map(|outcome| KeyValue::new(names::OUTCOME, outcome));
                let labels: Vec<_> = [circuit.clone()].into_iter().chain(outcome).collect();
                instrument.observe(number, &told.labels(&labels));
            }
        }
    }
}
