//! The trace context of a caller. A broken one is ignored, as W3C asks, and never fails a request.

/// `{version}-{trace id}-{parent id}-{flags}`, all lower-case hex; later versions may go on after another dash.
pub(crate) fn is_traceparent(value: &str) -> bool {
    let bytes = value.as_bytes();
    if bytes.len() < 55 || bytes.len() > 128 || value.starts_with("ff") {
        return false;
    }
    let hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let dashes = [2, 35, 52];
    let shape =
        bytes[..55].iter().enumerate().all(|(at, byte)| if dashes.contains(&at) { *byte == b'-' } else { hex(byte) });
    let rest = match bytes.get(55) {
        None => true,
        Some(next) => *next == b'-' && !value.starts_with("00") && bytes.iter().all(u8::is_ascii_graphic),
    };
    let all_zero = |part: &[u8]| part.iter().all(|byte| *byte == b'0');
    shape && rest && !all_zero(&bytes[3..35]) && !all_zero(&bytes[36..52])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_context_is_taken_only_when_it_is_one() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(is_traceparent(good));
        assert!(is_traceparent(&format!("01{}-more", &good[2..])));
        for bad in [
            "",
            "00",
            &good.to_uppercase(),
            &format!("ff{}", &good[2..]),
            &format!("{good}-more"),
            &format!("01{}-\n", &good[2..]),
            &format!("01{}-{}", &good[2..], "x".repeat(100)),
            &good.replace('-', "_"),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }
}
