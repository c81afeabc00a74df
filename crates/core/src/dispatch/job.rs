//! A command on its way: found good, and ready to be decided.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::oneshot;

use super::index::{CommandKey, Fingerprint};
use super::{Deadline, Inner};
use crate::call::{CommandReply, CommandRequest, RequestMetadata, ReturnMode};
use crate::description::{CommandType, ParsedCommand};
use crate::{AggregateId, AggregateType, CommandId, Failure, Metadata, Revision};

/// A command whose name, ids and payload were found good.
pub(super) struct Accepted {
    pub(super) aggregate: AggregateId,
    pub(super) metadata: Arc<Metadata>,
    pub(super) return_mode: ReturnMode,
    pub(super) expected: Option<Revision>,
    pub(super) payload: Value,
    pub(super) fingerprint: Fingerprint,
    /// By which the aggregate's index of commands knows it.
    pub(super) key: CommandKey,
    pub(super) deadline: Deadline,
}

/// A command ready to be decided, on its way from hand to hand.
pub(super) type Job = Box<Ready>;

/// What is known of a command that is ready to be decided.
pub(super) struct Ready {
    pub(super) described: AggregateType,
    name: String,
    pub(super) accepted: Accepted,
    /// Taken by the first attempt; a further one reads the payload again.
    pub(super) parsed: Option<ParsedCommand>,
    /// Whether another command's turn may carry it out: it needs nothing but the state.
    pub(super) may_go_along: bool,
    /// Whether an append told that events of its command are in the journal.
    pub(super) stored: bool,
    pub(super) answer: oneshot::Sender<Result<CommandReply, Failure>>,
}

/// Where a command that went along gets its answer.
pub(super) type Answered = oneshot::Receiver<Result<CommandReply, Failure>>;

impl Ready {
    pub(super) fn command(&self) -> Result<&CommandType, Failure> {
        self.described.command(&self.name).ok_or_else(|| no_command(&self.described, &self.name))
    }
}

impl Inner {
    /// Finds the command and checks what comes with it.
    pub(super) fn prepare(&self, request: CommandRequest, deadline: Deadline) -> Result<(Job, Answered), Failure> {
        let described = self.type_of(&request.aggregate)?.clone();
        let name = request.command.clone();
        let command = described.command(&name).ok_or_else(|| no_command(&described, &name))?;
        let accepted = accept(request, deadline)?;
        let parsed = command.parse(&accepted.payload)?;
        let may_go_along = command.is_pure();
        let (answer, answered) = oneshot::channel();
        let ready = Ready { described, name, accepted, parsed: Some(parsed), may_go_along, stored: false, answer };
        Ok((Box::new(ready), answered))
    }
}

/// Checks what comes with the payload, and reads the payload as JSON.
fn accept(request: CommandRequest, deadline: Deadline) -> Result<Accepted, Failure> {
    let metadata = stored_metadata(request.metadata)?;
    let payload = serde_json::from_slice(&request.payload)
        .map_err(|error| Failure::invalid_request(format!("`command` is not JSON: {error}")))?;
    Ok(Accepted {
        fingerprint: Fingerprint::of(&request.command, &payload),
        key: CommandKey::of(&metadata.command_id),
        aggregate: request.aggregate,
        metadata: Arc::new(metadata),
        return_mode: request.return_mode,
        expected: request.expected_revision,
        payload,
        deadline,
    })
}

fn stored_metadata(given: RequestMetadata) -> Result<Metadata, Failure> {
    let metadata = Metadata {
        command_id: given.command_id.unwrap_or_else(CommandId::generate),
        correlation_id: given.correlation_id,
        causation_id: given.causation_id,
        user_id: given.user_id,
        tenant_id: given.tenant_id,
        traceparent: given.traceparent,
    };
    match metadata.invalid_member() {
        None => Ok(metadata),
        Some(member) => Err(Failure::invalid_request(format!(
            "`metadata.{member}` is longer than {} bytes or holds a control character",
            crate::MAX_METADATA_LENGTH
        ))),
    }
}

fn no_command(described: &AggregateType, name: &str) -> Failure {
    let name: String = name.chars().take(80).collect();
    Failure::invalid_request(format!("aggregate `{}` has no command `{name}`", described.kind()))
}
