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

#[cfg(test)]
mod tests {
    use super::*;

    type Member = fn(&mut Metadata) -> &mut Option<String>;

    const MEMBERS: [(&str, Member); 5] = [
        ("correlationId", |metadata| &mut metadata.correlation_id),
        ("causationId", |metadata| &mut metadata.causation_id),
        ("userId", |metadata| &mut metadata.user_id),
        ("tenantId", |metadata| &mut metadata.tenant_id),
        ("traceparent", |metadata| &mut metadata.traceparent),
    ];

    fn metadata() -> Metadata {
        Metadata::new(CommandId::new("c-1").unwrap())
    }

    #[test]
    fn a_member_that_is_too_long_or_holds_a_control_character_is_named() {
        assert_eq!(metadata().invalid_member(), None);
        for (name, member) in MEMBERS {
            for (text, refused) in [
                ("x".repeat(MAX_METADATA_LENGTH), false),
                ("Zoë 🧑".to_owned(), false),
                ("x".repeat(MAX_METADATA_LENGTH + 1), true),
                ("é".repeat(MAX_METADATA_LENGTH / 2 + 1), true),
                ("two\nlines".to_owned(), true),
                ("\u{85}".to_owned(), true),
            ] {
                let mut metadata = metadata();
                *member(&mut metadata) = Some(text.clone());
                assert_eq!(metadata.invalid_member(), refused.then_some(name), "{text:?}");
            }
        }
    }

    #[test]
    fn what_is_not_known_is_left_out_and_what_is_reads_back() {
        assert_eq!(serde_json::to_string(&metadata()).unwrap(), r#"{"commandId":"c-1"}"#);
        let mut full = metadata();
        for (name, member) in MEMBERS {
            *member(&mut full) = Some(name.to_owned());
        }
        let text = serde_json::to_value(&full).unwrap();
        assert!(MEMBERS.iter().all(|(name, _)| text[name] == *name), "{text}");
        assert_eq!(serde_json::from_value::<Metadata>(text).unwrap(), full);
    }
}
