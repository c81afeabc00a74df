//! Reading streams in memory.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt, ready};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::consumer::{Consumer, Found, Handed};
use super::start::Start;
use super::{MemoryBroker, Shared};
use crate::consume::{
    AckError, Acknowledge, Consume, ConsumeError, ConsumerConfig, ConsumerInfo, Control, Delivery, DeliveryContext,
    Subscription, Verdict,
};
use crate::message::Message;

impl Consume for MemoryBroker {
    fn open(&self, config: ConsumerConfig) -> BoxFuture<'_, Result<Subscription, ConsumeError>> {
        async move { self.join(config) }.boxed()
    }

    fn stream_of(&self, subject: String) -> BoxFuture<'_, Result<Option<String>, ConsumeError>> {
        let state = self.shared.state();
        let stream = state.streams.values().find(|stream| stream.settings.takes(&subject));
        ready(Ok(stream.map(|stream| stream.settings.name.clone()))).boxed()
    }

    fn stream_created(&self, stream: String) -> BoxFuture<'_, Result<Option<DateTime<Utc>>, ConsumeError>> {
        let state = self.shared.state();
        let created = state.streams.get(&stream).map(|stream| Some(stream.created));
        ready(created.ok_or(ConsumeError::NoStream { stream })).boxed()
    }
}

impl MemoryBroker {
    fn join(&self, config: ConsumerConfig) -> Result<Subscription, ConsumeError> {
        config.check()?;
        let now = Instant::now();
        let (stream_name, durable, buffer) = (config.stream.clone(), config.durable.clone(), config.buffer.get());
        let mut state = self.shared.state();
        let id = state.next_id();
        let stream = state.stream(&stream_name)?;
        if let Some(known) = stream.consumers.get_mut(&durable) {
            known.update(config, &stream.log)?;
        } else {
            let start = Start::of(&config, &stream.log, &self.shared.clock);
            stream.consumers.insert(durable.clone(), Consumer::new(config, &stream.log, start, now));
        }
        let news = Arc::new(Notify::new());
        if let Some(consumer) = stream.consumers.get_mut(&durable) {
            consumer.join(id, buffer, Arc::clone(&news));
            consumer.pump(&stream.log, now);
        }
        drop(state);
        let place =
            Arc::new(Place { shared: Arc::clone(&self.shared), stream: stream_name.into(), consumer: durable.into() });
        let reading = Reading { control: Arc::new(ReaderControl { place: Arc::clone(&place), id }), news, over: false };
        let control = Arc::clone(&reading.control) as Arc<dyn Control>;
        Ok(Subscription { deliveries: deliveries(reading).fuse().boxed(), control })
    }
}

/// A consumer, by its names.
struct Place {
    shared: Arc<Shared>,
    stream: Arc<str>,
    consumer: Arc<str>,
}

impl Place {
    fn with<T>(&self, look: impl FnOnce(&mut Consumer, &super::log::Log) -> T) -> Result<T, ConsumeError> {
        let mut state = self.shared.state();
        let stream = state.stream(&self.stream).map_err(|_| self.gone())?;
        let consumer = stream.consumers.get_mut(&*self.consumer).ok_or_else(|| self.gone())?;
        Ok(look(consumer, &stream.log))
    }

    fn gone(&self) -> ConsumeError {
        ConsumeError::Gone { stream: self.stream.to_string(), consumer: self.consumer.to_string() }
    }

    fn delivery(self: &Arc<Self>, handed: Handed) -> Delivery {
        let Handed { stored, deliveries, pending } = handed;
        let context = DeliveryContext {
            stream: Arc::clone(&self.stream),
            consumer: Arc::clone(&self.consumer),
            sequence: stored.sequence,
            deliveries,
            timestamp: self.shared.clock.time_at(stored.at),
            pending,
        };
        let acknowledge = Arc::clone(self) as Arc<dyn Acknowledge>;
        Delivery::new(Message::clone(&stored.message), context, acknowledge, stored.sequence.to_string())
    }
}

/// A reader at work; it leaves when it is dropped.
struct Reading {
    control: Arc<ReaderControl>,
    news: Arc<Notify>,
    over: bool,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Delivery, ConsumeError>> {
        if self.over {
            return None;
        }
        loop {
            let ReaderControl { place, id } = &*self.control;
            match place.with(|consumer, log| consumer.take(*id, log, Instant::now())) {
                Ok(Some(Found::Message(handed))) => return Some(Ok(place.delivery(handed))),
                Ok(Some(Found::Nothing(until))) => wait(&self.news, until).await,
                Ok(Some(Found::Over)) => {
                    self.over = true;
                    return None;
                }
                // One that was made anew knows nothing of this reader.
                Ok(None) | Err(_) => {
                    self.over = true;
                    return Some(Err(place.gone()));
                }
            }
        }
    }
}

async fn wait(news: &Notify, until: Option<Instant>) {
    let due = async {
        match until {
            Some(time) => sleep_until(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = news.notified() => {}
        () = due => {}
    }
}

fn deliveries(reading: Reading) -> impl futures_util::Stream<Item = Result<Delivery, ConsumeError>> + Send {
    futures_util::stream::unfold(reading, async |mut reading| {
        let next = reading.next().await?;
        Some((next, reading))
    })
}

impl Drop for Reading {
    fn drop(&mut self) {
        let ReaderControl { place, id } = &*self.control;
        // A consumer that is gone has no readers.
        let _ = place.with(|consumer, _| consumer.leave(*id, Instant::now()));
    }
}

/// What can be asked of a reader.
struct ReaderControl {
    place: Arc<Place>,
    id: u64,
}

impl Control for ReaderControl {
    fn stop(&self) {
        // A consumer that is gone has nothing to stop.
        let _ = self.place.with(|consumer, _| consumer.stop(self.id));
    }

    fn info(&self) -> BoxFuture<'_, Result<ConsumerInfo, ConsumeError>> {
        let info = self.place.with(|consumer, log| {
            consumer.pump(log, Instant::now());
            consumer.info()
        });
        ready(info).boxed()
    }
}

impl Debug for ReaderControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { stream, consumer, .. } = &*self.place;
        f.debug_struct("ReaderControl").field("stream", stream).field("consumer", consumer).finish_non_exhaustive()
    }
}

impl Acknowledge for Place {
    fn tell(&self, token: &str, verdict: &Verdict) -> BoxFuture<'_, Result<(), AckError>> {
        // Whether it arrives, nobody tells.
        let _ = self.take_in(token, verdict);
        ready(Ok(())).boxed()
    }

    fn tell_and_wait(&self, token: &str, verdict: &Verdict, _: Duration) -> BoxFuture<'_, Result<(), AckError>> {
        ready(self.take_in(token, verdict)).boxed()
    }
}

impl Place {
    fn take_in(&self, token: &str, verdict: &Verdict) -> Result<(), AckError> {
        let sequence = token.parse().map_err(|error| AckError::NotTold(Box::new(error) as _))?;
        self.with(|consumer, log| consumer.told(sequence, verdict, log, Instant::now()))
            .map_err(|gone| AckError::NotTold(gone.into()))
    }
}
