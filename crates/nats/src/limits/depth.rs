//! How deep JSON is nested, found out without parsing it.

/// JSON that is nested too deep, or whose brackets cannot belong together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DepthError {
    /// There are too many levels of objects and arrays.
    #[error("the JSON is nested more than {limit} levels deep")]
    TooDeep {
        /// How many are accepted.
        limit: usize,
    },
    /// A bracket closes what was never opened.
    #[error("the JSON closes a bracket at byte {at} that was never opened")]
    Unopened {
        /// Where.
        at: usize,
    },
}

/// Checks that `json` has at most `limit` levels of objects and arrays. One pass over the bytes,
/// brackets in strings do not count, and it stops at the first level too many. Whether it is JSON
/// at all is for the parser to say.
///
/// # Errors
/// [`DepthError`].
pub fn check_depth(json: &[u8], limit: usize) -> Result<(), DepthError> {
    let mut depth = 0_usize;
    let mut bytes = json.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'{' | b'[' if depth == limit => return Err(DepthError::TooDeep { limit }),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1).ok_or(DepthError::Unopened { at })?,
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    Ok(())
}

/// Goes on to the end of a string whose opening quote was just read.
fn skip_string<'a>(bytes: &mut impl Iterator<Item = (usize, &'a u8)>) {
    while let Some((_, byte)) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => _ = bytes.next(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_counted_and_strings_are_not() {
        for (json, depth) in [
            ("", 0),
            ("1", 0),
            ("{}", 1),
            ("[[],[]]", 2),
            (r#"{"a":[{"b":1}]}"#, 3),
            (r#""[[[[""#, 0),
            (r#"["\"[[["]"#, 1),
            (r#"["\\",[]]"#, 2),
            (r#"["\\\"[[",1]"#, 1),
            (r#"["never closed [["#, 1),
        ] {
            assert_eq!(check_depth(json.as_bytes(), depth), Ok(()), "{json}");
            if let Some(less) = depth.checked_sub(1) {
                assert_eq!(check_depth(json.as_bytes(), less), Err(DepthError::TooDeep { limit: less }), "{json}");
            }
        }
    }

    #[test]
    fn a_bracket_that_closes_nothing_is_refused() {
        assert_eq!(check_depth(b"{}]", 32), Err(DepthError::Unopened { at: 2 }));
    }
}
