//! Callers who keep a service busy, and the book of what they were told.
//!
//! Every caller sends commands with ids of its own, one after the other, and sends each again until it has an answer.
//! Afterwards [`Book::check`] compares the book with the journal: what was acknowledged is stored exactly once and as
//! the caller was told, what was not is stored once or not at all, and no revision is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use headwater::client::{Committed, ExecuteError};
use headwater::{Aggregate, CommandId, Decide};
use sample_receipts::domain::{AddItem, AddItems, Receipt, ReceiptClient};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::Stored;

/// For how long a caller sends one command again and again.
const PATIENCE: Duration = Duration::from_secs(30);

/// The pause before it is sent again, on top of the client's own.
const AGAIN_AFTER: Duration = Duration::from_millis(20);

type Refusal = ExecuteError<<Receipt as Aggregate>::Rejection>;

/// Callers at work.
#[derive(Debug)]
pub struct Load {
    callers: JoinSet<Book>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
}

/// What callers were told.
#[derive(Debug, Default)]
pub struct Book {
    /// Commands that were carried out, as the caller was told.
    pub acknowledged: Vec<Acknowledged>,
    /// Commands whose caller lost patience.
    pub given_up: Vec<CommandId>,
    /// Calls that failed, although the same command may have succeeded later.
    pub failed_calls: Vec<String>,
}

/// A command that was carried out.
#[derive(Debug)]
pub struct Acknowledged {
    /// Whose command it was.
    pub aggregate: String,
    /// What the caller was told.
    pub told: Committed,
}

/// One command, to be sent as often as it takes.
#[derive(Debug, Clone)]
enum Order {
    One(AddItem),
    Two(AddItems),
}

impl Load {
    /// Starts as many callers as there are `clients`. They take turns with the aggregates; every third command has two
    /// events.
    #[must_use]
    pub fn start(clients: impl IntoIterator<Item = ReceiptClient>, aggregates: &[&str]) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let aggregates: Vec<String> = aggregates.iter().map(|id| (*id).to_owned()).collect();
        let mut callers = JoinSet::new();
        for (number, client) in clients.into_iter().enumerate() {
            let caller = Caller {
                client,
                aggregates: aggregates.clone(),
                stop: Arc::clone(&stop),
                acknowledged: Arc::clone(&acknowledged),
            };
            callers.spawn(caller.work(number));
        }
        Self { callers, stop, acknowledged }
    }

    /// How many commands have been acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until this many more commands have been acknowledged.
    ///
    /// # Panics
    /// When that takes longer than `within`.
    pub async fn progress(&self, more: usize, within: Duration) {
        let goal = self.acknowledged() + more;
        let what = format!("{more} more acknowledged commands");
        headwater_testkit::wait_until(within, &what, || async move { (self.acknowledged() >= goal).then_some(()) })
            .await;
    }

    /// Lets every caller finish its command, and closes the book.
    pub async fn finish(mut self) -> Book {
        self.stop.store(true, Ordering::Relaxed);
        let mut book = Book::default();
        while let Some(part) = self.callers.join_next().await {
            let part = part.unwrap();
            book.acknowledged.extend(part.acknowledged);
            book.given_up.extend(part.given_up);
            book.failed_calls.extend(part.failed_calls);
        }
        book
    }
}

struct Caller {
    client: ReceiptClient,
    aggregates: Vec<String>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
}

impl Caller {
    async fn work(self, number: usize) -> Book {
        let mut book = Book::default();
        for turn in number.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            self.see_through(&self.aggregates[turn % self.aggregates.len()], order(turn), &mut book).await;
        }
        book
    }

    /// Sends one command until it is answered.
    async fn see_through(&self, aggregate: &str, order: Order, book: &mut Book) {
        let (id, begun) = (CommandId::generate(), Instant::now());
        loop {
            let answer = match order.clone() {
                Order::One(item) => self.send(aggregate, &item, &id).await,
                Order::Two(items) => self.send(aggregate, &items, &id).await,
            };
            match answer {
                Ok(told) => {
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                    return book.acknowledged.push(Acknowledged { aggregate: aggregate.to_owned(), told });
                }
                Err(error) => {
                    assert!(error.is_retryable(), "a command of the load was refused: {error}");
                    book.failed_calls.push(format!("{id} {error}"));
                }
            }
            if begun.elapsed() > PATIENCE {
                return book.given_up.push(id);
            }
            sleep(AGAIN_AFTER).await;
        }
    }

    async fn send<C: headwater::Command>(
        &self,
        aggregate: &str,
        command: &C,
        id: &CommandId,
    ) -> Result<Committed, Refusal>
    where
        Receipt: Decide<C>,
    {
        self.client.command(aggregate, command).command_id(id.clone()).without_state().await
    }
}

fn order(turn: usize) -> Order {
    let item = |name: &str| AddItem { name: format!("{name} {turn}"), price: "0.50".parse().unwrap(), quantity: 1 };
    match turn % 3 {
        2 => Order::Two(AddItems { items: vec![item("Tea"), item("Cake")] }),
        _ => Order::One(item("Coffee")),
    }
}

impl Book {
    /// Compares the book with everything that is stored.
    ///
    /// # Panics
    /// When a command is lost or doubled, or a history has a gap.
    #[track_caller]
    pub fn check(&self, stored: &[Stored]) {
        assert!(!self.acknowledged.is_empty(), "nothing was acknowledged, so nothing was shown");
        check_histories(stored);
        let mut by_command: BTreeMap<&str, Vec<&Stored>> = BTreeMap::new();
        for event in stored {
            by_command.entry(event.text("commandid")).or_default().push(event);
        }
        for Acknowledged { aggregate, told } in &self.acknowledged {
            let found = by_command.remove(told.command_id.as_str()).unwrap_or_default();
            let found: Vec<_> = found.iter().map(|event| (event.token(), event.text("id"), event.revision())).collect();
            let ids: Vec<_> = told.events.iter().map(|event| event.id.to_string()).collect();
            let expected: Vec<_> = told
                .events
                .iter()
                .zip(&ids)
                .map(|(event, id)| (aggregate.as_str(), id.as_str(), event.revision.get()))
                .collect();
            assert_eq!(found, expected, "{} is not stored as its caller was told", told.command_id);
        }
        // What is left was stored for callers who gave up, as far as it was.
        let given_up: BTreeSet<_> = self.given_up.iter().map(CommandId::as_str).collect();
        for (command, events) in by_command {
            assert!(given_up.contains(command), "nobody knows of {command}");
            let ids: BTreeSet<_> = events.iter().map(|event| event.text("id")).collect();
            assert_eq!(ids.len(), events.len(), "{command} is stored more than once");
        }
    }
}

/// Revisions of every aggregate go up by one, in the order in which they are stored.
#[track_caller]
pub fn check_histories(stored: &[Stored]) {
    let mut revisions: BTreeMap<&str, u64> = BTreeMap::new();
    for event in stored {
        let revision = revisions.entry(event.token()).or_default();
        *revision += 1;
        assert_eq!(event.revision(), *revision, "{} at {}", event.subject, event.sequence);
    }
}
