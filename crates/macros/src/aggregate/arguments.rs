//! What stands in the parentheses of `#[aggregate(…)]`.

use proc_macro2::{Span, TokenStream};
use syn::parse::{ParseStream, Parser as _};
use syn::{Ident, Path, Token, Type, Visibility};

use crate::keys;
use crate::names::WireName;

const KEYS: [&str; 6] = ["type", "event", "rejection", "client", "env", "crate"];

/// The keys, checked.
pub(super) struct Arguments {
    pub(super) kind: WireName,
    pub(super) event: Type,
    pub(super) rejection: Option<Type>,
    pub(super) client: Option<Client>,
    pub(super) env: Option<Type>,
    pub(super) krate: Option<Path>,
}

/// The client to write.
pub(super) struct Client {
    pub(super) visibility: Visibility,
    pub(super) ident: Ident,
}

impl Arguments {
    pub(super) fn parse(tokens: TokenStream) -> syn::Result<Self> {
        let (mut kind, mut event, mut rejection) = (None, None, None);
        let (mut client, mut env, mut krate) = (None, None, None);
        let parser = syn::meta::parser(|pair| {
            let key = pair.path.get_ident().map(Ident::to_string).unwrap_or_default();
            match key.as_str() {
                "type" => keys::fill(&mut kind, &pair, keys::name),
                "event" => keys::fill(&mut event, &pair, keys::a_type),
                "rejection" => keys::fill(&mut rejection, &pair, keys::a_type),
                "client" => keys::fill(&mut client, &pair, Client::parse),
                "env" => keys::fill(&mut env, &pair, keys::a_type),
                "crate" => keys::fill(&mut krate, &pair, keys::path),
                _ => Err(keys::unknown(&pair, "aggregate", &KEYS)),
            }
        });
        parser.parse2(tokens)?;
        let kind = kind.ok_or_else(|| missing("type = \"…\"", "the aggregate type on the wire"))?;
        let event = event.ok_or_else(|| missing("event = …", "the enum of its events"))?;
        Ok(Self { kind, event, rejection, client, env, krate })
    }
}

impl Client {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let visibility = match input.parse()? {
            Visibility::Inherited => Visibility::Public(Token![pub](Span::call_site())),
            said => said,
        };
        Ok(Self { visibility, ident: input.parse()? })
    }
}

fn missing(key: &str, what: &str) -> syn::Error {
    syn::Error::new(Span::call_site(), format!("{what} is missing: add `{key}` to `#[aggregate(…)]`"))
}
