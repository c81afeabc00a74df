//! From headers to a verified caller.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use tokio::task::JoinSet;

use super::jwt::Tokens;
use super::passwords::{Passwords, Presented};
use super::signed::{Signatures, Signed};
use super::watched::Reloads;
use super::{AuthStats, Basic, Caller, Jwt, Nkeys, Reason, Refusals};
use crate::header;
use crate::problem::Problems;

/// The ways in which callers prove who they are that are built in. None is on by default.
#[derive(Debug, Clone, Default)]
pub struct Ways {
    /// With a bearer token.
    pub jwt: Option<Jwt>,
    /// With a signature by an NKey.
    pub nkeys: Option<Nkeys>,
    /// With a name and a password.
    pub basic: Option<Basic>,
}

/// What was sent, as far as it matters to who sent it.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// Where it was sent to.
    pub subject: &'a str,
    /// The first value of a header, whatever the case of the name's letters.
    pub headers: &'a dyn Fn(&str) -> Option<&'a str>,
    /// Its body as it came.
    pub body: &'a [u8],
    /// When its credentials have to be good.
    pub when: When,
}

/// When credentials have to be good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Now, and a signature is taken once: for a request.
    Now,
    /// At the time at which a message was stored: however late it is read, its sender could prove who it is by then.
    Stored {
        /// When it was stored, as the server says.
        at: DateTime<Utc>,
        /// What tells it from all other messages. It may come again and is taken again; another one with its signature is not.
        message: u64,
    },
    /// At any time, however long ago, and however often they come: for what somebody who is trusted has sent once more.
    Ever,
}

impl When {
    pub(super) fn time(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Now => Some(Utc::now()),
            Self::Stored { at, .. } => Some(at),
            Self::Ever => None,
        }
    }

    fn message(self) -> Option<u64> {
        match self {
            Self::Now | Self::Ever => None,
            Self::Stored { message, .. } => Some(message),
        }
    }
}

/// What came of looking at who sent something.
pub enum Verified {
    /// It is known, or known not to be.
    Known(Result<Arc<Caller>, Reason>),
    /// It takes a while to find out.
    Asking(BoxFuture<'static, Result<Arc<Caller>, Reason>>),
}

/// Why an authenticator does not say who is calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denied {
    /// The credentials are no good: 401.
    Unauthenticated,
    /// It cannot be told now, because somebody who would have to be asked does not answer: 503, and the caller tries again.
    Unavailable,
}

impl From<Denied> for Reason {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unauthenticated => Self::Refused,
            Denied::Unavailable => Self::Unavailable,
        }
    }
}

/// Verifies who sent something.
pub struct Verifier {
    tokens: Option<Tokens>,
    signatures: Option<Signatures>,
    passwords: Option<Arc<Passwords>>,
    reloads: Arc<Reloads>,
    /// Those that look at files.
    tasks: Mutex<JoinSet<()>>,
}

impl Verifier {
    /// Checks the settings and reads keys and users; none when there is a problem with what is needed. `roles` are those
    /// there are, and with `tenants` every caller must have one.
    pub fn open(ways: Ways, roles: &[String], tenants: bool, problems: &mut Problems) -> Option<Self> {
        let Ways { jwt, nkeys, basic } = ways;
        if let Some(jwt) = &jwt {
            jwt.check(problems);
        }
        if let Some(nkeys) = &nkeys {
            nkeys.check(roles, tenants, problems);
        }
        if let Some(basic) = &basic {
            basic.check(problems);
        }
        let reloads = Arc::new(Reloads::default());
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
            let open = Passwords::open(&basic, roles, &reloads);
            open.map_err(|problem| problems.add("auth.basic.file", &basic.file.display(), problem)).ok()
        });
        let (tokens, signatures, passwords) = match (tokens, signatures, passwords) {
            (Some(None), ..) | (_, Some(None), _) | (.., Some(None)) => return None,
            (tokens, signatures, passwords) => (tokens.flatten(), signatures.flatten(), passwords.flatten()),
        };
        let passwords = passwords.map(Arc::new);
        Some(Self { tokens, signatures, passwords, reloads, tasks: Mutex::default() })
    }

    /// Looks at the files with keys and users from now on, until it is stopped or dropped. Must be called on a tokio runtime.
    pub fn watch(&self) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = self.tokens.as_ref().and_then(Tokens::file) {
            tasks.spawn(keys.watch());
        }
        if let Some(passwords) = &self.passwords {
            tasks.spawn(passwords.file().watch());
        }
    }

    /// Looks at the files no longer, and returns when that is so.
    pub async fn stop(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
    }

    /// Who sent something. The first way that recognises its credentials decides.
    #[must_use]
    pub fn verify(&self, message: Message<'_>) -> Verified {
        let Message { subject, headers, body, when } = message;
        if let Some(signatures) = &self.signatures
            && let Some(signed) = Signed::of(headers)
        {
            return Verified::Known(
                signed.and_then(|signed| signatures.check(signed, subject, body, when.time(), when.message())),
            );
        }
        let authorization = headers(header::AUTHORIZATION);
        let Some((scheme, presented)) = authorization.and_then(|text| text.split_once(' ')) else {
            let why = if authorization.is_some() { Reason::Malformed } else { Reason::Missing };
            return Verified::Known(Err(why));
        };
        match (&self.tokens, &self.passwords) {
            (Some(tokens), _) if scheme.eq_ignore_ascii_case("Bearer") => {
                Verified::Known(tokens.check(presented.trim(), when))
            }
            (_, Some(passwords)) if scheme.eq_ignore_ascii_case("Basic") => check_password(passwords, presented),
            _ => Verified::Known(Err(Reason::Missing)),
        }
    }

    /// What it has done, with so many that were allowed and these that were refused.
    #[must_use]
    pub fn stats(&self, allowed: u64, refusals: &Refusals) -> AuthStats {
        let Reloads { done, failed } = &*self.reloads;
        let refused = refusals.counted().collect();
        AuthStats { allowed, refused, reloads: done.get(), failed_reloads: failed.get() }
    }

    /// Begins to count anew.
    pub fn reset_stats(&self) {
        self.reloads.done.reset();
        self.reloads.failed.reset();
    }
}

fn check_password(passwords: &Arc<Passwords>, presented: &str) -> Verified {
    let presented = match Presented::read(presented) {
        Ok(presented) => presented,
        Err(why) => return Verified::Known(Err(why)),
    };
    if let Some(caller) = passwords.remembered(&presented) {
        return Verified::Known(Ok(caller));
    }
    let passwords = Arc::clone(passwords);
    Verified::Asking(Box::pin(async move { passwords.check(presented).await }))
}

impl Caller {
    /// The caller, if its user and tenant can be stored with events: for one that somebody else has made.
    ///
    /// # Errors
    /// [`Reason::Refused`], after an error in the log.
    pub fn storable(self: Arc<Self>) -> Result<Arc<Self>, Reason> {
        let is_storable = super::is_user(self.user()) && self.tenant_id().is_none_or(super::is_tenant);
        if !is_storable {
            tracing::error!(
                "an authenticator let in a caller whose user or tenant cannot be stored: too long, empty or with control \
                 characters"
            );
        }
        is_storable.then_some(self).ok_or(Reason::Refused)
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("subject", &self.subject).field("when", &self.when).finish_non_exhaustive()
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(known) => f.debug_tuple("Known").field(known).finish(),
            Self::Asking(_) => f.write_str("Asking"),
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("tokens", &self.tokens)
            .field("signatures", &self.signatures)
            .field("passwords", &self.passwords)
            .finish_non_exhaustive()
    }
}
