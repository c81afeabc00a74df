//! Query requests: `get`, `history` and a service's further queries.

use std::borrow::Cow;
use std::num::NonZeroUsize;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use headwater_core::call::{GetRequest, HistoryRequest, QueryRequest};
use headwater_core::{Failure, Name, Revision};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::metadata::{self, MetadataBody};
use super::{PayloadError, parse, raw, write};
use crate::header;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadGet<'a> {
    #[serde(borrow)]
    aggregate_id: Cow<'a, str>,
    #[serde(default)]
    at_revision: Option<Revision>,
    #[serde(borrow, default)]
    at_time: Option<Cow<'a, str>>,
    #[serde(default)]
    min_revision: Option<Revision>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

/// Reads the body of a `get` request for the aggregate type `kind`.
///
/// # Errors
/// 400 `invalid-request` that names the member, as for [`read_command`](super::read_command).
pub fn read_get(body: &[u8], kind: Name) -> Result<GetRequest, Failure> {
    let read: ReadGet<'_> = parse::object("", body)?;
    Ok(GetRequest {
        aggregate: parse::aggregate(kind, &read.aggregate_id)?,
        at_revision: read.at_revision,
        at_time: read.at_time.map(|text| parse::time("atTime", &text)).transpose()?,
        min_revision: read.min_revision,
        metadata: metadata::read(read.metadata)?,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadHistory<'a> {
    #[serde(borrow)]
    aggregate_id: Cow<'a, str>,
    #[serde(default)]
    after_revision: Option<Revision>,
    #[serde(default)]
    limit: Option<NonZeroUsize>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

/// Reads the body of a `history` request for the aggregate type `kind`.
///
/// # Errors
/// 400 `invalid-request` that names the member, as for [`read_command`](super::read_command).
pub fn read_history(body: &[u8], kind: Name) -> Result<HistoryRequest, Failure> {
    let read: ReadHistory<'_> = parse::object("", body)?;
    Ok(HistoryRequest {
        aggregate: parse::aggregate(kind, &read.aggregate_id)?,
        after_revision: read.after_revision.unwrap_or_default(),
        limit: read.limit.map(NonZeroUsize::get),
        metadata: metadata::read(read.metadata)?,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadQuery<'a> {
    #[serde(borrow)]
    aggregate_id: Cow<'a, str>,
    #[serde(borrow)]
    query: &'a RawValue,
    #[serde(default)]
    min_revision: Option<Revision>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

/// Reads the body of a further query's request, for the aggregate type `kind` and the query called
/// `query`. The payload of the result shares the body's memory.
///
/// # Errors
/// 400 `invalid-request` that names the member, as for [`read_command`](super::read_command).
pub fn read_query(body: &Bytes, kind: Name, query: &str) -> Result<QueryRequest, Failure> {
    let read: ReadQuery<'_> = parse::object("", body)?;
    Ok(QueryRequest {
        aggregate: parse::aggregate(kind, &read.aggregate_id)?,
        query: query.to_owned(),
        payload: body.slice_ref(read.query.get().as_bytes()),
        min_revision: read.min_revision,
        metadata: metadata::read(read.metadata)?,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Write<'a> {
    aggregate_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_revision: Option<Revision>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_revision: Option<Revision>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_revision: Option<Revision>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
    metadata: MetadataBody<'a>,
}

impl<'a> Write<'a> {
    fn new(aggregate_id: &'a str, metadata: MetadataBody<'a>) -> Self {
        Self {
            aggregate_id,
            query: None,
            at_revision: None,
            at_time: None,
            min_revision: None,
            after_revision: None,
            limit: None,
            metadata,
        }
    }
}

/// Writes the body of a `get` request, sent at `sent`.
#[must_use]
pub fn write_get(request: &GetRequest, sent: DateTime<Utc>) -> Bytes {
    let metadata = MetadataBody::of(&request.metadata, &request.aggregate, sent);
    write(&Write {
        at_revision: request.at_revision,
        at_time: request.at_time.map(header::format_time),
        min_revision: request.min_revision,
        ..Write::new(request.aggregate.id(), metadata)
    })
}

/// Writes the body of a `history` request, sent at `sent`.
#[must_use]
pub fn write_history(request: &HistoryRequest, sent: DateTime<Utc>) -> Bytes {
    let metadata = MetadataBody::of(&request.metadata, &request.aggregate, sent);
    write(&Write {
        after_revision: (request.after_revision > Revision::ZERO).then_some(request.after_revision),
        limit: request.limit,
        ..Write::new(request.aggregate.id(), metadata)
    })
}

/// Writes the body of a further query's request, sent at `sent`.
///
/// # Errors
/// [`PayloadError`] when the payload is not JSON.
pub fn write_query(request: &QueryRequest, sent: DateTime<Utc>) -> Result<Bytes, PayloadError> {
    let metadata = MetadataBody::of(&request.metadata, &request.aggregate, sent);
    Ok(write(&Write {
        query: Some(raw(&request.query, &request.payload)?),
        min_revision: request.min_revision,
        ..Write::new(request.aggregate.id(), metadata)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_core::AggregateId;
    use headwater_core::call::RequestMetadata;

    fn receipt() -> Name {
        Name::new("receipt").unwrap()
    }

    #[test]
    fn a_get_request_reads_as_it_was_written() {
        let time = DateTime::parse_from_rfc3339("2026-11-20T12:00:00.123456Z").unwrap().to_utc();
        for (at_revision, at_time, min_revision) in
            [(None, None, None), (Some(Revision::new(3)), None, None), (None, Some(time), Some(Revision::new(9)))]
        {
            let metadata = RequestMetadata { correlation_id: Some("k".into()), ..RequestMetadata::default() };
            let aggregate = AggregateId::new("receipt", "order-1").unwrap();
            let request = GetRequest { aggregate, at_revision, at_time, min_revision, metadata };
            let back = read_get(&write_get(&request, time), receipt()).unwrap();
            assert_eq!(back.aggregate, request.aggregate);
            assert_eq!(
                (back.at_revision, back.at_time, back.min_revision),
                (request.at_revision, request.at_time, request.min_revision)
            );
            assert_eq!(back.metadata, request.metadata);
        }
    }

    #[test]
    fn a_history_request_reads_as_it_was_written() {
        for (after, limit) in [(0, None), (7, Some(100))] {
            let request = HistoryRequest {
                aggregate: AggregateId::new("receipt", "order-1").unwrap(),
                after_revision: Revision::new(after),
                limit,
                metadata: RequestMetadata::default(),
            };
            let back = read_history(&write_history(&request, Utc::now()), receipt()).unwrap();
            assert_eq!((back.after_revision, back.limit), (request.after_revision, request.limit));
        }
    }

    #[test]
    fn a_further_query_reads_as_it_was_written() {
        let request = QueryRequest {
            aggregate: AggregateId::new("receipt", "order-1").unwrap(),
            query: "count-items".into(),
            payload: Bytes::from_static(br#"{"of":"Tea"}"#),
            min_revision: Some(Revision::new(2)),
            metadata: RequestMetadata::default(),
        };
        let back = read_query(&write_query(&request, Utc::now()).unwrap(), receipt(), "count-items").unwrap();
        assert_eq!((back.payload, back.min_revision), (request.payload.clone(), request.min_revision));
        let not_json = QueryRequest { payload: Bytes::from_static(b"nope"), ..request };
        assert!(write_query(&not_json, Utc::now()).is_err());
    }

    #[test]
    fn refusals_name_the_member() {
        for (body, message) in [
            ("{}", "missing member `aggregateId`"),
            (r#"{"aggregateId":"a","atRevision":-1}"#, "`atRevision` must be a non-negative integer"),
            (r#"{"aggregateId":"a","minRevision":true}"#, "`minRevision` must be a non-negative integer"),
            (r#"{"aggregateId":"a","atTime":"yesterday"}"#, "`atTime` must be an RFC 3339 time"),
            (r#"{"aggregateId":"a","atTime":17}"#, "`atTime` must be an RFC 3339 time"),
        ] {
            assert_eq!(read_get(body.as_bytes(), receipt()).unwrap_err().message, message, "{body}");
        }
        for (body, message) in [
            (r#"{"aggregateId":"a","afterRevision":"1"}"#, "`afterRevision` must be a non-negative integer"),
            (r#"{"aggregateId":"a","limit":0}"#, "`limit` must be a positive integer"),
            (r#"{"aggregateId":"a","limit":-5}"#, "`limit` must be a positive integer"),
        ] {
            assert_eq!(read_history(body.as_bytes(), receipt()).unwrap_err().message, message, "{body}");
        }
        let body = Bytes::from_static(br#"{"aggregateId":"a"}"#);
        assert_eq!(read_query(&body, receipt(), "count").unwrap_err().message, "missing member `query`");
    }
}
