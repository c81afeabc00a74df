//! Messages under way whose senders have gone on: a bounded number of places, and one task that looks after them all.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::PublisherError;
use super::core::Core;
use super::flush::{FlushError, Untold};
use super::parcel::Parcel;
use crate::publish::{Acknowledgement, Published};

/// How long a message waits at the most, while others are under way, until somebody looks for its acknowledgement.
const PICKED_UP_WITHIN: Duration = Duration::from_millis(1);

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
    line: OnceLock<UnboundedSender<Option<Flight>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// A message that was handed over.
struct Flight {
    parcel: Parcel,
    acknowledgement: Acknowledgement,
    place: OwnedSemaphorePermit,
    told: oneshot::Sender<Result<Published, PublisherError>>,
}

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
        let id = parcel.message.message_id().unwrap_or_default().to_owned();
        let (told, result) = oneshot::channel();
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let line = self.line.get_or_init(|| self.start(core));
        // Where there is no task any more, its runtime having ended, the receipt says so.
        let _ = line.send(Some(Flight { parcel, acknowledgement, place, told }));
        Ok(Receipt { id, result })
    }

    fn start(&self, core: &Arc<Core>) -> UnboundedSender<Option<Flight>> {
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

/// Follows all messages. Where many are handed over, waking this task for each would cost as much as the message: then new ones
/// are picked up when one of those under way is settled, or a moment later.
async fn look_after(watch: Watch, mut launched: UnboundedReceiver<Option<Flight>>) {
    let (mut flights, mut open) = (FuturesUnordered::new(), true);
    while open || !flights.is_empty() {
        let before = flights.len();
        while open {
            match launched.try_recv() {
                Ok(Some(flight)) => flights.push(follow(watch.clone(), flight)),
                Err(TryRecvError::Empty) => break,
                Ok(None) | Err(TryRecvError::Disconnected) => open = false,
            }
        }
        if flights.len() > before {
            // Late, there is nothing to do but to look for new ones.
            let _ = timeout(PICKED_UP_WITHIN, settled(&mut flights)).await;
            continue;
        }
        tokio::select! {
            () = settled(&mut flights), if !flights.is_empty() => {}
            flight = launched.recv(), if open => match flight.flatten() {
                Some(flight) => flights.push(follow(watch.clone(), flight)),
                None => open = false,
            },
            else => return,
        }
    }
}

/// Waits for one that is settled, and takes along all others that are.
async fn settled(flights: &mut FuturesUnordered<impl Future<Output = ()>>) {
    if flights.next().await.is_some() {
        while let Some(Some(())) = flights.next().now_or_never() {}
    }
}

async fn follow(watch: Watch, flight: Flight) {
    let Flight { mut parcel, acknowledgement, place, told } = flight;
    let result = watch.core.settle(&mut parcel, acknowledgement).await;
    watch.core.report(&parcel, &result);
    if let Err(error) = &result {
        watch.untold.add(error);
    }
    // Nobody has to wait for it.
    let _ = told.send(result);
    watch.under_way.fetch_sub(1, Ordering::Relaxed);
    drop(place);
}

/// A message that was handed over. Awaited, it tells where the message is stored; dropped, the message goes its way all the
/// same, and [`Publisher::flush`](super::Publisher::flush) tells when it failed.
#[derive(Debug)]
pub struct Receipt {
    id: String,
    result: oneshot::Receiver<Result<Published, PublisherError>>,
}

impl Receipt {
    /// The message's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Future for Receipt {
    type Output = Result<Published, PublisherError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let told = ready!(Pin::new(&mut self.result).poll(cx));
        Poll::Ready(told.unwrap_or_else(|_| Err(PublisherError::Abandoned { id: std::mem::take(&mut self.id) })))
    }
}
