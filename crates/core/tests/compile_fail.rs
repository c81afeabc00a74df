//! What the macros refuse, and where their messages point, as the compiler shows it: a file for each rule.
//!
//! Each file is a crate for the compiler, above all that the macros need, which takes minutes. So this is for whoever changes a
//! message; every run of the tests compares the same files without a compiler (`crates/macros/src/refusals.rs`), and a few that
//! only a compiler can tell are doc tests (`crates/headwater/src/refused.rs`).
//!
//! After a change to a message, `TRYBUILD=overwrite cargo test -p headwater-core --test compile_fail -- --ignored`
//! writes the `.stderr` files anew; read the difference before you keep it.

#[test]
#[ignore = "takes minutes; crates/macros/src/refusals.rs compares the same files"]
fn every_rule_is_told_at_the_culprit() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
