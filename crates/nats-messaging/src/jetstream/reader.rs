//! Reading a consumer: messages as they come, over one line after the other.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use headwater_nats::backoff::Backoff;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, info, warn};

use super::acknowledge::Teller;
use super::api::{Trouble, persist};

use super::consumer::{self, Pulling, unavailable};
use super::line::{Arrival, Line};
use super::place;
use super::replies::Replies;
use super::{OPEN_WITHIN, translate};
use crate::BoxError;
use crate::consume::{Acknowledge, ConsumeError, ConsumerConfig, ConsumerInfo, Control, Delivery, Subscription};

/// How long what was asked for may still be on its way after a stop, from one message to the next.
const LAST_ONES: Duration = Duration::from_millis(100);

/// How often the server says that there is no such consumer before that is believed: in a cluster one that has just started
/// may not have heard of it.
const DENIALS: u32 = 3;

/// A reader at work.
struct Reader {
    replies: Arc<Replies>,
    teller: Arc<dyn Acknowledge>,
    control: Arc<ReaderControl>,
    buffer: u64,
    pulling: Pulling,
    way: Way,
    backoff: Backoff,
    denials: u32,
    /// Whether the trouble there is was told.
    told: bool,
}

enum Way {
    Open(Box<Line>),
    /// A line that is broken; what has come over it is whole.
    Broken(Box<Line>),
    None,
    /// Stopped; what was asked for still comes.
    Closing(Box<Line>),
    /// The inbox is given up; what the server has sent by then still comes.
    GivenUp(Box<Line>),
    Over,
}

/// Opens a consumer that is as it should be.
pub(super) async fn open(
    replies: &Arc<Replies>,
    config: &ConsumerConfig,
    pulling: Pulling,
) -> Result<Subscription, ConsumeError> {
    let control = Arc::new(ReaderControl {
        replies: Arc::clone(replies),
        stream: config.stream.as_str().into(),
        consumer: config.durable.as_str().into(),
        stopped: AtomicBool::new(false),
        stop: Notify::new(),
    });
    // The client drops what a subscription cannot hold.
    let capacity = replies.connection().subscription_capacity() as u64;
    let mut reader = Reader {
        replies: Arc::clone(replies),
        teller: Arc::new(Teller::new(Arc::clone(replies))),
        control: Arc::clone(&control),
        buffer: u64::from(config.buffer.get()).min(capacity / 2).max(1),
        pulling,
        way: Way::None,
        backoff: Backoff::new(Duration::from_millis(10), Duration::from_secs(2)),
        denials: 0,
        told: false,
    };
    let line = reader.line().await.map_err(|source| unavailable(&config.stream, &config.durable, source))?;
    reader.way = Way::Open(Box::new(line));
    Ok(Subscription { deliveries: deliveries(reader).fuse().boxed(), control })
}

fn deliveries(reader: Reader) -> impl Stream<Item = Result<Delivery, ConsumeError>> + Send {
    stream::unfold(reader, async |mut reader| reader.next().await.map(|next| (next, reader)))
}

impl Reader {
    async fn next(&mut self) -> Option<Result<Delivery, ConsumeError>> {
        loop {
            let message = match &mut self.way {
                Way::Over => return None,
                Way::Closing(line) => match line.next_within(LAST_ONES).await {
                    Some(message) => message,
                    None => {
                        self.hang_up().await;
                        continue;
                    }
                },
                Way::GivenUp(line) => match line.rest().await {
                    Some(message) => message,
                    None => {
                        self.way = Way::Over;
                        continue;
                    }
                },
                _ if self.control.is_stopped() => {
                    self.begin_closing();
                    continue;
                }
                Way::Broken(line) => match line.next_within(Duration::ZERO).await {
                    Some(message) => message,
                    None => {
                        self.way = Way::None;
                        continue;
                    }
                },
                Way::None => match self.reopen().await {
                    Some(error) => return Some(Err(error)),
                    None => continue,
                },
                Way::Open(line) => {
                    let control = Arc::clone(&self.control);
                    let arrival = tokio::select! {
                        biased;
                        arrival = line.next() => arrival,
                        () = control.stop.notified() => continue,
                    };
                    match arrival {
                        Arrival::Message(message) => message,
                        end => match self.ended(end) {
                            Some(error) => return Some(Err(error)),
                            None => continue,
                        },
                    }
                }
            };
            if let Some(delivery) = self.delivery(message) {
                return Some(Ok(delivery));
            }
        }
    }

    fn delivery(&mut self, message: async_nats::Message) -> Option<Delivery> {
        let ReaderControl { stream, consumer, .. } = &*self.control;
        let reply = message.reply.clone()?;
        let Some(context) = place::context(&reply, stream, consumer) else {
            warn!(%stream, %consumer, "a message came to the consumer's inbox that the consumer did not send");
            return None;
        };
        if self.told || self.denials > 0 {
            info!(%stream, %consumer, "the consumer delivers again");
            self.backoff.reset();
            self.told = false;
            self.denials = 0;
        }
        Some(Delivery::new(translate::incoming(message), context, Arc::clone(&self.teller), reply.into_string()))
    }

    /// What follows from the end of a line.
    fn ended(&mut self, end: Arrival) -> Option<ConsumeError> {
        let ReaderControl { stream, consumer, .. } = &*self.control;
        match end {
            Arrival::Deleted => {
                self.way = Way::Over;
                Some(self.control.gone())
            }
            Arrival::Forbidden(subject) => {
                self.way = Way::Over;
                Some(ConsumeError::Refused {
                    stream: stream.to_string(),
                    consumer: consumer.to_string(),
                    reason: format!("the NATS user has no right to {subject}"),
                })
            }
            Arrival::Broken(why) => {
                debug!(%stream, %consumer, why, "the way to the consumer is opened anew");
                self.way = match std::mem::replace(&mut self.way, Way::None) {
                    Way::Open(line) => Way::Broken(line),
                    other => other,
                };
                // What was on its way comes again only after its time: whoever keeps order has to know.
                self.told = true;
                Some(unavailable(stream, consumer, why.into()))
            }
            Arrival::Message(_) => None,
        }
    }

    fn begin_closing(&mut self) {
        self.way = match std::mem::replace(&mut self.way, Way::Over) {
            Way::Open(line) | Way::Broken(line) | Way::Closing(line) => Way::Closing(line),
            Way::GivenUp(line) => Way::GivenUp(line),
            Way::None | Way::Over => Way::Over,
        };
    }

    /// What was asked for has come, or does not come soon: the inbox is given up, and what came meanwhile is handed out.
    async fn hang_up(&mut self) {
        let Way::Closing(mut line) = std::mem::replace(&mut self.way, Way::Over) else { return };
        line.hang_up().await;
        self.way = Way::GivenUp(line);
    }

    /// Tries once to open another line, after a pause; what there is to tell when it does not work.
    async fn reopen(&mut self) -> Option<ConsumeError> {
        let control = Arc::clone(&self.control);
        let pause = sleep(self.backoff.next_pause());
        tokio::select! {
            () = pause => {}
            () = control.stop.notified() => return None,
        }
        let attempt = async {
            let info = consumer::info(&self.replies, &control.stream, &control.consumer).await?;
            match info {
                Some(_) => Ok::<_, Trouble>(Some(self.line().await.map_err(Trouble::ForNow)?)),
                None => Ok(None),
            }
        };
        let opened = tokio::select! {
            opened = attempt => opened,
            () = control.stop.notified() => return None,
        };
        match opened {
            Ok(Some(line)) => {
                self.denials = 0;
                self.way = Way::Open(Box::new(line));
                None
            }
            Ok(None) => self.denied(),
            Err(trouble) if trouble.is_no_stream() => self.denied(),
            Err(trouble) => self.tell_once(trouble.into_source()),
        }
    }

    fn denied(&mut self) -> Option<ConsumeError> {
        self.denials += 1;
        if self.denials < DENIALS {
            return None;
        }
        self.way = Way::Over;
        Some(self.control.gone())
    }

    fn tell_once(&mut self, source: BoxError) -> Option<ConsumeError> {
        let ReaderControl { stream, consumer, .. } = &*self.control;
        if std::mem::replace(&mut self.told, true) {
            debug!(%stream, %consumer, error = %source, "the consumer still cannot be reached");
            return None;
        }
        Some(unavailable(stream, consumer, source))
    }

    async fn line(&self) -> Result<Line, BoxError> {
        let connection = self.replies.connection();
        let ReaderControl { stream, consumer, .. } = &*self.control;
        let next = format!("{}.CONSUMER.MSG.NEXT.{stream}.{consumer}", connection.jetstream_prefix());
        Line::open(connection, next, self.buffer, self.pulling).await
    }
}

/// What can be asked of a reader.
struct ReaderControl {
    replies: Arc<Replies>,
    stream: Arc<str>,
    consumer: Arc<str>,
    stopped: AtomicBool,
    stop: Notify,
}

impl ReaderControl {
    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn gone(&self) -> ConsumeError {
        ConsumeError::Gone { stream: self.stream.to_string(), consumer: self.consumer.to_string() }
    }

    async fn ask(&self) -> Result<ConsumerInfo, ConsumeError> {
        let deadline = Instant::now() + OPEN_WITHIN;
        let asking = persist(deadline, || consumer::info(&self.replies, &self.stream, &self.consumer));
        let unavailable = |source| unavailable(&self.stream, &self.consumer, source);
        match timeout_at(deadline, asking).await {
            Ok(Ok(Some(info))) => Ok(info),
            Ok(Ok(None)) => Err(self.gone()),
            Ok(Err(trouble)) if trouble.is_no_stream() => Err(self.gone()),
            Ok(Err(trouble)) => Err(unavailable(trouble.into_source())),
            Err(late) => Err(unavailable(late.into())),
        }
    }
}

impl Control for ReaderControl {
    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.stop.notify_one();
    }

    fn info(&self) -> BoxFuture<'_, Result<ConsumerInfo, ConsumeError>> {
        self.ask().boxed()
    }
}

impl Debug for ReaderControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, consumer, .. } = self;
        f.debug_struct("ReaderControl").field("stream", stream).field("consumer", consumer).finish_non_exhaustive()
    }
}
