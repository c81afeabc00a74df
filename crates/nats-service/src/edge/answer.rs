//! What a request came to, as the layers of the edge see it.

use std::fmt;

use bytes::Bytes;
use headwater_core::Failure;

/// What a request came to: the body of a reply, or a failure.
#[must_use]
pub struct Answer {
    pub(crate) outcome: Result<Bytes, Failure>,
}

impl Answer {
    /// An answer that refuses the request.
    pub fn refusal(failure: Failure) -> Self {
        Self { outcome: Err(failure) }
    }

    /// Why the request failed; none when it did not.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.outcome.as_ref().err()
    }

    /// The reply's body, JSON, when the request succeeded.
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        self.outcome.as_ref().ok().map(Bytes::as_ref)
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        Self::refusal(failure)
    }
}

/// Without the body, which may say more than a log should.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Ok(body) => write!(f, "Answer(success, {} bytes)", body.len()),
            Err(failure) => write!(f, "Answer({})", failure.code),
        }
    }
}
