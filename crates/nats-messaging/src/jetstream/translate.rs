//! Messages as the client has them, and back.

use async_nats::{HeaderMap, HeaderName, HeaderValue, Subject};
use headwater_nats::header;

use super::replies::Outgoing;
use crate::message::{Headers, MESSAGE_ID, Message};

/// The server looks for it letter by letter, while ours are told apart without regard to case.
const ID: HeaderName = HeaderName::from_static(header::MSG_ID);

const CONTENT_TYPE: HeaderName = HeaderName::from_static(header::CONTENT_TYPE);

/// The message as it is sent; what is wrong with it when it cannot be.
pub(super) fn outgoing(message: Message) -> Result<Outgoing, (String, String)> {
    if let Some(flaw) = message.flaw() {
        return Err((message.subject, flaw));
    }
    let Message { subject, headers, body } = message;
    match header_map(&headers) {
        Ok(headers) => Ok(Outgoing { subject: Subject::from(subject), headers, payload: body }),
        Err(flaw) => Err((subject, flaw)),
    }
}

fn header_map(headers: &Headers) -> Result<Option<HeaderMap>, String> {
    if headers.is_empty() {
        return Ok(None);
    }
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter() {
        let name = match name {
            header::CONTENT_TYPE => CONTENT_TYPE,
            _ if name.eq_ignore_ascii_case(MESSAGE_ID) => ID,
            _ => name.parse().map_err(|_| format!("the header {name:?}: no name"))?,
        };
        let value: HeaderValue = value.parse().map_err(|_| format!("the header {name:?}: no value"))?;
        map.append(name, value);
    }
    Ok(Some(map))
}

/// A message as it came in.
pub(super) fn incoming(message: async_nats::Message) -> Message {
    let headers = message.headers.as_ref().map(headers).unwrap_or_default();
    Message { subject: message.subject.into_string(), headers, body: message.payload }
}

fn headers(map: &HeaderMap) -> Headers {
    let pairs = map.iter().flat_map(|(name, values)| {
        let name: &str = name.as_ref();
        values.iter().map(move |value| (name, value.as_str()))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_id_is_written_as_the_server_looks_for_it() {
        let sent = outgoing(Message::new("a", "x").header("nats-msg-id", "7").header("B", "1")).unwrap();
        let map = sent.headers.unwrap();
        assert_eq!(map.get("Nats-Msg-Id").map(HeaderValue::as_str), Some("7"));
        assert_eq!(headers(&map).iter().count(), 2);
    }

    #[test]
    fn a_line_break_never_reaches_the_client() {
        for value in ["x\ry", "x\ny", "x\r\nPUB a 0\r\n"] {
            let (subject, flaw) = outgoing(Message::new("a", "").header("H", value)).unwrap_err();
            assert_eq!(subject, "a");
            assert!(flaw.contains("`H`"), "{flaw}");
        }
    }
}
