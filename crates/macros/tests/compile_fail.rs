//! What the macros refuse, and where their messages point: a file for each rule.
//!
//! After a change to a message, `TRYBUILD=overwrite cargo test -p headwater-macros --test compile_fail`
//! writes the `.stderr` files anew; read the difference before you keep it.

#[test]
fn every_rule_is_told_at_the_culprit() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
