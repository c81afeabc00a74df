//! The guard: asks who is calling, and whether they may.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use headwater_core::Failure;
use headwater_nats::auth::{Message, Reason, Refusals, Verified, Verifier, Ways, When};

use super::rules::Rules;
use super::{Auth, AuthStats, Authenticate, Credentials};
use crate::counters::Count;
use crate::edge::{Caller, Request};
use crate::endpoint::Endpoints;
use crate::problem::Problems;

/// The running part of auth.
pub(crate) struct Guard {
    own: Vec<Arc<dyn Authenticate>>,
    verifier: Verifier,
    rules: Rules,
    pub(super) tenants: bool,
    allowed: Count,
    refusals: Refusals,
}

/// What came of looking at a request.
pub(crate) enum Checked {
    /// The caller is known and may.
    Known(Arc<Caller>),
    /// This is what the caller is told.
    Refused(Failure),
    /// It takes a while to find out.
    Asking(BoxFuture<'static, Result<Arc<Caller>, Failure>>),
}

impl Guard {
    /// Reads keys and users and sorts the rules; none when there is a problem with what is needed.
    pub(crate) fn open(settings: Auth, endpoints: &Endpoints, problems: &mut Problems) -> Option<Self> {
        settings.check(problems);
        let Auth { jwt, nkeys, basic, roles, rules, tenants, own } = settings;
        let rules = Rules::new(rules, &roles, endpoints, problems);
        let verifier = Verifier::open(Ways { jwt, nkeys, basic }, &roles, tenants, problems)?;
        Some(Self { own, verifier, rules, tenants, allowed: Count::default(), refusals: Refusals::default() })
    }

    /// Looks at the files with keys and users from now on, until it is stopped or dropped.
    pub(crate) fn watch(&self) {
        self.verifier.watch();
    }

    /// Looks at the files no longer, and returns when that is so.
    pub(crate) async fn stop(&self) {
        self.verifier.stop().await;
    }

    /// Who sends the request, and whether they may.
    pub(crate) fn check(self: &Arc<Self>, request: &Request) -> Checked {
        if let Some(own) = self.own.iter().find(|own| own.recognises(request)) {
            return self.ask(Arc::clone(own), request);
        }
        let headers = |name: &str| request.header(name);
        let message = Message { subject: request.subject(), headers: &headers, body: request.body(), when: When::Now };
        match self.verifier.verify(message) {
            Verified::Known(caller) => self.known(caller, request.subject()),
            Verified::Asking(asking) => {
                let (guard, subject) = (Arc::clone(self), request.subject().to_owned());
                Checked::Asking(Box::pin(async move { guard.allow(asking.await, &subject) }))
            }
        }
    }

    fn ask(self: &Arc<Self>, own: Arc<dyn Authenticate>, request: &Request) -> Checked {
        let (guard, credentials) = (Arc::clone(self), Credentials::of(request));
        Checked::Asking(Box::pin(async move {
            let asked = own.authenticate(&credentials).await.map(Arc::new).map_err(Reason::from);
            guard.allow(asked.and_then(Caller::storable), credentials.subject())
        }))
    }

    fn known(&self, caller: Result<Arc<Caller>, Reason>, subject: &str) -> Checked {
        match self.allow(caller, subject) {
            Ok(caller) => Checked::Known(caller),
            Err(failure) => Checked::Refused(failure),
        }
    }

    /// The caller, if a rule allows what is asked at the subject.
    fn allow(&self, caller: Result<Arc<Caller>, Reason>, subject: &str) -> Result<Arc<Caller>, Failure> {
        let caller = caller.map_err(|why| self.refuse(why, subject))?;
        if self.tenants && caller.tenant_id().is_none() {
            return Err(self.refuse(Reason::OtherTenant, subject));
        }
        if !self.rules.allow(&caller, subject) {
            return Err(self.refuse(Reason::NotAllowed, subject));
        }
        self.allowed.add(1);
        Ok(caller)
    }

    /// Counts a refusal, and says what the caller is told.
    pub(super) fn refuse(&self, why: Reason, subject: &str) -> Failure {
        self.refusals.add(why);
        tracing::debug!(subject, reason = why.as_str(), "a request was refused");
        why.failure()
    }

    /// What it has done, for statistics.
    pub(crate) fn stats(&self) -> AuthStats {
        self.verifier.stats(self.allowed.get(), &self.refusals)
    }

    pub(crate) fn reset_stats(&self) {
        self.refusals.reset();
        self.allowed.reset();
        self.verifier.reset_stats();
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("rules", &self.rules).field("tenants", &self.tenants).finish_non_exhaustive()
    }
}
