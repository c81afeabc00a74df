//! The derives of Headwater's words and the aggregate macro.
//!
//! Each lowers to the public traits of `headwater-core`; what they write, a person could have
//! typed. Users meet them through the crate `headwater`, or beside `headwater-core` alone: the
//! expansions find out which of the two is there. Where it goes by a way of its own (a re-export,
//! say), every macro takes `crate = path::to::it`.
#![deny(missing_docs)]

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

mod aggregate;
#[cfg(doctest)]
mod by_compiler;
mod command;
mod data;
mod event;
mod family;
mod input;
mod keys;
mod krate;
mod names;
mod problems;
mod query;
#[cfg(test)]
mod refusals;
mod rejection;

/// Implements the trait `Command` for a struct.
///
/// The name on the wire is the type's name in kebab case (`AddItem` is `add-item`), or the one
/// given. It is checked at compile time against `^[a-z][a-z0-9-]{0,49}$`.
///
/// ```
/// use headwater_core::Command as _;
/// use headwater_macros::Command;
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Command, Serialize, Deserialize, JsonSchema)]
/// struct AddItem {
///     name: String,
/// }
///
/// #[derive(Command, Serialize, Deserialize, JsonSchema)]
/// #[command(name = "void")]
/// struct VoidReceipt {}
///
/// assert_eq!(AddItem::NAME, "add-item");
/// assert_eq!(VoidReceipt::NAME, "void");
/// ```
///
/// Keys of `#[command(…)]`: `name`, `crate`.
#[proc_macro_derive(Command, attributes(command))]
pub fn derive_command(input: TokenStream) -> TokenStream {
    finish(command::expand(&parse_macro_input!(input as DeriveInput)))
}

/// Implements the trait `Query` for a struct.
///
/// The name on the wire is the type's name in kebab case, or the one given; `get` and `history`
/// are taken. The type of the answer has to be said.
///
/// ```
/// use headwater_core::Query as _;
/// use headwater_macros::Query;
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Query, Serialize, Deserialize, JsonSchema)]
/// #[query(answer = u64)]
/// struct CountItems {}
///
/// assert_eq!(CountItems::NAME, "count-items");
/// ```
///
/// Keys of `#[query(…)]`: `name`, `answer`, `crate`.
#[proc_macro_derive(Query, attributes(query))]
pub fn derive_query(input: TokenStream) -> TokenStream {
    finish(query::expand(&parse_macro_input!(input as DeriveInput)))
}

/// Implements the trait `Event` for an enum with one variant for each event.
///
/// A variant holds a payload type of its own (`ItemAdded(ItemAdded)`), has named fields, or
/// nothing. Named fields are written in camel case; `#[serde(…)]` and `#[schemars(…)]` on them
/// are heeded. Each payload type becomes the enum with `From`, and payload and enum are what a
/// command may return (`IntoEvents`).
///
/// The name on the wire is the variant's name in kebab case, or the one given. It is in the
/// journal for ever: before you rename a variant, give it its old name here.
///
/// ```
/// use headwater_core::Event as _;
/// use headwater_macros::Event;
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, JsonSchema)]
/// struct ItemAdded {
///     name: String,
/// }
///
/// #[derive(Clone, Event)]
/// enum ReceiptEvent {
///     ItemAdded(ItemAdded),
///     #[event(name = "item-removed", version = 2)]
///     Removed { refund_amount: u64 },
///     Finalized,
/// }
///
/// let removed = ReceiptEvent::Removed { refund_amount: 5 };
/// assert_eq!(removed.name(), "item-removed");
/// assert_eq!(removed.encode()?, br#"{"refundAmount":5}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// Keys of `#[event(…)]` on the enum: `upcasters` (the path of a `fn() -> Upcasters`), `crate`;
/// on a variant: `name`, `version` (of the data's schema, 1 unless said).
#[proc_macro_derive(Event, attributes(event, serde, schemars))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    finish(event::expand(&parse_macro_input!(input as DeriveInput)))
}

/// Implements the trait `EventFamily` for an enum with one variant for each event of a family, and makes the enum a parameter
/// that handlers of a message router take.
///
/// A variant holds a payload type of its own (`Started(AgentStarted)`), has named fields, or nothing. Named fields are written
/// in camel case; `#[serde(…)]` on them is heeded. The name of an event, words between dots, is the `type` in its envelope; its
/// subject is its name unless another is said, in which `{field}` stands for a field of the variant or of its payload, as one
/// token.
///
/// The trait's page in `headwater-nats-messaging` has an example that runs.
///
/// Keys of `#[event(…)]` on the enum: `family` (its name, which consumers are named after; the enum's in kebab case unless
/// said), `reads` (a pattern that handlers of the whole family read; the events' own unless said), `crate` (the path of
/// `headwater-nats-messaging`, or of `headwater::messaging`); on a variant: `name`, `subject`.
#[proc_macro_derive(EventFamily, attributes(event, serde))]
pub fn derive_event_family(input: TokenStream) -> TokenStream {
    finish(family::expand(&parse_macro_input!(input as DeriveInput)))
}

/// Implements the trait `Rejection` for an enum with one variant for each reason.
///
/// A variant has named fields or nothing. The fields travel to the caller in camel case beside
/// the rejection's name, which is the variant's in kebab case, or the one given; therefore no
/// field is called `rejection`. `#[serde(…)]` and `#[schemars(…)]` on fields are heeded.
///
/// ```
/// use headwater_core::Rejection as _;
/// use headwater_macros::Rejection;
///
/// #[derive(Debug, Clone, thiserror::Error, Rejection)]
/// enum ReceiptRejection {
///     #[error("the receipt is closed")]
///     ReceiptNotOpen,
///     #[error("there is no {item_name}")]
///     ItemNotFound { item_name: String },
/// }
///
/// let rejection = ReceiptRejection::ItemNotFound { item_name: "Tea".into() };
/// assert_eq!(rejection.name(), "item-not-found");
/// assert_eq!(rejection.members()["itemName"], "Tea");
/// ```
///
/// Keys of `#[rejection(…)]` on the enum: `crate`; on a variant: `name`.
#[proc_macro_derive(Rejection, attributes(rejection, serde, schemars))]
pub fn derive_rejection(input: TokenStream) -> TokenStream {
    finish(rejection::expand(&parse_macro_input!(input as DeriveInput)))
}

/// Writes an aggregate's traits, its description and its client from one `impl` block.
///
/// The block holds
/// - `fn init(id: &AggregateId) -> Self` and `fn evolve(&mut self, event: &E)`, which become the
///   trait `Aggregate`;
/// - commands: `#[command] fn add_item(&self, command: AddItem) -> Result<ItemAdded, R>`, with
///   `context: &CommandContext` as a further parameter where it is needed. What is returned is
///   one event, its payload, or several of either (see `IntoEvents`);
/// - commands that ask something outside first: `#[command] async fn` with `env: &Env` as a
///   further parameter, returning `Result<_, HandleError<R>>`;
/// - queries: `#[query] fn count_items(&self, query: CountItems) -> u64`;
/// - whatever else an `impl` block may hold, which stays as it is.
///
/// The methods stay callable, for tests of the domain alone. A command's name on the wire is its
/// method's in kebab case, and so is a query's; where they differ it does not compile.
///
/// | key | what | unless said |
/// |---|---|---|
/// | `type` | the aggregate type on the wire, such as `"receipt"` | has to be said |
/// | `event` | its enum of events | has to be said |
/// | `rejection` | its enum of rejections | `NeverRejected` |
/// | `client` | the name of the client to write, with its visibility | no client is written |
/// | `env` | what the async commands ask | there are none |
/// | `crate` | the path of `headwater` or `headwater-core` | found in `Cargo.toml` |
///
/// A client is `pub` unless another visibility stands before its name
/// (`client = pub(crate) ReceiptClient`); the types that its methods name have to be as visible.
/// It has one method for each command and query, with the doc comments of the aggregate's, and
/// everything of `AggregateClient` through `Deref`.
///
/// ```
/// use headwater_core::{AggregateId, Described as _, NeverRejected};
/// use headwater_macros::{Command, Event, aggregate};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, JsonSchema)]
/// pub struct Counter {
///     count: u64,
/// }
///
/// #[derive(Command, Serialize, Deserialize, JsonSchema)]
/// pub struct Increment {
///     by: u64,
/// }
///
/// #[derive(Clone, Event)]
/// pub enum CounterEvent {
///     Incremented { by: u64 },
/// }
///
/// #[aggregate(type = "counter", event = CounterEvent, client = CounterClient)]
/// impl Counter {
///     fn init(_: &AggregateId) -> Self {
///         Self { count: 0 }
///     }
///
///     fn evolve(&mut self, event: &CounterEvent) {
///         match event {
///             CounterEvent::Incremented { by } => self.count += by,
///         }
///     }
///
///     /// Counts on.
///     #[command]
///     fn increment(&self, command: Increment) -> Result<CounterEvent, NeverRejected> {
///         Ok(CounterEvent::Incremented { by: command.by })
///     }
/// }
///
/// let described = Counter::describe(().into()).build()?;
/// assert_eq!(described.command("increment").unwrap().events(), ["incremented"]);
/// # Ok::<(), headwater_core::DescribeError>(())
/// ```
#[proc_macro_attribute]
pub fn aggregate(arguments: TokenStream, block: TokenStream) -> TokenStream {
    aggregate::expand(arguments.into(), &block.into()).into()
}

fn finish(expanded: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}
