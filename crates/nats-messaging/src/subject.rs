//! Subjects and patterns: what is one, which subjects a pattern takes, and how two patterns stand to each other.
//!
//! A subject is a list of tokens between dots; in a pattern `*` stands for one token and a last `>` for one or more.

/// What is wrong with a subject that a message is to go to; none when nothing is.
#[must_use]
pub fn flaw(subject: &str) -> Option<&'static str> {
    if subject.bytes().any(|byte| matches!(byte, b'*' | b'>')) && subject.split('.').any(is_wildcard) {
        return Some("a message goes to one subject, without wildcards");
    }
    flaw_of_tokens(subject)
}

/// What is wrong with a pattern; none when nothing is.
#[must_use]
pub fn pattern_flaw(pattern: &str) -> Option<&'static str> {
    let mut tokens = pattern.split('.').rev();
    tokens.next();
    if tokens.any(|token| token == ">") {
        return Some("`>` stands for all the rest, so nothing comes after it");
    }
    flaw_of_tokens(pattern)
}

fn flaw_of_tokens(subject: &str) -> Option<&'static str> {
    let mut at_start = true;
    for byte in subject.bytes() {
        match byte {
            b'.' if at_start => return Some("a token is empty"),
            b' ' | b'\t' | b'\r' | b'\n' | b'\x0c' | 0 => return Some("it contains white space"),
            _ => at_start = byte == b'.',
        }
    }
    match (subject.is_empty(), at_start) {
        (true, _) => Some("it is empty"),
        (false, true) => Some("a token is empty"),
        (false, false) => None,
    }
}

fn is_wildcard(token: &str) -> bool {
    matches!(token, "*" | ">")
}

/// Whether a pattern takes a subject.
///
/// ```
/// use headwater_nats_messaging::subject::matches;
///
/// assert!(matches("orders.*.placed", "orders.7.placed"));
/// assert!(matches("orders.>", "orders.7.placed"));
/// assert!(!matches("orders.>", "orders"));
/// ```
#[must_use]
pub fn matches(pattern: &str, subject: &str) -> bool {
    covers(pattern, subject)
}

/// Whether every subject that the narrow pattern takes is taken by the wide one too.
///
/// ```
/// use headwater_nats_messaging::subject::covers;
///
/// assert!(covers("orders.>", "orders.*.placed"));
/// assert!(!covers("orders.*", "orders.>"));
/// ```
#[must_use]
pub fn covers(wide: &str, narrow: &str) -> bool {
    let (mut wide, mut narrow) = (wide.split('.'), narrow.split('.'));
    loop {
        match (wide.next(), narrow.next()) {
            (Some(">"), Some(_)) => return true,
            (Some("*"), Some(token)) if token != ">" => {}
            (Some(one), Some(other)) if one == other => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// Whether there is a subject that both patterns take.
///
/// ```
/// use headwater_nats_messaging::subject::overlaps;
///
/// assert!(overlaps("orders.*.placed", "orders.7.>"));
/// assert!(!overlaps("orders.placed", "orders.paid"));
/// ```
#[must_use]
pub fn overlaps(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split('.'), other.split('.'));
    loop {
        match (one.next(), other.next()) {
            (Some(">"), Some(_)) | (Some(_), Some(">")) | (None, None) => return true,
            (Some(token), Some(with)) if token == with || token == "*" || with == "*" => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_what_its_wildcards_stand_for() {
        for (pattern, subject, taken) in [
            ("a.b", "a.b", true),
            ("a.b", "a.c", false),
            ("a.*", "a.b", true),
            ("a.*", "a.b.c", false),
            ("a.*", "a", false),
            ("*", "a", true),
            (">", "a.b", true),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            ("*.b.*", "a.b.c", true),
        ] {
            assert_eq!(matches(pattern, subject), taken, "{pattern} {subject}");
        }
    }

    #[test]
    fn a_wide_pattern_covers_a_narrow_one_and_not_the_other_way() {
        for (wide, narrow) in [("a.>", "a.*"), ("a.>", "a.b.>"), ("*.b", "a.b"), (">", "*.*"), ("*.>", "a.>")] {
            assert!(covers(wide, narrow), "{wide} {narrow}");
            assert!(!covers(narrow, wide), "{narrow} {wide}");
            assert!(overlaps(wide, narrow) && overlaps(narrow, wide), "{wide} {narrow}");
        }
        assert!(!covers("a.*", "b.*") && !overlaps("a.*", "b.*"));
        assert!(overlaps("a.*", "*.b") && !covers("a.*", "*.b"));
        assert!(!overlaps("a.b.*", "a.b") && !overlaps("a.>", "a"));
    }

    #[test]
    fn what_is_no_subject_is_told() {
        for subject in ["", ".a", "a.", "a..b", "a b", "a\r\nPUB", "a.*", "a.>", "a\0"] {
            assert!(flaw(subject).is_some(), "{subject:?}");
        }
        for subject in ["a", "a.b", "a*.b", "ä.b", "$JS.x"] {
            assert_eq!(flaw(subject), None, "{subject:?}");
        }
        for pattern in ["a.>.b", "a..*", "", "a.* "] {
            assert!(pattern_flaw(pattern).is_some(), "{pattern:?}");
        }
        for pattern in [">", "a.*", "*.*.>"] {
            assert_eq!(pattern_flaw(pattern), None, "{pattern:?}");
        }
    }
}
