//! What a topology is made of, once it is read and found right.

use std::collections::BTreeMap;
use std::fmt;

use super::catalogue::{BUCKET, CONSUMER, Field, STREAM};
use super::form::Config;
use super::mistakes::Place;

/// What kind of stream one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamKind {
    /// A stream.
    Stream,
    /// The stream of a key-value bucket.
    Bucket,
    /// A stream of dead letters.
    DeadLetters,
}

/// A stream as it is to be.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    /// The stream's name on the server.
    pub(crate) name: String,
    pub(crate) kind: StreamKind,
    /// In the form of [`form::stream`](super::form::stream).
    pub(crate) config: Config,
    pub(crate) places: Places,
}

/// A consumer as it is to be.
#[derive(Debug, Clone)]
pub(crate) struct Consumer {
    pub(crate) stream: String,
    pub(crate) name: String,
    /// In the form of [`form::consumer`](super::form::consumer).
    pub(crate) config: Config,
    pub(crate) places: Places,
}

/// Where something and its fields are in the file.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) own: Place,
    /// By the server's name of a field, and `name.item` for the items of a list.
    pub(crate) fields: BTreeMap<String, Place>,
}

impl Places {
    pub(crate) fn of(&self, field: &str) -> &Place {
        self.fields.get(field).unwrap_or(&self.own)
    }
}

impl Places {
    /// Where an item of a list is.
    pub(crate) fn of_item(&self, field: &str, item: &str) -> &Place {
        self.fields.get(&format!("{field}.{item}")).unwrap_or_else(|| self.of(field))
    }
}

impl Stream {
    /// What the file calls it.
    pub(crate) fn label(&self) -> String {
        match self.kind {
            StreamKind::Stream => format!("streams.{}", self.name),
            StreamKind::Bucket => format!("buckets.{}", self.bucket().unwrap_or(&self.name)),
            StreamKind::DeadLetters => format!("dead_letters.{}", self.name),
        }
    }

    /// The name of the bucket that the stream is of.
    pub(crate) fn bucket(&self) -> Option<&str> {
        self.name.strip_prefix("KV_").filter(|_| self.kind == StreamKind::Bucket)
    }

    pub(crate) fn subjects(&self) -> Vec<&str> {
        texts(&self.config, "subjects")
    }

    /// The name under which the file has a field.
    pub(crate) fn field(&self, wire: &'static str) -> String {
        format!("{}.{}", self.label(), key_of(self.fields(), wire))
    }

    fn fields(&self) -> &'static [Field] {
        match self.kind {
            StreamKind::Bucket => BUCKET,
            StreamKind::Stream | StreamKind::DeadLetters => STREAM,
        }
    }
}

impl Consumer {
    /// What the file calls it.
    pub(crate) fn label(&self) -> String {
        format!("consumers.{}", self.name)
    }

    pub(crate) fn field(&self, wire: &'static str) -> String {
        format!("{}.{}", self.label(), key_of(CONSUMER, wire))
    }

    pub(crate) fn filters(&self) -> Vec<&str> {
        texts(&self.config, "filter_subjects")
    }
}

fn key_of(fields: &'static [Field], wire: &'static str) -> &'static str {
    fields.iter().find(|field| field.wire == wire).map_or(wire, |field| field.key)
}

pub(crate) fn texts<'a>(config: &'a Config, name: &str) -> Vec<&'a str> {
    let items = config.get(name).and_then(serde_json::Value::as_array);
    items.into_iter().flatten().filter_map(serde_json::Value::as_str).collect()
}

/// A stream, or a consumer on one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Target {
    /// A stream; key-value buckets are streams too.
    Stream {
        /// Its name.
        name: String,
    },
    /// A consumer.
    Consumer {
        /// Its stream.
        stream: String,
        /// Its name.
        name: String,
    },
}

impl Target {
    pub(crate) fn stream(name: &str) -> Self {
        Self::Stream { name: name.to_owned() }
    }

    pub(crate) fn consumer(stream: &str, name: &str) -> Self {
        Self::Consumer { stream: stream.to_owned(), name: name.to_owned() }
    }

    /// The stream that it is, or that it is on.
    #[must_use]
    pub fn stream_name(&self) -> &str {
        match self {
            Self::Stream { name } => name,
            Self::Consumer { stream, .. } => stream,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream { name } => match name.strip_prefix("KV_") {
                Some(bucket) => write!(f, "bucket {bucket}"),
                None => write!(f, "stream {name}"),
            },
            Self::Consumer { stream, name } => write!(f, "consumer {stream} / {name}"),
        }
    }
}
