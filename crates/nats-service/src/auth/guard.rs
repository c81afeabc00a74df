//! The guard: asks who is calling, and whether they may.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::Utc;
use futures_util::future::BoxFuture;
use headwater_core::Failure;
use headwater_nats::header;
use tokio::task::JoinSet;

use super::jwt::Tokens;
use super::passwords::{Passwords, Presented};
use super::reason::{Reason, Refusals};
use super::rules::Rules;
use super::signed::{Signatures, Signed};
use super::stats::AuthStats;
use super::watched::Reloads;
use super::{Auth, Authenticate, Credentials, Denied, claims};
use crate::counters::Count;
use crate::edge::{Caller, Request};
use crate::endpoint::Endpoints;
use crate::problem::Problems;

/// The running part of auth.
pub(crate) struct Guard {
    own: Vec<Arc<dyn Authenticate>>,
    tokens: Option<Tokens>,
    signatures: Option<Signatures>,
    passwords: Option<Arc<Passwords>>,
    rules: Rules,
    pub(super) tenants: bool,
    allowed: Count,
    refusals: Refusals,
    reloads: Arc<Reloads>,
    /// Those that look at files.
    tasks: Mutex<JoinSet<()>>,
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
        let reloads = Arc::new(Reloads::default());
        let rules = Rules::new(rules, &roles, endpoints, problems);
        let tokens = jwt.map(|jwt| {
            Tokens::open(jwt, &reloads).map_err(|(field, value, problem)| problems.add(field, &value, problem)).ok()
        });
        let signatures = nkeys.map(|nkeys| {
            let open = Signatures::open(nkeys);
            open.map_err(|wrong| {
                for (number, value, problem) in wrong {
                    problems.add(format!("auth.nkeys.allowed[{number}].key"), &value, problem);
                }
            })
            .ok()
        });
        let passwords = basic.map(|basic| {
            let open = Passwords::open(&basic, &roles, &reloads);
            open.map_err(|problem| problems.add("auth.basic.file", &basic.file.display(), problem)).ok()
        });
        let (tokens, signatures, passwords) = match (tokens, signatures, passwords) {
            (Some(None), ..) | (_, Some(None), _) | (.., Some(None)) => return None,
            (tokens, signatures, passwords) => (tokens.flatten(), signatures.flatten(), passwords.flatten()),
        };
        Some(Self {
            own,
            tokens,
            signatures,
            passwords: passwords.map(Arc::new),
            rules,
            tenants,
            allowed: Count::default(),
            refusals: Refusals::default(),
            reloads,
            tasks: Mutex::default(),
        })
    }

    /// Looks at the files with keys and users from now on, until it is stopped or dropped.
    pub(crate) fn watch(&self) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = self.tokens.as_ref().and_then(Tokens::file) {
            tasks.spawn(keys.watch());
        }
        if let Some(passwords) = &self.passwords {
            tasks.spawn(passwords.file().watch());
        }
    }

    /// Looks at the files no longer, and returns when that is so.
    pub(crate) async fn stop(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
    }

    /// Who sends the request, and whether they may.
    pub(crate) fn check(self: &Arc<Self>, request: &Request) -> Checked {
        if let Some(own) = self.own.iter().find(|own| own.recognises(request)) {
            return self.ask(Arc::clone(own), request);
        }
        if let Some(signatures) = &self.signatures
            && let Some(signed) = Signed::of(request)
        {
            let signer =
                signed.and_then(|signed| signatures.check(signed, request.subject(), request.body(), Utc::now()));
            return self.known(signer, request.subject());
        }
        let Some((scheme, presented)) = request.header(header::AUTHORIZATION).and_then(|text| text.split_once(' '))
        else {
            let why = if request.header(header::AUTHORIZATION).is_some() { Reason::Malformed } else { Reason::Missing };
            return Checked::Refused(self.refuse(why, request.subject()));
        };
        match (&self.tokens, &self.passwords) {
            (Some(tokens), _) if scheme.eq_ignore_ascii_case("Bearer") => {
                self.known(tokens.check(presented.trim(), Utc::now()), request.subject())
            }
            (_, Some(passwords)) if scheme.eq_ignore_ascii_case("Basic") => {
                self.check_password(passwords, presented, request)
            }
            _ => Checked::Refused(self.refuse(Reason::Missing, request.subject())),
        }
    }

    fn check_password(self: &Arc<Self>, passwords: &Arc<Passwords>, presented: &str, request: &Request) -> Checked {
        let presented = match Presented::read(presented) {
            Ok(presented) => presented,
            Err(why) => return Checked::Refused(self.refuse(why, request.subject())),
        };
        if let Some(caller) = passwords.remembered(&presented) {
            return self.known(Ok(caller), request.subject());
        }
        let (guard, passwords, subject) = (Arc::clone(self), Arc::clone(passwords), request.subject().to_owned());
        Checked::Asking(Box::pin(async move { guard.allow(passwords.check(presented).await, &subject) }))
    }

    fn ask(self: &Arc<Self>, own: Arc<dyn Authenticate>, request: &Request) -> Checked {
        let (guard, credentials) = (Arc::clone(self), Credentials::of(request));
        Checked::Asking(Box::pin(async move {
            let asked = own.authenticate(&credentials).await.map(Arc::new).map_err(|denied| match denied {
                Denied::Unauthenticated => Reason::Refused,
                Denied::Unavailable => Reason::Unavailable,
            });
            let asked = asked.and_then(|caller| storable(caller).ok_or(Reason::Refused));
            guard.allow(asked, credentials.subject())
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
        AuthStats {
            allowed: self.allowed.get(),
            refused: self.refusals.counted().collect(),
            reloads: self.reloads.done.get(),
            failed_reloads: self.reloads.failed.get(),
        }
    }

    pub(crate) fn reset_stats(&self) {
        self.refusals.reset();
        [&self.allowed, &self.reloads.done, &self.reloads.failed].into_iter().for_each(Count::reset);
    }
}

/// The caller, if its user and tenant can be stored with events.
fn storable(caller: Arc<Caller>) -> Option<Arc<Caller>> {
    let is_storable = claims::is_user(caller.user()) && caller.tenant_id().is_none_or(claims::is_tenant);
    if !is_storable {
        tracing::error!(
            "an authenticator let in a caller whose user or tenant cannot be stored: too long, empty or with control characters"
        );
    }
    is_storable.then_some(caller)
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("rules", &self.rules).field("tenants", &self.tenants).finish_non_exhaustive()
    }
}
