//! The W3C trace context as it travels: in the headers of requests and in stored events.

use async_nats::HeaderMap;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use crate::header;

/// The length of a trace context in version 00.
const LENGTH: usize = 55;

/// The longest trace context that is read, for versions to come.
const LONGEST: usize = 128;

/// The longest trace state that is passed on, in bytes; W3C asks for 512 at least.
const LONGEST_STATE: usize = 1024;

/// Whether `value` is a trace context: `{version}-{trace id}-{parent id}-{flags}`, all lower-case hex; later versions may go
/// on after another dash.
#[must_use]
pub fn is_traceparent(value: &str) -> bool {
    read(value).is_some()
}

/// Whether `traceparent` is a trace context whose spans are recorded.
#[must_use]
pub fn is_sampled(traceparent: &str) -> bool {
    traceparent.as_bytes().get(54).copied().and_then(nibble).is_some_and(|flags| flags & 1 == 1)
        && is_traceparent(traceparent)
}

/// The span that a trace context names. None when it is not one: a broken trace context is ignored, as W3C asks, and never
/// fails anything. A broken `tracestate` is left out.
#[must_use]
pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<SpanContext> {
    let (trace_id, span_id, flags) = read(traceparent)?;
    let state = tracestate.and_then(|state| state.parse::<TraceState>().ok()).unwrap_or_default();
    // Other flags than this one have no meaning that could be passed on.
    let flags = TraceFlags::default().with_sampled(flags & 1 == 1);
    Some(SpanContext::new(trace_id, span_id, flags, true, state))
}

/// A span as a trace context.
#[must_use]
pub fn traceparent(span: &SpanContext) -> String {
    let mut text = String::with_capacity(LENGTH);
    text.push_str("00-");
    hex(&mut text, &span.trace_id().to_bytes());
    text.push('-');
    hex(&mut text, &span.span_id().to_bytes());
    text.push_str(if span.is_sampled() { "-01" } else { "-00" });
    text
}

/// The caller's span, from the headers of its request, read case-insensitively.
#[must_use]
pub fn extract(headers: &HeaderMap) -> Option<SpanContext> {
    let traceparent = header::get(headers, header::TRACEPARENT)?;
    parse(traceparent, tracestate(headers).as_deref())
}

/// The trace state, which may come in several lines. One that is longer than anybody has to pass on is left out.
fn tracestate(headers: &HeaderMap) -> Option<String> {
    let is_it = |name: &str| name.eq_ignore_ascii_case(header::TRACESTATE);
    let lines = headers.iter().filter(|(name, _)| is_it(AsRef::<str>::as_ref(*name))).flat_map(|(_, values)| values);
    let state = lines.map(|value| value.as_str().to_owned()).reduce(|state, more| state + "," + &more);
    state.filter(|state| state.len() <= LONGEST_STATE)
}

/// Writes the span into the headers of a request, in place of what was there.
pub fn inject(span: &SpanContext, headers: &mut HeaderMap) {
    if !span.is_valid() {
        return;
    }
    headers.insert(header::TRACEPARENT, traceparent(span));
    let state = span.trace_state().header();
    // A value that could end the line is no trace state.
    if !state.is_empty() && header::check(header::TRACESTATE, &state).is_ok() {
        headers.insert(header::TRACESTATE, state);
    }
}

fn read(value: &str) -> Option<(TraceId, SpanId, u8)> {
    let bytes = value.as_bytes();
    if bytes.len() < LENGTH || bytes.len() > LONGEST || [bytes[2], bytes[35], bytes[52]] != [b'-'; 3] {
        return None;
    }
    let [version] = unhex::<1>(&bytes[..2])?;
    let trace_id = TraceId::from_bytes(unhex(&bytes[3..35])?);
    let span_id = SpanId::from_bytes(unhex(&bytes[36..52])?);
    let [flags] = unhex::<1>(&bytes[53..55])?;
    let rest = match bytes.get(LENGTH) {
        None => true,
        Some(next) => version > 0 && *next == b'-' && bytes.iter().all(u8::is_ascii_graphic),
    };
    let whole = rest && version != 0xff && trace_id != TraceId::INVALID && span_id != SpanId::INVALID;
    whole.then_some((trace_id, span_id, flags))
}

fn unhex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_context_is_taken_only_when_it_is_one() {
        assert!(is_traceparent(GOOD));
        assert!(is_traceparent(&format!("01{}-more", &GOOD[2..])));
        for bad in [
            "",
            "00",
            &GOOD.to_uppercase(),
            &format!("ff{}", &GOOD[2..]),
            &format!("{GOOD}-more"),
            &format!("01{}-\n", &GOOD[2..]),
            &format!("01{}-{}", &GOOD[2..], "x".repeat(100)),
            &GOOD.replace('-', "_"),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333ü-1",
        ] {
            assert!(!is_traceparent(bad) && !is_sampled(bad), "{bad}");
        }
    }

    #[test]
    fn it_is_written_as_it_was_read() {
        let span = parse(GOOD, Some("vendor=1,other=2")).unwrap();
        assert!(span.is_remote() && span.is_sampled());
        assert_eq!(traceparent(&span), GOOD);
        assert_eq!(span.trace_state().header(), "vendor=1,other=2");
        let off = GOOD.replace("-01", "-00");
        assert_eq!(traceparent(&parse(&off, None).unwrap()), off);
        assert!(is_sampled(GOOD) && !is_sampled(&off));
    }

    #[test]
    fn a_broken_trace_state_is_left_out() {
        let span = parse(GOOD, Some("no state at all")).unwrap();
        assert_eq!(span.trace_state().header(), "");
    }

    #[test]
    fn headers_are_read_whatever_their_case_and_written_in_lower_case() {
        let mut headers = HeaderMap::new();
        headers.insert("TraceParent", GOOD);
        headers.append("TRACESTATE", "vendor=1");
        headers.append("TRACESTATE", "other=2");
        let span = extract(&headers).unwrap();
        let mut sent = HeaderMap::new();
        inject(&span, &mut sent);
        assert_eq!(header::get(&sent, "traceparent"), Some(GOOD));
        assert_eq!(header::get(&sent, "tracestate"), Some("vendor=1,other=2"));
        inject(&SpanContext::empty_context(), &mut headers);
        assert_eq!(extract(&headers), Some(span));
    }
}
