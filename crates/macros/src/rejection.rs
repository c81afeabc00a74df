//! `#[derive(Rejection)]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{DeriveInput, Field, Fields, Lit, Meta, Variant, parse_quote};

use crate::data::{self, Data};
use crate::krate::Krate;
use crate::names::{self, WireName};
use crate::problems::Problems;
use crate::{input, keys};

struct Reason<'a> {
    variant: &'a Variant,
    name: WireName,
    data: Data<'a>,
}

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let none = "for an aggregate that never says no there is `NeverRejected`";
    let variants = input::variants(input, "rejection", none)?;
    let mut krate = None;
    keys::parse(&input.attrs, "rejection", |pair| {
        if pair.path.is_ident("crate") {
            keys::fill(&mut krate, pair, keys::path)
        } else {
            Err(keys::unknown(pair, "rejection", &["crate"]))
        }
    })?;
    let mut problems = Problems::default();
    let parsed = variants.iter().map(|variant| Reason::parse(&input.ident, variant));
    let reasons: Vec<_> = parsed.filter_map(|reason| problems.take(reason)).collect();
    problems.take(names::refuse_repeated("rejection", reasons.iter().map(|reason| &reason.name)));
    problems.finish()?;

    let (ident, krate) = (&input.ident, Krate::find(krate)?);
    let readers = reasons.iter().map(|reason| reason.data.define_reader(&krate));
    let has_members = reasons.iter().any(|reason| !reason.data.is_empty());
    let writer = has_members.then(|| data::define_writer(&krate, ident, variants));
    let types = reasons.iter().map(|reason| reason.listed(&krate));
    let names = reasons.iter().map(Reason::name_arm);
    let members = members(&krate, &reasons);
    let from_parts = reasons.iter().map(|reason| reason.read_arm(&krate));
    Ok(quote! {
        const _: () = {
            #(#readers)*
            #writer

            #[automatically_derived]
            impl #krate::Rejection for #ident {
                fn types() -> ::std::vec::Vec<#krate::RejectionType> {
                    ::std::vec![#(#types,)*]
                }

                fn name(&self) -> &'static str {
                    match self { #(#names,)* }
                }

                fn members(
                    &self,
                ) -> #krate::__private::serde_json::Map<::std::string::String, #krate::__private::serde_json::Value> {
                    #members
                }

                fn from_parts(
                    name: &str,
                    members: &#krate::__private::serde_json::Map<
                        ::std::string::String,
                        #krate::__private::serde_json::Value,
                    >,
                ) -> ::core::option::Option<Self> {
                    match name {
                        #(#from_parts,)*
                        _ => ::core::option::Option::None,
                    }
                }
            }
        };
    })
}

impl<'a> Reason<'a> {
    fn parse(enum_ident: &syn::Ident, variant: &'a Variant) -> syn::Result<Self> {
        let mut name = None;
        keys::parse(&variant.attrs, "rejection", |pair| {
            if pair.path.is_ident("name") {
                keys::fill(&mut name, pair, keys::name)
            } else {
                Err(keys::unknown(pair, "rejection", &["name"]))
            }
        })?;
        if let Fields::Unnamed(fields) = &variant.fields {
            let message = "the fields of a rejection have names, for they are members of the reply: \
                           write `{ name: Type }`";
            return Err(syn::Error::new_spanned(fields, message));
        }
        variant.fields.iter().try_for_each(refuse_clash)?;
        let name = name.map_or_else(|| WireName::of(&variant.ident, "rejection"), Ok)?;
        Ok(Self { variant, name, data: Data::of(enum_ident, variant) })
    }

    fn listed(&self, krate: &Krate) -> TokenStream {
        let (name, reader) = (&self.name.text, self.data.reader());
        let schema = data::schema_maker(krate, &parse_quote!(#reader));
        quote!(#krate::RejectionType { name: #name, schema: #schema })
    }

    fn name_arm(&self) -> TokenStream {
        let (variant, name) = (&self.variant.ident, &self.name.text);
        quote!(Self::#variant { .. } => #name)
    }

    fn read_arm(&self, krate: &Krate) -> TokenStream {
        let (name, variant) = (&self.name.text, &self.variant.ident);
        if matches!(self.variant.fields, Fields::Unit) {
            return quote!(#name => ::core::option::Option::Some(Self::#variant));
        }
        let reader = self.data.reader();
        let read = quote!(<#reader as #krate::__private::serde::Deserialize>::deserialize(members).ok()?);
        let made = self.data.construct(&read);
        quote!(#name => ::core::option::Option::Some(#made))
    }
}

/// The body of `members`. Fields that cannot be written as JSON leave the rejection its name.
fn members(krate: &Krate, reasons: &[Reason<'_>]) -> TokenStream {
    let json = quote!(#krate::__private::serde_json);
    let none = quote!(#json::Map::new());
    let of = |with_members| reasons.iter().filter(move |reason| reason.data.is_empty() != with_members);
    let empty: Vec<_> = of(false).map(|reason| &reason.variant.ident).collect();
    let full: Vec<_> = of(true).map(|reason| &reason.variant.ident).collect();
    let empty = (!empty.is_empty()).then(|| quote!(#(Self::#empty { .. })|* => #none,));
    let full = (!full.is_empty()).then(|| {
        quote! {
            #(Self::#full { .. })|* => match #json::to_value(__Written(self)) {
                ::core::result::Result::Ok(#json::Value::Object(members)) => members,
                _ => #none,
            },
        }
    });
    quote!(match self { #empty #full })
}

/// `details.rejection` is the rejection's name; a field of that name would be lost.
fn refuse_clash(field: &Field) -> syn::Result<()> {
    let named = field.ident.as_ref().filter(|ident| *ident == "rejection");
    let culprit = named.map(ToTokens::to_token_stream).or_else(|| renamed_to_rejection(field));
    culprit.map_or(Ok(()), |culprit| {
        let message = "`rejection` is the member of the reply that holds the rejection's name: call this otherwise";
        Err(syn::Error::new_spanned(culprit, message))
    })
}

fn renamed_to_rejection(field: &Field) -> Option<TokenStream> {
    let serde = field.attrs.iter().filter(|attribute| attribute.path().is_ident("serde"));
    for attribute in serde {
        let pairs = attribute.parse_args_with(syn::punctuated::Punctuated::<Meta, syn::Token![,]>::parse_terminated);
        for pair in pairs.into_iter().flatten() {
            if let Meta::NameValue(pair) = pair
                && pair.path.is_ident("rename")
                && let syn::Expr::Lit(syn::ExprLit { lit: Lit::Str(text), .. }) = &pair.value
                && text.value() == "rejection"
            {
                return Some(text.to_token_stream());
            }
        }
    }
    None
}
