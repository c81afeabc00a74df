//! Durable subscriptions: a service's events from the journal, each handled at least once and in order.
//!
//! A [`DurableReader`] has a name, under which the server remembers how far it is. Started again, after a crash or on
//! another machine, it goes on where it was:
//!
//! ```no_run
//! use headwater_core::store::EventFilter;
//! use headwater_core::{Name, RecordedEvent};
//! use headwater_nats::connect::{Connection, NatsConfig};
//! use headwater_nats_client::durable::{Delivery, DurableReader};
//!
//! # async fn send_mail(_: &RecordedEvent) -> std::io::Result<()> { Ok(()) }
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let connection = Connection::connect(&NatsConfig::new("nats://localhost:4222")).await?;
//! let finalized = EventFilter::all().kind(Name::new("receipt")?).event(Name::new("receipt-finalized")?);
//! let reader = DurableReader::builder(connection, Name::new("receipts")?, Name::new("mailer")?)
//!     .filter(finalized)
//!     .build()?
//!     .run(|delivery: Delivery<RecordedEvent>| async move { send_mail(&delivery.event).await })
//!     .await?;
//! println!("{} events behind", reader.lag().await?.total());
//! reader.stop().await?;
//! # Ok(())
//! # }
//! ```
//!
//! What a durable reader promises:
//!
//! - Every event of the filter is handled **at least once**: an event is acknowledged after its handler returned
//!   `Ok`, and never otherwise. One that comes again although it was handled lately is recognised by aggregate and
//!   revision. A handler that must have its effect once writes both down together: the effect, and that revision.
//! - The events of one aggregate are handled **in order**, one after the other, over failures, lost connections,
//!   restarts of the server and readers that die: later ones wait for one that has to be tried again. Different
//!   aggregates go in parallel.
//! - Of several readers with one name, one is at work and the others stand by; see
//!   [`takeover_after`](DurableReaderBuilder::takeover_after). One that was cut off for longer than the time to
//!   acknowledge may still finish what it had begun while the next one handles the same event.
//! - An event that cannot be handled does not vanish: [`Poison`] says what becomes of it.
//! - A message that is no event of the protocol ends the reader, after all events before it, with
//!   [`ReaderError::HistoryBroken`]. So does a journal that has lost its end, with [`ReaderError::JournalLost`].
//! - A durable that somebody deletes under a reader at work is made anew where the reader was. One that is deleted
//!   while no reader is at work starts as if it had never been.
//!
//! Without a durable, [`follow`](crate::NatsClient::follow) reads on from any place that the caller remembers.

mod api;
mod backoff;
mod closing;
mod consumer;
mod desk;
mod error;
mod follow;
mod gate;
mod handler;
mod journal;
mod line;
mod memory;
mod opening;
mod outcome;
mod place;
mod reader;
mod running;
mod settings;
mod stats;
mod telemetry;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use headwater_core::client::TypedEvent;
use headwater_core::{Event, Name, RecordedEvent};
use headwater_nats::connect::Connection;
use headwater_nats::subject::Subjects;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub use error::ReaderError;
pub use follow::{Follow, Following, TypedFollowing};
pub use handler::{DeadLetter, DeadLetterKeeper, Delivery, Poison, Verdict};
pub use running::RunningReader;
pub use settings::DurableReaderBuilder;
pub use stats::{Lag, ReaderState, ReaderStats};

use consumer::Consumer;
use error::BoxError;
use handler::Handler;
use opening::{Known, open};
use reader::Reader;
use settings::Settings;
use stats::Counters;

/// The oldest server a reader works with, as major, minor and patch version: the one the journal needs.
const MINIMUM_SERVER: (u64, u64, u64) = (2, 12, 1);

/// A reader of a service's events that remembers how far it is. See the [module](self) for what it promises.
#[derive(Debug, Clone)]
#[must_use = "a reader reads when it is run"]
pub struct DurableReader {
    consumer: Consumer,
    subjects: Subjects,
    settings: Settings,
}

impl DurableReader {
    /// A reader called `name` of the events of `service`. The name is the durable's: readers with different names have
    /// nothing to do with each other.
    pub fn builder(connection: Connection, service: Name, name: Name) -> DurableReaderBuilder {
        DurableReaderBuilder::new(connection, service, name)
    }

    /// Starts to read, and returns when the reader is ready. Each event is handed to `handle`, which says
    /// [`Verdict::Ack`] or `()` when it is handled; an error, and a panic, is tried again as the retry policy says.
    ///
    /// `handle` is called from tasks of its own, for one event of an aggregate at a time.
    ///
    /// # Errors
    /// See [`ReaderError`]: the journal is not there, the durable is somebody else's, the user lacks a right, or the
    /// server cannot be reached in time.
    pub async fn run<H, F, V, X>(self, handle: H) -> Result<RunningReader, ReaderError>
    where
        H: Fn(Delivery<RecordedEvent>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<V, X>> + Send + 'static,
        V: Into<Verdict>,
        X: Into<BoxError>,
    {
        self.start(handler::untyped(handle)).await
    }

    /// [`run`](Self::run) with the events read as events of type `E`, older schema versions brought up to date. An
    /// event that this program does not know is handed over too, with an error in its place: see
    /// [`TypedEvent::decoded`].
    ///
    /// Narrow the reader to the aggregate type with [`of`](DurableReaderBuilder::of).
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    pub async fn run_typed<E, H, F, V, X>(self, handle: H) -> Result<RunningReader, ReaderError>
    where
        E: Event,
        H: Fn(Delivery<TypedEvent<E>>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<V, X>> + Send + 'static,
        V: Into<Verdict>,
        X: Into<BoxError>,
    {
        self.start(handler::typed(handle)).await
    }

    async fn start(self, handler: Handler) -> Result<RunningReader, ReaderError> {
        let Self { consumer, subjects, settings } = self;
        let limit = Some(settings.open_timeout);
        let opened = open(consumer.clone(), settings.clone(), Known::default(), limit, Duration::ZERO).await?;
        let counters = Arc::new(Counters::default());
        let reader = Reader::new(consumer.clone(), subjects, settings, handler, Arc::clone(&counters));
        let stop = CancellationToken::new();
        let task = AbortOnDropHandle::new(tokio::spawn(reader.run(opened, stop.clone())));
        Ok(RunningReader { consumer, counters, stop, task })
    }
}
