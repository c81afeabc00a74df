//! Who waits for which answer, over one client, and the task that hands the answers out.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use async_nats::{Message, Subject, Subscriber};
use futures_util::StreamExt;
use headwater_nats::connect::{Connection, ConnectionStatus, PermissionViolation};
use tokio::sync::{broadcast, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

/// An answer, or what there is instead.
#[derive(Debug)]
pub(super) enum Answer {
    Message(Message),
    /// The server does not permit us the subject.
    Forbidden,
    /// The connection dropped.
    Lost,
}

/// Who waits.
#[derive(Debug)]
pub(super) struct Desk {
    book: Mutex<Book>,
    /// Whether answers still come.
    served: AtomicBool,
    _task: DropGuard,
}

/// The open places. Each is used again, and the number of an answer tells for which time it is meant.
#[derive(Debug, Default)]
struct Book {
    places: Vec<Place>,
    free: Vec<usize>,
}

#[derive(Debug, Default)]
struct Place {
    /// How often it was used before.
    round: u64,
    open: Option<Open>,
}

/// The bits of a number that tell the place; the others are the round.
const PLACE_BITS: u32 = 24;

#[derive(Debug)]
struct Open {
    subject: Subject,
    answer: oneshot::Sender<Answer>,
}

/// Somebody who waits. Dropped, nobody waits any more.
#[derive(Debug)]
pub(super) struct Waiting {
    desk: Arc<Desk>,
    number: u64,
    answer: oneshot::Receiver<Answer>,
}

impl Desk {
    /// Hands out what comes, for as long as somebody holds the desk.
    pub(super) fn open(connection: Connection, answers: Subscriber, number_at: usize) -> Arc<Self> {
        let abandoned = CancellationToken::new();
        let desk = Arc::new(Self {
            book: Mutex::default(),
            served: AtomicBool::new(true),
            _task: abandoned.clone().drop_guard(),
        });
        let serving = serve(Arc::downgrade(&desk), connection, answers, number_at);
        tokio::spawn(async move { abandoned.run_until_cancelled(serving).await });
        desk
    }

    pub(super) fn is_served(&self) -> bool {
        self.served.load(Ordering::Acquire)
    }

    /// Takes a place for the answer to what goes to `subject`.
    pub(super) fn expect(self: &Arc<Self>, subject: Subject) -> Waiting {
        let (sender, answer) = oneshot::channel();
        let number = self.book().put(Open { subject, answer: sender });
        Waiting { desk: Arc::clone(self), number, answer }
    }

    fn answer(&self, number: u64, message: Message) {
        let open = self.book().take(number);
        if let Some(open) = open {
            // Whoever waited may have turned away.
            let _ = open.answer.send(Answer::Message(message));
        }
    }

    fn forbid(&self, subject: &str) {
        for open in self.book().take_all(|open| &*open.subject == subject) {
            let _ = open.answer.send(Answer::Forbidden);
        }
    }

    fn lose(&self) {
        for open in self.book().take_all(|_| true) {
            let _ = open.answer.send(Answer::Lost);
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Nothing in here leaves things half done when it panics.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn put(&mut self, open: Open) -> u64 {
        let at = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            self.places.len() - 1
        });
        let place = &mut self.places[at];
        place.open = Some(open);
        (place.round << PLACE_BITS) | at as u64
    }

    /// None when the answer comes too late, or for the second time.
    fn take(&mut self, number: u64) -> Option<Open> {
        let at = usize::try_from(number & ((1 << PLACE_BITS) - 1)).ok()?;
        let place = self.places.get_mut(at).filter(|place| place.round == number >> PLACE_BITS)?;
        let open = place.open.take()?;
        place.round += 1;
        self.free.push(at);
        Some(open)
    }

    fn take_all(&mut self, which: impl Fn(&Open) -> bool) -> Vec<Open> {
        let meant = |place: &Place| place.open.as_ref().is_some_and(&which);
        let numbered = self.places.iter().enumerate().filter(|(_, place)| meant(place));
        let numbers: Vec<u64> = numbered.map(|(at, place)| (place.round << PLACE_BITS) | at as u64).collect();
        numbers.into_iter().filter_map(|number| self.take(number)).collect()
    }
}

impl Waiting {
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Future for Waiting {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        // Without a sender there is no desk, and no answer.
        Pin::new(&mut self.answer).poll(context).map(|answer| answer.unwrap_or(Answer::Lost))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.answer.is_terminated() {
            drop(self.desk.book().take(self.number));
        }
    }
}

/// Hands out the answers until the client is dead. What is under way when the connection drops is lost; the client
/// subscribes again by itself.
async fn serve(desk: Weak<Desk>, connection: Connection, mut answers: Subscriber, number_at: usize) {
    let mut violations = connection.permission_violations();
    let mut statuses = connection.statuses();
    let mut was_up = statuses.borrow_and_update().is_connected();
    loop {
        let news = tokio::select! {
            biased;
            () = hand_out(&desk, &mut answers, number_at) => News::Ended,
            subject = forbidden(&mut violations) => News::Forbidden(subject),
            () = changed(&mut statuses) => News::Status,
        };
        let Some(desk) = desk.upgrade() else { return };
        match news {
            News::Ended => {
                desk.served.store(false, Ordering::Release);
                return desk.lose();
            }
            News::Forbidden(subject) => desk.forbid(&subject),
            News::Status => {
                let is_up = statuses.borrow_and_update().is_connected();
                // From up to up it was down in between. From down to up, what is under way was sent after the drop.
                if was_up || !is_up {
                    desk.lose();
                }
                was_up = is_up;
            }
        }
    }
}

enum News {
    Ended,
    Forbidden(String),
    Status,
}

async fn hand_out(desk: &Weak<Desk>, answers: &mut Subscriber, number_at: usize) {
    while let Some(message) = answers.next().await {
        let Some(desk) = desk.upgrade() else { return };
        if let Some(number) = message.subject.get(number_at..).and_then(|number| number.parse().ok()) {
            desk.answer(number, message);
        }
    }
}

async fn changed(statuses: &mut watch::Receiver<ConnectionStatus>) {
    if statuses.changed().await.is_err() {
        // The connection is gone, and with it the client: the subscription says so.
        std::future::pending::<()>().await;
    }
}

async fn forbidden(violations: &mut broadcast::Receiver<PermissionViolation>) -> String {
    loop {
        match violations.recv().await {
            Ok(PermissionViolation { subject, subscription: false, .. }) => return subject,
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            // Nobody will tell; the deadline decides.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(subject: &'static str) -> Open {
        Open { subject: Subject::from_static(subject), answer: oneshot::channel().0 }
    }

    #[test]
    fn a_place_is_used_again_and_an_answer_that_comes_too_late_is_nobodys() {
        let mut book = Book::default();
        let (first, second) = (book.put(open("a")), book.put(open("b")));
        assert_eq!(book.take(first).unwrap().subject.as_str(), "a");
        let third = book.put(open("c"));
        assert_eq!(book.places.len(), 2, "the first one's place is taken by the third");
        assert!(book.take(first).is_none() && third != first);
        assert_eq!(book.take(second).unwrap().subject.as_str(), "b");
        assert_eq!(book.take(third).unwrap().subject.as_str(), "c");
        assert!(book.take(u64::MAX).is_none());
    }

    #[test]
    fn all_that_wait_for_a_subject_are_found() {
        let mut book = Book::default();
        let other = book.put(open("b"));
        for _ in 0..3 {
            book.put(open("a"));
        }
        assert_eq!(book.take_all(|open| &*open.subject == "a").len(), 3);
        assert!(book.take_all(|open| &*open.subject == "a").is_empty());
        assert!(book.take(other).is_some());
    }
}
