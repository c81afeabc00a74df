//! Tables whose fields are in the catalogue.

use std::collections::BTreeMap;

use crate::topology::catalogue::{Field, Kind};
use crate::topology::document::{Node, Tree};
use crate::topology::form::Config;
use crate::topology::mistakes::Place;

use super::Reader;
use super::suggest::nearest;

/// In whose words a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// In those of a topology file.
    Ours,
    /// In those of the server's JSON, as the `nats` tool writes it.
    Server,
}

impl Words {
    pub(super) fn key(self, field: &Field) -> &'static str {
        match self {
            Self::Ours => field.key,
            Self::Server => field.wire,
        }
    }
}

/// The fields that a table sets, by the server's names, and where it does.
#[derive(Debug, Default, Clone)]
pub(super) struct Fields {
    pub(super) config: Config,
    pub(super) places: BTreeMap<String, Place>,
}

impl Fields {
    /// Takes over what another one sets.
    pub(super) fn set(&mut self, other: Self) {
        let says = |name: &str| other.config.contains_key(name);
        // Of these two the later word counts alone: the one says how long in general, the other how long each time.
        for (said, unsaid) in [("backoff", "ack_wait"), ("ack_wait", "backoff")] {
            if says(said) && !says(unsaid) {
                self.unset(unsaid);
            }
        }
        other.config.keys().for_each(|name| self.unset(name));
        self.config.extend(other.config);
        self.places.extend(other.places);
    }

    pub(super) fn unset(&mut self, name: &str) {
        self.config.remove(name);
        self.places.retain(|place, _| place.split('.').next() != Some(name));
    }
}

impl Reader<'_> {
    /// Reads a table. Of its `others` somebody else takes care.
    pub(super) fn table(
        &mut self,
        fields: &'static [Field],
        node: &Node,
        path: &str,
        others: &[&str],
        words: Words,
    ) -> Fields {
        let mut read = Fields::default();
        let Tree::Table(entries) = &node.tree else {
            self.wrong(&node.place, path, "must be a table");
            return read;
        };
        self.known_keys_in(node, path, others, fields, words);
        for field in fields {
            let key = words.key(field);
            let Some((at, value)) = entries.iter().find(|(own, _)| own.text == key) else { continue };
            if words == Words::Server && matches!(value.tree, Tree::Null) {
                continue;
            }
            read.places.insert(field.wire.to_owned(), at.place.clone());
            note_items(&mut read.places, field, value);
            if let Some(value) = self.value(field.kind, value, &join(path, key), words) {
                read.config.insert(field.wire.to_owned(), value);
            }
        }
        read
    }

    /// Refuses keys that nobody knows.
    pub(super) fn known_keys(&mut self, node: &Node, path: &str, others: &[&str], fields: &'static [Field]) {
        self.known_keys_in(node, path, others, fields, Words::Ours);
    }

    fn known_keys_in(&mut self, node: &Node, path: &str, others: &[&str], fields: &'static [Field], words: Words) {
        let Tree::Table(entries) = &node.tree else { return };
        for (key, _) in entries {
            let name = key.text.as_str();
            if others.contains(&name) || fields.iter().any(|field| words.key(field) == name) {
                continue;
            }
            let other_words = fields.iter().find(|field| field.wire == name || field.key == name);
            let known = others.iter().copied().chain(fields.iter().map(|field| words.key(field)));
            let meant = other_words.map(|field| words.key(field)).or_else(|| nearest(name, known));
            let message = match meant {
                Some(meant) => format!("there is no such key; is `{meant}` meant?"),
                None => "there is no such key".to_owned(),
            };
            self.wrong(&key.place, &join(path, name), message);
        }
    }
}

fn note_items(places: &mut BTreeMap<String, Place>, field: &Field, value: &Node) {
    match (&value.tree, field.kind) {
        (Tree::List(items), Kind::Subjects) => {
            for item in items {
                if let Some(subject) = item.text() {
                    places.insert(format!("{}.{subject}", field.wire), item.place.clone());
                }
            }
        }
        (Tree::Text(subject), Kind::Subjects) => {
            places.insert(format!("{}.{subject}", field.wire), value.place.clone());
        }
        (Tree::Table(_) | Tree::List(_), _) => {}
        _ => {
            places.insert(field.wire.to_owned(), value.place.clone());
        }
    }
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
