//! Command requests.

use std::borrow::Cow;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use headwater_core::call::{CommandRequest, ReturnMode};
use headwater_core::{Failure, Name, Revision};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::metadata::{self, MetadataBody};
use super::{PayloadError, parse, raw, write};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read<'a> {
    #[serde(borrow)]
    aggregate_id: Cow<'a, str>,
    #[serde(borrow)]
    command: &'a RawValue,
    #[serde(default)]
    expected_revision: Option<Revision>,
    #[serde(rename = "return", default)]
    return_mode: Option<ReturnMode>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

/// Reads the body of a command request that came in for the aggregate type `kind` and the command
/// called `command`. The payload of the result shares the body's memory.
///
/// The trace context, which travels in a header, is left out.
///
/// # Errors
/// 400 `invalid-request` that names the member: when the body is not a JSON object, `aggregateId`
/// or `command` is missing, a member is there twice or of the wrong type, or an id breaks the rule
/// for ids. Unknown members are passed over, `null` stands for an absent optional one.
pub fn read_command(body: &Bytes, kind: Name, command: &str) -> Result<CommandRequest, Failure> {
    let read: Read<'_> = parse::object("", body)?;
    Ok(CommandRequest {
        aggregate: parse::aggregate(kind, &read.aggregate_id)?,
        command: command.to_owned(),
        payload: body.slice_ref(read.command.get().as_bytes()),
        expected_revision: read.expected_revision,
        return_mode: read.return_mode.unwrap_or_default(),
        metadata: metadata::read(read.metadata)?,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Write<'a> {
    aggregate_id: &'a str,
    command: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_revision: Option<Revision>,
    #[serde(rename = "return", skip_serializing_if = "Option::is_none")]
    return_mode: Option<ReturnMode>,
    metadata: MetadataBody<'a>,
}

/// Writes the body of a command request, sent at `sent`.
///
/// # Errors
/// [`PayloadError`] when the payload is not JSON.
pub fn write_command(request: &CommandRequest, sent: DateTime<Utc>) -> Result<Bytes, PayloadError> {
    Ok(write(&Write {
        aggregate_id: request.aggregate.id(),
        command: raw(&request.command, &request.payload)?,
        expected_revision: request.expected_revision,
        return_mode: (request.return_mode != ReturnMode::default()).then_some(request.return_mode),
        metadata: MetadataBody::of(&request.metadata, &request.aggregate, sent),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_core::call::RequestMetadata;
    use headwater_core::{AggregateId, CommandId, FailureCode};

    fn read(body: impl Into<Bytes>) -> Result<CommandRequest, Failure> {
        read_command(&body.into(), Name::new("receipt").unwrap(), "add-item")
    }

    #[test]
    fn the_protocols_example_is_read() {
        let body = r#"{
            "aggregateId": "order-12345",
            "command": { "name": "Coffee", "price": "5.99", "quantity": 2 },
            "expectedRevision": 3,
            "return": "revision",
            "unknown": [1, 2],
            "metadata": {
                "commandId": "c-1", "correlationId": "k", "causationId": "e", "more": {},
                "timestamp": "2026-11-20T12:00:00Z", "userId": "u", "tenantId": "t"
            }
        }"#;
        let request = read(body).unwrap();
        assert_eq!(request.aggregate, AggregateId::new("receipt", "order-12345").unwrap());
        assert_eq!(request.command, "add-item");
        assert_eq!(request.payload, r#"{ "name": "Coffee", "price": "5.99", "quantity": 2 }"#);
        assert_eq!(request.expected_revision, Some(Revision::new(3)));
        assert_eq!(request.return_mode, ReturnMode::Revision);
        let metadata = RequestMetadata {
            command_id: Some(CommandId::new("c-1").unwrap()),
            correlation_id: Some("k".into()),
            causation_id: Some("e".into()),
            user_id: Some("u".into()),
            tenant_id: Some("t".into()),
            traceparent: None,
        };
        assert_eq!(request.metadata, metadata);
    }

    #[test]
    fn optional_members_may_be_absent_or_null() {
        for body in [
            r#"{"aggregateId":"a","command":{}}"#,
            r#"{"aggregateId":"a","command":{},"expectedRevision":null,"return":null,"metadata":null}"#,
            r#"{"aggregateId":"a","command":{},"metadata":{"commandId":null,"timestamp":null,"userId":null}}"#,
        ] {
            let request = read(body).unwrap();
            assert_eq!(request.expected_revision, None);
            assert_eq!(request.return_mode, ReturnMode::Entity);
            assert_eq!(request.metadata, RequestMetadata::default());
        }
    }

    #[test]
    fn a_payload_of_any_json_is_handed_on_for_its_schema_to_judge() {
        for payload in ["null", "[]", "\"text\"", "0", "{\"a\" : 1}"] {
            let request = read(format!(r#"{{"aggregateId":"a","command": {payload} }}"#)).unwrap();
            assert_eq!(request.payload, payload);
        }
    }

    #[test]
    fn refusals_name_the_member_and_never_its_value() {
        let long = format!(r#"{{"aggregateId":"{}","command":{{}}}}"#, "secret".repeat(30));
        let long_user =
            format!(r#"{{"aggregateId":"a","command":{{}},"metadata":{{"userId":"{}"}}}}"#, "secret".repeat(50));
        for (body, message) in [
            ("", "the body is empty; a JSON object is expected"),
            ("  ", "the body must be a JSON object"),
            ("[]", "the body must be a JSON object"),
            (r#"["a", {}]"#, "the body must be a JSON object"),
            ("secret", "the body must be a JSON object"),
            ("{", "the body is not JSON: EOF while parsing an object at line 1 column 1"),
            (r#"{"aggregateId":"secret"#, "the body is not JSON: EOF while parsing a string at line 1 column 22"),
            (r#"{"aggregateId":"a","command":{}} x"#, "the body is not JSON: trailing characters at line 1 column 34"),
            (r#"{"command":{}}"#, "missing member `aggregateId`"),
            (r#"{"aggregateId":"a"}"#, "missing member `command`"),
            (r#"{"aggregateId":"a","command":{},"command":{}}"#, "the member `command` is there twice"),
            (r#"{"aggregateId":"secret","aggregateId":"b","command":{}}"#, "the member `aggregateId` is there twice"),
            (r#"{"aggregateId":5,"command":{}}"#, "`aggregateId` must be a string"),
            (r#"{"aggregateId":null,"command":{}}"#, "`aggregateId` must be a string"),
            (r#"{"aggregateId":"","command":{}}"#, "aggregateId is empty"),
            (r#"{"aggregateId":"a\n","command":{}}"#, "aggregateId holds a control character at byte 1"),
            (long.as_str(), "aggregateId is 180 bytes long; at most 128 are allowed"),
            (
                r#"{"aggregateId":"a","command":{},"expectedRevision":-1}"#,
                "`expectedRevision` must be a non-negative integer",
            ),
            (
                r#"{"aggregateId":"a","command":{},"expectedRevision":"secret"}"#,
                "`expectedRevision` must be a non-negative integer",
            ),
            (
                r#"{"aggregateId":"a","command":{},"expectedRevision":1.5}"#,
                "`expectedRevision` must be a non-negative integer",
            ),
            (
                r#"{"aggregateId":"a","command":{},"expectedRevision":18446744073709551616}"#,
                "`expectedRevision` must be a non-negative integer",
            ),
            (r#"{"aggregateId":"a","command":{},"return":"secret"}"#, "`return` must be `entity` or `revision`"),
            (r#"{"aggregateId":"a","command":{},"metadata":[]}"#, "`metadata` must be an object"),
            (r#"{"aggregateId":"a","command":{},"metadata":["secret"]}"#, "`metadata` must be an object"),
            (r#"{"aggregateId":"a","command":{},"metadata":{"commandId":7}}"#, "`metadata.commandId` must be a string"),
            (r#"{"aggregateId":"a","command":{},"metadata":{"commandId":""}}"#, "in `metadata`, commandId is empty"),
            (
                r#"{"aggregateId":"a","command":{},"metadata":{"timestamp":"secret"}}"#,
                "`metadata.timestamp` must be an RFC 3339 time",
            ),
            (
                r#"{"aggregateId":"a","command":{},"metadata":{"userId":"\u0000"}}"#,
                "`metadata.userId` holds a control character",
            ),
            (long_user.as_str(), "`metadata.userId` is longer than 256 bytes"),
            (
                r#"{"aggregateId":"a","command":{},"metadata":{"userId":"a","userId":"b"}}"#,
                "the member `metadata.userId` is there twice",
            ),
        ] {
            let failure = read(body.to_owned()).unwrap_err();
            assert_eq!(failure.code, FailureCode::InvalidRequest, "{body}");
            assert_eq!(failure.message, message, "{body}");
            assert!(!failure.message.contains("secret"), "{failure}");
        }
        let not_utf8 = read(Bytes::from_static(b"{\"aggregateId\":\"\xff\",\"command\":{}}")).unwrap_err();
        assert_eq!(not_utf8.code, FailureCode::InvalidRequest);
    }

    #[test]
    fn a_written_request_reads_as_it_was() {
        let request = CommandRequest {
            aggregate: AggregateId::new("receipt", "🧾 \"1\"").unwrap().in_tenant("acme").unwrap(),
            command: "add-item".into(),
            payload: Bytes::from_static(br#"{"name":"Tea"}"#),
            expected_revision: Some(Revision::ZERO),
            return_mode: ReturnMode::Revision,
            metadata: RequestMetadata { command_id: Some(CommandId::generate()), ..RequestMetadata::default() },
        };
        let written = write_command(&request, Utc::now()).unwrap();
        let back = read(written).unwrap();
        assert_eq!(back.aggregate.id(), request.aggregate.id());
        assert_eq!(back.payload, request.payload);
        assert_eq!(back.expected_revision, request.expected_revision);
        assert_eq!(back.return_mode, request.return_mode);
        assert_eq!(back.metadata.command_id, request.metadata.command_id);
        assert_eq!(back.metadata.tenant_id.as_deref(), Some("acme"), "the aggregate's tenant speaks for the request");
        let not_json = CommandRequest { payload: Bytes::from_static(b"{"), ..request };
        assert_eq!(
            write_command(&not_json, Utc::now()).unwrap_err().to_string(),
            "the payload of `add-item` is not JSON"
        );
    }
}
