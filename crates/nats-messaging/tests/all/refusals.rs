//! What the compiler says of handlers that are none: a file for each mistake in `tests/compile_fail`.
//!
//! After a change to a message, `TRYBUILD=overwrite cargo test -p headwater-nats-messaging --test all -- --ignored refusals`
//! writes the `.stderr` files anew; read the difference before you keep it.

use std::fs;
use std::path::Path;

#[test]
#[ignore = "takes minutes, since everything beneath is checked once more"]
fn every_mistake_is_told_at_the_handler() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}

/// The texts of `#[diagnostic::on_unimplemented(…)]` in a file.
fn told_by(source: &str) -> Vec<String> {
    let file = syn::parse_file(source).unwrap();
    let traits = file.items.iter().filter_map(|item| match item {
        syn::Item::Trait(item) => Some(item),
        _ => None,
    });
    let mut told = Vec::new();
    for attribute in traits.flat_map(|item| &item.attrs) {
        if attribute.path().segments.last().is_some_and(|last| last.ident == "on_unimplemented") {
            let told = &mut told;
            let text = |pair: syn::meta::ParseNestedMeta<'_>| {
                told.push(pair.value()?.parse::<syn::LitStr>()?.value());
                Ok(())
            };
            attribute.parse_nested_meta(text).unwrap();
        }
    }
    told
}

/// Whether a text is shown, whatever stands for what is in braces.
fn is_shown(text: &str, shown: &str) -> bool {
    let fixed = text.split(['{', '}']).step_by(2);
    fixed.map(|part| part.trim_matches('`').trim()).all(|part| shown.contains(part))
}

#[test]
fn what_is_told_of_a_handler_that_is_none_is_what_the_cases_show() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases = fs::read_dir(here.join("tests/compile_fail")).unwrap().map(|entry| entry.unwrap().path());
    let shown: Vec<_> = cases
        .filter(|path| path.extension().is_some_and(|extension| extension == "stderr"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    assert!(shown.len() >= 12, "{}", shown.len());
    let mut checked = 0;
    for file in ["function", "answer", "extract"] {
        for text in told_by(&fs::read_to_string(here.join(format!("src/router/{file}.rs"))).unwrap()) {
            assert!(shown.iter().any(|shown| is_shown(&text, shown)), "no case shows: {text}");
            checked += 1;
        }
    }
    assert!(checked >= 12, "{checked}");
}
