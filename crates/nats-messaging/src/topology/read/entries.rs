//! The entries of a file: streams, consumers, buckets, dead letters.

use serde_json::json;

use crate::topology::catalogue::{BUCKET, CONSUMER, STREAM};
use crate::topology::document::{Node, Tree};
use crate::topology::form::{self, Config};
use crate::topology::mistakes::Place;
use crate::topology::model::{Consumer, Places, Stream, StreamKind};

use super::profiles::Profiles;
use super::table::{Fields, Words, join};
use super::value::name_flaw;
use super::{Draft, Reader};

/// What a stream, a consumer and a bucket have in a file beside their fields.
pub(in crate::topology) const STREAM_OTHERS: [&str; 3] = ["name", "include", "profile"];
pub(in crate::topology) const CONSUMER_OTHERS: [&str; 5] = ["name", "stream", "include", "profile", "mode"];
pub(in crate::topology) const BUCKET_OTHERS: [&str; 1] = ["name"];

pub(super) struct Entries<'a, 'r> {
    pub(super) reader: &'a mut Reader<'r>,
    pub(super) profiles: &'a Profiles,
    pub(super) draft: &'a mut Draft,
}

impl Entries<'_, '_> {
    pub(super) fn read(&mut self, document: &Node) {
        for (entry, path) in self.list(document, "streams") {
            self.stream(entry, &path, StreamKind::Stream);
        }
        for (entry, path) in self.list(document, "dead_letters") {
            self.stream(entry, &path, StreamKind::DeadLetters);
        }
        for (entry, path) in self.list(document, "buckets") {
            self.bucket(entry, &path);
        }
        // Last, for a consumer has defaults of its stream's.
        for (entry, path) in self.list(document, "consumers") {
            self.consumer(entry, &path);
        }
    }

    fn list<'n>(&mut self, document: &'n Node, key: &str) -> Vec<(&'n Node, String)> {
        let Some(node) = document.get(key) else { return Vec::new() };
        let Tree::List(items) = &node.tree else {
            self.reader.wrong(&node.place, key, format!("must be a list of tables: `[[{key}]]` in TOML"));
            return Vec::new();
        };
        let mut entries = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let name = item.get("name").and_then(Node::text).map_or_else(|| index.to_string(), str::to_owned);
            let path = join(key, &name);
            match item.tree {
                Tree::Table(_) => entries.push((item, path)),
                _ => self.reader.wrong(&item.place, &path, "must be a table"),
            }
        }
        entries
    }

    fn stream(&mut self, entry: &Node, path: &str, kind: StreamKind) {
        let mut fields = match kind {
            StreamKind::DeadLetters => dead_letters(&entry.place),
            StreamKind::Stream | StreamKind::Bucket => Fields::default(),
        };
        fields.set(self.profiles.stream(self.reader, entry, path));
        let included = self.reader.included_stream(STREAM, entry, path);
        fields.set(included.fields);
        fields.set(self.reader.table(STREAM, entry, path, &STREAM_OTHERS, Words::Ours));
        if let Some(name) = self.name(entry, included.name.as_ref(), path, "name") {
            let places = places(entry, fields.places);
            self.draft.streams.push(Stream { name, kind, config: form::stream(&fields.config), places });
        }
    }

    fn bucket(&mut self, entry: &Node, path: &str) {
        let mut fields = self.reader.table(BUCKET, entry, path, &BUCKET_OTHERS, Words::Ours);
        let Some(bucket) = self.name(entry, None, path, "name") else { return };
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if !bucket.chars().all(allowed) {
            let place = entry.get("name").map_or(&entry.place, |name| &name.place);
            let message = "the name of a bucket has letters, digits, `-` and `_` only";
            self.reader.wrong(place, &join(path, "name"), message);
        }
        let has_origin = fields.config.contains_key("mirror") || fields.config.contains_key("sources");
        let fixed = bucket_form(&bucket, has_origin, &form::table(BUCKET, &fields.config));
        fields.config.extend(fixed);
        let places = places(entry, fields.places);
        let config = form::stream(&fields.config);
        self.draft.streams.push(Stream { name: format!("KV_{bucket}"), kind: StreamKind::Bucket, config, places });
    }

    fn consumer(&mut self, entry: &Node, path: &str) {
        let mut fields = self.profiles.consumer(self.reader, entry, path);
        let included = self.reader.included_consumer(CONSUMER, entry, path);
        fields.set(included.fields);
        fields.set(self.reader.table(CONSUMER, entry, path, &CONSUMER_OTHERS, Words::Ours));
        let name = self.name(entry, included.name.as_ref(), path, "name");
        let stream = self.name(entry, included.stream.as_ref(), path, "stream");
        self.mode(entry, &fields, path);
        deliver_from(&mut fields.config);
        let (Some(name), Some(stream)) = (name, stream) else { return };
        let mut places = places(entry, fields.places);
        if let Some(node) = entry.get("stream") {
            places.fields.insert("stream".to_owned(), node.place.clone());
        }
        let owner = self.draft.streams.iter().find(|known| known.name == stream);
        let nothing = Config::new();
        let config = form::consumer(&fields.config, owner.map_or(&nothing, |owner| &owner.config));
        self.draft.consumers.push(Consumer { stream, name, config, places });
    }

    /// A name, of the entry itself or of what it includes.
    fn name(&mut self, entry: &Node, included: Option<&Node>, path: &str, key: &str) -> Option<String> {
        let path = join(path, key);
        let Some(node) = entry.get(key).or(included) else {
            self.reader.wrong(&entry.place, &path, "is missing");
            return None;
        };
        let Some(name) = node.text() else {
            self.reader.wrong(&node.place, &path, format!("must be a text, not {}", node.shown()));
            return None;
        };
        if let Some(flaw) = name_flaw(name) {
            self.reader.wrong(&node.place, &path, flaw);
            return None;
        }
        Some(name.to_owned())
    }

    /// `mode` says what `deliver_subject` does anyway; said, it is held to it.
    fn mode(&mut self, entry: &Node, fields: &Fields, path: &str) {
        let Some(node) = entry.get("mode") else { return };
        let is_push = fields.config.contains_key("deliver_subject");
        let message = match node.text() {
            Some("pull") if is_push => "a pull consumer has no `deliver_subject`",
            Some("push") if !is_push => "a push consumer needs a `deliver_subject`",
            Some("pull" | "push") => return,
            _ => "must be \"pull\" or \"push\"",
        };
        self.reader.wrong(&node.place, &join(path, "mode"), message);
    }
}

fn places(entry: &Node, fields: std::collections::BTreeMap<String, Place>) -> Places {
    let mut places = Places { own: entry.place.clone(), fields };
    if let Some(name) = entry.get("name") {
        places.fields.insert("name".to_owned(), name.place.clone());
    }
    places
}

/// Whoever says from where needs not say so twice.
fn deliver_from(config: &mut Config) {
    if !config.contains_key("deliver_policy") {
        if config.contains_key("opt_start_seq") {
            config.insert("deliver_policy".into(), json!("by_start_sequence"));
        } else if config.contains_key("opt_start_time") {
            config.insert("deliver_policy".into(), json!("by_start_time"));
        }
    }
}

/// What every stream of dead letters has, unless the file says otherwise: the subjects at which they are stored, and a way to
/// look single ones up.
fn dead_letters(place: &Place) -> Fields {
    let config = json!({
        "subjects": ["dead.>"], "allow_direct": true, "metadata": { "headwater.role": "dead-letters" },
    });
    let config = config.as_object().cloned().unwrap_or_default();
    let places = config.keys().map(|name| (name.clone(), place.clone())).collect();
    Fields { config, places }
}

/// What the stream of a bucket has, whatever the file says.
pub(in crate::topology) fn bucket_form(bucket: &str, has_origin: bool, fields: &Config) -> Config {
    let mut config = fields.clone();
    let subjects = if has_origin { json!([]) } else { json!([format!("$KV.{bucket}.>")]) };
    let fixed = json!({
        "subjects": subjects, "discard": "new", "allow_rollup_hdrs": true, "deny_delete": true, "allow_direct": true,
    });
    config.extend(fixed.as_object().cloned().unwrap_or_default());
    config
}
