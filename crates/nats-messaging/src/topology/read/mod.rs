//! From a document to streams and consumers.

mod entries;
mod include;
mod profiles;
mod suggest;
mod table;
mod value;

use std::path::{Path, PathBuf};

use super::document::{self, Format, Node, Tree, Variables};
use super::mistakes::{Found, Place};
use super::model::{Consumer, Stream};

use self::entries::Entries;
use self::profiles::Profiles;

pub(super) use self::entries::{BUCKET_OTHERS, CONSUMER_OTHERS, STREAM_OTHERS, bucket_form};
pub(super) use self::profiles::BUILT_IN_NAMES;
pub(super) use self::suggest::nearest;

/// What a file says, before anybody has asked whether it makes sense.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) streams: Vec<Stream>,
    pub(super) consumers: Vec<Consumer>,
    pub(super) ignore: Vec<String>,
}

/// What a topology file may have at its top.
pub(super) const TOP: [&str; 8] =
    ["$schema", "profile", "profiles", "ignore", "streams", "consumers", "buckets", "dead_letters"];

/// Reads a file. Included ones are looked for in `folder`.
pub(super) fn draft(
    text: &str,
    file: &str,
    folder: Option<&Path>,
    format: Format,
    variables: &Variables,
    found: &mut Found,
) -> Draft {
    let Some(document) = document::read(text, file, format, variables, found) else {
        return Draft::default();
    };
    let mut reader = Reader { found, folder: folder.map(Path::to_owned), variables };
    if !matches!(document.tree, Tree::Table(_)) {
        reader.found.add(&document.place, "", "a topology is a table with `streams`, `consumers` and so on");
        return Draft::default();
    }
    reader.known_keys(&document, "", &TOP, &[]);
    let profiles = Profiles::read(&mut reader, &document);
    let mut draft = Draft { ignore: reader.ignore(&document), ..Draft::default() };
    Entries { reader: &mut reader, profiles: &profiles, draft: &mut draft }.read(&document);
    draft
}

/// Reads values, and notes what is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) found: &'a mut Found,
    folder: Option<PathBuf>,
    variables: &'a Variables,
}

impl Reader<'_> {
    fn wrong(&mut self, place: &Place, field: &str, message: impl Into<String>) {
        // Where a variable is missing there is nothing to read, which needs not be told a second time.
        if !self.found.has(place, field) {
            self.found.add(place, field, message);
        }
    }

    /// The names of streams that are not looked at, with `*` for any characters.
    fn ignore(&mut self, document: &Node) -> Vec<String> {
        let Some(node) = document.get("ignore") else { return Vec::new() };
        let Tree::List(items) = &node.tree else {
            self.wrong(&node.place, "ignore", "must be a list of names of streams, with `*` for any characters");
            return Vec::new();
        };
        let mut names = Vec::new();
        for item in items {
            match item.text().filter(|name| !name.is_empty()) {
                Some(name) => names.push(name.to_owned()),
                None => self.wrong(&item.place, "ignore", "must be a name of a stream, with `*` for any characters"),
            }
        }
        names
    }
}
