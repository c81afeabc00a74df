//! `#[derive(Query)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::krate::Krate;
use crate::names::WireName;
use crate::{input, keys};

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    input::struct_only(input, "query")?;
    let (mut name, mut answer, mut krate) = (None, None, None);
    keys::parse(&input.attrs, "query", |pair| {
        if pair.path.is_ident("name") {
            keys::fill(&mut name, pair, keys::name)
        } else if pair.path.is_ident("answer") {
            keys::fill(&mut answer, pair, keys::a_type)
        } else if pair.path.is_ident("crate") {
            keys::fill(&mut krate, pair, keys::path)
        } else {
            Err(keys::unknown(pair, "query", &["name", "answer", "crate"]))
        }
    })?;
    let ident = &input.ident;
    let name = name.map_or_else(|| WireName::of(ident, "query"), Ok)?;
    refuse_taken(&name)?;
    let Some(answer) = answer else {
        let message = "the type of the answer is missing: add `#[query(answer = …)]`";
        return Err(syn::Error::new(ident.span(), message));
    };
    let (krate, name) = (Krate::find(krate)?, name.text);
    Ok(quote! {
        #[automatically_derived]
        impl #krate::Query for #ident {
            const NAME: &'static str = #name;
            type Answer = #answer;
        }
    })
}

/// Every aggregate has the queries `get` and `history` already.
fn refuse_taken(name: &WireName) -> syn::Result<()> {
    if !matches!(name.text.as_str(), "get" | "history") {
        return Ok(());
    }
    let message = format!("every aggregate has a query `{}` already: name this one otherwise", name.text);
    Err(syn::Error::new(name.span, message))
}
