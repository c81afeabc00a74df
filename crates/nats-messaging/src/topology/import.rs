//! A topology from what a server has, and a topology as a file.

use std::fmt::Write;

use headwater_nats::connect::Connection;
use serde_json::{Value, json};

use super::Topology;
use super::catalogue::{BUCKET, CONSUMER, Field, STREAM};
use super::error::TopologyError;
use super::form::{self, Config};
use super::lease;
use super::mistakes::Place;
use super::model::{Consumer, Places, Stream, StreamKind};
use super::read::bucket_form;
use super::server::Server;
use super::show;

impl Topology {
    /// The topology that a server has: its streams, buckets and durable consumers; only those streams whose names `wanted`
    /// takes.
    ///
    /// # Errors
    /// When the server does not answer or refuses to tell.
    pub async fn import(connection: &Connection, wanted: impl Fn(&str) -> bool) -> Result<Self, TopologyError> {
        let server = Server::new(connection);
        let mut topology = Self::default();
        for (name, live) in server.streams().await? {
            if name.starts_with('$') || name == lease::STREAM || !wanted(&name) {
                continue;
            }
            let config = form::stream(&live.config);
            for (consumer, live) in server.consumers(&name).await? {
                if live.get("durable_name").and_then(Value::as_str).is_some_and(|durable| !durable.is_empty()) {
                    let config = form::consumer(&live, &config);
                    topology.consumers.push(Consumer {
                        stream: name.clone(),
                        name: consumer,
                        config,
                        places: nowhere(),
                    });
                }
            }
            let kind = kind_of(&name, &config);
            topology.streams.push(Stream { name, kind, config, places: nowhere() });
        }
        Ok(topology)
    }

    /// The topology as a file in TOML, with its variables and profiles put in.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for (key, entries) in self.entries() {
            for entry in entries {
                let end = if text.is_empty() { "" } else { "\n" };
                let _ = writeln!(text, "{end}[[{key}]]");
                for (field, value) in entry {
                    let _ = writeln!(text, "{} = {}", show::bare(&field), show::toml(&value));
                }
            }
        }
        text
    }

    /// The topology as a file in JSON, with its variables and profiles put in.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let table = |entry: Entry| Value::Object(entry.into_iter().collect());
        let parts = self.entries().into_iter();
        let parts = parts.map(|(key, entries)| (key.to_owned(), entries.into_iter().map(table).collect::<Value>()));
        Value::Object(parts.collect())
    }

    fn entries(&self) -> Vec<(&'static str, Vec<Entry>)> {
        let of = |kind| self.streams.iter().filter(move |stream| stream.kind == kind);
        let mut parts: Vec<(_, Vec<_>)> = vec![
            ("streams", of(StreamKind::Stream).map(stream_entry).collect()),
            ("dead_letters", of(StreamKind::DeadLetters).map(stream_entry).collect()),
            ("buckets", of(StreamKind::Bucket).map(bucket_entry).collect()),
            ("consumers", self.consumers.iter().map(|consumer| self.consumer_entry(consumer)).collect()),
        ];
        parts.retain(|(_, entries)| !entries.is_empty());
        parts
    }

    fn consumer_entry(&self, consumer: &Consumer) -> Entry {
        let stream = self.streams.iter().find(|stream| stream.name == consumer.stream);
        let nothing = Config::new();
        let stream = stream.map_or(&nothing, |stream| &stream.config);
        // What these are when nobody says anything depends on the others.
        let given = ["ack_wait", "max_ack_pending", "max_waiting", "inactive_threshold", "priority_timeout"];
        let mut plain = form::consumer(&Config::new(), stream);
        plain.retain(|name, _| !given.contains(&name.as_str()));
        let mut by_others = form::consumer(&without(&consumer.config, &given), stream);
        by_others.retain(|name, _| given.contains(&name.as_str()));
        plain.extend(by_others);
        let mut config = consumer.config.clone();
        if config.contains_key("opt_start_seq") || config.contains_key("opt_start_time") {
            config.remove("deliver_policy");
        }
        let mut entry = vec![("name".to_owned(), json!(consumer.name)), ("stream".to_owned(), json!(consumer.stream))];
        entry.extend(set_fields(CONSUMER, &config, &plain));
        entry
    }
}

/// A table of a file, in its order.
type Entry = Vec<(String, Value)>;

fn without(config: &Config, names: &[&str]) -> Config {
    let mut config = config.clone();
    config.retain(|name, _| !names.contains(&name.as_str()));
    config
}

/// Whether a stream is what a bucket's stream has to be.
fn kind_of(name: &str, config: &Config) -> StreamKind {
    let Some(bucket) = name.strip_prefix("KV_") else { return StreamKind::Stream };
    let mut fields = config.clone();
    fields.retain(|wire, _| BUCKET.iter().any(|field| field.wire == wire));
    let has_origin = config.contains_key("mirror") || config.contains_key("sources");
    let as_bucket = form::stream(&bucket_form(bucket, has_origin, &fields));
    let history = form::number(config, "max_msgs_per_subject").is_some_and(|history| (1..=64).contains(&history));
    let named = bucket.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) && !bucket.is_empty();
    if history && named && as_bucket == *config { StreamKind::Bucket } else { StreamKind::Stream }
}

fn stream_entry(stream: &Stream) -> Entry {
    let mut plain = form::stream(&Config::new());
    // What the window is when nobody says anything depends on other fields.
    plain.remove("duplicate_window");
    let window = form::stream(&without(&stream.config, &["duplicate_window"])).remove("duplicate_window");
    plain.extend(window.map(|window| ("duplicate_window".to_owned(), window)));
    let mut entry = vec![("name".to_owned(), json!(stream.name))];
    entry.extend(set_fields(STREAM, &stream.config, &plain));
    entry
}

fn bucket_entry(stream: &Stream) -> Entry {
    let mut entry = vec![("name".to_owned(), json!(stream.bucket().unwrap_or(&stream.name)))];
    entry.extend(set_fields(BUCKET, &stream.config, &form::table(BUCKET, &Config::new())));
    entry
}

/// The fields that are not what they are anyway, in the catalogue's order.
fn set_fields(fields: &[Field], config: &Config, plain: &Config) -> Entry {
    let set = fields.iter().filter(|field| config.get(field.wire) != plain.get(field.wire));
    let set = set.filter_map(|field| Some((field.key.to_owned(), show::in_file(field.kind, config.get(field.wire)?))));
    set.collect()
}

fn nowhere() -> Places {
    Places { own: Place { file: "the server".into(), line: 1, column: 1 }, fields: std::collections::BTreeMap::new() }
}
