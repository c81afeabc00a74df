//! A lock as JSON text.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::lock::{Promises, Released, SchemaLock};
use crate::schema::{PayloadValidator, SchemaError};

/// The form of the file; another one is another number.
const FORMAT: u32 = 1;

/// Tells who comes across the file what it is.
const ABOUT: &str = "What released versions promised; see headwater::evolution. Written with HEADWATER_UPDATE_LOCK=1. \
                     What was never released may be taken out by hand.";

/// Text that is no lock.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// It is no JSON, or a member is missing, unknown or of another form.
    #[error("the schema lock cannot be read at `{member}`: {source}")]
    Form {
        /// The member, such as `aggregates.receipt.events.item-added.1`; `.` for the whole.
        member: String,
        /// What is wrong there.
        source: serde_json::Error,
    },
    /// It has a form that this release of Headwater does not know.
    #[error("the schema lock has the format {found}, and this release of Headwater knows {FORMAT}")]
    Format {
        /// The number of the format.
        found: u32,
    },
    /// What should be a schema is none.
    #[error("the schema lock cannot be used")]
    Schema(#[source] SchemaError),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File<'a> {
    #[serde(default)]
    about: Cow<'a, str>,
    format: u32,
    aggregates: Cow<'a, BTreeMap<String, Promises>>,
}

/// What is needed to tell that the rest may look different.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

impl SchemaLock {
    /// The lock as indented JSON with a line break at its end; the same lock always gives the same text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let file = File { about: ABOUT.into(), format: FORMAT, aggregates: Cow::Borrowed(&self.aggregates) };
        let mut text = serde_json::to_string_pretty(&file).expect("all keys are texts or numbers");
        text.push('\n');
        text
    }

    /// The lock that [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// [`LockError`] with the member that is wrong.
    pub fn from_json(json: &str) -> Result<Self, LockError> {
        if let Ok(Head { format: found }) = serde_json::from_str(json)
            && found != FORMAT
        {
            return Err(LockError::Format { found });
        }
        let mut reader = serde_json::Deserializer::from_str(json);
        let file: File<'_> = serde_path_to_error::deserialize(&mut reader)
            .map_err(|error| LockError::Form { member: error.path().to_string(), source: error.into_inner() })?;
        reader.end().map_err(|source| LockError::Form { member: ".".to_owned(), source })?;
        let lock = Self { aggregates: file.aggregates.into_owned() };
        for (member, released) in lock.released() {
            for schema in released.all() {
                PayloadValidator::new(&format!("`{member}`"), schema).map_err(LockError::Schema)?;
            }
        }
        Ok(lock)
    }

    /// Everything with schemas, with the member it is in.
    fn released(&self) -> Vec<(String, &Released)> {
        let mut found = Vec::new();
        for (kind, promises) in &self.aggregates {
            for (name, versions) in &promises.events {
                let versions = versions.iter();
                found.extend(versions.map(|(version, event)| (format!("{kind}.events.{name}.{version}"), event)));
            }
            for (part, all) in [("commands", &promises.commands), ("rejections", &promises.rejections)] {
                found.extend(all.iter().map(|(name, released)| (format!("{kind}.{part}.{name}"), released)));
            }
            for (name, query) in &promises.queries {
                found.push((format!("{kind}.queries.{name}.request"), &query.request));
                found.push((format!("{kind}.queries.{name}.answer"), &query.answer));
            }
        }
        found.iter_mut().for_each(|(member, _)| member.insert_str(0, "aggregates."));
        found
    }
}

/// As the one schema it mostly is, or as a list of them.
impl Serialize for Released {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.earlier.is_empty() {
            true => self.newest.serialize(serializer),
            false => serializer.collect_seq(self.all()),
        }
    }
}

impl<'de> Deserialize<'de> for Released {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;

        match Value::deserialize(deserializer)? {
            Value::Array(mut schemas) => {
                let newest = schemas.pop().ok_or_else(|| D::Error::custom("there is no schema in the list"))?;
                Ok(Self { earlier: schemas, newest })
            }
            newest => Ok(Self { earlier: Vec::new(), newest }),
        }
    }
}
