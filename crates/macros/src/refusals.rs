//! What the macros refuse, and where they point: each file of `crates/core/tests/compile_fail` is expanded here, without a compiler, and
//! the errors are compared with those in its `.stderr`. What only a compiler can tell (an error with a code) is left to
//! `tests/compile_fail.rs` there.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, DeriveInput, Item, Meta};

/// A message, with the line and the column that it points at, both from 1.
type Told = (String, usize, usize);

/// What the macros say of everything in a file.
fn told_of(file: &syn::File) -> BTreeSet<Told> {
    let mut told = BTreeSet::new();
    for item in &file.items {
        derived(item, &mut told);
        attributed(item, &mut told);
    }
    told
}

fn attributes_of(item: &mut Item) -> Option<&mut Vec<Attribute>> {
    match item {
        Item::Struct(item) => Some(&mut item.attrs),
        Item::Enum(item) => Some(&mut item.attrs),
        Item::Union(item) => Some(&mut item.attrs),
        Item::Impl(item) => Some(&mut item.attrs),
        Item::Fn(item) => Some(&mut item.attrs),
        Item::Trait(item) => Some(&mut item.attrs),
        Item::Mod(item) => Some(&mut item.attrs),
        _ => None,
    }
}

/// By its derives.
fn derived(item: &Item, told: &mut BTreeSet<Told>) {
    let Ok(input) = syn::parse2::<DeriveInput>(item.to_token_stream()) else { return };
    let derives = input.attrs.iter().filter(|attribute| attribute.path().is_ident("derive"));
    for name in derives.flat_map(|derive| derive.meta.require_list().unwrap().tokens.clone()) {
        let expanded = match name.to_string().as_str() {
            "Command" => crate::command::expand(&input),
            "Query" => crate::query::expand(&input),
            "Event" => crate::event::expand(&input),
            "EventFamily" => crate::family::expand(&input),
            "Rejection" => crate::rejection::expand(&input),
            _ => continue,
        };
        errors(expanded.unwrap_or_else(syn::Error::into_compile_error), name.span(), told);
    }
}

/// By `#[aggregate(…)]`, which the compiler takes off before it hands the rest on.
fn attributed(item: &Item, told: &mut BTreeSet<Told>) {
    let mut item = item.clone();
    let Some(attributes) = attributes_of(&mut item) else { return };
    let Some(at) = attributes.iter().position(|attribute| attribute.path().is_ident("aggregate")) else { return };
    let attribute = attributes.remove(at);
    let place = attribute.pound_token.span;
    let arguments = match attribute.meta {
        Meta::List(list) => list.tokens,
        _ => TokenStream::new(),
    };
    errors(crate::aggregate::expand(arguments, &item.to_token_stream()), place, told);
}

/// The errors among these tokens: `compile_error! { "…" }`. What points at the macro as a whole, which has no place outside of
/// a compiler, points at `whole`.
fn errors(tokens: TokenStream, whole: Span, told: &mut BTreeSet<Told>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(name) if name == "compile_error" => {
                let Some(TokenTree::Group(message)) = tokens.get(index + 2) else { panic!("an error has a message") };
                let message: syn::LitStr = syn::parse2(message.stream()).unwrap();
                let is_whole = name.span().byte_range().is_empty();
                let start = if is_whole { whole } else { name.span() }.start();
                told.insert((message.value(), start.line, start.column + 1));
            }
            TokenTree::Group(group) => errors(group.stream(), whole, told),
            _ => {}
        }
    }
}

/// The errors without a code in what the compiler shows.
fn shown(stderr: &str) -> BTreeSet<Told> {
    let blocks = stderr.split("\n\n").filter_map(|block| block.strip_prefix("error: "));
    let told = blocks.map(|block| {
        let (message, place) = block.split_once("--> ").unwrap();
        let mut place = place.lines().next().unwrap().rsplitn(3, ':').map(|number| number.parse::<usize>().ok());
        let (column, line) = (place.next().flatten().unwrap(), place.next().flatten().unwrap());
        (message.lines().map(str::trim).collect::<Vec<_>>().join("\n").trim().to_owned(), line, column)
    });
    told.collect()
}

fn is_by_the_compiler(stderr: &str) -> bool {
    stderr.contains("error[E")
}

#[test]
fn every_rule_is_told_at_the_culprit() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/tests/compile_fail");
    let (mut checked, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let stderr = fs::read_to_string(path.with_extension("stderr")).unwrap();
        let expected = shown(&stderr);
        let found = told_of(&syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap());
        if found != expected || (found.is_empty() && !is_by_the_compiler(&stderr)) {
            wrong.push(format!("{}\n  expected {expected:#?}\n  found {found:#?}", path.display()));
        }
        checked += 1;
    }
    assert!(checked >= 50, "{checked}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
