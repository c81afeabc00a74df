//! The client: one method for each command and query.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, parse_quote};

use super::arguments::{Arguments, Client};
use super::block::Block;
use crate::krate::Krate;

/// Methods that every client has, by itself or through `AggregateClient`.
pub(super) const OWN_METHODS: [&str; 8] = ["new", "with", "get", "history", "live", "command", "query", "transport"];

/// The struct and its methods.
pub(super) fn define(krate: &Krate, arguments: &Arguments, client: &Client, block: &Block) -> TokenStream {
    let (Client { visibility, ident }, state, kind) = (client, &block.state, &arguments.kind.text);
    let methods = methods(krate, client, block);
    let documentation = format!(
        "Calls to aggregates of type `{kind}`: a method for each command and query, and all of `AggregateClient`."
    );
    quote! {
        #[doc = #documentation]
        #[derive(Clone, Debug)]
        #visibility struct #ident {
            aggregate: #krate::client::AggregateClient<#state>,
        }

        impl #ident {
            /// A client over `transport`: a dispatcher, or a client of a NATS service.
            #visibility fn new(transport: impl #krate::client::IntoTransport) -> Self {
                Self { aggregate: #krate::client::AggregateClient::new(transport) }
            }

            /// The same client with other options for all its calls:
            /// `client.with(|calls| calls.timeout(limit))`.
            #[must_use]
            #visibility fn with(
                self,
                change: impl ::core::ops::FnOnce(
                    #krate::client::AggregateClient<#state>,
                ) -> #krate::client::AggregateClient<#state>,
            ) -> Self {
                Self { aggregate: change(self.aggregate) }
            }

            #methods
        }

        #[automatically_derived]
        impl ::core::ops::Deref for #ident {
            type Target = #krate::client::AggregateClient<#state>;

            fn deref(&self) -> &Self::Target {
                &self.aggregate
            }
        }

        #[automatically_derived]
        impl ::core::convert::From<#krate::client::AggregateClient<#state>> for #ident {
            fn from(aggregate: #krate::client::AggregateClient<#state>) -> Self {
                Self { aggregate }
            }
        }
    }
}

fn methods(krate: &Krate, client: &Client, block: &Block) -> TokenStream {
    let (visibility, state) = (&client.visibility, &block.state);
    let commands = block.commands.iter().map(|command| {
        let (method, payload) = (&command.ident, &command.payload);
        let documentation = documented(&command.carried.documentation, "Sends the command.");
        let conditions = &command.carried.conditions;
        quote! {
            #(#conditions)*
            #(#documentation)*
            #visibility fn #method(
                &self,
                id: impl ::core::convert::Into<::std::string::String>,
                command: #payload,
            ) -> #krate::client::CommandCall<#state> {
                self.aggregate.command(id, &command)
            }
        }
    });
    let queries = block.queries.iter().map(|query| {
        let (method, payload) = (&query.ident, &query.payload);
        let documentation = documented(&query.carried.documentation, "Sends the query.");
        let conditions = &query.carried.conditions;
        quote! {
            #(#conditions)*
            #(#documentation)*
            #visibility fn #method(
                &self,
                id: impl ::core::convert::Into<::std::string::String>,
                query: #payload,
            ) -> #krate::client::QueryCall<#state, #payload> {
                self.aggregate.query(id, &query)
            }
        }
    });
    quote!(#(#commands)* #(#queries)*)
}

/// The method's own documentation, or a line that says the least.
fn documented(documentation: &[Attribute], otherwise: &str) -> Vec<Attribute> {
    if documentation.is_empty() {
        return vec![parse_quote!(#[doc = #otherwise])];
    }
    documentation.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_the_untyped_client_is_kept_free() {
        let untyped = include_str!("../../../core/src/client/mod.rs");
        let methods = untyped.lines().filter_map(|line| line.trim().strip_prefix("pub fn "));
        let names =
            methods.filter(|method| method.contains("(&self")).filter_map(|method| method.split(['(', '<']).next());
        let names: Vec<_> = names.collect();
        assert!(names.contains(&"get"), "{names:?}");
        for name in names {
            assert!(OWN_METHODS.contains(&name), "a command called `{name}` would hide AggregateClient's method");
        }
    }
}
