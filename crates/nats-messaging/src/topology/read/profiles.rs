//! Profiles: settings by a name, ours and the file's own.

use std::collections::BTreeMap;

use crate::topology::catalogue::{CONSUMER, STREAM};
use crate::topology::document::{self, Format, Node, Tree, Variables};
use crate::topology::mistakes::{Found, Place};

use super::Reader;
use super::suggest::nearest;
use super::table::{Fields, Words, join};

const BUILT_IN: &str = include_str!("profiles.toml");

/// The names of the profiles that every file may use.
pub(in crate::topology) const BUILT_IN_NAMES: [&str; 4] = ["archive", "durable", "high-throughput", "low-latency"];

#[derive(Debug, Default)]
struct Profile {
    stream: Fields,
    consumer: Fields,
}

/// All profiles, and which one stands for all that name none.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    known: BTreeMap<String, Profile>,
    default: Option<String>,
}

impl Profiles {
    pub(super) fn read(reader: &mut Reader<'_>, document: &Node) -> Self {
        let mut profiles = Self::built_in();
        if let Some(node) = document.get("profiles") {
            profiles.add(reader, node);
        }
        if let Some(node) = document.get("profile") {
            profiles.default = profiles.name(reader, node, "profile");
        }
        profiles
    }

    fn built_in() -> Self {
        let (mut found, variables) = (Found::default(), Variables::of::<String, String>([]));
        let document = document::read(BUILT_IN, "profiles.toml", Format::Toml, &variables, &mut found);
        let mut reader = Reader { found: &mut found, folder: None, variables: &variables };
        let mut profiles = Self::default();
        if let Some(node) = document.as_ref().and_then(|document| document.get("profiles")) {
            profiles.add(&mut reader, node);
        }
        profiles
    }

    fn add(&mut self, reader: &mut Reader<'_>, node: &Node) {
        let Tree::Table(entries) = &node.tree else {
            return reader.wrong(&node.place, "profiles", "must be a table of profiles by name");
        };
        for (key, node) in entries {
            let path = join("profiles", &key.text);
            if self.known.contains_key(&key.text) {
                reader.wrong(&key.place, &path, "there is a profile of that name in Headwater; take another name");
                continue;
            }
            reader.known_keys(node, &path, &["stream", "consumer"], &[]);
            let mut fields = |part: &str, known| match node.get(part) {
                Some(node) => reader.table(known, node, &join(&path, part), &[], Words::Ours),
                None => Fields::default(),
            };
            let profile = Profile { stream: fields("stream", STREAM), consumer: fields("consumer", CONSUMER) };
            self.known.insert(key.text.clone(), profile);
        }
    }

    fn name(&self, reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<String> {
        let name = node.text().unwrap_or_default();
        if self.known.contains_key(name) {
            return Some(name.to_owned());
        }
        let known: Vec<&str> = self.known.keys().map(String::as_str).collect();
        let message = match nearest(name, known.iter().copied()) {
            Some(meant) => format!("there is no profile {}; is \"{meant}\" meant?", node.shown()),
            None => format!("there is no profile {}; there are \"{}\"", node.shown(), known.join("\", \"")),
        };
        reader.wrong(&node.place, path, message);
        None
    }

    /// What the profile of an entry sets. Its places are those of the entry's own word for it.
    fn of(&self, reader: &mut Reader<'_>, entry: &Node, path: &str) -> Option<(&Profile, Place)> {
        let own = entry.get("profile");
        let name = match own {
            Some(node) => self.name(reader, node, &join(path, "profile")),
            None => self.default.clone(),
        }?;
        Some((self.known.get(&name)?, own.unwrap_or(entry).place.clone()))
    }

    pub(super) fn stream(&self, reader: &mut Reader<'_>, entry: &Node, path: &str) -> Fields {
        self.of(reader, entry, path).map_or_else(Fields::default, |(profile, place)| at(&profile.stream, &place))
    }

    pub(super) fn consumer(&self, reader: &mut Reader<'_>, entry: &Node, path: &str) -> Fields {
        self.of(reader, entry, path).map_or_else(Fields::default, |(profile, place)| at(&profile.consumer, &place))
    }
}

fn at(fields: &Fields, place: &Place) -> Fields {
    let places = fields.places.keys().map(|name| (name.clone(), place.clone())).collect();
    Fields { config: fields.config.clone(), places }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_profiles_are_read_without_a_mistake() {
        let profiles = Profiles::built_in();
        assert!(profiles.known.keys().map(String::as_str).eq(BUILT_IN_NAMES));
        for (name, profile) in &profiles.known {
            assert!(!profile.stream.config.is_empty() && !profile.consumer.config.is_empty(), "{name}");
        }
        let mut found = Found::default();
        let variables = Variables::of::<String, String>([]);
        let document = document::read(BUILT_IN, "profiles.toml", Format::Toml, &variables, &mut found).unwrap();
        let mut reader = Reader { found: &mut found, folder: None, variables: &variables };
        Profiles::default().add(&mut reader, document.get("profiles").unwrap());
        found.into_result().unwrap();
    }
}
