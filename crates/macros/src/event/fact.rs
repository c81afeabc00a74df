//! One variant of an event enum.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;
use syn::{Ident, LitInt, Variant, parse_quote};

use crate::data::{self, Body};
use crate::keys;
use crate::krate::Krate;
use crate::names::{WireName, show};
use crate::problems::Problems;

/// One variant: its name, its schema version and where its data is.
pub(super) struct Fact<'a> {
    pub(super) name: WireName,
    variant: &'a Variant,
    version: u32,
    body: Body<'a>,
}

impl<'a> Fact<'a> {
    pub(super) fn parse(enum_ident: &Ident, variant: &'a Variant) -> syn::Result<Self> {
        let (mut name, mut version) = (None, None);
        keys::parse(&variant.attrs, "event", |pair| {
            if pair.path.is_ident("name") {
                keys::fill(&mut name, pair, keys::name)
            } else if pair.path.is_ident("version") {
                keys::fill(&mut version, pair, parse_version)
            } else {
                Err(keys::unknown(pair, "event", &["name", "version"]))
            }
        })?;
        let body = Body::of(enum_ident, variant)?;
        let name = name.map_or_else(|| WireName::of(&variant.ident, "event"), Ok)?;
        Ok(Self { name, variant, version: version.unwrap_or(1), body })
    }

    /// Whether the variant has named fields, so that writing it takes the writer.
    pub(super) fn has_fields(&self) -> bool {
        self.body.has_fields()
    }

    pub(super) fn define_reader(&self, krate: &Krate) -> Option<TokenStream> {
        match &self.body {
            Body::Payload(_) => None,
            Body::Fields(data) => Some(data.define_reader(krate)),
        }
    }

    pub(super) fn listed(&self, krate: &Krate) -> TokenStream {
        let (name, version) = (&self.name.text, self.version);
        let schema = match &self.body {
            Body::Payload(payload) => data::schema_maker(krate, payload),
            Body::Fields(data) => {
                let reader = data.reader();
                data::schema_maker(krate, &parse_quote!(#reader))
            }
        };
        quote!(#krate::EventType { name: #name, schema_version: #version, schema: #schema })
    }

    pub(super) fn name_arm(&self) -> TokenStream {
        let (variant, name) = (&self.variant.ident, &self.name.text);
        quote!(Self::#variant { .. } => #name)
    }

    pub(super) fn encode_arm(&self, krate: &Krate) -> TokenStream {
        let (variant, json) = (&self.variant.ident, quote!(#krate::__private::serde_json));
        match &self.body {
            Body::Payload(payload) => {
                let to_vec = quote_spanned!(payload.span()=> #json::to_vec(data));
                quote!(Self::#variant(data) => #to_vec)
            }
            Body::Fields(data) if data.is_empty() => {
                quote!(Self::#variant { .. } => ::core::result::Result::Ok(b"{}".to_vec()))
            }
            Body::Fields(_) => quote!(Self::#variant { .. } => #json::to_vec(&__Written(self))),
        }
    }

    pub(super) fn decode_arm(&self) -> TokenStream {
        let (variant, name) = (&self.variant.ident, &self.name.text);
        let made = match &self.body {
            Body::Payload(payload) => {
                let read = quote_spanned!(payload.span()=> __read(name, data));
                quote!(Self::#variant(#read?))
            }
            Body::Fields(data) => data.construct(&quote!(__read(name, data)?)),
        };
        quote!(#name => #made)
    }

    /// `From` and `IntoEvents` for the payload type, where there is one.
    pub(super) fn payload_impls(&self, krate: &Krate, ident: &Ident) -> Option<TokenStream> {
        let Body::Payload(payload) = &self.body else { return None };
        let (variant, name) = (&self.variant.ident, &self.name.text);
        Some(quote! {
            #[automatically_derived]
            impl ::core::convert::From<#payload> for #ident {
                fn from(payload: #payload) -> Self {
                    Self::#variant(payload)
                }
            }

            #[automatically_derived]
            impl #krate::IntoEvents<#ident> for #payload {
                fn into_events(self) -> ::std::vec::Vec<#ident> {
                    ::std::vec![#ident::#variant(self)]
                }

                fn event_names() -> ::std::vec::Vec<&'static str> {
                    ::std::vec![#name]
                }
            }
        })
    }
}

/// With a shared payload type, a command that returns it would not say which event it means.
pub(super) fn refuse_shared_payloads(facts: &[Fact<'_>]) -> syn::Result<()> {
    let (mut seen, mut problems) = (BTreeSet::new(), Problems::default());
    for fact in facts {
        let Body::Payload(payload) = &fact.body else { continue };
        let text = show(payload);
        if !seen.insert(text.clone()) {
            let message =
                format!("`{text}` is the payload of two events: give each a type of its own, or write the fields here");
            problems.add(syn::Error::new_spanned(payload, message));
        }
    }
    problems.finish()
}

fn parse_version(input: ParseStream<'_>) -> syn::Result<u32> {
    let literal: LitInt = input.parse()?;
    let version = literal.base10_parse()?;
    if version == 0 {
        return Err(syn::Error::new(literal.span(), "schema versions count from 1"));
    }
    Ok(version)
}
