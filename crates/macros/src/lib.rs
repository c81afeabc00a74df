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

#[doc = include_str!("../docs/command.md")]
#[proc_macro_derive(Command, attributes(command))]
pub fn derive_command(input: TokenStream) -> TokenStream {
    finish(command::expand(&parse_macro_input!(input as DeriveInput)))
}

#[doc = include_str!("../docs/query.md")]
#[proc_macro_derive(Query, attributes(query))]
pub fn derive_query(input: TokenStream) -> TokenStream {
    finish(query::expand(&parse_macro_input!(input as DeriveInput)))
}

#[doc = include_str!("../docs/event.md")]
#[proc_macro_derive(Event, attributes(event, serde, schemars))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    finish(event::expand(&parse_macro_input!(input as DeriveInput)))
}

#[doc = include_str!("../docs/event_family.md")]
#[proc_macro_derive(EventFamily, attributes(event, serde))]
pub fn derive_event_family(input: TokenStream) -> TokenStream {
    finish(family::expand(&parse_macro_input!(input as DeriveInput)))
}

#[doc = include_str!("../docs/rejection.md")]
#[proc_macro_derive(Rejection, attributes(rejection, serde, schemars))]
pub fn derive_rejection(input: TokenStream) -> TokenStream {
    finish(rejection::expand(&parse_macro_input!(input as DeriveInput)))
}

#[doc = include_str!("../docs/aggregate.md")]
#[proc_macro_attribute]
pub fn aggregate(arguments: TokenStream, block: TokenStream) -> TokenStream {
    aggregate::expand(arguments.into(), &block.into()).into()
}

fn finish(expanded: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}
