//! The data of a variant that has named fields or nothing, as types of its own.
//!
//! Reading needs a struct for each variant, which its JSON Schema comes from too. Writing must not
//! clone the fields, so the enum itself is written, by serde's `remote` derive on a second enum
//! that looks the same: that way `#[serde(…)]` on a field means the same in both directions.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Attribute, Field, Fields, Ident, Token, Type, Variant, punctuated::Punctuated};

use crate::krate::Krate;

/// The data of one variant.
pub(crate) struct Data<'a> {
    variant: &'a Variant,
    fields: Vec<&'a Field>,
    reader: Ident,
}

/// Where the data of an enum's variant is.
pub(crate) enum Body<'a> {
    /// In a type of its own.
    Payload(&'a Type),
    /// In the variant's fields, if it has any.
    Fields(Data<'a>),
}

impl<'a> Body<'a> {
    pub(crate) fn of(enum_ident: &Ident, variant: &'a Variant) -> syn::Result<Self> {
        match &variant.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => Ok(Self::Payload(&fields.unnamed[0].ty)),
            Fields::Unnamed(fields) => {
                let message = "an event holds one payload, named fields or nothing: \
                               give these fields names, or move them into a struct";
                Err(syn::Error::new_spanned(fields, message))
            }
            Fields::Named(_) | Fields::Unit => Ok(Self::Fields(Data::of(enum_ident, variant))),
        }
    }

    /// Whether the variant has named fields, so that writing it takes the writer.
    pub(crate) fn has_fields(&self) -> bool {
        matches!(self, Self::Fields(data) if !data.is_empty())
    }

    /// Whether it has no data at all.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Fields(data) if data.is_empty())
    }
}

impl<'a> Data<'a> {
    /// The data of `variant`, whose fields are named or which has none at all.
    pub(crate) fn of(enum_ident: &Ident, variant: &'a Variant) -> Self {
        // The prefix keeps clear of the user's types, which a variant often shares its name with.
        let reader = format_ident!("__{enum_ident}{}", variant.ident);
        Self { variant, fields: variant.fields.iter().collect(), reader }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The type to read the data as; its schema is the data's.
    pub(crate) fn reader(&self) -> &Ident {
        &self.reader
    }

    /// The struct that [`Data::reader`] names.
    pub(crate) fn define_reader(&self, krate: &Krate) -> TokenStream {
        let (reader, fields) =
            (&self.reader, self.fields.iter().map(|field| definition(field, &["doc", "serde", "schemars"])));
        let documentation = self.variant.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
        let (serde, schemars) = (krate.text_of("serde"), krate.text_of("schemars"));
        quote! {
            #[derive(#krate::__private::serde::Deserialize, #krate::__private::schemars::JsonSchema)]
            #[serde(crate = #serde, rename_all = "camelCase")]
            #[schemars(crate = #schemars)]
            #(#documentation)*
            struct #reader { #(#fields,)* }
        }
    }

    /// The same without a schema.
    pub(crate) fn define_plain_reader(&self, krate: &Krate) -> TokenStream {
        let (reader, fields) = (&self.reader, self.fields.iter().map(|field| definition(field, &["serde"])));
        let serde = krate.text_of("serde");
        quote! {
            #[derive(#krate::__private::serde::Deserialize)]
            #[serde(crate = #serde, rename_all = "camelCase")]
            struct #reader { #(#fields,)* }
        }
    }

    /// The variant, made of what `read` evaluates to.
    pub(crate) fn construct(&self, read: &TokenStream) -> TokenStream {
        let (variant, reader) = (&self.variant.ident, &self.reader);
        let names = self.fields.iter().map(|field| &field.ident);
        let names = quote!({ #(#names,)* });
        if self.fields.is_empty() {
            let empty = matches!(self.variant.fields, Fields::Named(_)).then_some(names);
            return quote!({ let #reader {} = #read; Self::#variant #empty });
        }
        quote!({ let #reader #names = #read; Self::#variant #names })
    }
}

/// The type to write the enum as, `__Written(&enum)`: the data of each variant and not its name.
pub(crate) fn define_writer(krate: &Krate, ident: &Ident, variants: &Punctuated<Variant, Token![,]>) -> TokenStream {
    define_writer_but(krate, ident, variants, |_| false)
}

/// The same for an enum whose payloads are written another way, and may be nothing that serde knows: with those it fails.
pub(crate) fn define_writer_of_fields(
    krate: &Krate,
    ident: &Ident,
    variants: &Punctuated<Variant, Token![,]>,
) -> TokenStream {
    define_writer_but(krate, ident, variants, |variant| matches!(variant.fields, Fields::Unnamed(_)))
}

fn define_writer_but(
    krate: &Krate,
    ident: &Ident,
    variants: &Punctuated<Variant, Token![,]>,
    skips: impl Fn(&Variant) -> bool,
) -> TokenStream {
    let (serde, remote) = (krate.text_of("serde"), ident.to_string());
    let variants = variants.iter().map(|variant| {
        let (name, fields) = (&variant.ident, variant.fields.iter().map(|field| definition(field, &["serde"])));
        let skip = skips(variant).then(|| quote!(#[serde(skip)]));
        match &variant.fields {
            Fields::Named(_) => quote!(#skip #name { #(#fields,)* }),
            Fields::Unnamed(_) => quote!(#skip #name(#(#fields,)*)),
            Fields::Unit => quote!(#skip #name),
        }
    });
    quote! {
        #[derive(#krate::__private::serde::Serialize)]
        #[serde(crate = #serde, remote = #remote, untagged, rename_all_fields = "camelCase")]
        #[allow(dead_code, clippy::large_enum_variant, reason = "it stands for another enum and never has a value")]
        enum __Writer { #(#variants,)* }

        struct __Written<'a>(&'a #ident);

        impl #krate::__private::serde::Serialize for __Written<'_> {
            fn serialize<S: #krate::__private::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                __Writer::serialize(self.0, serializer)
            }
        }
    }
}

/// Makes the schema of `of`, as the `types()` of the traits want it.
pub(crate) fn schema_maker(krate: &Krate, of: &Type) -> TokenStream {
    quote!(|generator| <#of as #krate::__private::schemars::JsonSchema>::json_schema(generator))
}

/// A field as the hidden types define it, with those of its attributes that their derives read.
fn definition(field: &Field, read: &[&str]) -> TokenStream {
    let kept = |attribute: &&Attribute| read.iter().any(|name| attribute.path().is_ident(name));
    let (attributes, ty) = (field.attrs.iter().filter(kept), &field.ty);
    let name = field.ident.as_ref().map(|ident| quote!(#ident:));
    quote!(#(#attributes)* #name #ty)
}
