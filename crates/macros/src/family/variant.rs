//! One variant of an event family.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;
use syn::{Fields, Ident, LitStr, Variant};

use super::subject::{Subject, Token};
use crate::data::Body;
use crate::keys;
use crate::krate::Krate;
use crate::names::WireName;

/// One event of a family: its name, its subject and where its data is.
pub(super) struct FamilyVariant<'a> {
    pub(super) name: WireName,
    pub(super) subject: Subject,
    variant: &'a Variant,
    body: Body<'a>,
}

impl<'a> FamilyVariant<'a> {
    pub(super) fn parse(enum_ident: &Ident, variant: &'a Variant) -> syn::Result<Self> {
        let (mut name, mut subject) = (None, None);
        keys::parse(&variant.attrs, "event", |pair| {
            if pair.path.is_ident("name") {
                keys::fill(&mut name, pair, dotted_name)
            } else if pair.path.is_ident("subject") {
                keys::fill(&mut subject, pair, Subject::parse)
            } else {
                Err(keys::unknown(pair, "event", &["name", "subject"]))
            }
        })?;
        let body = Body::of(enum_ident, variant)?;
        let name = name.map_or_else(|| WireName::of(&variant.ident, "event"), Ok)?;
        let subject = subject.unwrap_or_else(|| Subject::of_name(&name.text, name.span));
        check_members(variant, &subject)?;
        Ok(Self { name, subject, variant, body })
    }

    /// Whether the variant has named fields, so that writing it takes the writer.
    pub(super) fn has_fields(&self) -> bool {
        self.body.has_fields()
    }

    /// Whether it has no data at all.
    pub(super) fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    pub(super) fn define_reader(&self, expansion: &Krate) -> Option<TokenStream> {
        match &self.body {
            Body::Payload(_) => None,
            Body::Fields(data) => Some(data.define_plain_reader(expansion)),
        }
    }

    pub(super) fn listed(&self, messaging: &Krate) -> TokenStream {
        let (name, pattern) = (&self.name.text, self.subject.pattern());
        quote!(#messaging::family::FamilyEvent { name: #name, pattern: #pattern })
    }

    pub(super) fn name_arm(&self) -> TokenStream {
        let (variant, name) = (&self.variant.ident, &self.name.text);
        quote!(Self::#variant { .. } => #name)
    }

    pub(super) fn subject_arm(&self, expansion: &Krate) -> TokenStream {
        let variant = &self.variant.ident;
        let mut parts = Vec::new();
        for (place, token) in self.subject.tokens().iter().enumerate() {
            let dot = if place == 0 { "" } else { "." };
            parts.push(match token {
                Token::Literal(literal) => {
                    let text = format!("{dot}{literal}");
                    quote!(subject.push_str(#text);)
                }
                Token::Member(member) => {
                    let value = match &self.body {
                        Body::Payload(_) => quote_spanned!(self.subject.span=> &data.#member),
                        Body::Fields(_) => quote!(#member),
                    };
                    let push = quote_spanned!(self.subject.span=> #expansion::push_token(&mut subject, #value););
                    quote!(subject.push_str(#dot); #push)
                }
            });
        }
        let bound = match &self.body {
            Body::Payload(_) if self.subject.members().next().is_some() => quote!((data)),
            Body::Payload(_) => quote!({ .. }),
            Body::Fields(_) => {
                let members: BTreeSet<_> = self.subject.members().collect();
                let members = members.iter();
                quote!({ #(#members,)* .. })
            }
        };
        quote!(Self::#variant #bound => {
            let mut subject = ::std::string::String::new();
            #(#parts)*
            subject
        })
    }

    /// None where the data is written in whatever format there is.
    pub(super) fn content_type_arm(&self, expansion: &Krate) -> Option<TokenStream> {
        let variant = &self.variant.ident;
        match &self.body {
            Body::Payload(payload) => {
                let told = quote_spanned!(payload.span()=> #expansion::Encode::content_type(data, codec));
                Some(quote!(Self::#variant(data) => #told))
            }
            Body::Fields(_) => None,
        }
    }

    pub(super) fn encode_arm(&self, expansion: &Krate) -> TokenStream {
        let variant = &self.variant.ident;
        match &self.body {
            Body::Payload(payload) => {
                let encode = quote_spanned!(payload.span()=> #expansion::Encode::encode(data, codec, body));
                quote!(Self::#variant(data) => #encode)
            }
            Body::Fields(data) if data.is_empty() => {
                quote!(Self::#variant { .. } => #expansion::Encode::encode(&__Nothing {}, codec, body))
            }
            Body::Fields(_) => {
                quote!(Self::#variant { .. } => #expansion::Encode::encode(&__Written(self), codec, body))
            }
        }
    }

    pub(super) fn decode_arm(&self, expansion: &Krate) -> TokenStream {
        let (variant, name) = (&self.variant.ident, &self.name.text);
        let read = quote!(#expansion::read(Self::NAME, #name, content_type, data, codecs)?);
        let made = match &self.body {
            Body::Payload(payload) => {
                let read = quote_spanned!(payload.span()=> #expansion::read::<#payload>);
                quote!(Self::#variant(#read(Self::NAME, #name, content_type, data, codecs)?))
            }
            Body::Fields(data) => data.construct(&read),
        };
        quote!(#name => #made)
    }
}

/// The members that a subject names have to be the variant's; those of a payload the compiler knows.
fn check_members(variant: &Variant, subject: &Subject) -> syn::Result<()> {
    if matches!(variant.fields, Fields::Unnamed(_)) {
        return Ok(());
    }
    for member in subject.members() {
        if !variant.fields.iter().any(|field| field.ident.as_ref() == Some(member)) {
            let message = format!("`{}` has no field `{member}`", variant.ident);
            return Err(syn::Error::new(subject.span, message));
        }
    }
    Ok(())
}

/// Names between dots: `agent.started`.
fn dotted_name(input: ParseStream<'_>) -> syn::Result<WireName> {
    let literal: LitStr = input.parse()?;
    let text = literal.value();
    let is_name = |token: &str| {
        token.starts_with(|first: char| first.is_ascii_lowercase())
            && token.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
    };
    if text.len() <= 200 && text.split('.').all(is_name) {
        return Ok(WireName { text, span: literal.span() });
    }
    let message = format!(
        "`{text}` is not a name of a family's event: it is words between dots, such as `agent.started`, each of which \
         matches ^[a-z][a-z0-9_-]*$"
    );
    Err(syn::Error::new(literal.span(), message))
}
