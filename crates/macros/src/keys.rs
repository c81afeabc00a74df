//! The `key = value` pairs in the macros' attributes.

use syn::meta::ParseNestedMeta;
use syn::parse::ParseStream;
use syn::{Attribute, Path, Type};

use crate::names::WireName;

/// Parses the pairs of every attribute called `attribute` with `take`.
pub(crate) fn parse(
    attributes: &[Attribute],
    attribute: &str,
    mut take: impl FnMut(&ParseNestedMeta<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    attributes
        .iter()
        .filter(|candidate| candidate.path().is_ident(attribute))
        .try_for_each(|found| found.parse_nested_meta(|pair| take(&pair)))
}

/// Fills `slot` from the pair's value. A key that is there twice is an error.
pub(crate) fn fill<T>(
    slot: &mut Option<T>,
    pair: &ParseNestedMeta<'_>,
    parse: impl FnOnce(ParseStream<'_>) -> syn::Result<T>,
) -> syn::Result<()> {
    if slot.is_some() {
        return Err(pair.error(format!("`{}` is there twice", key(pair))));
    }
    *slot = Some(parse(pair.value()?)?);
    Ok(())
}

/// The error for a key that `attribute` does not have, with those it has.
pub(crate) fn unknown(pair: &ParseNestedMeta<'_>, attribute: &str, known: &[&str]) -> syn::Error {
    let known = known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    pair.error(format!("`#[{attribute}(…)]` has no key `{}` here; it has {known}", key(pair)))
}

pub(crate) fn name(input: ParseStream<'_>) -> syn::Result<WireName> {
    WireName::parse(input)
}

pub(crate) fn a_type(input: ParseStream<'_>) -> syn::Result<Type> {
    input.parse()
}

/// A path as in `use`, so that `crate::upcasters` works too.
pub(crate) fn path(input: ParseStream<'_>) -> syn::Result<Path> {
    if input.peek(syn::LitStr) {
        return Err(input.error("a path stands here as it is, without quotation marks"));
    }
    input.call(Path::parse_mod_style)
}

fn key(pair: &ParseNestedMeta<'_>) -> String {
    let segments: Vec<_> = pair.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    segments.join("::")
}

/// Whether an attribute says `= value` or `(…)` where it has neither.
pub(crate) fn refuse_arguments(attribute: &Attribute, name: &str, instead: &str) -> syn::Result<()> {
    match &attribute.meta {
        syn::Meta::Path(_) => Ok(()),
        syn::Meta::List(_) | syn::Meta::NameValue(_) => {
            Err(syn::Error::new_spanned(attribute, format!("`#[{name}]` on a method has no keys; {instead}")))
        }
    }
}
