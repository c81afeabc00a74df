//! Subjects taken apart again.

use headwater_core::{AggregateId, Name, NameError};

use super::Subjects;
use crate::token::{self, TokenError};

/// A subject that is not where it was said to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectError {
    /// It is not below the service's prefix for this use.
    #[error("the subject is not under `{prefix}`")]
    Elsewhere {
        /// The prefix, with its last dot.
        prefix: String,
    },
    /// It has more or fewer parts than it should.
    #[error("the subject does not have {expected} parts after its prefix")]
    Parts {
        /// How many there should be.
        expected: usize,
    },
    /// One of its parts is not a name.
    #[error("in the subject, {0}")]
    Name(#[from] NameError),
    /// A service name or instance id is not one plain token: `A-Z a-z 0-9 - _`, at most 128.
    #[error("the {what} is not one plain subject token")]
    Token {
        /// Which of them.
        what: &'static str,
    },
    /// Its id token is none.
    #[error("in the subject, {0}")]
    Id(#[from] TokenError),
}

/// A subject of the journal, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalSubject {
    /// Whose event it is.
    pub aggregate: AggregateId,
    /// The event's name.
    pub event: Name,
}

/// A subject of the live feed, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSubject {
    /// The aggregate type.
    pub aggregate: Name,
    /// The event's name.
    pub event: Name,
}

/// Whether a subject is for a command or a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// `{service}.command.…`
    Command,
    /// `{service}.query.…`
    Query,
}

/// The subject of a request, taken apart. Its parts are whatever the caller sent, not checked
/// names: look them up, and answer "unknown" when they are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallSubject<'a> {
    /// What is asked for.
    pub kind: CallKind,
    /// The aggregate type.
    pub aggregate: &'a str,
    /// The command or query.
    pub name: &'a str,
}

impl Subjects {
    /// Takes a subject of the journal apart.
    ///
    /// # Errors
    /// [`SubjectError`] when it is not one that [`Subjects::journal`] makes.
    pub fn parse_journal(&self, subject: &str) -> Result<JournalSubject, SubjectError> {
        let [kind, id, event] = parts(&self.journal, subject)?;
        let aggregate = token::decode_aggregate(Name::new(kind.to_owned())?, id)?;
        Ok(JournalSubject { aggregate, event: Name::new(event.to_owned())? })
    }

    /// Takes a subject of the live feed apart.
    ///
    /// # Errors
    /// [`SubjectError`] when it is not one that [`Subjects::events`] makes of two names.
    pub fn parse_events(&self, subject: &str) -> Result<EventSubject, SubjectError> {
        let [kind, event] = parts(&self.events, subject)?;
        Ok(EventSubject { aggregate: Name::new(kind.to_owned())?, event: Name::new(event.to_owned())? })
    }

    /// Takes the subject of a request apart; none when it is not two tokens below
    /// `{service}.command.` or `{service}.query.`.
    #[must_use]
    pub fn parse_call<'a>(&self, subject: &'a str) -> Option<CallSubject<'a>> {
        let (kind, prefix) = if subject.starts_with(&self.command) {
            (CallKind::Command, &self.command)
        } else {
            (CallKind::Query, &self.query)
        };
        let [aggregate, name] = parts(prefix, subject).ok()?;
        Some(CallSubject { kind, aggregate, name })
    }
}

/// The `N` tokens that follow `prefix`.
fn parts<'a, const N: usize>(prefix: &str, subject: &'a str) -> Result<[&'a str; N], SubjectError> {
    let rest = subject.strip_prefix(prefix).ok_or_else(|| SubjectError::Elsewhere { prefix: prefix.to_owned() })?;
    let mut tokens = rest.split('.');
    let mut found = [""; N];
    for part in &mut found {
        *part = tokens.next().ok_or(SubjectError::Parts { expected: N })?;
    }
    match tokens.next() {
        Some(_) => Err(SubjectError::Parts { expected: N }),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subjects() -> Subjects {
        Subjects::new(Name::new("receipts").unwrap())
    }

    #[test]
    fn journal_subjects_come_apart_as_they_were_made() {
        let event = Name::new("item-added").unwrap();
        for id in ["order-1", "a.b", "*", ">", "🧾", "a=b", "50%"] {
            let alone = AggregateId::new("receipt", id).unwrap();
            let tenant = alone.clone().in_tenant("acme = 1").unwrap();
            for aggregate in [alone, tenant] {
                let parsed = subjects().parse_journal(&subjects().journal(&aggregate, &event)).unwrap();
                assert_eq!(parsed, JournalSubject { aggregate, event: event.clone() });
            }
        }
    }

    #[test]
    fn a_subject_from_elsewhere_is_refused() {
        for subject in [
            "",
            "receipts.journal",
            "receipts.journal.",
            "receipts.journal.receipt.a",
            "receipts.journal.receipt.a.item-added.more",
            "receipts.journal.receipt..item-added",
            "receipts.journal.Receipt.a.item-added",
            "receipts.journal.receipt.a%2e.item-added",
            "receipts.journal.receipt.a.*",
            "receipts2.journal.receipt.a.item-added",
        ] {
            assert!(subjects().parse_journal(subject).is_err(), "{subject}");
        }
        assert!(subjects().parse_events("receipts.events.receipt").is_err());
        assert!(subjects().parse_events("receipts.events.receipt.*").is_err());
    }

    #[test]
    fn live_feed_and_request_subjects_come_apart() {
        let event = subjects().parse_events("receipts.events.receipt.item-added").unwrap();
        assert_eq!((event.aggregate.as_str(), event.event.as_str()), ("receipt", "item-added"));
        let subjects = subjects();
        let call = subjects.parse_call("receipts.command.receipt.add-item").unwrap();
        assert_eq!(call, CallSubject { kind: CallKind::Command, aggregate: "receipt", name: "add-item" });
        let call = subjects.parse_call("receipts.query.receipt.get").unwrap();
        assert_eq!(call, CallSubject { kind: CallKind::Query, aggregate: "receipt", name: "get" });
        for not_a_call in ["receipts.health", "receipts.command.receipt", "receipts.command.a.b.c", "x.query.a.b"] {
            assert_eq!(subjects.parse_call(not_a_call), None, "{not_a_call}");
        }
    }
}
