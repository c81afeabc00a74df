//! Where replies arrive: one subscription for all calls of a client, and a seat in it for each call.
//!
//! The NATS library has the like of it, but keeps the seat of a request that was given up for ever. Here a seat
//! is gone when its call ends, and one seat serves all tries of a call, so that an answer to an earlier try still counts.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll, Waker};

use async_nats::{Client, Message, Subject};
use futures_util::StreamExt;
use headwater_nats::connect::Connection;
use tokio_util::task::AbortOnDropHandle;

/// Answers that one call may leave unread; further ones are dropped.
const ANSWERS_KEPT: usize = 8;

/// The mailboxes of a client: at any time one, made anew when the connection's client was replaced.
#[derive(Debug)]
pub(crate) struct Mailboxes {
    connection: Connection,
    current: RwLock<Option<Arc<Mailbox>>>,
    making: tokio::sync::Mutex<()>,
}

/// One subscription, and who waits for what comes in.
#[derive(Debug)]
struct Mailbox {
    generation: u64,
    client: Client,
    /// What the subjects of its seats start with, with the last dot.
    prefix: String,
    next: AtomicU64,
    waiting: Arc<Waiting>,
    _router: AbortOnDropHandle<()>,
}

/// The calls that wait, by number. A channel for each would cost several kilobytes a call.
#[derive(Debug, Default)]
struct Waiting(Mutex<Calls>);

#[derive(Debug, Default)]
struct Calls {
    calls: HashMap<u64, Call>,
    /// No answers will come any more.
    ended: bool,
}

#[derive(Debug, Default)]
struct Call {
    answers: VecDeque<Message>,
    waker: Option<Waker>,
}

/// A call's place in a mailbox.
#[derive(Debug)]
pub(crate) struct Seat {
    mailbox: Arc<Mailbox>,
    number: u64,
}

impl Mailboxes {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection, current: RwLock::new(None), making: tokio::sync::Mutex::new(()) }
    }

    /// A seat in the mailbox of the connection's current client; `seat` itself when it is there already.
    ///
    /// # Errors
    /// When the client is dead, which was reported to its connection.
    pub(crate) async fn seat(&self, seat: Option<Seat>) -> Result<Seat, Dead> {
        let (generation, client) = self.connection.current();
        match seat {
            Some(seat) if seat.mailbox.generation == generation => Ok(seat),
            _ => Ok(self.mailbox(generation, client).await?.seat()),
        }
    }

    async fn mailbox(&self, generation: u64, client: Client) -> Result<Arc<Mailbox>, Dead> {
        if let Some(mailbox) = self.of(generation) {
            return Ok(mailbox);
        }
        let _making = self.making.lock().await;
        if let Some(mailbox) = self.of(generation) {
            return Ok(mailbox);
        }
        let mailbox = Mailbox::open(generation, client, self.connection.clone()).await?;
        let mailbox = Arc::new(mailbox);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&mailbox));
        Ok(mailbox)
    }

    fn of(&self, generation: u64) -> Option<Arc<Mailbox>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|mailbox| mailbox.generation == generation).map(Arc::clone)
    }
}

/// The connection's client is dead.
#[derive(Debug)]
pub(crate) struct Dead;

impl Mailbox {
    async fn open(generation: u64, client: Client, connection: Connection) -> Result<Self, Dead> {
        let prefix = format!("{}.", client.new_inbox());
        let Ok(mut subscription) = client.subscribe(format!("{prefix}*")).await else {
            connection.report_dead(generation);
            return Err(Dead);
        };
        let waiting = Arc::new(Waiting::default());
        let router = tokio::spawn({
            let (waiting, at) = (Arc::clone(&waiting), prefix.len());
            async move {
                while let Some(message) = subscription.next().await {
                    waiting.deliver(at, message);
                }
                // The client is dead or closed. Whoever waits learns of it now instead of when the time is up.
                waiting.end();
                connection.report_dead(generation);
            }
        });
        let _router = AbortOnDropHandle::new(router);
        Ok(Self { generation, client, prefix, next: AtomicU64::new(0), waiting, _router })
    }

    fn seat(self: Arc<Self>) -> Seat {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.waiting.lock().calls.insert(number, Call::default());
        Seat { mailbox: self, number }
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a message to the call that waits for it; `at` is where its number starts in the subject. An answer nobody
    /// waits for any more is dropped.
    fn deliver(&self, at: usize, message: Message) {
        let number = message.subject.get(at..).and_then(|number| number.parse::<u64>().ok());
        let mut waiting = self.lock();
        let call = number.and_then(|number| waiting.calls.get_mut(&number));
        let Some(call) = call.filter(|call| call.answers.len() < ANSWERS_KEPT) else {
            tracing::trace!("an answer came for which no call waits");
            return;
        };
        call.answers.push_back(message);
        let waker = call.waker.take();
        // Whoever wakes looks into the mailbox at once.
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The next answer to the call with this number; none when no more will come.
    fn poll(&self, number: u64, context: &mut Context<'_>) -> Poll<Option<Message>> {
        let mut waiting = self.lock();
        let ended = waiting.ended;
        let Some(call) = waiting.calls.get_mut(&number) else { return Poll::Ready(None) };
        match call.answers.pop_front() {
            Some(answer) => Poll::Ready(Some(answer)),
            None if ended => Poll::Ready(None),
            None => {
                call.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn end(&self) {
        let mut waiting = self.lock();
        waiting.ended = true;
        let wakers: Vec<_> = waiting.calls.values_mut().filter_map(|call| call.waker.take()).collect();
        drop(waiting);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Seat {
    /// The client whose replies arrive here, to send with.
    pub(crate) fn client(&self) -> &Client {
        &self.mailbox.client
    }

    /// The number of that client.
    pub(crate) fn generation(&self) -> u64 {
        self.mailbox.generation
    }

    /// Where replies are to be sent.
    pub(crate) fn reply_subject(&self) -> Subject {
        Subject::from(format!("{}{}", self.mailbox.prefix, self.number))
    }

    /// The next reply; none when the client has died.
    pub(crate) async fn answer(&mut self) -> Option<Message> {
        poll_fn(|context| self.mailbox.waiting.poll(self.number, context)).await
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.mailbox.waiting.lock().calls.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use headwater_nats::connect::NatsConfig;
    use headwater_testkit::{TestServer, wait_until};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_call_that_is_given_up_leaves_nothing_behind_and_late_answers_are_dropped() {
        let server = TestServer::start().await;
        let connection = Connection::connect(&NatsConfig::new(&server.url())).await.unwrap();
        let mailboxes = Mailboxes::new(connection.clone());
        let seats = [mailboxes.seat(None).await.unwrap(), mailboxes.seat(None).await.unwrap()];
        let waiting = Arc::clone(&seats[0].mailbox.waiting);
        assert_eq!(waiting.lock().calls.len(), 2);
        let late = seats[0].reply_subject();
        drop(seats);
        assert!(waiting.lock().calls.is_empty());

        let mut seat = mailboxes.seat(None).await.unwrap();
        connection.client().publish(late, "late".into()).await.unwrap();
        connection.client().publish(seat.reply_subject(), "mine".into()).await.unwrap();
        assert_eq!(seat.answer().await.unwrap().payload, "mine");
    }

    #[tokio::test]
    async fn a_call_that_leaves_its_answers_unread_does_not_stand_in_the_way_of_others() {
        let server = TestServer::start().await;
        let connection = Connection::connect(&NatsConfig::new(&server.url())).await.unwrap();
        let mailboxes = Mailboxes::new(connection.clone());
        let lazy = mailboxes.seat(None).await.unwrap();
        let mut keen = mailboxes.seat(None).await.unwrap();
        for _ in 0..10 * ANSWERS_KEPT {
            connection.client().publish(lazy.reply_subject(), "again".into()).await.unwrap();
        }
        connection.client().publish(keen.reply_subject(), "mine".into()).await.unwrap();
        assert_eq!(keen.answer().await.unwrap().payload, "mine");
        assert_eq!(lazy.mailbox.waiting.lock().calls[&lazy.number].answers.len(), ANSWERS_KEPT);
    }

    #[tokio::test]
    async fn whoever_waits_learns_at_once_that_the_client_is_gone() {
        let server = TestServer::start().await;
        let client = async_nats::connect(server.url()).await.unwrap();
        let connection = Connection::from_client(client.clone());
        let mailboxes = Mailboxes::new(connection.clone());
        let mut seat = mailboxes.seat(None).await.unwrap();
        client.drain().await.unwrap();
        let answer = tokio::time::timeout(LONG, seat.answer()).await.unwrap();
        assert!(answer.is_none());
        wait_until(LONG, "the connection to notice", async || connection.status().is_final().then_some(())).await;
    }
}
