//! A question to many instances, and when to stop waiting for answers.

use std::collections::HashSet;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use headwater_core::call::CallError;
use headwater_nats::connect::Connection;
use headwater_nats::discovery::{Identity, Info, Ping, Stats};
use headwater_nats::subject::{DiscoveryTarget, Verb, discovery};
use serde::de::DeserializeOwned;

use super::{Answers, Gathering};

/// How long to wait at most.
const DEFAULT_WITHIN: Duration = Duration::from_secs(2);

/// How long to wait for a further answer once there is one.
const DEFAULT_QUIET: Duration = Duration::from_millis(300);

/// The most answers one question takes.
const MAX_ANSWERS: usize = 10_000;

/// What discovery is answered with: [`Ping`], [`Info`] or [`Stats`].
pub trait Answer: DeserializeOwned + Send + sealed::Sealed {
    /// Whose answer it is.
    fn identity(&self) -> &Identity;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! answers {
    ($($answer:ty),*) => {$(
        impl sealed::Sealed for $answer {}

        impl Answer for $answer {
            fn identity(&self) -> &Identity {
                &self.identity
            }
        }
    )*};
}

answers!(Ping, Info, Stats);

/// A question to many instances, asked when awaited.
///
/// Nobody says how many there are, so waiting ends with the first of: the number of instances that was expected, no
/// further answer for 300 ms after the last one ([`quiet`](Self::quiet)), or two seconds in all
/// ([`within`](Self::within)). Fewer answers than expected are no error; an instance that answers twice counts once.
#[derive(Debug, Clone)]
#[must_use = "a question is asked when it is awaited"]
pub struct Question<T> {
    connection: Connection,
    verb: Verb,
    service: Option<String>,
    instance: Option<String>,
    expected: Option<usize>,
    quiet: Duration,
    within: Duration,
    answer: PhantomData<fn() -> T>,
}

impl<T: Answer> Question<T> {
    pub(super) fn new(connection: Connection, verb: Verb) -> Self {
        Self {
            connection,
            verb,
            service: None,
            instance: None,
            expected: None,
            quiet: DEFAULT_QUIET,
            within: DEFAULT_WITHIN,
            answer: PhantomData,
        }
    }

    /// Only instances of this service.
    pub fn service(self, service: impl Into<String>) -> Self {
        Self { service: Some(service.into()), ..self }
    }

    /// Only this instance of this service.
    pub fn instance(self, service: impl Into<String>, id: impl Into<String>) -> Self {
        Self { service: Some(service.into()), instance: Some(id.into()), expected: Some(1), ..self }
    }

    /// The first answer is enough.
    pub fn first(self) -> Self {
        self.expecting(1)
    }

    /// Answers of this many instances are enough, and the waiting goes on until they are there or the time is up, however
    /// quiet it gets.
    pub fn expecting(self, instances: usize) -> Self {
        Self { expected: Some(instances), ..self }
    }

    /// How long to wait for a further answer once there is one. 300 ms by default.
    pub fn quiet(self, quiet: Duration) -> Self {
        Self { quiet, ..self }
    }

    /// How long to wait at most. Two seconds by default.
    pub fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    async fn ask(self) -> Result<Answers<T>, CallError> {
        let target = match (&self.service, &self.instance) {
            (Some(service), Some(id)) => DiscoveryTarget::Instance { service, id },
            (Some(service), None) => DiscoveryTarget::Service(service),
            (None, _) => DiscoveryTarget::All,
        };
        let subject = discovery(self.verb, target).map_err(|error| CallError::NotSent(error.to_string()))?;
        let mut gathering = Gathering::start(&self.connection, subject, "".into(), self.within).await?;
        let mut answers = Answers { answers: Vec::new(), took: Vec::new(), malformed: 0 };
        let mut seen = HashSet::new();
        while answers.answers.len() < self.expected.unwrap_or(MAX_ANSWERS) && answers.malformed < MAX_ANSWERS {
            let nothing_yet = answers.answers.is_empty() || self.expected.is_some();
            let patience = if nothing_yet { self.within } else { self.quiet };
            let Some(message) = gathering.next(patience).await? else { break };
            match serde_json::from_slice::<T>(&message.payload) {
                Ok(answer) if answer.identity().name.is_empty() || answer.identity().id.is_empty() => {
                    answers.malformed += 1;
                }
                Ok(answer) => {
                    let Identity { name, id, .. } = answer.identity();
                    if seen.insert((name.clone(), id.clone())) {
                        answers.answers.push(answer);
                        answers.took.push(gathering.elapsed());
                    }
                }
                Err(error) => {
                    tracing::debug!(verb = self.verb.as_str(), %error, "an answer of discovery cannot be read");
                    answers.malformed += 1;
                }
            }
        }
        Ok(answers)
    }
}

impl<T: Answer + 'static> IntoFuture for Question<T> {
    type Output = Result<Answers<T>, CallError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.ask().boxed()
    }
}
