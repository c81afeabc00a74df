//! Messages under way whose senders have gone on: a bounded number of places, and one task that looks after them all.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, future};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::PublisherError;
use super::core::Core;
use super::flush::{FlushError, Untold};
use super::parcel::Parcel;
use crate::deadline::within;
use crate::message::{Headers, MESSAGE_ID};
use crate::publish::{Acknowledgement, Published};

/// How long the oldest message may keep those behind it waiting. Acknowledged out of turn, they are told so that much later.
const PATIENCE: Duration = Duration::from_millis(50);

/// The messages under way.
#[derive(Debug)]
pub(super) struct Pipeline {
    window: u32,
    places: Arc<Semaphore>,
    under_way: Arc<AtomicU64>,
    untold: Arc<Untold>,
    is_closed: AtomicBool,
    /// To the task that waits for acknowledgements, which is there from the first message on. No more wait in it than there are
    /// places. Once all handles of the publisher are gone, or nothing has come down the line instead of a message, it ends with
    /// the last message under way.
    line: OnceLock<UnboundedSender<Option<Launched>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// A message that was handed over.
struct Flight {
    parcel: Parcel,
    place: OwnedSemaphorePermit,
    told: oneshot::Sender<Result<Published, PublisherError>>,
}

/// A message whose acknowledgement is still to come.
type Launched = (Flight, Acknowledgement);

impl Pipeline {
    pub(super) fn new(window: usize) -> Self {
        Self {
            window: u32::try_from(window).expect("the builder has checked it"),
            places: Arc::new(Semaphore::new(window)),
            under_way: Arc::default(),
            untold: Arc::default(),
            is_closed: AtomicBool::new(false),
            line: OnceLock::new(),
            task: Mutex::default(),
        }
    }

    pub(super) fn under_way(&self) -> &Arc<AtomicU64> {
        &self.under_way
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Waits for a place; none once it is too late.
    pub(super) async fn place(&self, deadline: Instant) -> Result<Option<OwnedSemaphorePermit>, PublisherError> {
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(TryAcquireError::Closed) => return Err(PublisherError::Closed),
            Err(TryAcquireError::NoPermits) => {
                let Ok(place) = timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await else {
                    return Ok(None);
                };
                place.map_err(|_| PublisherError::Closed)?
            }
        };
        if self.is_closed() { Err(PublisherError::Closed) } else { Ok(Some(place)) }
    }

    /// Hands a message over and leaves the rest to the task.
    pub(super) async fn launch(
        &self,
        core: &Arc<Core>,
        mut parcel: Parcel,
        place: OwnedSemaphorePermit,
    ) -> Result<Receipt, PublisherError> {
        let acknowledgement = match core.hand_over(&mut parcel).await {
            Ok(acknowledgement) => acknowledgement,
            Err(error) => return Err(core.given_up(&parcel, error)),
        };
        let headers = parcel.message.headers.clone();
        let (told, result) = oneshot::channel();
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let line = self.line.get_or_init(|| self.start(core));
        // Where there is no task any more, its runtime having ended, the receipt says so.
        let _ = line.send(Some((Flight { parcel, place, told }, acknowledgement)));
        Ok(Receipt { headers, result })
    }

    fn start(&self, core: &Arc<Core>) -> UnboundedSender<Option<Launched>> {
        let (line, launched) = unbounded_channel();
        let (under_way, untold) = (Arc::clone(&self.under_way), Arc::clone(&self.untold));
        let task = tokio::spawn(look_after(Watch { core: Arc::clone(core), under_way, untold }, launched));
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        line
    }

    /// Waits until nothing is under way.
    pub(super) async fn flush(&self) -> Result<(), FlushError> {
        // Closed, nothing is under way. Places are given in turn, so those who come later wait.
        let _all = self.places.acquire_many(self.window).await;
        self.untold.take()
    }

    pub(super) async fn close(&self) -> Result<(), FlushError> {
        self.is_closed.store(true, Ordering::Release);
        let flushed = self.flush().await;
        self.places.close();
        if let Some(line) = self.line.get() {
            let _ = line.send(None);
        }
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // It ends by itself; where its runtime has ended it already, there is nothing to wait for.
            let _ = task.await;
        }
        flushed
    }
}

/// What the task tells of messages.
#[derive(Clone)]
struct Watch {
    core: Arc<Core>,
    under_way: Arc<AtomicU64>,
    untold: Arc<Untold>,
}

/// Follows all messages, in the order in which they were handed over, which is nearly always the order of their acknowledgements:
/// those behind the oldest are not looked at before it is settled, so they cost neither a waking nor a timer. An oldest one that
/// stays away or has to be tried again steps aside, and as long as there is such a straggler, each message waits for itself.
async fn look_after(watch: Watch, mut launched: UnboundedReceiver<Option<Launched>>) {
    let (mut stragglers, mut open) = (FuturesUnordered::new(), true);
    while open || !stragglers.is_empty() {
        tokio::select! {
            Some(()) = stragglers.next() => {}
            next = launched.recv(), if open => match next.flatten() {
                Some(next) if stragglers.is_empty() => {
                    if let Some(straggler) = watch.settled_soon(next).await {
                        stragglers.push(watch.clone().follow(straggler));
                    }
                }
                Some(next) => stragglers.push(watch.clone().follow(next)),
                None => open = false,
            },
        }
    }
}

impl Watch {
    /// Waits a little until a message is stored. Gives it back when that takes longer, or when it has to be tried again.
    async fn settled_soon(&self, (flight, mut acknowledgement): Launched) -> Option<Launched> {
        match within(PATIENCE, &mut acknowledgement).await {
            Ok(Ok(published)) => {
                self.landed(flight, Ok(published));
                None
            }
            Ok(Err(error)) => Some((flight, future::ready(Err(error)).boxed())),
            Err(_late) => Some((flight, acknowledgement)),
        }
    }

    async fn follow(self, (mut flight, acknowledgement): Launched) {
        let result = self.core.settle(&mut flight.parcel, acknowledgement).await;
        self.landed(flight, result);
    }

    fn landed(&self, flight: Flight, result: Result<Published, PublisherError>) {
        let Flight { parcel, place, told } = flight;
        self.core.report(&parcel, &result);
        if let Err(error) = &result {
            self.untold.add(error);
        }
        // Nobody has to wait for it.
        let _ = told.send(result);
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        drop(place);
    }
}

/// A message that was handed over. Awaited, it tells where the message is stored; dropped, the message goes its way all the
/// same, and [`Publisher::flush`](super::Publisher::flush) tells when it failed.
#[derive(Debug)]
pub struct Receipt {
    /// Those of the message, which name its id.
    headers: Headers,
    result: oneshot::Receiver<Result<Published, PublisherError>>,
}

impl Receipt {
    /// The message's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.headers.get(MESSAGE_ID).unwrap_or_default()
    }
}

impl Future for Receipt {
    type Output = Result<Published, PublisherError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let told = ready!(Pin::new(&mut self.result).poll(cx));
        Poll::Ready(told.unwrap_or_else(|_| Err(PublisherError::Abandoned { id: self.id().to_owned() })))
    }
}
