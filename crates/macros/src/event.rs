//! `#[derive(Event)]`.

mod fact;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Path};

use self::fact::Fact;
use crate::krate::Krate;
use crate::problems::Problems;
use crate::{data, input, keys, names};

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let variants = input::variants(input, "event", "an aggregate has at least one event")?;
    let (mut upcasters, mut krate) = (None, None);
    keys::parse(&input.attrs, "event", |pair| {
        if pair.path.is_ident("upcasters") {
            keys::fill(&mut upcasters, pair, keys::path)
        } else if pair.path.is_ident("crate") {
            keys::fill(&mut krate, pair, keys::path)
        } else {
            Err(keys::unknown(pair, "event", &["upcasters", "crate"]))
        }
    })?;
    let mut problems = Problems::default();
    let parsed = variants.iter().map(|variant| Fact::parse(&input.ident, variant));
    let facts: Vec<_> = parsed.filter_map(|fact| problems.take(fact)).collect();
    problems.take(names::refuse_repeated("event", facts.iter().map(|fact| &fact.name)));
    problems.take(fact::refuse_shared_payloads(&facts));
    problems.finish()?;

    let (ident, krate) = (&input.ident, Krate::find(krate)?);
    let readers = facts.iter().filter_map(|fact| fact.define_reader(&krate));
    let has_fields = facts.iter().any(Fact::has_fields);
    let writer = has_fields.then(|| data::define_writer(&krate, ident, variants));
    let event = implement_event(input, &krate, &facts, upcasters.as_ref());
    let returned = implement_into_events(input, &krate, &facts);
    Ok(quote! {
        const _: () = {
            #(#readers)*
            #writer
            #event
            #returned
        };
    })
}

fn implement_event(input: &DeriveInput, krate: &Krate, facts: &[Fact<'_>], upcasters: Option<&Path>) -> TokenStream {
    let ident = &input.ident;
    let types = facts.iter().map(|fact| fact.listed(krate));
    let names = facts.iter().map(Fact::name_arm);
    let encode = facts.iter().map(|fact| fact.encode_arm(krate));
    let decode = facts.iter().map(Fact::decode_arm);
    let upcasters = upcasters.map(|path| {
        quote! {
            fn upcasters() -> #krate::Upcasters {
                #path()
            }
        }
    });
    quote! {
        fn __read<T: #krate::__private::serde::de::DeserializeOwned>(
            name: &str,
            data: &[u8],
        ) -> ::core::result::Result<T, #krate::DecodeError> {
            #krate::__private::serde_json::from_slice(data)
                .map_err(|source| #krate::DecodeError::Data { name: ::std::borrow::ToOwned::to_owned(name), source })
        }

        #[automatically_derived]
        impl #krate::Event for #ident {
            fn types() -> ::std::vec::Vec<#krate::EventType> {
                ::std::vec![#(#types,)*]
            }

            fn name(&self) -> &'static str {
                match self { #(#names,)* }
            }

            fn encode(&self) -> ::core::result::Result<::std::vec::Vec<u8>, #krate::__private::serde_json::Error> {
                match self { #(#encode,)* }
            }

            fn decode(name: &str, data: &[u8]) -> ::core::result::Result<Self, #krate::DecodeError> {
                ::core::result::Result::Ok(match name {
                    #(#decode,)*
                    _ => {
                        return ::core::result::Result::Err(#krate::DecodeError::UnknownEvent {
                            name: ::std::borrow::ToOwned::to_owned(name),
                        });
                    }
                })
            }

            #upcasters
        }
    }
}

/// What a command may return: the enum, and the payload of each variant that has one.
fn implement_into_events(input: &DeriveInput, krate: &Krate, facts: &[Fact<'_>]) -> TokenStream {
    let ident = &input.ident;
    let names = facts.iter().map(|fact| &fact.name.text);
    let payloads = facts.iter().filter_map(|fact| fact.payload_impls(krate, ident));
    quote! {
        #[automatically_derived]
        impl #krate::IntoEvents<#ident> for #ident {
            fn into_events(self) -> ::std::vec::Vec<#ident> {
                ::std::vec![self]
            }

            fn event_names() -> ::std::vec::Vec<&'static str> {
                ::std::vec![#(#names,)*]
            }
        }

        #(#payloads)*
    }
}
