//! Why a request is refused: for counters and the debug log. Callers learn less.

use headwater_core::{Failure, FailureCode};

use crate::count::Count;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It carries no credentials that anybody recognises.
    Missing,
    /// What it carries cannot be read.
    Malformed,
    /// Its token is too long to be looked at.
    Oversized,
    /// Its token is signed in a way that no key is for.
    WrongAlgorithm,
    /// No key made the signature.
    WrongKey,
    /// Its token or signature is too old.
    Expired,
    /// Its token or signature is from the future.
    NotYetValid,
    /// Its token comes from somebody else.
    WrongIssuer,
    /// Its token is meant for somebody else.
    WrongAudience,
    /// The signature was taken before.
    Replayed,
    /// There is no such user, or the password is another.
    WrongPassword,
    /// An authenticator of the service's own said no.
    Refused,
    /// An authenticator cannot tell now: too much to do, or somebody it asks does not answer.
    Unavailable,
    /// No rule allows it.
    NotAllowed,
    /// It claims another user.
    OtherUser,
    /// It claims another tenant, or the caller has none where one is needed.
    OtherTenant,
}

impl Reason {
    const ALL: [Self; 16] = [
        Self::Missing,
        Self::Malformed,
        Self::Oversized,
        Self::WrongAlgorithm,
        Self::WrongKey,
        Self::Expired,
        Self::NotYetValid,
        Self::WrongIssuer,
        Self::WrongAudience,
        Self::Replayed,
        Self::WrongPassword,
        Self::Refused,
        Self::Unavailable,
        Self::NotAllowed,
        Self::OtherUser,
        Self::OtherTenant,
    ];

    /// As statistics write it, such as `wrong-key`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Oversized => "oversized",
            Self::WrongAlgorithm => "wrong-algorithm",
            Self::WrongKey => "wrong-key",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::WrongIssuer => "wrong-issuer",
            Self::WrongAudience => "wrong-audience",
            Self::Replayed => "replayed",
            Self::WrongPassword => "wrong-password",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::NotAllowed => "not-allowed",
            Self::OtherUser => "other-user",
            Self::OtherTenant => "other-tenant",
        }
    }

    /// What the caller is told: the same for all credentials that will not do, so that nobody can feel their way.
    #[must_use]
    pub fn failure(self) -> Failure {
        match self {
            Self::Unavailable => Failure::unavailable("auth", "it cannot be told now who is calling"),
            Self::NotAllowed => Failure::new(FailureCode::Forbidden, "the caller may not do this"),
            Self::OtherUser | Self::OtherTenant => {
                Failure::new(FailureCode::Forbidden, "the request is for another user or tenant than the caller's own")
            }
            _ => Failure::new(FailureCode::Unauthenticated, "the request carries no valid credentials"),
        }
    }
}

/// How often each came up.
#[derive(Debug, Default)]
pub struct Refusals([Count; Reason::ALL.len()]);

impl Refusals {
    /// It came up once more.
    pub fn add(&self, reason: Reason) {
        self.0[reason as usize].add(1);
    }

    /// Begins to count anew.
    pub fn reset(&self) {
        self.0.iter().for_each(Count::reset);
    }

    /// Those that are not zero.
    pub fn counted(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Reason::ALL
            .into_iter()
            .zip(&self.0)
            .map(|(reason, count)| (reason.as_str(), count.get()))
            .filter(|(_, n)| *n > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_counted_at_its_own_place() {
        let refusals = Refusals::default();
        for reason in Reason::ALL {
            refusals.add(reason);
        }
        assert_eq!(refusals.counted().count(), Reason::ALL.len());
        assert!(refusals.counted().all(|(_, count)| count == 1));
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
        }
    }

    #[test]
    fn all_bad_credentials_read_the_same() {
        let texts: std::collections::BTreeSet<_> = Reason::ALL
            .into_iter()
            .map(Reason::failure)
            .filter(|failure| failure.code == FailureCode::Unauthenticated)
            .map(|failure| serde_json::to_string(&failure).unwrap())
            .collect();
        assert_eq!(texts.len(), 1, "{texts:?}");
    }
}
