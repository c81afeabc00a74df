//! What travels beside a command and is stored with each of its events.

use serde::{Deserialize, Serialize};

use crate::CommandId;

/// The longest text of one metadata member, in bytes.
pub const MAX_METADATA_LENGTH: usize = 256;

/// Who and what an event goes back to. Stored with every event of the command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The command that made the event: the receipt for idempotency.
    pub command_id: CommandId,
    /// The whole conversation the command belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// What caused the command: an event id or a request id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
    /// The user on whose behalf it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The tenant on whose behalf it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The W3C trace context of the span that appended the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

impl Metadata {
    /// Metadata that knows only its command.
    #[must_use]
    pub const fn new(command_id: CommandId) -> Self {
        Self { command_id, correlation_id: None, causation_id: None, user_id: None, tenant_id: None, traceparent: None }
    }

    /// The first member whose text is longer than 256 bytes or holds a control character, as the
    /// wire names it.
    #[must_use]
    pub fn invalid_member(&self) -> Option<&'static str> {
        [
            ("correlationId", &self.correlation_id),
            ("causationId", &self.causation_id),
            ("userId", &self.user_id),
            ("tenantId", &self.tenant_id),
            ("traceparent", &self.traceparent),
        ]
        .into_iter()
        .find(|(_, value)| {
            value.as_deref().is_some_and(|text| text.len() > MAX_METADATA_LENGTH || text.chars().any(char::is_control))
        })
        .map(|(member, _)| member)
    }
}
