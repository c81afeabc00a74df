use proptest::prelude::*;

use super::*;

fn tree(patterns: &[&str]) -> Tree<String> {
    let mut tree = Tree::default();
    for pattern in patterns {
        tree.insert(&Pattern::new(pattern).unwrap(), (*pattern).to_owned());
    }
    tree
}

fn found<'a>(tree: &'a Tree<String>, subject: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    tree.each(subject, &mut |value: &String| found.push(value.as_str()));
    found
}

#[test]
fn a_literal_comes_before_a_wildcard_at_each_token() {
    let tree = tree(&[">", "a.>", "a.*.c", "a.b.>", "a.b.*", "a.b.c", "*.b.c", "a.b"]);
    let order = ["a.b.c", "a.b.*", "a.b.>", "a.*.c", "a.>", "*.b.c", ">"];
    assert_eq!(found(&tree, "a.b.c"), order);
    assert_eq!(tree.first("a.b.c").unwrap(), "a.b.c");
    assert_eq!(found(&tree, "x"), [">"]);
}

#[test]
fn a_dead_end_does_not_hide_what_another_way_finds() {
    let tree = tree(&["a.b.x", "a.*.c"]);
    assert_eq!(tree.first("a.b.c").unwrap(), "a.*.c");
    assert_eq!(tree.first("a.b"), None);
    assert_eq!(found(&tree, "a.b.c.d"), Vec::<&str>::new());
}

#[test]
fn the_values_of_one_pattern_keep_their_order() {
    let mut tree = Tree::default();
    let pattern = Pattern::new("a.*").unwrap();
    for value in 0..3 {
        tree.insert(&pattern, value);
    }
    let mut found = Vec::new();
    tree.each("a.b", &mut |value| found.push(*value));
    assert_eq!(found, [0, 1, 2]);
}

fn pattern() -> impl Strategy<Value = String> {
    let token = prop_oneof![Just("a"), Just("b"), Just("*")];
    (prop::collection::vec(token, 1..4), any::<bool>()).prop_map(|(tokens, open)| {
        let tokens = tokens.join(".");
        if open { format!("{tokens}.>") } else { tokens }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_tree_finds_what_a_search_through_all_patterns_finds(
        patterns in prop::collection::btree_set(pattern(), 0..12),
        tokens in prop::collection::vec(prop_oneof![Just("a"), Just("b")], 1..5),
    ) {
        let (mut tree, subject) = (Tree::default(), tokens.join("."));
        let mut patterns: Vec<_> = patterns.iter().map(|text| Pattern::new(text).unwrap()).collect();
        for pattern in &patterns {
            tree.insert(pattern, pattern.clone());
        }
        patterns.sort();
        let expected: Vec<_> = patterns.iter().filter(|pattern| pattern.matches(&subject)).collect();
        let mut found = Vec::new();
        tree.each(&subject, &mut |pattern| found.push(pattern));
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(tree.first(&subject), expected.first().copied());
    }
}
