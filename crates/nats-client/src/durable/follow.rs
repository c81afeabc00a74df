//! Following the journal without a durable: from a place the caller knows, in order, and on as events are stored.
//!
//! Behind it stands an ordered consumer: one that nobody acknowledges to, whose deliveries are counted. When one is
//! missing, the connection drops, the server restarts or the client is replaced, a new consumer goes on right after
//! the last event that was shown.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use headwater_core::client::{EventDecoder, TypedEvent};
use headwater_core::store::{EventFilter, StartFrom};
use headwater_core::{AggregateId, Event, RecordedEvent, Revision};
use headwater_nats::subject::Subjects;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::debug;
use uuid::Uuid;

use super::api::{Api, Trouble, nanoseconds};
use super::backoff::Backoff;
use super::error::ReaderError;
use super::journal::{self, Start};
use super::line::{Arrival, Arrived, Line, LineSettings};
use super::opening::{persist, server};
use crate::NatsClient;

/// Messages asked for at once.
const BATCH: u64 = 500;

/// How long the server keeps a request for messages.
const EXPIRES: Duration = Duration::from_secs(30);

/// How long a consumer outlives its last request, when nobody deletes it.
const ABANDONED_AFTER: Duration = Duration::from_secs(120);

/// Starts to follow the journal when awaited.
#[derive(Debug, Clone)]
#[must_use = "nothing is followed until it is awaited"]
pub struct Follow {
    api: Api,
    subjects: Subjects,
    within: Duration,
    filter: EventFilter,
    from: StartFrom,
    /// Events of the one aggregate up to here are not shown.
    after_revision: Revision,
    until_now: bool,
}

/// Events of the journal, in order. It ends after its first error; lost connections are none. Dropping it stops the
/// reading.
#[must_use = "events are read when it is polled"]
pub struct Following {
    events: BoxStream<'static, Result<RecordedEvent, ReaderError>>,
}

/// [`Following`] with the events read as events of type `E`.
#[must_use = "events are read when it is polled"]
pub struct TypedFollowing<E> {
    events: Following,
    decoder: EventDecoder<E>,
    event: PhantomData<fn() -> E>,
}

impl NatsClient {
    /// The service's events from the journal, from any place on: every one of them, in the order of the journal. The
    /// server does not remember how far the reading is; the caller does, by the
    /// [sequence](RecordedEvent::sequence) of the last event it has dealt with.
    ///
    /// ```no_run
    /// use futures_util::StreamExt;
    /// use headwater_core::{AggregateId, Revision};
    /// use headwater_nats::connect::NatsConfig;
    /// use headwater_nats_client::NatsClient;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = NatsClient::connect(&NatsConfig::new("nats://localhost:4222"), "receipts").await?;
    /// let order = AggregateId::new("receipt", "order-1")?;
    /// let mut events = client.follow().after_revision(order, Revision::new(3)).await?;
    /// while let Some(event) = events.next().await {
    ///     println!("{}", event?.event.name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn follow(&self) -> Follow {
        Follow {
            api: Api::new(self.connection().clone()),
            subjects: self.inner.subjects.clone(),
            within: self.inner.timeout,
            filter: EventFilter::all(),
            from: StartFrom::Beginning,
            after_revision: Revision::ZERO,
            until_now: false,
        }
    }
}

impl Follow {
    /// Which events to show; the server picks them out. All of the service by default.
    pub fn filter(self, filter: EventFilter) -> Self {
        Self { filter, ..self }
    }

    /// Where to start; at the journal's first event by default.
    pub fn start(self, from: StartFrom) -> Self {
        Self { from, ..self }
    }

    /// Only events of one aggregate, those after this revision.
    pub fn after_revision(self, aggregate: AggregateId, revision: Revision) -> Self {
        let filter = self.filter.aggregate(aggregate);
        Self { filter, from: StartFrom::Beginning, after_revision: revision, ..self }
    }

    /// Ends after the last of the events that are there when the following begins, instead of waiting for more.
    pub fn until_now(self) -> Self {
        Self { until_now: true, ..self }
    }

    async fn begin(self) -> Result<Following, ReaderError> {
        let Some(filters) = self.subjects.journal_filters(&self.filter) else {
            let nothing = if self.until_now { stream::empty().boxed() } else { stream::pending().boxed() };
            return Ok(Following { events: nothing });
        };
        let mut reading = Reading {
            stream: self.subjects.journal_stream(),
            whole: self.filter.aggregate.is_some() && self.filter.events.is_empty(),
            next: (self.from == StartFrom::Beginning).then_some(Revision::new(1)),
            position: self.from.into(),
            api: self.api,
            subjects: self.subjects,
            filters,
            after_revision: self.after_revision,
            created: None,
            ordered: None,
            left: None,
            reopen: Backoff::new(Duration::from_millis(10), Duration::from_secs(2)),
        };
        // Opened here, so that what is wrong with the filter or the rights shows at once.
        let there = reading.open(Some(self.within)).await?;
        reading.left = self.until_now.then_some(there);
        let events = stream::unfold(Some(reading), |reading| async {
            let mut reading = reading?;
            match reading.next().await.transpose()? {
                Ok(event) => Some((Ok(event), Some(reading))),
                // The first error is the last item.
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(Following { events: events.boxed() })
    }
}

impl IntoFuture for Follow {
    type Output = Result<Following, ReaderError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.begin().boxed()
    }
}

impl Following {
    /// The same events, read as events of type `E`; narrow the filter to the aggregate type. An event that this program
    /// does not know is shown too, with an error in its place: see [`TypedEvent::decoded`].
    pub fn typed<E: Event>(self) -> TypedFollowing<E> {
        TypedFollowing { events: self, decoder: EventDecoder::new(), event: PhantomData }
    }
}

impl Stream for Following {
    type Item = Result<RecordedEvent, ReaderError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_next_unpin(context)
    }
}

impl<E: Event> Stream for TypedFollowing<E> {
    type Item = Result<TypedEvent<E>, ReaderError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.events.poll_next_unpin(context);
        next.map(|event| event.map(|event| event.map(|event| self.decoder.decode(event))))
    }
}

impl std::fmt::Debug for Following {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Following").finish_non_exhaustive()
    }
}

impl<E> std::fmt::Debug for TypedFollowing<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TypedFollowing").finish_non_exhaustive()
    }
}

/// A following at work.
struct Reading {
    api: Api,
    subjects: Subjects,
    stream: String,
    filters: Vec<String>,
    position: Start,
    /// When the journal's stream was created.
    created: Option<String>,
    after_revision: Revision,
    /// Whether every event of one aggregate is to come.
    whole: bool,
    /// The revision that has to come next then, when that is known.
    next: Option<Revision>,
    ordered: Option<Ordered>,
    /// How many messages are still to come, where it is to end with the last that was there.
    left: Option<u64>,
    reopen: Backoff,
}

/// A line to a consumer that only counts.
struct Ordered {
    line: Line,
    delete_subject: String,
    /// Deliveries so far.
    delivered: u64,
}

impl Drop for Ordered {
    fn drop(&mut self) {
        // Only if there is room in the client's queue; otherwise the server forgets the consumer by itself.
        self.line.send_at_once(std::mem::take(&mut self.delete_subject));
    }
}

impl Reading {
    /// The next event; none after the last, where there is one. An error is final.
    async fn next(&mut self) -> Result<Option<RecordedEvent>, ReaderError> {
        loop {
            if self.left == Some(0) {
                return Ok(None);
            }
            let Some(ordered) = &mut self.ordered else {
                tokio::time::sleep(self.reopen.next_pause()).await;
                self.open(None).await?;
                continue;
            };
            let why = match ordered.line.next().await {
                Arrival::Message(arrived) if arrived.place.delivery == ordered.delivered + 1 => {
                    ordered.delivered += 1;
                    self.reopen.reset();
                    self.left = self.left.map(|left| left - 1);
                    match self.show(&arrived)? {
                        Some(event) => return Ok(Some(event)),
                        None => continue,
                    }
                }
                Arrival::Message(_) => "a message was missed",
                Arrival::Broken(why) => why,
                Arrival::Forbidden(subject) => {
                    let message = format!("the NATS user has no right to {subject}, which following needs");
                    return Err(ReaderError::Refused(message));
                }
                Arrival::Confirmed(_) | Arrival::Unpinned | Arrival::Over => "the consumer has come to its end",
            };
            debug!(stream = self.stream, why, "following goes on over another consumer where it was");
            self.ordered = None;
        }
    }

    /// The event that was delivered, if it is to be shown.
    fn show(&mut self, arrived: &Arrived) -> Result<Option<RecordedEvent>, ReaderError> {
        let Arrived { place, message, .. } = arrived;
        let event = journal::decode(&self.subjects, &message.subject, &message.payload, place.sequence)?;
        if self.whole {
            if let Some(next) = self.next.filter(|next| *next != event.revision) {
                let what = format!("revision {} stands where revision {next} must", event.revision);
                let (sequence, aggregate) = (event.sequence, Some(event.aggregate));
                return Err(ReaderError::HistoryBroken { sequence, aggregate, what });
            }
            self.next = Some(event.revision.next());
        }
        self.position = Start::After(place.sequence);
        Ok((event.revision > self.after_revision).then_some(event))
    }

    /// Goes on over a new consumer, and tells how many messages are there for it.
    async fn open(&mut self, limit: Option<Duration>) -> Result<u64, ReaderError> {
        let (api, stream, created) = (&self.api, &self.stream, &self.created);
        let (filters, position) = (&self.filters, self.position);
        let who = format!("a follower of `{}`", self.subjects.service());
        let opening = persist(&who, stream, limit, || try_open(api, stream, filters, position, created.as_deref()));
        let (ordered, created, position, there) = opening.await?;
        (self.ordered, self.created, self.position) = (Some(ordered), Some(created), position);
        Ok(there)
    }
}

async fn try_open(
    api: &Api,
    stream: &str,
    filters: &[String],
    position: Start,
    created: Option<&str>,
) -> Result<(Ordered, String, Start, u64), Trouble> {
    server(api).await?;
    let journal = journal::look(api, stream).await?;
    let position = match position {
        // From here on it is a place like any other, and nothing is missed when the first consumer breaks.
        Start::New => Start::After(journal.state.last_seq),
        other => other,
    };
    // A caller who goes on in a journal that ends before has taken the place from another one.
    let after = if let Start::After(after) = position { after } else { 0 };
    journal.check(created, after).map_err(Trouble::Lost)?;

    let name = format!("headwater-{}", Uuid::new_v4().simple());
    let mut subject = format!("CONSUMER.CREATE.{stream}.{name}");
    // With the filter in the subject a user can be held to it by permissions.
    if let [only] = filters {
        subject = format!("{subject}.{only}");
    }
    let request = json!({ "stream_name": stream, "config": settings(&name, filters, position) });
    let consumer: ConsumerInfo = api.ask(&subject, Some(&request)).await?;
    let delete_subject = api.subject(&format!("CONSUMER.DELETE.{stream}.{name}"));
    let settings =
        LineSettings { stream: stream.to_owned(), consumer: name, pinned: false, batch: BATCH, expires: EXPIRES };
    let line = Line::open(api, settings, None).await?;
    Ok((Ordered { line, delete_subject, delivered: 0 }, journal.created, position, consumer.num_pending))
}

/// What the server says of a consumer that was just made.
#[derive(Deserialize)]
struct ConsumerInfo {
    /// How many messages are there for it.
    #[serde(default)]
    num_pending: u64,
}

fn settings(name: &str, filters: &[String], position: Start) -> Value {
    let mut settings = json!({
        "name": name,
        "ack_policy": "none",
        "replay_policy": "instant",
        "max_deliver": 1,
        "mem_storage": true,
        "num_replicas": 1,
        "inactive_threshold": nanoseconds(ABANDONED_AFTER),
    });
    match filters {
        [only] => settings["filter_subject"] = json!(only),
        several => settings["filter_subjects"] = json!(several),
    }
    if let (Value::Object(settings), Value::Object(start)) = (&mut settings, position.to_json()) {
        settings.extend(start);
    }
    settings
}
