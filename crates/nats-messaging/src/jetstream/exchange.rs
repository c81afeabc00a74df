//! Requests and replies on NATS.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Subject;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, stream};
use headwater_nats::backoff::Backoff;
use headwater_nats::connect::{Arrivals, Connection};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::replies::{NoAnswer, NotSent, Outgoing};
use super::{JetStream, translate};
use crate::BoxError;
use crate::exchange::{Exchange, ListenError, Reply, Request, RequestError, Requests};
use crate::memory::listen_flaw;
use crate::message::Message;

/// How long something may wait for the connection and for room in the client when it has no deadline of its own.
const SEND_WITHIN: Duration = Duration::from_secs(5);

impl Exchange for JetStream {
    fn request(&self, message: Message, deadline: Instant) -> BoxFuture<'_, Result<Message, RequestError>> {
        self.ask(message, deadline).boxed()
    }

    fn tell(&self, message: Message) -> BoxFuture<'_, Result<(), RequestError>> {
        async move {
            let outgoing = outgoing(message)?;
            send(self.exchange.connection(), outgoing).await
        }
        .boxed()
    }

    fn listen(&self, subject: String, group: Option<String>) -> BoxFuture<'_, Result<Requests, ListenError>> {
        let connection = self.exchange.connection().clone();
        async move {
            let listener = Listener { connection, subject, group, left: CancellationToken::new() };
            let requests = match listen_flaw(&listener.subject, listener.group.as_deref()) {
                Some(flaw) => Err(flaw.into()),
                None => listener.subscribe().await,
            };
            match requests {
                Ok(requests) => {
                    let left = listener.left.clone();
                    Ok(Requests::new(listener.requests(requests), move || left.cancel()))
                }
                Err(source) => Err(ListenError { subject: listener.subject, source }),
            }
        }
        .boxed()
    }
}

impl JetStream {
    async fn ask(&self, message: Message, deadline: Instant) -> Result<Message, RequestError> {
        let outgoing = outgoing(message)?;
        let subject = outgoing.subject.clone();
        let sent = match self.exchange.send(outgoing, deadline).await {
            Ok(sent) => sent,
            Err(NotSent::Refused(reason)) => {
                return Err(RequestError::Refused { subject: subject.into_string(), reason });
            }
            Err(NotSent::Unavailable(source)) => {
                return Err(RequestError::Unavailable { subject: subject.into_string(), source });
            }
        };
        let answer = sent.answer(deadline).await;
        answer.map(translate::incoming).map_err(|none| without_answer(none, subject.into_string()))
    }
}

fn without_answer(none: NoAnswer, subject: String) -> RequestError {
    match none {
        NoAnswer::NobodyThere => RequestError::NobodyListens { subject },
        NoAnswer::TimedOut => RequestError::TimedOut { subject },
        NoAnswer::Forbidden => RequestError::Refused { subject, reason: none.to_string() },
        NoAnswer::Disconnected => RequestError::Unavailable { subject, source: none.into() },
    }
}

fn outgoing(message: Message) -> Result<Outgoing, RequestError> {
    translate::outgoing(message).map_err(|(subject, reason)| RequestError::Refused { subject, reason })
}

/// Sends something that nobody answers.
async fn send(connection: &Connection, outgoing: Outgoing) -> Result<(), RequestError> {
    let Outgoing { subject, headers, payload } = outgoing;
    let sending = async {
        let client = connection.ready(SEND_WITHIN).await?;
        match headers {
            Some(headers) => client.publish_with_headers(subject.clone(), headers, payload).await,
            None => client.publish(subject.clone(), payload).await,
        }
        .map_err(BoxError::from)
    };
    let sent = timeout(SEND_WITHIN, sending).await.unwrap_or_else(|late| Err(late.into()));
    sent.map_err(|source| {
        let too_large = source.downcast_ref::<async_nats::PublishError>();
        match too_large.map(async_nats::PublishError::kind) {
            Some(async_nats::PublishErrorKind::MaxPayloadExceeded) => RequestError::Refused {
                subject: subject.to_string(),
                reason: "it is larger than the server allows".to_owned(),
            },
            _ => RequestError::Unavailable { subject: subject.to_string(), source },
        }
    })
}

/// Somebody who listens, over one client after the other.
struct Listener {
    connection: Connection,
    subject: String,
    group: Option<String>,
    left: CancellationToken,
}

impl Listener {
    /// Returns when the server knows of it.
    async fn subscribe(&self) -> Result<Arrivals, BoxError> {
        let client = self.connection.ready(SEND_WITHIN).await?;
        let subscribing = async {
            match &self.group {
                Some(group) => client.queue_subscribe(self.subject.clone(), group.clone()).await,
                None => client.subscribe(self.subject.clone()).await,
            }
        };
        let mut violations = self.connection.permission_violations();
        let requests = timeout(SEND_WITHIN, subscribing).await??;
        self.connection.flush(SEND_WITHIN).await?;
        while let Ok(violation) = violations.try_recv() {
            if violation.subscription && violation.subject == self.subject {
                return Err("the NATS user may not subscribe there".into());
            }
        }
        Ok(Arrivals::new(requests, &client))
    }

    fn requests(self, requests: Arrivals) -> impl futures_util::Stream<Item = Request> + Send {
        stream::unfold((self, Way::Open(Box::new(requests))), async |(listener, mut way)| {
            loop {
                let next = match &mut way {
                    Way::Open(requests) => tokio::select! {
                        biased;
                        () = listener.left.cancelled() => None,
                        next = requests.next() => next,
                    },
                    Way::Leaving(rest) => rest.next().await,
                };
                way = match (next, way) {
                    (Some(message), way) => return Some((listener.request(message), (listener, way))),
                    (None, Way::Leaving(_)) => return None,
                    (None, Way::Open(requests)) if listener.left.is_cancelled() => {
                        Way::Leaving(rest_of(*requests).boxed())
                    }
                    // The client has died. Another one takes its place, unless the connection was closed.
                    (None, Way::Open(_)) => Way::Open(Box::new(listener.subscribe_again().await?)),
                };
            }
        })
    }

    async fn subscribe_again(&self) -> Option<Arrivals> {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(2));
        while !self.connection.status().is_final() && !self.left.is_cancelled() {
            match self.subscribe().await {
                Ok(requests) => return Some(requests),
                Err(error) => {
                    warn!(subject = self.subject, %error, "nobody listens there until the connection is back")
                }
            }
            sleep(backoff.next_pause()).await;
        }
        None
    }

    fn request(&self, message: async_nats::Message) -> Request {
        let reply = message
            .reply
            .clone()
            .map(|subject| Box::new(NatsReply { connection: self.connection.clone(), subject }) as Box<dyn Reply>);
        Request { message: translate::incoming(message), reply }
    }
}

/// Where requests come from.
enum Way {
    Open(Box<Arrivals>),
    /// Those that are under way while the subscription is left.
    Leaving(BoxStream<'static, async_nats::Message>),
}

/// Leaves a subscription, with what comes until then.
fn rest_of(requests: Arrivals) -> impl futures_util::Stream<Item = async_nats::Message> + Send {
    // What has not been taken out of here keeps the subscription from being read.
    let (sender, rest) = mpsc::unbounded_channel();
    let leaving = requests.leave(move |message| drop(sender.send(message)));
    stream::unfold((Box::pin(leaving.fuse()), rest), async |(mut leaving, mut rest)| {
        let next = tokio::select! {
            biased;
            next = rest.recv() => next,
            () = &mut leaving => rest.recv().await,
        };
        next.map(|message| (message, (leaving, rest)))
    })
}

#[derive(Debug)]
struct NatsReply {
    connection: Connection,
    subject: Subject,
}

impl Reply for NatsReply {
    fn send(self: Box<Self>, message: Message) -> BoxFuture<'static, Result<(), RequestError>> {
        async move {
            let Self { connection, subject } = *self;
            let message = Message { subject: subject.into_string(), ..message };
            send(&connection, outgoing(message)?).await
        }
        .boxed()
    }
}

const _: fn() = || {
    fn assert_send<T: Send>() {}
    assert_send::<Arc<JetStream>>();
};
