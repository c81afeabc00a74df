//! Schema evolution: whether today's code keeps what released versions have promised.
//!
//! Events are stored for ever, callers are older or newer than the service, and while a new version rolls
//! out, old and new instances read each other's events. A [`SchemaLock`] holds what released versions
//! promised: every schema version of every event, and the schemas of commands, rejections and queries. It
//! is a JSON file that is committed beside the sources. [`SchemaLock::check`] compares the code with it and
//! names each place that breaks, and what to do about it.
//!
//! In a test, [`assert_compatible`] does it with the file; at the start of a service,
//! [`schema_lock`](crate::dispatch::DispatcherBuilder::schema_lock) does it with the text that was compiled
//! in.
//!
//! ```
//! use headwater_core::evolution::{Compatibility, SchemaLock};
//! # use headwater_core::*;
//! # use schemars::JsonSchema;
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Clone, Serialize, Deserialize, JsonSchema)] struct Till { total: u64 }
//! # #[derive(Clone, Serialize, Deserialize, JsonSchema)] struct Paid { amount: u64, currency: String }
//! # impl Event for Paid {
//! #     fn types() -> Vec<EventType> {
//! #         vec![EventType { name: "paid", schema_version: 1, schema: |g| g.subschema_for::<Self>() }]
//! #     }
//! #     fn name(&self) -> &'static str { "paid" }
//! #     fn encode(&self) -> Result<Vec<u8>, serde_json::Error> { serde_json::to_vec(self) }
//! #     fn decode(name: &str, data: &[u8]) -> Result<Self, DecodeError> {
//! #         serde_json::from_slice(data).map_err(|source| DecodeError::Data { name: name.to_owned(), source })
//! #     }
//! # }
//! # #[derive(Clone, Serialize, Deserialize, JsonSchema)] struct Pay { amount: u64 }
//! # impl Command for Pay { const NAME: &'static str = "pay"; }
//! # impl Aggregate for Till {
//! #     const TYPE: &'static str = "till";
//! #     type Event = Paid;
//! #     type Rejection = NeverRejected;
//! #     fn init(_: &AggregateId) -> Self { Till { total: 0 } }
//! #     fn evolve(&mut self, paid: &Paid) { self.total += paid.amount; }
//! # }
//! # impl Decide<Pay> for Till {
//! #     fn decide(&self, pay: Pay, _: &CommandContext) -> Result<Vec<Paid>, NeverRejected> {
//! #         Ok(vec![Paid { amount: pay.amount, currency: "EUR".to_owned() }])
//! #     }
//! # }
//! // The last release stored `paid` with an amount only; today there is a currency as well.
//! let lock = SchemaLock::from_json(r#"{
//!   "format": 1,
//!   "aggregates": { "till": { "events": { "paid": { "1": {
//!     "type": "object",
//!     "properties": { "amount": { "type": "integer", "format": "uint64", "minimum": 0 } },
//!     "required": ["amount"]
//!   } } } } }
//! }"#)?;
//! let till = Describe::<Till>::new().command::<Pay>().build()?;
//!
//! let broken = lock.check(&[till.clone()], Compatibility::Backward).unwrap_err();
//! assert_eq!(
//!     broken.problems()[0].to_string(),
//!     "till: event `paid` version 1 at `/currency`: this code cannot do without it, and stored events may leave it \
//!      out; make it optional (`Option`, `#[serde(default)]`), or raise the event's schema version to 2 and add an \
//!      upcaster from 1",
//! );
//!
//! // The command is not in the lock yet: no problem, and the next update takes it in.
//! assert_eq!(lock.unlocked(&[till]), ["till: event `paid` version 1", "till: command `pay`"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is compatible
//!
//! | | backward: today's code reads what older programs wrote | forward: older programs read what today's code writes |
//! |---|---|---|
//! | events | every locked version of every event is still there or has an upcaster or discard rule; data of today's version fits its schema | the newest locked version is still the one that is written, and its data fits the locked schema |
//! | commands and queries | all are still there, and take what older callers send | older services take what newer callers send |
//! | rejections, answers | newer callers read what older services say | older callers read what today's code says |
//!
//! New events, commands, rejections and queries are never a problem here. Mind that older instances cannot
//! load aggregates that have events unknown to them: release the code that knows an event before the code
//! that causes it.
//!
//! A raised schema version is never forward compatible: older programs refuse what they do not know. Either
//! the change gets an event of another name, or older programs are stopped before the first event of the
//! new version is stored; for such a release, update the lock with [`Compatibility::Backward`].
//!
//! # How schemas are compared
//!
//! A schema is compatible with another one when whatever fits the one fits the other. A program is taken to
//! write only the members its schema mentions, so adding an optional member is fine; what a member *was*
//! before it was removed stays in the lock, so taking up its name again with another type is not. Formats
//! of numbers (`uint32`, …) count as the ranges they are.
//!
//! The comparison errs on the safe side. It knows the part of JSON Schema 2020-12 that schemars writes, and
//! where a schema says more (`not`, `if`, `multipleOf`, …), any change there is a problem. Patterns are
//! compared as text. schemars describes what a type *reads*: a member with `#[serde(default)]` counts as one
//! that may be left out, although it is always written.

mod check;
mod compare;
mod file;
mod finding;
mod fit;
mod lock;
mod lock_json;
mod plain;
mod problem;
#[cfg(test)]
mod properties;
mod shape;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

pub use file::{UPDATE_LOCK, assert_compatible};
pub use lock::SchemaLock;
pub use lock_json::LockError;
pub use problem::{Incompatible, Part, Problem};

/// Which promises of released versions are to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compatibility {
    /// Today's code reads what older programs wrote. Stored events always ask for this much.
    Backward,
    /// Older programs read what today's code writes.
    Forward,
    /// Both, as a rolling update needs it.
    Full,
    /// None.
    Off,
}

impl Compatibility {
    const ALL: [Self; 4] = [Self::Backward, Self::Forward, Self::Full, Self::Off];

    fn is_backward(self) -> bool {
        matches!(self, Self::Backward | Self::Full)
    }

    fn is_forward(self) -> bool {
        matches!(self, Self::Forward | Self::Full)
    }

    /// Its name: `backward`, `forward`, `full` or `off`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backward => "backward",
            Self::Forward => "forward",
            Self::Full => "full",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for Compatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no [`Compatibility`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of backward, forward, full and off")]
pub struct UnknownCompatibility(String);

impl FromStr for Compatibility {
    type Err = UnknownCompatibility;

    fn from_str(text: &str) -> Result<Self, UnknownCompatibility> {
        let named = Self::ALL.into_iter().find(|compatibility| compatibility.as_str() == text);
        named.ok_or_else(|| UnknownCompatibility(text.to_owned()))
    }
}
