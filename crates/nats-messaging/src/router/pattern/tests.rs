use super::*;

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::new(text).unwrap()).collect()
}

#[test]
fn a_text_that_is_no_pattern_is_refused_with_the_reason() {
    for (text, reason) in [
        ("", "empty"),
        ("a..b", "empty"),
        (".a", "empty"),
        ("a.", "empty"),
        ("a b", "white space"),
        ("a.b\u{7f}", "control"),
        ("a.>.b", "nothing comes after"),
        ("a.b*", "stands alone"),
        ("a.>>", "stands alone"),
        (&"a".repeat(1_025), "longer"),
    ] {
        let refused = Pattern::new(text).unwrap_err();
        assert!(refused.reason.contains(reason), "{text:?}: {refused}");
    }
}

#[test]
fn the_more_specific_pattern_comes_first() {
    let mut sorted = patterns(&[">", "a.>", "*.b", "a.*", "a.b", "a.*.c", "a.b.>", "*.*"]);
    sorted.sort();
    let order: Vec<_> = sorted.iter().map(Pattern::as_str).collect();
    assert_eq!(order, ["a.b", "a.b.>", "a.*", "a.*.c", "a.>", "*.b", "*.*", ">"]);
}

#[test]
fn wildcards_stand_for_tokens_and_for_the_rest() {
    let taken = |pattern: &str, subject: &str| -> Vec<String> {
        Pattern::new(pattern).unwrap().wildcards(subject).map(str::to_owned).collect()
    };
    assert_eq!(taken("a.*.c.*", "a.1.c.2"), ["1", "2"]);
    assert_eq!(taken("*.b.>", "1.b.c.d"), ["1", "c.d"]);
    assert!(taken("a.b", "a.b").is_empty());
}

#[test]
fn a_cover_takes_everything_and_overlaps_nowhere() {
    let cover_of = |texts: &[&str]| -> Vec<String> {
        cover(&patterns(texts)).iter().map(|pattern| pattern.as_str().to_owned()).collect()
    };
    assert_eq!(cover_of(&["a.b", "a.*", "c"]), ["a.*", "c"]);
    assert_eq!(cover_of(&["a.b", "a.b"]), ["a.b"]);
    assert_eq!(cover_of(&["a.*.x", "a.b.*"]), ["a.*.*"]);
    assert_eq!(cover_of(&["a.*.x", "a.b.>"]), ["a.*.>"]);
    assert_eq!(cover_of(&["a.b.c", "d", "a.>", "a.b"]), ["a.>", "d"]);
}
