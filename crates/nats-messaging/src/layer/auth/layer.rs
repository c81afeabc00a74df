//! The layer, and what comes of a message that it does not let through.

use std::sync::Arc;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use headwater_nats::auth::{AuthStats, Reason};
use headwater_nats::telemetry::opentelemetry::KeyValue;
use headwater_nats::telemetry::{Telemetry, names};
use tower::{Layer, Service, ServiceExt as _};

use super::guard::Guard;
use crate::BoxError;
use crate::layer::observe::Observing;
use crate::router::handler::Outcome;
use crate::router::{Answer, Context, Next};

/// How long an event waits of which nobody can tell now who sent it.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Auth around handlers, from [`Auth::layer`](super::Auth::layer). Handlers learn who sent a message by a parameter of type
/// [`Caller`](crate::layer::Caller). Clones share what is remembered and counted.
#[derive(Debug, Clone)]
#[must_use]
pub struct AuthLayer(Arc<Guard>);

impl AuthLayer {
    pub(super) fn new(guard: Guard) -> Self {
        Self(Arc::new(guard))
    }

    /// Records metrics under the name of this service, as services do of what their edge turns away.
    pub fn telemetry(self, telemetry: &Telemetry, service: &str) -> Self {
        let named = (names::TURNED_AWAY, "{message}", "Messages that a layer turned away");
        Observing::new(telemetry, service, &self.0)
            .counter(named, |guard| vec![(guard.refused(), vec![KeyValue::new(names::STAGE, "auth")])]);
        self
    }

    /// What it has done.
    #[must_use]
    pub fn stats(&self) -> AuthStats {
        self.0.stats()
    }
}

impl Layer<Next> for AuthLayer {
    type Service = AuthService;

    fn layer(&self, next: Next) -> AuthService {
        AuthService { guard: Arc::clone(&self.0), next }
    }
}

/// A handler behind auth.
#[derive(Debug, Clone)]
pub struct AuthService {
    guard: Arc<Guard>,
    next: Next,
}

impl Service<Context> for AuthService {
    type Response = Answer;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer, BoxError>>;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut context: Context) -> Self::Future {
        let (guard, next) = (Arc::clone(&self.guard), self.next.clone());
        async move {
            match guard.check(&context).await {
                Ok(caller) => {
                    context.insert_shared(caller);
                    next.oneshot(context).await
                }
                Err(why) => Ok(refusal(why, context.is_request())),
            }
        }
        .boxed()
    }
}

/// What comes of a message that is not let through. Who sent a request learns less than who reads dead letters.
fn refusal(why: Reason, is_request: bool) -> Answer {
    let failure = why.failure();
    if is_request {
        return Answer::Reply(Err(failure));
    }
    Answer::Event(match why {
        Reason::Unavailable => {
            let after = LOOK_AGAIN.mul_f64(rand::random_range(1.0..1.5));
            Outcome::Postpone { error: failure.into(), after, tried: false }
        }
        why => Outcome::Poison { reason: format!("not let through: {}", why.as_str()) },
    })
}
