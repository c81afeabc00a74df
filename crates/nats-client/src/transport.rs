//! The client as a [`Transport`]: each call written, sent, and its reply read.

use async_nats::Subject;
use async_trait::async_trait;
use bytes::Bytes;
use chrono::Utc;
use headwater_core::call::{
    CallError, CallOptions, CommandReply, CommandRequest, EntityReply, GetRequest, HistoryReply, HistoryRequest,
    LiveEvents, QueryReply, QueryRequest, RequestMetadata, Transport,
};
use headwater_core::store::EventFilter;
use headwater_core::{CommandId, Name};
use headwater_nats::{reply, request};

use crate::NatsClient;
use crate::call::Stake;
use crate::client::Inner;
use crate::live;
use crate::outgoing::{self, Outgoing, TimeLimit};

impl Inner {
    fn outgoing(
        &self,
        subject: String,
        body: Bytes,
        metadata: &RequestMetadata,
        options: &CallOptions,
    ) -> Result<(Outgoing, TimeLimit), CallError> {
        let now = Utc::now();
        let time = TimeLimit::of(options, self.timeout, now)?;
        let headers = outgoing::headers(options, metadata, time, now)?;
        Ok((Outgoing { subject: Subject::from(subject), headers, body }, time))
    }
}

/// The checked name of a command or query; one that is none would reach another subject.
fn name(what: &str, name: &str) -> Result<Name, CallError> {
    Name::new(name.to_owned()).map_err(|error| CallError::NotSent(format!("{what}: {error}")))
}

fn not_json(error: &request::PayloadError) -> CallError {
    CallError::NotSent(error.to_string())
}

#[async_trait]
impl Transport for NatsClient {
    async fn command(&self, mut request: CommandRequest, options: &CallOptions) -> Result<CommandReply, CallError> {
        // Before the first try, so that all of them carry the same.
        let command_id = request.metadata.command_id.get_or_insert_with(CommandId::generate).clone();
        let aggregate = &request.aggregate;
        let subject = self.inner.subjects.command(aggregate.kind(), &name("command", &request.command)?);
        let body = request::write_command(&request, Utc::now()).map_err(|error| not_json(&error))?;
        let (outgoing, time) = self.inner.outgoing(subject, body, &request.metadata, options)?;
        let read = |message: &async_nats::Message| {
            reply::read_command(message.headers.as_ref(), &message.payload, aggregate, &command_id)
        };
        self.inner.call(&outgoing, Stake::Command(&command_id), time, read).await
    }

    async fn get(&self, request: GetRequest, options: &CallOptions) -> Result<EntityReply, CallError> {
        let aggregate = &request.aggregate;
        let subject = self.inner.subjects.get(aggregate.kind());
        let body = request::write_get(&request, Utc::now());
        let (outgoing, time) = self.inner.outgoing(subject, body, &request.metadata, options)?;
        let read =
            |message: &async_nats::Message| reply::read_entity(message.headers.as_ref(), &message.payload, aggregate);
        self.inner.call(&outgoing, Stake::Query, time, read).await
    }

    async fn history(&self, request: HistoryRequest, options: &CallOptions) -> Result<HistoryReply, CallError> {
        let aggregate = &request.aggregate;
        let subject = self.inner.subjects.history(aggregate.kind());
        let body = request::write_history(&request, Utc::now());
        let (outgoing, time) = self.inner.outgoing(subject, body, &request.metadata, options)?;
        let read =
            |message: &async_nats::Message| reply::read_history(message.headers.as_ref(), &message.payload, aggregate);
        self.inner.call(&outgoing, Stake::Query, time, read).await
    }

    async fn query(&self, request: QueryRequest, options: &CallOptions) -> Result<QueryReply, CallError> {
        let aggregate = &request.aggregate;
        let subject = self.inner.subjects.query(aggregate.kind(), &name("query", &request.query)?);
        let body = request::write_query(&request, Utc::now()).map_err(|error| not_json(&error))?;
        let (outgoing, time) = self.inner.outgoing(subject, body, &request.metadata, options)?;
        let read =
            |message: &async_nats::Message| reply::read_query(message.headers.as_ref(), &message.payload, aggregate);
        self.inner.call(&outgoing, Stake::Query, time, read).await
    }

    async fn live(&self, filter: EventFilter) -> Result<LiveEvents, CallError> {
        live::open(self.connection().clone(), self.inner.subjects.clone(), filter, self.inner.timeout).await
    }
}
