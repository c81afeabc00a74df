//! The dispatcher as a transport: the same typed client, with no server between.

use async_trait::async_trait;
use futures_util::StreamExt;

use super::{Deadline, Dispatcher};
use crate::call::{
    CallError, CallOptions, CommandReply, CommandRequest, EntityReply, GetRequest, HistoryReply, HistoryRequest,
    LiveEvent, LiveEvents, LostReply, QueryReply, QueryRequest, Transport,
};
use crate::store::{EventFilter, StartFrom};
use crate::{CommandId, Failure, FailureCode};

impl Dispatcher {
    fn deadline(&self, options: &CallOptions) -> Deadline {
        let timeout = options.timeout.unwrap_or(self.inner.settings.timeout);
        // A deadline in the past is no time at all, not an error: the call answers that it is too late.
        let remaining =
            options.deadline.map(|deadline| (deadline - self.inner.clock.now()).to_std().unwrap_or_default());
        Deadline::now() + remaining.map_or(timeout, |remaining| remaining.min(timeout))
    }
}

#[async_trait]
impl Transport for Dispatcher {
    async fn command(&self, mut request: CommandRequest, options: &CallOptions) -> Result<CommandReply, CallError> {
        let command_id = request.metadata.command_id.get_or_insert_with(CommandId::generate).clone();
        let deadline = self.deadline(options);
        self.execute(request, deadline).await.map_err(|failure| match failure.code {
            FailureCode::OutcomeUnknown => CallError::OutcomeUnknown { command_id, cause: LostReply::Service },
            _ => CallError::Failed(failure),
        })
    }

    async fn get(&self, request: GetRequest, options: &CallOptions) -> Result<EntityReply, CallError> {
        Ok(Self::get(self, request, self.deadline(options)).await?)
    }

    async fn history(&self, request: HistoryRequest, options: &CallOptions) -> Result<HistoryReply, CallError> {
        Ok(Self::history(self, request, self.deadline(options)).await?)
    }

    async fn query(&self, request: QueryRequest, options: &CallOptions) -> Result<QueryReply, CallError> {
        Ok(Self::query(self, request, self.deadline(options)).await?)
    }

    async fn live(&self, filter: EventFilter) -> Result<LiveEvents, CallError> {
        let events = self.store().subscribe(filter, StartFrom::Now).await;
        let events = events.map_err(|error| Failure::unavailable("store", error.to_string()))?;
        let live = events.map(|event| match event {
            Ok(event) => LiveEvent::Event(Box::new(event)),
            Err(error) => LiveEvent::Unreadable(Failure::internal(error.to_string())),
        });
        Ok(live.boxed())
    }
}
