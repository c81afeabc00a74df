//! Where the public traits are: in `headwater`, in `headwater-core`, or where the user says.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::Span;
use quote::{ToTokens, format_ident};
use syn::{Path, parse_quote};

/// The crates that hold the traits at their root, the one users name first.
const HOMES: [&str; 2] = ["headwater", "headwater-core"];

/// The path of the crate that holds the traits.
#[derive(Debug)]
pub(crate) struct Krate(Path);

impl Krate {
    /// The path the user said, or else the first home among the dependencies.
    pub(crate) fn find(said: Option<Path>) -> syn::Result<Self> {
        if let Some(said) = said {
            return Ok(Self(said));
        }
        if cfg!(test) {
            // This crate depends on neither, and in its own tests nothing is compiled.
            return Ok(Self(parse_quote!(::headwater_core)));
        }
        for home in HOMES {
            let name = match crate_name(home) {
                Ok(FoundCrate::Name(name)) => name,
                // Examples, tests and doctests of the home itself; its own library does not use the macros.
                Ok(FoundCrate::Itself) => home.replace('-', "_"),
                Err(_) => continue,
            };
            let name = format_ident!("{name}");
            return Ok(Self(parse_quote!(::#name)));
        }
        let message = "neither `headwater` nor `headwater-core` is among the dependencies: \
                       add one of them, or say where it is with `crate = path`";
        Err(syn::Error::new(Span::call_site(), message))
    }

    /// The path of the messaging crate: what the user said, or the crate itself, or `headwater::messaging`.
    pub(crate) fn find_messaging(said: Option<Path>) -> syn::Result<Self> {
        if let Some(said) = said {
            return Ok(Self(said));
        }
        if cfg!(test) {
            return Ok(Self(parse_quote!(::headwater_nats_messaging)));
        }
        match crate_name("headwater-nats-messaging") {
            Ok(FoundCrate::Name(name)) => {
                let name = format_ident!("{name}");
                return Ok(Self(parse_quote!(::#name)));
            }
            Ok(FoundCrate::Itself) => return Ok(Self(parse_quote!(::headwater_nats_messaging))),
            Err(_) => {}
        }
        let name = match crate_name("headwater") {
            Ok(FoundCrate::Name(name)) => format_ident!("{name}"),
            Ok(FoundCrate::Itself) => format_ident!("headwater"),
            Err(_) => {
                let message = "neither `headwater` nor `headwater-nats-messaging` is among the dependencies: \
                               add one of them, or say where the latter is with `crate = path`";
                return Err(syn::Error::new(Span::call_site(), message));
            }
        };
        Ok(Self(parse_quote!(::#name::messaging)))
    }

    /// A module of it.
    pub(crate) fn child(&self, module: &str) -> Self {
        let (path, module) = (&self.0, format_ident!("{module}"));
        Self(parse_quote!(#path::#module))
    }

    /// The path of one of the crates that expansions need beside it, as the text that serde's and
    /// schemars' own `crate` keys want.
    pub(crate) fn text_of(&self, dependency: &str) -> String {
        let dependency = format_ident!("{dependency}");
        quote::quote!(#self::__private::#dependency).to_string()
    }
}

impl ToTokens for Krate {
    fn to_tokens(&self, tokens: &mut proc_macro2::TokenStream) {
        self.0.to_tokens(tokens);
    }
}
