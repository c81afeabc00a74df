//! Configurations of the `nats` tool, taken over from files of their own.

use std::fs;

use serde_json::Value;

use crate::topology::catalogue::{Field, Kind};
use crate::topology::document::{self, Format, Node};

use super::Reader;
use super::table::{Fields, Words, join};

/// What an included file sets, and the names that it has for what it describes.
#[derive(Debug, Default)]
pub(super) struct Included {
    pub(super) fields: Fields,
    pub(super) name: Option<Node>,
    pub(super) stream: Option<Node>,
}

/// What the server's JSON has beside the catalogue's fields: names, and what a file has no say in.
const STREAM_OTHERS: [&str; 4] = ["name", "sealed", "template_owner", "mirror_direct"];
const CONSUMER_OTHERS: [&str; 4] = ["name", "durable_name", "filter_subject", "pause_until"];

impl Reader<'_> {
    /// Reads the stream configuration that an entry includes: what `nats stream info --json` or
    /// `nats stream backup` wrote, or its part `config`.
    pub(super) fn included_stream(&mut self, fields: &'static [Field], entry: &Node, path: &str) -> Included {
        let Some(document) = self.included(entry, path) else { return Included::default() };
        let config = document.get("config").unwrap_or(&document);
        let fields = self.table(fields, config, path, &STREAM_OTHERS, Words::Server);
        Included { fields, name: config.get("name").cloned(), stream: None }
    }

    /// The same for a consumer.
    pub(super) fn included_consumer(&mut self, fields: &'static [Field], entry: &Node, path: &str) -> Included {
        let Some(document) = self.included(entry, path) else { return Included::default() };
        let config = document.get("config").unwrap_or(&document);
        let mut fields = self.table(fields, config, path, &CONSUMER_OTHERS, Words::Server);
        if let Some(filter) = config.get("filter_subject").filter(|filter| filter.text() != Some("")) {
            let filters = self.value(Kind::Subjects, filter, &join(path, "filter_subject"), Words::Server);
            fields.config.extend(filters.map(|filters| ("filter_subjects".to_owned(), filters)));
            fields.places.insert("filter_subjects".to_owned(), filter.place.clone());
        }
        if fields.config.get("backoff").and_then(Value::as_array).is_some_and(|times| !times.is_empty()) {
            // The server writes the first of them there too.
            fields.unset("ack_wait");
        }
        let name = config.get("durable_name").or_else(|| config.get("name")).cloned();
        Included { fields, name, stream: document.get("stream_name").cloned() }
    }

    /// The document that an entry includes.
    fn included(&mut self, entry: &Node, path: &str) -> Option<Node> {
        let node = entry.get("include")?;
        let path = join(path, "include");
        let Some(name) = node.text().filter(|name| !name.is_empty()) else {
            self.wrong(&node.place, &path, "must be the name of a file");
            return None;
        };
        let Some(folder) = &self.folder else {
            self.wrong(&node.place, &path, "a topology that is not read from a file includes none");
            return None;
        };
        let file = folder.join(name);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) => {
                self.wrong(&node.place, &path, format!("{} cannot be read: {error}", file.display()));
                return None;
            }
        };
        document::read(&text, &file.display().to_string(), Format::Json, self.variables, self.found)
    }
}
