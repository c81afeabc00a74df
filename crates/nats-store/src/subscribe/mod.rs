//! Events of many aggregates in journal order, from a place in the journal and then as they are stored.
//!
//! Behind a subscription stands an ordered consumer: one that nobody acknowledges to, whose deliveries are counted.
//! When one is missing, the connection drops, the server restarts or the client is replaced, a new consumer goes on
//! right after the last event that was shown.

mod consumer;
mod position;

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use headwater_core::store::{EventFilter, EventStream, ReadError, StartFrom, StoreError};
use headwater_core::{Name, RecordedEvent, Revision, Sequence};
use headwater_nats::event;
use headwater_nats::subject::Subjects;
use tokio::time::{Instant, sleep};
use tracing::debug;

use crate::backoff::Backoff;
use crate::journal::Journal;
use crate::stream::{StreamInfo, ask};
use consumer::{Consumer, Delivered, Delivery, Unmade, refused};
use position::Position;

/// How long a refusal is put up with that no waiting should mend, such as a stream that is gone. In a cluster it may
/// come from a server that has not heard of the stream yet, or a leader that has not caught up.
const REFUSED_FOR: Duration = Duration::from_secs(5);

impl Journal {
    /// Starts to show events.
    pub(crate) async fn subscribe(
        self: &Arc<Self>,
        filter: &EventFilter,
        from: StartFrom,
    ) -> Result<EventStream, ReadError> {
        let Some(subjects) = filter_subjects(&self.subjects, filter) else {
            return Ok(stream::pending().boxed());
        };
        let info = self.look().await.map_err(Unmade::into_error)?;
        let position = Position::new(from, info.state.last_seq);
        let mut reading = Box::new(Reading { journal: Arc::clone(self), subjects, position, consumer: None });
        // Made here, so that what is wrong with the filter or the rights shows at once.
        reading.make_consumer().await.map_err(Unmade::into_error)?;
        let events = stream::unfold(Some(reading), |reading| async {
            let mut reading: Box<Reading> = reading?;
            match reading.next().await {
                Ok(event) => Some((Ok(event), Some(reading))),
                // The first error is the last item.
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(events.boxed())
    }

    /// Looks at the stream, as soon as there is a connection.
    async fn look(&self) -> Result<StreamInfo, Unmade> {
        let limit = self.config.lookup_timeout.get();
        let down = |down| Unmade::ForNow(StoreError::new("the connection to NATS is down").caused_by(down));
        self.api.connection.ready(limit).await.map_err(down)?;
        ask(&self.api, &self.stream, limit).await.map_err(Unmade::ForNow)?.map_err(refused)
    }
}

/// The subjects the filter comes down to; none when nothing can match.
fn filter_subjects(subjects: &Subjects, filter: &EventFilter) -> Option<Vec<String>> {
    let mut names: Vec<Option<&Name>> = filter.events.iter().map(Some).collect();
    names.sort_unstable();
    names.dedup();
    match (&filter.kind, &filter.aggregate) {
        (Some(kind), Some(aggregate)) if kind != aggregate.kind() => None,
        (_, Some(aggregate)) if names.is_empty() => Some(vec![subjects.journal_of(aggregate)]),
        (_, Some(aggregate)) => {
            Some(names.into_iter().flatten().map(|name| subjects.journal(aggregate, name)).collect())
        }
        (None, None) if names.is_empty() => Some(vec![subjects.journal_all()]),
        (kind, None) => {
            if names.is_empty() {
                names.push(None);
            }
            Some(names.into_iter().map(|name| subjects.journal_events(kind.as_ref(), name)).collect())
        }
    }
}

/// A subscription at work.
struct Reading {
    journal: Arc<Journal>,
    subjects: Vec<String>,
    position: Position,
    consumer: Option<Consumer>,
}

impl Reading {
    /// The next event. An error is final.
    async fn next(&mut self) -> Result<RecordedEvent, ReadError> {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));
        let mut refused_since = None;
        loop {
            let Some(consumer) = &mut self.consumer else {
                match self.make_consumer().await {
                    Ok(()) => continue,
                    Err(Unmade::ForGood(error)) => {
                        if refused_since.get_or_insert_with(Instant::now).elapsed() >= REFUSED_FOR {
                            return Err(error.into());
                        }
                        debug!(stream = self.journal.stream, %error, "a subscription is refused");
                    }
                    Err(Unmade::ForNow(error)) => {
                        refused_since = None;
                        debug!(stream = self.journal.stream, %error, "a subscription waits for the server");
                    }
                }
                sleep(backoff.next_pause()).await;
                continue;
            };
            match consumer.next(&self.journal).await {
                Delivery::Message(delivered) => {
                    let event = self.read(&delivered)?;
                    self.position.shown(delivered.sequence);
                    return Ok(event);
                }
                Delivery::Broken(why) => {
                    debug!(stream = self.journal.stream, why, "a subscription starts anew where it was");
                    self.consumer = None;
                }
            }
        }
    }

    async fn make_consumer(&mut self) -> Result<(), Unmade> {
        let info = self.journal.look().await?;
        self.position.check(&info.state).map_err(Unmade::ForGood)?;
        self.consumer = Some(Consumer::create(&self.journal, &self.subjects, &self.position).await?);
        Ok(())
    }

    fn read(&self, delivered: &Delivered) -> Result<RecordedEvent, ReadError> {
        let Delivered { sequence, message } = delivered;
        let broken = |aggregate: String, what: String| ReadError::HistoryBroken {
            aggregate,
            revision: Revision::ZERO,
            what: format!("the message at sequence {sequence} is no event of ours: {what}"),
        };
        let subject = self.journal.subjects.parse_journal(&message.subject);
        let subject = subject.map_err(|error| broken("an aggregate nobody can name".to_owned(), error.to_string()))?;
        let event =
            event::decode(&subject.aggregate, Some(subject.event.as_str()), &message.payload, Sequence::new(*sequence));
        event.map(|event| event.recorded).map_err(|error| broken(subject.aggregate.to_string(), error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use headwater_core::AggregateId;

    use super::*;

    #[test]
    fn a_filter_becomes_subjects_for_the_server() {
        let name = |name: &'static str| Name::new(name).unwrap();
        let subjects = Subjects::new(name("receipts"));
        let one = AggregateId::new("receipt", "a.b").unwrap();
        let all = EventFilter::all;
        for (filter, expected) in [
            (all(), vec!["receipts.journal.>"]),
            (all().kind(name("receipt")), vec!["receipts.journal.receipt.*.*"]),
            (all().event(name("voided")), vec!["receipts.journal.*.*.voided"]),
            (
                all().kind(name("receipt")).event(name("voided")).event(name("added")).event(name("voided")),
                vec!["receipts.journal.receipt.*.added", "receipts.journal.receipt.*.voided"],
            ),
            (all().aggregate(one.clone()), vec!["receipts.journal.receipt.a%2Eb.*"]),
            (all().aggregate(one.clone()).kind(name("receipt")), vec!["receipts.journal.receipt.a%2Eb.*"]),
            (all().aggregate(one.clone()).event(name("added")), vec!["receipts.journal.receipt.a%2Eb.added"]),
        ] {
            assert_eq!(filter_subjects(&subjects, &filter).unwrap(), expected);
        }
        assert_eq!(filter_subjects(&subjects, &all().aggregate(one).kind(name("invoice"))), None);
    }
}
