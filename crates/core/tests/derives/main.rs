//! What the derives write, a file for each of them.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod description;
mod events;
mod rejections;

/// The macros check names by a rule of their own, before there is anything to run; their test reads the same file.
#[test]
fn the_rule_for_names_is_the_one_that_the_macros_have() {
    let cases = include_str!("names.json");
    let cases: std::collections::BTreeMap<String, bool> = serde_json::from_str(cases).unwrap();
    for (text, expected) in cases {
        assert_eq!(headwater_core::is_name(&text), expected, "{text}");
    }
}
