//! Handlers behind a circuit breaker.

use std::fmt;
use std::sync::Arc;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use headwater_core::{Failure, FailureCode, is_name};
use headwater_nats::circuit_breaker::{Breaker, Call, CircuitBreaker, CircuitState, CircuitStats, Refused};
use headwater_nats::problem::{InvalidSettings, Problems};
use headwater_nats::telemetry::opentelemetry::KeyValue;
use headwater_nats::telemetry::{Telemetry, names};
use tower::{Layer, Service, ServiceExt as _};

use super::observe::{Named, Numbers, Observing};
use crate::BoxError;
use crate::router::handler::Outcome;
use crate::router::{Answer, Context, Next};

/// Leaves what handlers need alone while it fails or is slow.
///
/// Calls of the handlers it is put around are counted: a failure is an error that means another try, and a reply of 500 or
/// above; what a handler refuses (poison, a reply below 500) is none. When the circuit opens, events wait and requests are
/// refused at once. A message whose handler fails while the circuit is not closed is not to blame for that: it waits too, for as
/// long as [`Retry::excused_for`](crate::processing::Retry::excused_for) says.
///
/// ```
/// use std::time::Duration;
///
/// use headwater_nats::circuit_breaker::CircuitBreaker;
/// use headwater_nats_messaging::layer::CircuitBreakerLayer;
/// use headwater_nats_messaging::router::{Route, Router};
///
/// async fn mail() {}
///
/// let mails = CircuitBreakerLayer::new("mail-server", CircuitBreaker::default().open(Duration::from_secs(10)))?;
/// let router: Router = Router::new().route(Route::event("orders.*.placed", mail).layer(mails));
/// # Ok::<(), headwater_nats::problem::InvalidSettings>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct CircuitBreakerLayer {
    circuit: Arc<Breaker>,
    judge: Arc<Judge>,
}

type Judge = dyn Fn(&Answer) -> Judgement + Send + Sync;

/// What a circuit learns from how a handler ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// What the handler needs works, if it was quick enough.
    Works,
    /// It does not.
    Fails,
    /// Nothing.
    Unknown,
}

impl CircuitBreakerLayer {
    /// A circuit called `name`, a [name](headwater_core::Name) of the protocol.
    ///
    /// # Errors
    /// With everything that is wrong with name and settings.
    pub fn new(name: &'static str, settings: CircuitBreaker) -> Result<Self, InvalidSettings> {
        let mut problems = Problems::default();
        if !is_name(name) {
            problems.add("circuit_breaker.name", &name, "is not a name: lower-case letters, digits and dashes");
        }
        settings.check("circuit_breaker", &mut problems);
        problems.none()?;
        Ok(Self { circuit: Arc::new(Breaker::new(name, settings)), judge: Arc::new(judge) })
    }

    /// Judges by this how handlers ended, instead of by [`Judgement::of`].
    pub fn judged_by(self, judge: impl Fn(&Answer) -> Judgement + Send + Sync + 'static) -> Self {
        Self { judge: Arc::new(judge), ..self }
    }

    /// Records metrics under the name of this service, as services do of their circuits.
    pub fn telemetry(self, telemetry: &Telemetry, service: &str) -> Self {
        let observing = Observing::new(telemetry, service, &self.circuit);
        observing.counter(CALLS, calls);
        observing.counter(OPENED, |circuit| vec![(circuit.stats().opened, vec![label(circuit)])]);
        observing.gauge(STATE, |circuit| vec![(circuit.state().0.number(), vec![label(circuit)])]);
        self
    }

    /// How the circuit is, and what it has seen.
    #[must_use]
    pub fn stats(&self) -> CircuitStats {
        self.circuit.stats()
    }
}

const CALLS: Named = (names::CIRCUIT_CALLS, "{call}", "Calls through a circuit, and what it refused, by how they went");
const OPENED: Named = (names::CIRCUIT_OPENED, "{time}", "How often a circuit has opened");
const STATE: Named = (names::CIRCUIT_STATE, "", "How a circuit is: 0 closed, 1 half-open, 2 open");

fn label(circuit: &Breaker) -> KeyValue {
    KeyValue::new(names::CIRCUIT, circuit.name())
}

fn calls(circuit: &Breaker) -> Numbers {
    let CircuitStats { good, slow, failed, given_up, refused, .. } = circuit.stats();
    let outcomes = [("good", good), ("slow", slow), ("failed", failed), ("given-up", given_up), ("refused", refused)];
    let labelled = |(outcome, number)| (number, vec![label(circuit), KeyValue::new(names::OUTCOME, outcome)]);
    outcomes.map(labelled).to_vec()
}

impl Judgement {
    /// How a handler's end is judged by default.
    ///
    /// An error of an event that means another try is [`Fails`](Self::Fails), and so is a reply of 500 or above, unless it says
    /// that there was too much to do. What succeeds [`Works`](Self::Works), and what was looked for and not found, conflicts or is
    /// rejected too. Poison, and requests that are not as they should be, tell nothing: the handler may not have got so far.
    #[must_use]
    pub fn of(answer: &Answer) -> Self {
        match answer {
            Answer::Event(Outcome::Done) | Answer::Reply(Ok(_)) => Self::Works,
            Answer::Event(Outcome::Poison { .. } | Outcome::Postpone { .. }) => Self::Unknown,
            Answer::Event(Outcome::Retry { error, .. }) => match error.downcast_ref::<Failure>() {
                Some(failure) => Self::of_failure(failure),
                None if error.is::<tower::load_shed::error::Overloaded>() => Self::Unknown,
                None => Self::Fails,
            },
            Answer::Reply(Err(failure)) => Self::of_failure(failure),
        }
    }

    fn of_failure(failure: &Failure) -> Self {
        match failure.code {
            FailureCode::NotFound | FailureCode::Conflict | FailureCode::CommandRejected => Self::Works,
            FailureCode::Unavailable
                if matches!(failure.reason(), Some("overloaded" | "draining" | "circuit-open")) =>
            {
                Self::Unknown
            }
            _ if failure.code.number() >= 500 => Self::Fails,
            _ => Self::Unknown,
        }
    }
}

fn judge(answer: &Answer) -> Judgement {
    Judgement::of(answer)
}

impl Layer<Next> for CircuitBreakerLayer {
    type Service = CircuitBreakerService;

    fn layer(&self, next: Next) -> CircuitBreakerService {
        CircuitBreakerService { layer: self.clone(), next }
    }
}

/// A handler behind a circuit breaker.
#[derive(Debug, Clone)]
pub struct CircuitBreakerService {
    layer: CircuitBreakerLayer,
    next: Next,
}

impl Service<Context> for CircuitBreakerService {
    type Response = Answer;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer, BoxError>>;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, context: Context) -> Self::Future {
        let (layer, next) = (self.layer.clone(), self.next.clone());
        async move { Ok(layer.through(context, next).await) }.boxed()
    }
}

impl CircuitBreakerLayer {
    async fn through(&self, context: Context, next: Next) -> Answer {
        let is_request = context.is_request();
        let call = match self.circuit.begin() {
            Ok(call) => call,
            Err(refused) => return self.refusal(refused, is_request),
        };
        let done = next.oneshot(context).await;
        let answer = done.unwrap_or_else(|error| Answer::of_error(error, is_request));
        if self.end(call, (self.judge)(&answer)) { self.excuse(answer) } else { answer }
    }

    /// Ends a call, and says whether it failed.
    fn end(&self, call: Call<'_>, judgement: Judgement) -> bool {
        match judgement {
            Judgement::Works => call.answered(),
            Judgement::Fails => call.failed(),
            Judgement::Unknown => call.forget(),
        }
        judgement == Judgement::Fails
    }

    /// What did not go through, because the circuit is not closed.
    fn refusal(&self, refused: Refused, is_request: bool) -> Answer {
        let failure =
            Failure::unavailable("circuit-open", "what is needed for this failed or was too slow, and is left alone");
        let failure = failure.detail("circuit", self.circuit.name()).retry_in(refused.wait);
        if is_request {
            return Answer::Reply(Err(failure));
        }
        Answer::Event(Outcome::Postpone { error: failure.into(), after: spread(refused.wait), tried: false })
    }

    /// An event that failed because of what its handler needs is put off: while the circuit is not closed it is not to blame.
    fn excuse(&self, answer: Answer) -> Answer {
        match (answer, self.circuit.state()) {
            (answer, (CircuitState::Closed, _)) => answer,
            (Answer::Event(Outcome::Retry { error, after }), (_, wait)) => {
                let after = after.unwrap_or_default().max(wait.unwrap_or(HALF_OPEN));
                Answer::Event(Outcome::Postpone { error, after: spread(after), tried: true })
            }
            (answer, _) => answer,
        }
    }
}

/// How long a failed trial waits while others are still under way.
const HALF_OPEN: Duration = Duration::from_secs(1);

/// A little longer, by chance: not all that wait come back together.
fn spread(time: Duration) -> Duration {
    time.mul_f64(rand::random_range(1.0..1.1))
}

impl fmt::Debug for CircuitBreakerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CircuitBreakerLayer").field(&self.circuit).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    #[test]
    fn what_fails_is_told_from_what_is_refused() {
        let event = |error: BoxError| Answer::Event(Outcome::Retry { error, after: None });
        let reply = |code| Answer::Reply(Err(Failure::new(code, "no")));
        let draining = Failure::unavailable("draining", "it leaves");
        let poison = Answer::Event(Outcome::Poison { reason: "no amount".to_owned() });
        for (answer, expected) in [
            (Answer::Event(Outcome::Done), Judgement::Works),
            (Answer::Reply(Ok(Message::new("", ""))), Judgement::Works),
            (reply(FailureCode::NotFound), Judgement::Works),
            (reply(FailureCode::CommandRejected), Judgement::Works),
            (reply(FailureCode::InvalidRequest), Judgement::Unknown),
            (reply(FailureCode::RateLimited), Judgement::Unknown),
            (reply(FailureCode::Internal), Judgement::Fails),
            (reply(FailureCode::DeadlineExceeded), Judgement::Fails),
            (event("no route to host".into()), Judgement::Fails),
            (event(Failure::unavailable("mail-server", "it is down").into()), Judgement::Fails),
            (event(draining.into()), Judgement::Unknown),
            (poison, Judgement::Unknown),
        ] {
            assert_eq!(Judgement::of(&answer), expected, "{answer:?}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told() {
        let settings = CircuitBreaker::default().failure_rate(0.0).min_calls(0);
        let invalid = CircuitBreakerLayer::new("Mail Server", settings).unwrap_err();
        let settings: Vec<_> = invalid.problems.iter().map(|problem| problem.setting.as_str()).collect();
        assert_eq!(settings, ["circuit_breaker.name", "circuit_breaker.failure_rate", "circuit_breaker.min_calls"]);
    }
}
