//! A file as a tree in which every key and value knows its place, whichever language it is written in.

mod json;
mod toml;
mod variables;
mod yaml;

use std::path::Path;
use std::sync::Arc;

use super::mistakes::{Found, Place};

pub use self::variables::Variables;

/// The language of a topology file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// TOML.
    Toml,
    /// YAML 1.2.
    Yaml,
    /// JSON.
    Json,
}

impl Format {
    /// By the ending of a file's name: `yaml` and `yml`, `json`, and TOML for all others.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("yaml" | "yml") => Self::Yaml,
            Some("json") => Self::Json,
            _ => Self::Toml,
        }
    }
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) tree: Tree,
    /// The text as it is in the file, when variables were put into it. It is what errors show: a variable's value may be
    /// private.
    pub(crate) written: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) enum Tree {
    Null,
    Flag(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Table(Vec<(Key, Node)>),
}

#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) place: Place,
}

impl Node {
    fn new(place: Place, tree: Tree) -> Self {
        Self { place, tree, written: None }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.tree {
            Tree::Table(entries) => entries.iter().find(|(own, _)| own.text == key).map(|(_, value)| value),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.tree {
            Tree::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value as an error shows it: short, and without what came from variables.
    pub(crate) fn shown(&self) -> String {
        let text = match (&self.written, &self.tree) {
            (Some(written), _) => format!("{written:?} (with its variables)"),
            (None, Tree::Null) => "null".to_owned(),
            (None, Tree::Flag(flag)) => flag.to_string(),
            (None, Tree::Integer(number)) => number.to_string(),
            (None, Tree::Float(number)) => number.to_string(),
            (None, Tree::Text(text)) => format!("{text:?}"),
            (None, Tree::List(_)) => "a list".to_owned(),
            (None, Tree::Table(_)) => "a table".to_owned(),
        };
        if text.chars().count() > 60 { text.chars().take(57).chain("...".chars()).collect() } else { text }
    }
}

/// Reads a document and puts the variables in. What cannot be read at all is a mistake without a field.
pub(crate) fn read(text: &str, file: &str, format: Format, variables: &Variables, found: &mut Found) -> Option<Node> {
    let lines = Lines::new(text, file);
    let mut node = match format {
        Format::Toml => toml::parse(text, &lines),
        Format::Yaml => yaml::parse(text, &lines),
        Format::Json => json::parse(text, &lines),
    }
    .map_err(|(place, message)| found.add(&place, "", message))
    .ok()?;
    variables::put_in(&mut node, variables, &mut Vec::new(), found);
    Some(node)
}

/// A document that cannot be read: where, and why.
type Unreadable = (Place, String);

/// Finds lines and columns.
struct Lines<'a> {
    text: &'a str,
    file: Arc<str>,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str, file: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(index, _)| index + 1);
        Self { text, file: file.into(), starts: std::iter::once(0).chain(ends).collect() }
    }

    /// The place of a byte.
    fn at(&self, byte: usize) -> Place {
        let byte = byte.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= byte);
        let start = self.starts[line - 1];
        let column = self.text.get(start..byte).map_or(byte - start, |before| before.chars().count());
        Place { file: Arc::clone(&self.file), line, column: column + 1 }
    }

    fn place(&self, line: usize, column: usize) -> Place {
        Place { file: Arc::clone(&self.file), line: line.max(1), column: column.max(1) }
    }
}
