//! Numbers of layers, told when somebody collects.

use std::sync::{Arc, Weak};

use headwater_nats::telemetry::opentelemetry::KeyValue;
use headwater_nats::telemetry::opentelemetry::metrics::{AsyncInstrument, Meter};
use headwater_nats::telemetry::{Recorder, Telemetry, names};

/// Numbers, each with what it is labelled with besides the service.
pub(super) type Numbers = Vec<(u64, Vec<KeyValue>)>;

/// Makes instruments that read the numbers of a layer for as long as it lives.
pub(super) struct Observing<T> {
    recorder: Recorder,
    service: KeyValue,
    layer: Weak<T>,
}

/// A name, its unit and what it means.
pub(super) type Named = (&'static str, &'static str, &'static str);

impl<T: Send + Sync + 'static> Observing<T> {
    pub(super) fn new(telemetry: &Telemetry, service: &str, layer: &Arc<T>) -> Self {
        let service = KeyValue::new(names::SERVICE, service.to_owned());
        Self { recorder: telemetry.recorder(), service, layer: Arc::downgrade(layer) }
    }

    fn meter(&self) -> Option<&Meter> {
        self.recorder.meter()
    }

    fn callback(&self, read: fn(&T) -> Numbers) -> impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + use<T> {
        let (service, layer) = (self.service.clone(), Weak::clone(&self.layer));
        move |instrument| {
            for (number, labels) in layer.upgrade().iter().flat_map(|layer| read(layer)) {
                let labels: Vec<_> = [service.clone()].into_iter().chain(labels).collect();
                instrument.observe(number, &labels);
            }
        }
    }

    pub(super) fn counter(&self, (name, unit, description): Named, read: fn(&T) -> Numbers) {
        let Some(meter) = self.meter() else { return };
        let counter = meter.u64_observable_counter(name).with_unit(unit).with_description(description);
        // Instruments that observe live as long as their meter, not as this handle.
        let _instrument = counter.with_callback(self.callback(read)).build();
    }

    pub(super) fn gauge(&self, (name, unit, description): Named, read: fn(&T) -> Numbers) {
        let Some(meter) = self.meter() else { return };
        let gauge = meter.u64_observable_gauge(name).with_unit(unit).with_description(description);
        let _instrument = gauge.with_callback(self.callback(read)).build();
    }
}
