//! Calls that carry a command.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::settings::{CallSettings, call_settings};
use super::{AggregateClient, ExecuteError, aggregate_id};
use crate::call::{CallError, CommandReply, CommandRequest, EventSummary, ReturnMode, Transport};
use crate::{Aggregate, CommandId, Revision, Sequence};

/// A command that is sent when awaited.
///
/// Before the first try it gets a command id, unless it was given one, and every retry carries
/// the same: however often it is sent, it takes effect once.
#[must_use = "a call is made when it is awaited"]
pub struct CommandCall<A> {
    transport: Arc<dyn Transport>,
    settings: CallSettings,
    request: Result<CommandRequest, CallError>,
    aggregate: PhantomData<fn() -> A>,
}

/// A command call whose reply leaves the state out.
#[must_use = "a call is made when it is awaited"]
pub struct RevisionCall<A>(CommandCall<A>);

/// What a command did, with the state it left.
#[derive(Debug, Clone)]
pub struct Executed<A> {
    /// The aggregate's state right after the command.
    pub state: A,
    /// Its revision then.
    pub revision: Revision,
    /// The journal place of its last event then.
    pub sequence: Sequence,
    /// The events of the command.
    pub events: Vec<EventSummary>,
    /// The command's id.
    pub command_id: CommandId,
    /// The conversation it belonged to.
    pub correlation_id: Option<String>,
    /// Whether this is the answer to an earlier attempt at the same command.
    pub replayed: bool,
}

/// What a command did, without the state.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The aggregate's revision right after the command.
    pub revision: Revision,
    /// The journal place of its last event then.
    pub sequence: Sequence,
    /// The events of the command.
    pub events: Vec<EventSummary>,
    /// The command's id.
    pub command_id: CommandId,
    /// The conversation it belonged to.
    pub correlation_id: Option<String>,
    /// Whether this is the answer to an earlier attempt at the same command.
    pub replayed: bool,
}

impl<A: Aggregate> CommandCall<A> {
    pub(super) fn new(
        client: &AggregateClient<A>,
        id: &str,
        command: &'static str,
        payload: Result<Vec<u8>, serde_json::Error>,
    ) -> Self {
        let request = aggregate_id::<A>(id).and_then(|aggregate| {
            let payload = payload.map_err(|error| {
                CallError::NotSent(format!("the payload of `{command}` cannot be written as JSON: {error}"))
            })?;
            Ok(CommandRequest {
                aggregate,
                command: command.to_owned(),
                payload: payload.into(),
                expected_revision: None,
                return_mode: ReturnMode::Entity,
                metadata: client.settings.metadata.clone(),
            })
        });
        let transport = Arc::clone(&client.transport);
        Self { transport, settings: client.settings.clone(), request, aggregate: PhantomData }
    }

    call_settings!();

    /// The revision the caller decided on; the command is refused as a conflict when the
    /// aggregate has another. 0 means "must not exist yet".
    pub fn expected_revision(mut self, expected: impl Into<Revision>) -> Self {
        if let Ok(request) = &mut self.request {
            request.expected_revision = Some(expected.into());
        }
        self
    }

    /// The command's id; a new one by default. Sending the same command with the same id again
    /// brings the original outcome.
    pub fn command_id(mut self, command_id: CommandId) -> Self {
        self.settings.metadata.command_id = Some(command_id);
        self
    }

    /// Leaves the state out of the reply: cheaper where it is large and not needed.
    pub fn without_state(mut self) -> RevisionCall<A> {
        if let Ok(request) = &mut self.request {
            request.return_mode = ReturnMode::Revision;
        }
        RevisionCall(self)
    }

    async fn send(self) -> Result<CommandReply, ExecuteError<A::Rejection>> {
        let CallSettings { options, mut metadata } = self.settings;
        metadata.command_id.get_or_insert_with(CommandId::generate);
        let request = CommandRequest { metadata, ..self.request? };
        Ok(self.transport.command(request, &options).await?)
    }
}

impl<A: Aggregate> IntoFuture for CommandCall<A> {
    type Output = Result<Executed<A>, ExecuteError<A::Rejection>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        async move {
            let reply = self.send().await?;
            let state = reply.state.as_ref().ok_or_else(|| unreadable("it shows no state"))?;
            Ok(Executed {
                state: read_state(state)?,
                revision: reply.revision,
                sequence: reply.sequence,
                events: reply.events,
                command_id: reply.command_id,
                correlation_id: reply.correlation_id,
                replayed: reply.replayed,
            })
        }
        .boxed()
    }
}

impl<A: Aggregate> IntoFuture for RevisionCall<A> {
    type Output = Result<Committed, ExecuteError<A::Rejection>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        async move {
            let reply = self.0.send().await?;
            Ok(Committed {
                revision: reply.revision,
                sequence: reply.sequence,
                events: reply.events,
                command_id: reply.command_id,
                correlation_id: reply.correlation_id,
                replayed: reply.replayed,
            })
        }
        .boxed()
    }
}

impl<A> std::fmt::Debug for CommandCall<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither the payload nor the headers: both may be private.
        let request = self.request.as_ref().map(|request| (&request.aggregate, &request.command));
        f.debug_struct("CommandCall").field("request", &request).finish_non_exhaustive()
    }
}

impl<A> std::fmt::Debug for RevisionCall<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The state in a reply, as its type.
pub(super) fn read_state<A: Aggregate>(state: &Bytes) -> Result<A, CallError> {
    serde_json::from_slice(state).map_err(|error| unreadable(&format!("the state of `{}`: {error}", A::TYPE)))
}

pub(super) fn unreadable(why: &str) -> CallError {
    CallError::Unreadable(why.to_owned())
}
