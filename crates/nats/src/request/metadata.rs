//! What a caller says about a request: the member `metadata`.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use headwater_core::call::RequestMetadata;
use headwater_core::{AggregateId, CommandId, Failure, MAX_METADATA_LENGTH};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::parse;
use crate::header;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MetadataBody<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    command_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    correlation_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    causation_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    timestamp: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    user_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    tenant_id: Option<Cow<'a, str>>,
}

impl<'a> MetadataBody<'a> {
    /// What the client writes. An aggregate's tenant speaks for the request when nothing else does.
    pub(super) fn of(metadata: &'a RequestMetadata, aggregate: &'a AggregateId, sent: DateTime<Utc>) -> Self {
        let text = |value: &'a Option<String>| value.as_deref().map(Cow::Borrowed);
        Self {
            command_id: metadata.command_id.as_ref().map(|id| Cow::Borrowed(id.as_str())),
            correlation_id: text(&metadata.correlation_id),
            causation_id: text(&metadata.causation_id),
            timestamp: Some(Cow::Owned(header::format_time(sent))),
            user_id: text(&metadata.user_id),
            tenant_id: metadata.tenant_id.as_deref().or(aggregate.tenant()).map(Cow::Borrowed),
        }
    }
}

/// Reads the member; the trace context is not part of it, it travels in a header.
pub(super) fn read(member: Option<&RawValue>) -> Result<RequestMetadata, Failure> {
    let Some(json) = member else { return Ok(RequestMetadata::default()) };
    let body: MetadataBody<'_> = parse::object("metadata.", json.get().as_bytes())?;
    if let Some(timestamp) = &body.timestamp {
        // Informative only, but a caller who writes it wrong should learn of it.
        parse::time("metadata.timestamp", timestamp)?;
    }
    let command_id = body.command_id.map(CommandId::new).transpose();
    Ok(RequestMetadata {
        command_id: command_id.map_err(|error| Failure::invalid_request(format!("in `metadata`, {error}")))?,
        correlation_id: text("correlationId", body.correlation_id)?,
        causation_id: text("causationId", body.causation_id)?,
        user_id: text("userId", body.user_id)?,
        tenant_id: text("tenantId", body.tenant_id)?,
        traceparent: None,
    })
}

fn text(member: &str, value: Option<Cow<'_, str>>) -> Result<Option<String>, Failure> {
    let Some(value) = value else { return Ok(None) };
    if value.len() > MAX_METADATA_LENGTH {
        let limit = MAX_METADATA_LENGTH;
        return Err(Failure::invalid_request(format!("`metadata.{member}` is longer than {limit} bytes")));
    }
    if value.chars().any(char::is_control) {
        return Err(Failure::invalid_request(format!("`metadata.{member}` holds a control character")));
    }
    Ok(Some(value.into_owned()))
}
