//! The guard: asks who sent a message, and whether they may.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

use headwater_nats::auth::{AuthStats, Caller, Message, Reason, Refusals, Verified, Verifier, Ways, When};
use headwater_nats::count::Count;
use headwater_nats::problem::Problems;

use super::Authenticate;
use super::rule::{Rule, Rules};
use crate::dead_letter::Redriven;
use crate::router::Context;

/// The running part of auth.
#[derive(Debug)]
pub(super) struct Guard {
    own: Vec<Arc<dyn Authenticate>>,
    verifier: Verifier,
    rules: Rules,
    trust_redriven: bool,
    allowed: Count,
    refusals: Refusals,
}

impl Guard {
    /// Reads keys and users and sorts the rules; none when there is a problem with what is needed.
    pub(super) fn open(
        ways: Ways,
        own: Vec<Arc<dyn Authenticate>>,
        roles: &[String],
        rules: Vec<Rule>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let rules = Rules::new(rules, roles, problems);
        let verifier = Verifier::open(ways, roles, false, problems)?;
        let (allowed, refusals) = (Count::default(), Refusals::default());
        Some(Self { own, verifier, rules, trust_redriven: false, allowed, refusals })
    }

    /// Whether credentials of redriven events may be of any age.
    pub(super) fn trust_redriven(self, trust_redriven: bool) -> Self {
        Self { trust_redriven, ..self }
    }

    /// Looks at the files with keys and users from now on, until it is dropped.
    pub(super) fn watch(&self) {
        self.verifier.watch();
    }

    /// Who sent the message, if they may send it.
    pub(super) async fn check(&self, context: &Context) -> Result<Arc<Caller>, Reason> {
        let checked = self.ask(context).await.and_then(|caller| self.allow(caller, context));
        match &checked {
            Ok(_) => self.allowed.add(1),
            Err(why) => {
                self.refusals.add(*why);
                tracing::debug!(subject = context.subject(), reason = why.as_str(), "a message was refused");
            }
        }
        checked
    }

    async fn ask(&self, context: &Context) -> Result<Arc<Caller>, Reason> {
        if let Some(own) = self.own.iter().find(|own| own.recognises(context)) {
            let asked = own.authenticate(context.clone()).await;
            return asked.map(Arc::new).map_err(Reason::from).and_then(Caller::storable);
        }
        match self.verify(context) {
            Verified::Known(known) => known,
            Verified::Asking(asking) => asking.await,
        }
    }

    fn verify(&self, context: &Context) -> Verified {
        let headers = |name: &str| context.headers().get(name);
        let (subject, body, when) = (context.subject(), &**context.body(), self.when(context));
        self.verifier.verify(Message { subject, headers: &headers, body, when })
    }

    /// When the credentials of a message have to be good.
    fn when(&self, context: &Context) -> When {
        let Some(delivery) = context.delivery() else { return When::Now };
        if self.trust_redriven && Redriven::of(context.message()).is_some() {
            return When::Ever;
        }
        let mut hash = DefaultHasher::new();
        (&*delivery.stream, delivery.sequence).hash(&mut hash);
        When::Stored { at: delivery.timestamp, message: hash.finish() }
    }

    fn allow(&self, caller: Arc<Caller>, context: &Context) -> Result<Arc<Caller>, Reason> {
        if !self.rules.allow(&caller, context.subject()) {
            return Err(Reason::NotAllowed);
        }
        // An envelope that cannot be read is for whoever reads the payload to complain about.
        let said = context.received().ok().and_then(|received| received.attributes());
        match (caller.tenant_id(), said.and_then(|said| said.tenant_id.as_deref())) {
            (Some(own), Some(said)) if own != said => Err(Reason::OtherTenant),
            _ => Ok(caller),
        }
    }

    pub(super) fn stats(&self) -> AuthStats {
        self.verifier.stats(self.allowed.get(), &self.refusals)
    }

    /// How many messages were refused.
    pub(super) fn refused(&self) -> u64 {
        self.refusals.counted().map(|(_, number)| number).sum()
    }
}
