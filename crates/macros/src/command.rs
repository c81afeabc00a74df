//! `#[derive(Command)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::krate::Krate;
use crate::names::WireName;
use crate::{input, keys};

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    input::struct_only(input, "command")?;
    let (mut name, mut krate) = (None, None);
    keys::parse(&input.attrs, "command", |pair| {
        if pair.path.is_ident("name") {
            keys::fill(&mut name, pair, keys::name)
        } else if pair.path.is_ident("crate") {
            keys::fill(&mut krate, pair, keys::path)
        } else {
            Err(keys::unknown(pair, "command", &["name", "crate"]))
        }
    })?;
    let ident = &input.ident;
    let name = name.map_or_else(|| WireName::of(ident, "command"), Ok)?.text;
    let krate = Krate::find(krate)?;
    Ok(quote! {
        #[automatically_derived]
        impl #krate::Command for #ident {
            const NAME: &'static str = #name;
        }
    })
}
