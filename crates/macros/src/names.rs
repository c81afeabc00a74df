//! Names on the wire: made from Rust names, or given and checked.

use proc_macro2::Span;
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::{Ident, LitStr, Type};

use crate::problems::Problems;

/// The rule for names, as messages show it. `headwater_core::is_name` is its other home; a test
/// compares the two.
const RULE: &str = "^[a-z][a-z0-9-]{0,49}$";

/// A checked name and the place in the source to blame for it.
#[derive(Debug, Clone)]
pub(crate) struct WireName {
    pub(crate) text: String,
    pub(crate) span: Span,
}

impl WireName {
    /// The name in a literal.
    pub(crate) fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let literal: LitStr = input.parse()?;
        let text = literal.value();
        if is_name(&text) {
            return Ok(Self { text, span: literal.span() });
        }
        Err(syn::Error::new(literal.span(), format!("`{text}` is not a name: names match {RULE}")))
    }

    /// The name of a type or variant in kebab case; `attribute` is where another could be given.
    pub(crate) fn of(ident: &Ident, attribute: &str) -> syn::Result<Self> {
        let text = kebab_case(ident);
        if is_name(&text) {
            return Ok(Self { text, span: ident.span() });
        }
        let help = format!("give it one with `#[{attribute}(name = \"…\")]`");
        Err(syn::Error::new(
            ident.span(),
            format!("`{text}`, made from `{ident}`, is not a name: names match {RULE}; {help}"),
        ))
    }
}

/// Reports each name that an earlier one has already.
pub(crate) fn refuse_repeated<'a>(what: &str, names: impl IntoIterator<Item = &'a WireName>) -> syn::Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    let mut problems = Problems::default();
    for name in names {
        if !seen.insert(name.text.as_str()) {
            problems.add(syn::Error::new(name.span, format!("the {what} `{}` is there twice", name.text)));
        }
    }
    problems.finish()
}

/// `AddItem`, `add_item` and `r#add_item` in kebab case: `add-item`. A run of capitals is one
/// word: `HTTPCall` is `http-call`.
pub(crate) fn kebab_case(ident: &Ident) -> String {
    let text: Vec<char> = ident.unraw().to_string().chars().collect();
    let mut kebab = String::with_capacity(text.len() + 4);
    for (index, &character) in text.iter().enumerate() {
        if character == '_' {
            kebab.push('-');
            continue;
        }
        let before = index.checked_sub(1).map(|before| text[before]);
        let after = text.get(index + 1);
        let starts_word = character.is_uppercase()
            && before.is_some_and(|before| {
                before != '_' && (!before.is_uppercase() || after.is_some_and(|after| after.is_lowercase()))
            });
        if starts_word {
            kebab.push('-');
        }
        kebab.extend(character.to_lowercase());
    }
    kebab
}

/// A type as people write it, for messages.
pub(crate) fn show(ty: &Type) -> String {
    let tokens = ty.to_token_stream().to_string();
    tokens.replace(" :: ", "::").replace(":: ", "::").replace(" < ", "<").replace(" >", ">").replace(" ,", ",")
}

fn is_name(text: &str) -> bool {
    text.len() <= 50
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kebab(ident: &str) -> String {
        kebab_case(&syn::parse_str(ident).unwrap())
    }

    #[test]
    fn types_and_methods_of_one_command_have_the_same_name() {
        for (type_name, method, name) in [
            ("AddItem", "add_item", "add-item"),
            ("Void", "void", "void"),
            ("HTTPCall", "http_call", "http-call"),
            ("CallHTTP", "call_http", "call-http"),
            ("AddV2", "add_v2", "add-v2"),
            ("Add2Items", "add2_items", "add2-items"),
            ("A", "a", "a"),
            ("Type", "r#type", "type"),
        ] {
            assert_eq!(kebab(type_name), name, "{type_name}");
            assert_eq!(kebab(method), name, "{method}");
        }
    }

    /// The core has a test of its own rule with the same names.
    #[test]
    fn names_follow_the_rule_of_the_core() {
        let cases = include_str!("../../core/tests/derives/names.json");
        let cases = cases.lines().filter_map(|line| line.trim().trim_end_matches(',').split_once(": "));
        let mut checked = 0;
        for (text, expected) in cases {
            let text = text.trim_matches('"');
            assert_eq!(is_name(text).to_string(), expected, "{text}");
            checked += 1;
        }
        assert!(checked > 10, "{checked}");
    }

    #[test]
    fn every_problem_is_reported_and_not_only_the_first() {
        let names = ["a", "b", "a", "b"].map(|text| WireName { text: text.to_owned(), span: Span::call_site() });
        let refused = refuse_repeated("event", &names).unwrap_err();
        let messages: Vec<_> = refused.into_iter().map(|error| error.to_string()).collect();
        assert_eq!(messages, ["the event `a` is there twice", "the event `b` is there twice"]);
    }
}
