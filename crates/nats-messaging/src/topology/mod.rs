//! Streams, consumers and key-value buckets as they are to be, in a file, and a server brought in line with it.
//!
//! ```
//! use headwater_nats_messaging::topology::{Format, Topology, Variables};
//!
//! let file = r#"
//! [[streams]]
//! name = "ORDERS"
//! subjects = ["orders.>"]
//! max_age = "7d"
//! max_bytes = "1GiB"
//! replicas = "${REPLICAS:-1}"
//!
//! [[consumers]]
//! name = "billing"
//! stream = "ORDERS"
//! filter = "orders.*.placed"
//! max_deliver = 3
//! "#;
//! let topology = Topology::parse(file, "topology.toml", Format::Toml, &Variables::process())?;
//! assert!(topology.to_toml().contains("orders.*.placed"));
//!
//! let mistaken = file.replace("7d", "7 days");
//! let mistakes = Topology::parse(&mistaken, "topology.toml", Format::Toml, &Variables::process()).unwrap_err();
//! assert!(mistakes.to_string().starts_with("topology.toml:5:11: streams.ORDERS.max_age: \"7 days\" is not a duration"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Topology::plan`] tells what a server has otherwise, [`Topology::apply`] changes it, [`Topology::verify`] refuses it,
//! [`Topology::import`] makes a topology of it, [`Topology::destroy`] takes the topology away. A program does one of these when it
//! starts: [`Topology::at_start`].
//!
//! Inside: `document` reads TOML, YAML and JSON with places, `catalogue` knows every field, `read` makes streams and consumers of
//! a document, `check` finds what makes no sense, `form` brings configurations into one form, `compare` and `plan` find out what is
//! otherwise, `apply` and `lease` mend it.

mod apply;
mod catalogue;
mod check;
mod compare;
mod document;
mod error;
mod form;
mod import;
mod lease;
mod mistakes;
mod model;
mod plan;
mod read;
mod schema;
mod server;
mod show;
mod start;
mod units;

use std::fs;
use std::path::Path;

use self::mistakes::Found;
use self::model::{Consumer, Stream};

pub use self::apply::Done;
pub use self::compare::Difference;
pub use self::document::{Format, Variables};
pub use self::error::TopologyError;
pub use self::lease::STREAM as LEASE_STREAM;
pub use self::mistakes::{Mistake, Mistakes, Place};
pub use self::model::Target;
pub use self::plan::{Action, Change, Leave, Plan, Problem};
pub use self::start::AtStart;

/// Streams, consumers and buckets as they are to be.
#[derive(Debug, Clone, Default)]
pub struct Topology {
    streams: Vec<Stream>,
    consumers: Vec<Consumer>,
    ignore: Vec<String>,
}

impl Topology {
    /// Reads a file in TOML, YAML (`.yaml`, `.yml`) or JSON (`.json`), with the variables of this process's environment. Files
    /// that it includes are looked for beside it.
    ///
    /// # Errors
    /// [`TopologyError::Unreadable`] when there is no such file, [`TopologyError::Mistakes`] with everything that is wrong with
    /// it.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, TopologyError> {
        Self::load_with(path, &Variables::process())
    }

    /// [`load`](Self::load) with variables of one's own.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(path: impl AsRef<Path>, variables: &Variables) -> Result<Self, TopologyError> {
        let path = path.as_ref();
        let unreadable = |source| TopologyError::Unreadable { path: path.to_owned(), source };
        let text = fs::read_to_string(path).map_err(unreadable)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Ok(Self::read(&text, &path.display().to_string(), Some(folder), Format::of(path), variables)?)
    }

    /// Reads a text, which `file` stands for in mistakes. It includes no other files.
    ///
    /// # Errors
    /// Everything that is wrong with it, with line, column and field.
    pub fn parse(text: &str, file: &str, format: Format, variables: &Variables) -> Result<Self, Mistakes> {
        Self::read(text, file, None, format, variables)
    }

    fn read(
        text: &str,
        file: &str,
        folder: Option<&Path>,
        format: Format,
        variables: &Variables,
    ) -> Result<Self, Mistakes> {
        let mut found = Found::default();
        let draft = read::draft(text, file, folder, format, variables, &mut found);
        check::check(&draft, &mut found);
        found.into_result()?;
        Ok(Self { streams: draft.streams, consumers: draft.consumers, ignore: draft.ignore })
    }

    /// The names of its streams on the server, those of its buckets among them.
    pub fn stream_names(&self) -> impl Iterator<Item = &str> {
        self.streams.iter().map(|stream| stream.name.as_str())
    }
}
