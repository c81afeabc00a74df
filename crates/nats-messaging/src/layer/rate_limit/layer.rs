//! The layer, and how long whoever comes too soon waits.

use std::sync::Arc;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use headwater_core::{Failure, FailureCode};
use headwater_nats::rate_limit::{Budgets, Limiter, Refused};
use headwater_nats::telemetry::{Telemetry, names};
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt as _};

use super::RateLimit;
use super::stats::{Counts, RateLimitStats, Word};
use crate::BoxError;
use crate::layer::observe::Observing;
use crate::router::handler::Outcome;
use crate::router::{Answer, Context, Next};

/// How long an event that made room for others is away at least: looking at it again costs more than asking the limits.
const AWAY: Duration = Duration::from_secs(1);

/// The key of a limit that has only one.
const ONE: u64 = 0;

/// Rate limits around handlers, from [`RateLimit::layer`]. Clones share their budgets.
#[derive(Debug, Clone)]
#[must_use]
pub struct RateLimitLayer(Arc<Limited>);

/// The limits at work.
#[derive(Debug)]
struct Limited {
    settings: RateLimit,
    /// By their places among the budgets.
    words: Vec<Word>,
    limiter: Limiter,
    counts: Counts,
}

impl RateLimitLayer {
    /// The settings were checked.
    pub(super) fn new(settings: RateLimit) -> Self {
        let keys = usize::try_from(settings.max_keys).unwrap_or(1);
        let set = [
            (Word::All, settings.all, 1),
            (Word::Tenant, settings.tenant, keys),
            (Word::Caller, settings.caller, keys),
        ];
        let (words, budgets): (Vec<_>, Vec<_>) =
            set.into_iter().filter_map(|(word, rate, keys)| Some((word, (rate?, keys)))).unzip();
        let limiter = Limiter::new(Budgets::new(budgets));
        Self(Arc::new(Limited { settings, words, limiter, counts: Counts::default() }))
    }

    /// Records metrics under the name of this service, as services do of their limits.
    pub fn telemetry(self, telemetry: &Telemetry, service: &str) -> Self {
        let description = "Messages that the rate limits let through, put off, and refused, by limit";
        let named = (names::RATE_LIMIT_DECISIONS, "{message}", description);
        Observing::new(telemetry, service, &self.0).counter(named, |limited| limited.counts.numbers());
        self
    }

    /// What the limits have decided.
    #[must_use]
    pub fn stats(&self) -> RateLimitStats {
        let Limited { words, limiter, counts, .. } = &*self.0;
        let keyed = words.iter().enumerate().filter(|(_, word)| **word != Word::All);
        counts.snapshot(keyed.map(|(place, _)| limiter.keys(place)).sum(), limiter.crowded())
    }
}

impl Layer<Next> for RateLimitLayer {
    type Service = RateLimitService;

    fn layer(&self, next: Next) -> RateLimitService {
        RateLimitService { limited: Arc::clone(&self.0), next }
    }
}

/// A handler behind rate limits.
#[derive(Debug, Clone)]
pub struct RateLimitService {
    limited: Arc<Limited>,
    next: Next,
}

impl Service<Context> for RateLimitService {
    type Response = Answer;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer, BoxError>>;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, context: Context) -> Self::Future {
        let (limited, next) = (Arc::clone(&self.limited), self.next.clone());
        async move {
            match limited.pass(&context).await {
                Ok(()) => next.oneshot(context).await,
                Err(answer) => Ok(answer),
            }
        }
        .boxed()
    }
}

impl Limited {
    /// Lets a message through when it may, or says what comes of it instead.
    async fn pass(&self, context: &Context) -> Result<(), Answer> {
        let asked = self.asked(context);
        let Err(refused) = self.limiter.take(&asked) else {
            self.counts.allowed.add(1);
            return Ok(());
        };
        if context.is_request() {
            let word = self.words[refused.limit];
            self.counts.refuse(word);
            return Err(Answer::Reply(Err(failure(word, refused.wait))));
        }
        self.wait(&asked, refused).await
    }

    /// Waits until an event passes, if that is soon and all others would have to wait too. Whoever is over the limit of its
    /// caller or tenant makes room at once for those who are not.
    async fn wait(&self, asked: &[Option<(usize, u64)>], mut refused: Refused) -> Result<(), Answer> {
        let until = Instant::now() + self.settings.wait.get();
        while self.words[refused.limit] == Word::All && Instant::now() + refused.wait <= until {
            sleep(refused.wait).await;
            match self.limiter.take(asked) {
                Ok(()) => {
                    self.counts.allowed.add(1);
                    self.counts.waited.add(1);
                    return Ok(());
                }
                Err(again) => refused = again,
            }
        }
        self.counts.postponed.add(1);
        let error = failure(self.words[refused.limit], refused.wait).into();
        // Not all that wait come back together.
        let after = refused.wait.max(AWAY).mul_f64(rand::random_range(1.0..1.5));
        Err(Answer::Event(Outcome::Postpone { error, after, tried: false }))
    }

    /// The limits that apply to a message, and its keys.
    fn asked(&self, context: &Context) -> [Option<(usize, u64)>; Word::ALL.len()] {
        let mut asked = [None; Word::ALL.len()];
        for (place, word) in self.words.iter().enumerate() {
            let key = match word {
                Word::All => ONE,
                Word::Tenant => self.limiter.key(context.caller().as_ref().and_then(|caller| caller.tenant_id())),
                Word::Caller => self.caller(context),
            };
            asked[place] = Some((place, key));
        }
        asked
    }

    /// Whose message it is. Whoever was verified cannot be taken for somebody who only says so.
    fn caller(&self, context: &Context) -> u64 {
        if let Some(caller) = context.caller() {
            return self.limiter.key(("verified", caller.tenant_id(), caller.user()));
        }
        match (&self.settings.caller_key, &self.settings.caller_header) {
            (Some(key), _) => self.limiter.key(("said", key.of(context))),
            (None, Some(header)) => self.limiter.key(("said", context.headers().get(header))),
            (None, None) => self.limiter.key("anybody"),
        }
    }
}

/// The answer to a request, and what the log says of an event.
fn failure(limit: Word, wait: Duration) -> Failure {
    let limit = limit.as_str();
    let message = match limit {
        "all" => "there were too many messages".to_owned(),
        limit => format!("there were too many messages for the limit of the {limit}"),
    };
    Failure::new(FailureCode::RateLimited, message).retry_in(wait).detail("limit", limit)
}
