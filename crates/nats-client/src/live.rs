//! Live events: a subscription to the journal's republished events that outlives lost connections.

use std::time::Duration;

use async_nats::{Message, Subscriber};
use futures_util::{StreamExt, stream};
use headwater_core::call::{CallError, LiveEvent, LiveEvents};
use headwater_core::store::EventFilter;
use headwater_core::{AggregateId, Failure, FailureCode, Name, RecordedEvent, Sequence};
use headwater_nats::connect::{Connection, ConnectionStatus, Disconnected, PermissionViolation};
use headwater_nats::subject::Subjects;
use headwater_nats::{event, header};
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, timeout};

/// One subscription, in the order of the server. Several event names are picked out on our side: several subscriptions
/// would lose the order between them.
struct Feed {
    connection: Connection,
    subjects: Subjects,
    filter: EventFilter,
    subject: String,
    /// None between the end of one client and the next.
    subscriber: Option<Subscriber>,
    generation: u64,
    generations: watch::Receiver<u64>,
    statuses: watch::Receiver<ConnectionStatus>,
    /// The server's refusal may come after the subscription was taken for made.
    violations: broadcast::Receiver<PermissionViolation>,
    /// The connection was lost, and nobody was told yet that it is back.
    interrupted: bool,
    /// How long the server may take to take a subscription.
    within: Duration,
}

/// Subscribes; the subscription is in place in the server when this returns.
pub(crate) async fn open(
    connection: Connection,
    subjects: Subjects,
    filter: EventFilter,
    within: Duration,
) -> Result<LiveEvents, CallError> {
    let start = Instant::now();
    let down = |error: Disconnected| CallError::Disconnected(error.to_string());
    connection.ready(within).await.map_err(down)?;
    let subject = subject(&subjects, &filter);
    let mut violations = connection.permission_violations();
    let (generations, statuses) = (connection.generations(), connection.statuses());
    let (generation, client) = connection.current();
    let subscriber = timeout(within, client.subscribe(subject.clone())).await;
    let subscriber = subscriber
        .ok()
        .and_then(Result::ok)
        .ok_or_else(|| CallError::Disconnected("the subscription could not be sent".to_owned()))?;
    connection.flush(within.saturating_sub(start.elapsed())).await.map_err(down)?;
    while let Ok(violation) = violations.try_recv() {
        if is_about(&violation, &subject) {
            return Err(CallError::NotSent(not_permitted(&subject)));
        }
    }
    let feed = Feed {
        connection,
        subjects,
        filter,
        subject,
        subscriber: Some(subscriber),
        generation,
        generations,
        statuses,
        violations,
        interrupted: false,
        within,
    };
    Ok(stream::unfold(feed, |mut feed| async move { feed.next().await.map(|event| (event, feed)) }).boxed())
}

/// The narrowest one subject that has everything the filter shows.
fn subject(subjects: &Subjects, filter: &EventFilter) -> String {
    let kind = filter.kind.as_ref().or(filter.aggregate.as_ref().map(AggregateId::kind));
    let event = match filter.events.as_slice() {
        [name] => Some(name),
        [first, rest @ ..] if rest.iter().all(|name| name == first) => Some(first),
        _ => None,
    };
    subjects.events(kind, event)
}

fn is_about(violation: &PermissionViolation, subject: &str) -> bool {
    violation.subscription && violation.subject == subject
}

fn not_permitted(subject: &str) -> String {
    format!("the server does not permit us to subscribe to `{subject}`")
}

/// What happens to a feed.
enum Happening {
    Message(Message),
    /// The client behind the subscription has ended.
    Ended,
    /// The connection was lost or came back, or its client was replaced.
    Changed,
    /// The server refused the subscription.
    Refused,
    /// Nothing that matters here.
    Nothing,
}

impl Feed {
    /// The next event; none when the connection was closed for good.
    async fn next(&mut self) -> Option<LiveEvent> {
        loop {
            self.look_after().await?;
            if self.interrupted && self.statuses.borrow().is_connected() && self.subscriber.is_some() {
                self.interrupted = false;
                return Some(LiveEvent::Gap);
            }
            match self.wait().await {
                Happening::Message(message) => match self.read(&message) {
                    Ok(event) if self.filter.shows(&event) => return Some(LiveEvent::Event(Box::new(event))),
                    Ok(_) => {}
                    Err(failure) => return Some(LiveEvent::Unreadable(failure)),
                },
                Happening::Ended => {
                    self.subscriber = None;
                    self.interrupted = true;
                    self.connection.report_dead(self.generation);
                }
                Happening::Changed => self.interrupted = true,
                Happening::Refused => {
                    let refused = Failure::new(FailureCode::Forbidden, not_permitted(&self.subject));
                    return Some(LiveEvent::Unreadable(refused));
                }
                Happening::Nothing => {}
            }
        }
    }

    /// Subscribes anew where the client was replaced. None when there will be no other.
    async fn look_after(&mut self) -> Option<()> {
        let (generation, client) = self.connection.current();
        if generation != self.generation {
            self.interrupted = true;
            self.generation = generation;
            self.generations.mark_unchanged();
            // A client that cannot subscribe is dead; the next one is waited for.
            self.subscriber = client.subscribe(self.subject.clone()).await.ok();
            if self.subscriber.is_none() {
                self.connection.report_dead(generation);
            }
            // Whoever reads the history after a gap must find everything that the subscription does not show. Where
            // this fails the connection is down again, and the gap is told when it is back.
            _ = self.connection.flush(self.within).await;
        }
        let over = self.subscriber.is_none() && self.statuses.borrow().is_final();
        (!over).then_some(())
    }

    async fn wait(&mut self) -> Happening {
        // After a loss nothing is shown before the gap is, and that waits until the connection is back.
        let held = self.interrupted;
        tokio::select! {
            biased;
            _ = self.statuses.changed() => Happening::Changed,
            _ = self.generations.changed() => Happening::Changed,
            violation = self.violations.recv() => match violation {
                Ok(violation) if is_about(&violation, &self.subject) => Happening::Refused,
                _ => Happening::Nothing,
            },
            message = from(&mut self.subscriber), if !held || self.statuses.borrow().is_final() => match message {
                Some(message) => Happening::Message(message),
                None => Happening::Ended,
            },
        }
    }

    /// The event in a message. JetStream says in the headers where it is stored, which is also the proof that it is.
    fn read(&self, message: &Message) -> Result<RecordedEvent, Failure> {
        self.decode(message).map_err(|why| {
            let subject: String = message.subject.chars().take(200).collect();
            Failure::internal(format!("a message on `{subject}` is not a committed event: {why}"))
        })
    }

    fn decode(&self, message: &Message) -> Result<RecordedEvent, String> {
        let header = |name: &str| {
            let value = message.headers.as_ref().and_then(|headers| header::get(headers, name));
            value.ok_or_else(|| format!("it has no header `{name}`"))
        };
        let sequence = header(header::SEQUENCE)?.parse().map(Sequence::new);
        let sequence = sequence.map_err(|_| format!("its header `{}` is not a number", header::SEQUENCE))?;
        let stored = self.subjects.parse_journal(header(header::SUBJECT)?).map_err(|error| error.to_string())?;
        if self.subjects.events(Some(stored.aggregate.kind()), Some(&stored.event)) != message.subject.as_str() {
            return Err("it is stored under another subject".to_owned());
        }
        let name = Some(Name::as_str(&stored.event));
        let decoded = event::decode(&stored.aggregate, name, &message.payload, sequence);
        decoded.map(|stored| stored.recorded).map_err(|error| error.to_string())
    }
}

/// The next message; never comes without a subscription.
async fn from(subscriber: &mut Option<Subscriber>) -> Option<Message> {
    match subscriber {
        Some(subscriber) => subscriber.next().await,
        None => std::future::pending().await,
    }
}
