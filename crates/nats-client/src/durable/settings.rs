//! Settings of a durable reader.

use std::time::Duration;

use headwater_core::store::{EventFilter, StartFrom};
use headwater_core::{Aggregate, Name};
use headwater_nats::connect::Connection;
use headwater_nats::subject::Subjects;
use headwater_nats::telemetry::Telemetry;

use super::api::Api;
use super::consumer::Consumer;
use super::error::ReaderError;
use super::handler::Poison;
use super::{DurableReader, MINIMUM_SERVER};
use crate::RetryPolicy;

/// JetStream counts in nanoseconds and takes no less than this where it waits.
const SHORTEST: Duration = Duration::from_millis(100);

/// What the parts of a reader need to know.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) name: Name,
    pub(super) start: StartFrom,
    pub(super) max_in_flight: usize,
    pub(super) parallel: usize,
    pub(super) ack_wait: Duration,
    pub(super) retry: RetryPolicy,
    pub(super) poison: Poison,
    pub(super) confirmed: bool,
    pub(super) remembered: usize,
    pub(super) takeover: Duration,
    pub(super) open_timeout: Duration,
    pub(super) stop_timeout: Duration,
    pub(super) telemetry: Option<Telemetry>,
}

/// Collects what a [`DurableReader`] needs; [`build`](Self::build) checks it.
#[derive(Debug, Clone)]
#[must_use = "a reader comes out of `build`"]
pub struct DurableReaderBuilder {
    connection: Connection,
    service: Name,
    filter: EventFilter,
    kind_missing: Option<String>,
    settings: Settings,
}

impl DurableReaderBuilder {
    pub(super) fn new(connection: Connection, service: Name, name: Name) -> Self {
        let settings = Settings {
            name,
            start: StartFrom::Beginning,
            max_in_flight: 256,
            parallel: 16,
            ack_wait: Duration::from_secs(30),
            retry: RetryPolicy::default().attempts(20).longest_pause(Duration::from_secs(30)),
            poison: Poison::Halt,
            confirmed: false,
            remembered: 8192,
            takeover: Duration::from_secs(10),
            open_timeout: Duration::from_secs(10),
            stop_timeout: Duration::from_secs(20),
            telemetry: None,
        };
        Self { connection, service, filter: EventFilter::all(), kind_missing: None, settings }
    }

    /// Which events to read; the server picks them out. All of the service by default.
    ///
    /// When the durable exists already it is changed to this filter. Events before its position that only the new
    /// filter shows are not read any more.
    pub fn filter(self, filter: EventFilter) -> Self {
        Self { filter, ..self }
    }

    /// Only events of aggregates of type `A`, for [`run_typed`](DurableReader::run_typed). It narrows the filter.
    pub fn of<A: Aggregate>(mut self) -> Self {
        match Name::new(A::TYPE) {
            Ok(kind) => self.filter.kind = Some(kind),
            Err(error) => self.kind_missing = Some(error.to_string()),
        }
        self
    }

    /// Where to start when the durable does not exist yet; at the journal's first event by default. When it exists it
    /// goes on where it was.
    pub fn start(mut self, from: StartFrom) -> Self {
        self.settings.start = from;
        self
    }

    /// How many events may be in hand and not acknowledged; 256 by default. One aggregate whose events cannot be
    /// handled holds up the others when so many of its later events wait behind.
    pub fn max_in_flight(mut self, events: usize) -> Self {
        self.settings.max_in_flight = events;
        self
    }

    /// How many events are handled at the same time, each of another aggregate; 16 by default.
    pub fn parallel(mut self, handlers: usize) -> Self {
        self.settings.parallel = handlers;
        self
    }

    /// How long the server waits before it gives an event that it hears nothing of to a reader again; 30 seconds by
    /// default. Handlers may take longer: the server is told of the events in hand every half of it. It is how long
    /// the next reader waits for the events of one that died.
    pub fn ack_wait(mut self, ack_wait: Duration) -> Self {
        self.settings.ack_wait = ack_wait;
        self
    }

    /// How often and after which pauses an event is handled again whose handler fails. 20 times by default, after
    /// pauses from 100 ms to 30 seconds: about 5 minutes in all. Then [`poison`](Self::poison) decides.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.settings.retry = retry;
        self
    }

    /// What to do about an event that cannot be handled; the reader halts by default.
    pub fn poison(mut self, poison: Poison) -> Self {
        self.settings.poison = poison;
        self
    }

    /// Whether acknowledgements are confirmed by the server, and repeated until they are. Without it, the default, an
    /// acknowledgement may be lost with the connection, and its event comes again when the reader is started anew.
    pub fn confirmed_acks(mut self, confirmed: bool) -> Self {
        self.settings.confirmed = confirmed;
        self
    }

    /// How many handled events are remembered, so that they are recognised when they come again; 8192 by default.
    pub fn remember(mut self, events: usize) -> Self {
        self.settings.remembered = events;
        self
    }

    /// After how long without a sign of the reader at work another one of the same name takes over; 10 seconds by
    /// default. A reader that is stopped hands over at once.
    pub fn takeover_after(mut self, silence: Duration) -> Self {
        self.settings.takeover = silence;
        self
    }

    /// How long starting may take, until the journal is there and the connection is up; 10 seconds by default.
    pub fn open_timeout(mut self, limit: Duration) -> Self {
        self.settings.open_timeout = limit;
        self
    }

    /// How long a reader that is stopped waits for handlers at work; 20 seconds by default. Then they are aborted, and
    /// their events are shown to the next reader.
    pub fn stop_timeout(mut self, limit: Duration) -> Self {
        self.settings.stop_timeout = limit;
        self
    }

    /// Records traces and metrics for OpenTelemetry: each event in its handler, with a link to the span that appended it or as
    /// its [child](crate::ReaderSpans::Child). What the handler calls goes on with that trace. Off by default.
    pub fn telemetry(mut self, telemetry: Telemetry) -> Self {
        self.settings.telemetry = Some(telemetry);
        self
    }

    /// The reader, checked.
    ///
    /// # Errors
    /// [`ReaderError::Setting`] that names every setting that makes no sense; [`ReaderError::Refused`] when the server
    /// is too old.
    pub fn build(self) -> Result<DurableReader, ReaderError> {
        let mut problems = self.problems();
        let subjects = Subjects::new(self.service);
        let api = Api::new(self.connection.clone());
        let consumer = Consumer::new(api, &subjects, &self.settings, &self.filter);
        if consumer.is_none() {
            problems.push("filter shows nothing: its aggregate is of another type".to_owned());
        }
        match consumer {
            Some(consumer) if problems.is_empty() => {
                // Without a connection yet, opening waits for one.
                if self.connection.server_info().is_some() {
                    let enough = self.connection.require_version(MINIMUM_SERVER);
                    enough.map_err(|error| ReaderError::Refused(error.to_string()))?;
                }
                Ok(DurableReader { consumer, subjects, settings: self.settings })
            }
            _ => Err(ReaderError::Setting(problems.join("; "))),
        }
    }

    fn problems(&self) -> Vec<String> {
        let Settings { max_in_flight, parallel, ack_wait, takeover, open_timeout, stop_timeout, .. } = &self.settings;
        let mut problems: Vec<String> =
            self.kind_missing.iter().chain(&self.settings.retry.problem()).cloned().collect();
        for (name, value) in [("max_in_flight", max_in_flight), ("parallel", parallel)] {
            if !(1..=65_536).contains(value) {
                problems.push(format!("{name} is {value}, and must be 1 to 65536"));
            }
        }
        for (name, value) in [("ack_wait", ack_wait), ("takeover_after", takeover)] {
            if *value < SHORTEST {
                problems.push(format!("{name} is {value:?}, and must be at least {SHORTEST:?}"));
            }
        }
        for (name, value) in [("open_timeout", open_timeout), ("stop_timeout", stop_timeout)] {
            if value.is_zero() {
                problems.push(format!("{name} is zero; nothing could be done in it"));
            }
        }
        problems
    }
}
