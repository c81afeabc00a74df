//! What is told of messages whose sender went on before they were stored.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::PublisherError;

/// Messages that were enqueued, and are not stored, or may not be.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FlushError {
    /// How many.
    pub count: u64,
    /// What went wrong with the first of them, at most 32; each names its subject and id.
    pub errors: Vec<PublisherError>,
}

/// As many errors are kept until somebody asks for them.
const MOST_ERRORS: usize = 32;

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages were not stored, as far as is known", self.count)
    }
}

impl std::error::Error for FlushError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.errors.first().map(|error| error as _)
    }
}

/// What nobody has been told yet by a flush.
#[derive(Debug, Default)]
pub(super) struct Untold(Mutex<(u64, Vec<PublisherError>)>);

impl Untold {
    pub(super) fn add(&self, error: &PublisherError) {
        let mut untold = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        untold.0 += 1;
        if untold.1.len() < MOST_ERRORS {
            untold.1.push(error.clone());
        }
    }

    pub(super) fn take(&self) -> Result<(), FlushError> {
        let (count, errors) = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if count == 0 { Ok(()) } else { Err(FlushError { count, errors }) }
    }
}
