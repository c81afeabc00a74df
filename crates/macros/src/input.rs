//! What a derive was put on: a struct or an enum, without generic parameters.

use syn::punctuated::Punctuated;
use syn::{Data, DeriveInput, Generics, Ident, Token, Variant};

type Variants = Punctuated<Variant, Token![,]>;

/// Refuses anything but a struct; `what` is the word for it, such as `command`.
pub(crate) fn struct_only(input: &DeriveInput, what: &str) -> syn::Result<()> {
    refuse_generics(&input.generics, what)?;
    match input.data {
        Data::Struct(_) => Ok(()),
        Data::Enum(_) | Data::Union(_) => Err(wrong_kind(&input.ident, &format!("a {what} is a struct"))),
    }
}

/// The variants of an enum that has some; `none` says what to do when it has none.
pub(crate) fn variants<'a>(input: &'a DeriveInput, what: &str, none: &str) -> syn::Result<&'a Variants> {
    refuse_generics(&input.generics, what)?;
    let Data::Enum(data) = &input.data else {
        return Err(wrong_kind(&input.ident, &format!("{what}s are an enum with one variant for each {what}")));
    };
    if data.variants.is_empty() {
        return Err(syn::Error::new(input.ident.span(), format!("`{}` has no variants: {none}", input.ident)));
    }
    Ok(&data.variants)
}

fn refuse_generics(generics: &Generics, what: &str) -> syn::Result<()> {
    if generics.params.is_empty() {
        return Ok(());
    }
    let message = format!("generic parameters cannot be here: each {what} has one name and one schema");
    Err(syn::Error::new_spanned(&generics.params, message))
}

fn wrong_kind(ident: &Ident, rule: &str) -> syn::Error {
    syn::Error::new(ident.span(), format!("{rule}, and `{ident}` is not"))
}
