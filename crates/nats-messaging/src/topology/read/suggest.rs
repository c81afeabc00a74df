//! What somebody may have meant.

/// The known word that is most like an unknown one, if any is like it.
pub(in crate::topology) fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().map(|word| (distance(unknown, word), word));
    let (distance, word) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1.max(unknown.chars().count().min(12) / 3)).then_some(word)
}

/// How many characters have to be put in, taken out, changed, or swapped with the next.
fn distance(one: &str, other: &str) -> usize {
    let fold = |text: &str| text.chars().take(40).map(|c| c.to_ascii_lowercase()).collect::<Vec<_>>();
    let (one, other) = (fold(one), fold(other));
    let mut rows = vec![(0..=other.len()).collect::<Vec<_>>()];
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let changed = rows[i][j] + usize::from(a != b);
            let mut least = changed.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_word_with_a_slip_of_the_finger_finds_the_right_one() {
        let known = ["subjects", "max_age", "max_bytes", "replicas"];
        assert_eq!(nearest("subject", known), Some("subjects"));
        assert_eq!(nearest("max_aeg", known), Some("max_age"));
        assert_eq!(nearest("Replicas", known), Some("replicas"));
        assert_eq!(nearest("colour", known), None);
    }
}
