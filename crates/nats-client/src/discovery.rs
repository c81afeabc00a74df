//! Who is there, what they offer, how they are doing: NATS service discovery (ADR-32), and what a Headwater service
//! answers beyond it.
//!
//! ```no_run
//! use headwater_nats::connect::{Connection, NatsConfig};
//! use headwater_nats_client::Discovery;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let connection = Connection::connect(&NatsConfig::new("nats://localhost:4222")).await?;
//! let discovery = Discovery::new(connection);
//! for ping in discovery.ping().service("receipts").expecting(2).await?.answers {
//!     println!("{} {} is instance {}", ping.identity.name, ping.identity.version, ping.identity.id);
//! }
//! println!("{:?}", discovery.health("receipts").await?.status);
//! # Ok(())
//! # }
//! ```

mod answers;
mod question;

use std::time::Duration;

use headwater_core::call::CallError;
use headwater_core::{FailureCode, Name};
use headwater_nats::connect::Connection;
use headwater_nats::discovery::{Health, Info, Ping, SchemaRequest, Stats};
use headwater_nats::reply;
use headwater_nats::subject::{Subjects, Verb};
use serde_json::Value;

pub use answers::Answers;
use answers::Gathering;
pub use question::{Answer, Question};

/// How long one instance has to answer, as long as nobody says otherwise.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Asks services about themselves, over any connection.
#[derive(Debug, Clone)]
#[must_use]
pub struct Discovery {
    connection: Connection,
    answer_within: Duration,
}

impl Discovery {
    /// Discovery over `connection`.
    pub fn new(connection: Connection) -> Self {
        Self { connection, answer_within: ANSWER_WITHIN }
    }

    /// How long one instance has to answer [`health`](Self::health) and [`schema`](Self::schema). Two seconds by default.
    pub fn answer_within(self, limit: Duration) -> Self {
        Self { answer_within: limit, ..self }
    }

    /// Who is there. Await it, or narrow it first.
    pub fn ping(&self) -> Question<Ping> {
        Question::new(self.connection.clone(), Verb::Ping)
    }

    /// What endpoints they have.
    pub fn info(&self) -> Question<Info> {
        Question::new(self.connection.clone(), Verb::Info)
    }

    /// What the endpoints have done.
    pub fn stats(&self) -> Question<Stats> {
        Question::new(self.connection.clone(), Verb::Stats)
    }

    /// How an instance of `service` is doing; which of them is the server's choice.
    ///
    /// # Errors
    /// [`CallError::NotSent`] when `service` is not a name, [`CallError::NoResponders`] when no instance is there,
    /// [`CallError::Unanswered`] when none answers [in time](Self::answer_within), and [`CallError::Unreadable`].
    pub async fn health(&self, service: &str) -> Result<Health, CallError> {
        let answer = self.ask(service, Subjects::health, Vec::new()).await?;
        serde_json::from_value(answer).map_err(|_| CallError::Unreadable("it is not an answer of `health`".to_owned()))
    }

    /// The contract of `service`, or the part of it that `pointer` (a JSON Pointer such as `/aggregates/receipt`) names;
    /// empty for all of it. The whole reads as a [`Contract`](headwater_nats::discovery::Contract).
    ///
    /// # Errors
    /// As for [`health`](Self::health), and [`CallError::Failed`] with the service's own failure: 404 where the contract
    /// has no such part, 413 where it is too large for one message.
    pub async fn schema(&self, service: &str, pointer: &str) -> Result<Value, CallError> {
        let pointer = (!pointer.is_empty()).then(|| pointer.to_owned());
        let body = serde_json::to_vec(&SchemaRequest { pointer }).expect("a text can always be written");
        self.ask(service, Subjects::schema, body).await
    }

    /// Asks one instance.
    async fn ask(&self, service: &str, at: fn(&Subjects) -> String, body: Vec<u8>) -> Result<Value, CallError> {
        let name = Name::new(service.to_owned()).map_err(|error| CallError::NotSent(format!("service: {error}")))?;
        let subject = at(&Subjects::new(name));
        let limit = self.answer_within;
        let mut gathering = Gathering::start(&self.connection, subject, body.into(), limit).await?;
        let Some(message) = gathering.next(limit).await? else {
            return Err(if gathering.no_responders() {
                CallError::NoResponders { service: service.to_owned() }
            } else {
                CallError::Unanswered(headwater_core::call::LostReply::Timeout(limit))
            });
        };
        if let Some(mut failure) = reply::read_failure(message.headers.as_ref(), &message.payload) {
            // A plain 503 of a question cannot have had an outcome.
            if failure.code == FailureCode::OutcomeUnknown {
                failure.code = FailureCode::Unavailable;
            }
            return Err(CallError::Failed(failure));
        }
        serde_json::from_slice(&message.payload).map_err(|_| CallError::Unreadable("it is not JSON".to_owned()))
    }
}
