//! What handles events, what it may answer, and what becomes of events that cannot be handled.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use headwater_core::client::{EventDecoder, TypedEvent};
use headwater_core::{Event, Name, RecordedEvent};

use super::error::BoxError;

/// An event on its way to a handler.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Delivery<T> {
    /// The event.
    pub event: T,
    /// How often this reader has handed it over, this time included; it counts anew when the reader is started anew.
    pub attempt: u32,
    /// How often the server has delivered it, to this reader and to those before it. A reader that is stopped gives
    /// back what it has not handled, which counts too.
    pub deliveries: u64,
}

/// What a handler says of an event. A handler may also return `()`, which is [`Ack`](Self::Ack).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is handled. It is acknowledged, and not shown again but for an acknowledgement that is lost.
    Ack,
    /// Not now: show it again after this time. Later events of the same aggregate wait for it; it is no failure and is
    /// not counted as one.
    Nak(Duration),
    /// It can never be handled, for this reason: see [`Poison`].
    Term(String),
}

impl From<()> for Verdict {
    fn from((): ()) -> Self {
        Self::Ack
    }
}

/// What to do about an event that cannot be handled: its handler has failed as often as the retry policy allows, or
/// has said [`Verdict::Term`].
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Poison {
    /// Stop, with [`ReaderError::Halted`](super::ReaderError::Halted). The event is not acknowledged: a reader that is
    /// started again begins with it. The right choice for a projection, which would be wrong without it.
    #[default]
    Halt,
    /// Hand it to somebody who keeps it, and go on. It is acknowledged when they say that they have it.
    DeadLetter(DeadLetterKeeper),
    /// Log an error and go on without it.
    Skip,
}

impl Poison {
    /// Hands events that cannot be handled to `keep`, and goes on when it returns `Ok`. When it fails it is called
    /// again later, as often as it takes; later events of the aggregate wait until then.
    pub fn dead_letter<K, F, X>(keep: K) -> Self
    where
        K: Fn(DeadLetter) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), X>> + Send + 'static,
        X: Into<BoxError>,
    {
        let keep = move |letter| keep(letter).map(|kept| kept.map_err(Into::into)).boxed();
        Self::DeadLetter(DeadLetterKeeper(Arc::new(keep)))
    }
}

impl std::fmt::Debug for Poison {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Halt => "Halt",
            Self::DeadLetter(_) => "DeadLetter",
            Self::Skip => "Skip",
        })
    }
}

/// Keeps events that cannot be handled; made by [`Poison::dead_letter`].
#[derive(Clone)]
pub struct DeadLetterKeeper(
    pub(super) Arc<dyn Fn(DeadLetter) -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync>,
);

impl std::fmt::Debug for DeadLetterKeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetterKeeper").finish_non_exhaustive()
    }
}

/// An event that cannot be handled.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The reader that could not.
    pub reader: Name,
    /// The event.
    pub event: RecordedEvent,
    /// How often it was handed over.
    pub attempts: u32,
    /// The reason its handler gave last.
    pub reason: String,
}

/// A handler with its types left at the door.
pub(super) type Handler =
    Arc<dyn Fn(Delivery<RecordedEvent>) -> BoxFuture<'static, Result<Verdict, BoxError>> + Send + Sync>;

pub(super) fn untyped<H, F, V, X>(handle: H) -> Handler
where
    H: Fn(Delivery<RecordedEvent>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<V, X>> + Send + 'static,
    V: Into<Verdict>,
    X: Into<BoxError>,
{
    Arc::new(move |delivery| erased(handle(delivery)))
}

pub(super) fn typed<E, H, F, V, X>(handle: H) -> Handler
where
    E: Event,
    H: Fn(Delivery<TypedEvent<E>>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<V, X>> + Send + 'static,
    V: Into<Verdict>,
    X: Into<BoxError>,
{
    let decoder = EventDecoder::<E>::new();
    Arc::new(move |Delivery { event, attempt, deliveries }| {
        erased(handle(Delivery { event: decoder.decode(event), attempt, deliveries }))
    })
}

fn erased<F, V, X>(handling: F) -> BoxFuture<'static, Result<Verdict, BoxError>>
where
    F: Future<Output = Result<V, X>> + Send + 'static,
    V: Into<Verdict>,
    X: Into<BoxError>,
{
    handling.map(|verdict| verdict.map(Into::into).map_err(Into::into)).boxed()
}
