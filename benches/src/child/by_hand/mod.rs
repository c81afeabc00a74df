//! The hand-written program: the receipts service as a good engineer would write it for this one purpose on bare
//! async-nats, with no more than the purpose needs.
//!
//! It keeps the protocol's promises to its callers and stores the very same messages: same subjects, headers and bodies,
//! same expectation about where a history ends, an acknowledgement awaited before the reply. It shares the domain's types
//! with the service under test, so the domain's work is the same. What it does not have: JSON Schemas, command ids that
//! are recognised beyond JetStream's own window, queries beside `get`, discovery, statistics, deadlines, rebuilt
//! connections, settling of lost acknowledgements.
//!
//! - [`requests`], [`replies`]: the bodies of calls.
//! - [`stored`]: the bodies of events.
//! - [`receipts`]: receipts in memory; [`loading`]: how one gets there; [`append`]: how one changes.

mod append;
mod loading;
mod receipts;
mod replies;
mod requests;
mod stored;

use std::sync::Arc;

use async_nats::{Client, HeaderMap, Message, jetstream};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use loading::Loading;
use receipts::Receipts;
use requests::Problem;

use super::{NOTHING, serve_until_told};
use crate::Fallible;
use crate::harness::world::{connect, settled};

/// How many requests may be under way; further ones are refused.
const IN_FLIGHT: usize = 1024;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ByHand {
    pub(crate) url: String,
    pub(crate) service: String,
    /// How a receipt that is not in memory is read.
    pub(crate) loading: Loading,
    /// Whether receipts stay in memory. Without, every call loads its receipt.
    pub(crate) cache: bool,
    /// Whether commands on one receipt wait for each other. Without, they race, and whoever comes too late decides again.
    pub(crate) in_turn: bool,
}

/// What all requests share.
struct Program {
    service: String,
    stream: String,
    instance: String,
    callers: Client,
    jetstream: jetstream::Context,
    receipts: Receipts,
    loading: Loading,
    in_turn: bool,
    places: Arc<Semaphore>,
}

impl ByHand {
    pub(super) async fn run(self) -> Fallible<Value> {
        // One connection for callers and one for JetStream, as in the service under test; it was also found to be faster.
        let callers = connect(&self.url).await?;
        let program = Arc::new(Program {
            stream: crate::harness::journal::stream_of(&self.service)?,
            instance: uuid::Uuid::now_v7().simple().to_string(),
            callers: callers.clone(),
            jetstream: jetstream::new(connect(&self.url).await?),
            receipts: Receipts::new(self.cache),
            loading: self.loading,
            in_turn: self.in_turn,
            places: Arc::new(Semaphore::new(IN_FLIGHT)),
            service: self.service,
        });
        let service = &program.service;
        let commands = callers.queue_subscribe(format!("{service}.command.receipt.*"), "q".to_owned()).await?;
        let queries = callers.queue_subscribe(format!("{service}.query.receipt.get"), "q".to_owned()).await?;
        settled(&callers).await?;
        let mut requests = futures_util::stream::select(commands, queries);
        let taking = tokio::spawn({
            let program = Arc::clone(&program);
            async move {
                while let Some(request) = requests.next().await {
                    program.take(request).await;
                }
            }
        });
        serve_until_told().await?;
        taking.abort();
        // All places free again: everything under way is answered.
        let everything = u32::try_from(IN_FLIGHT)?;
        let _all = program.places.acquire_many(everything).await?;
        settled(&callers).await?;
        Ok(NOTHING)
    }
}

impl Program {
    /// Answers a request on a task of its own, or refuses it when there is no place.
    async fn take(self: &Arc<Self>, request: Message) {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => {
                tokio::spawn(Arc::clone(self).answer(request, place));
            }
            Err(_) => self.reply(request, Err(Problem::new(503, "unavailable", "too many requests"))).await,
        }
    }

    async fn answer(self: Arc<Self>, request: Message, _place: OwnedSemaphorePermit) {
        let asked = request.subject.rsplit('.').next().unwrap_or_default().to_owned();
        let body = match asked.as_str() {
            "get" => self.get(&request.payload).await,
            command => self.command(command, &request.payload).await,
        };
        self.reply(request, body).await;
    }

    async fn reply(&self, request: Message, body: Result<Vec<u8>, Problem>) {
        let Some(reply) = request.reply else { return };
        // Sending fails only when the client is closed, and then there is nobody to tell.
        let _ = match body {
            Ok(body) => self.callers.publish(reply, Bytes::from(body)).await,
            Err(problem) => {
                let mut headers = HeaderMap::new();
                headers.insert("Nats-Service-Error-Code", problem.number.to_string());
                headers.insert("Nats-Service-Error", problem.message.clone());
                let body = replies::failure(&problem, &self.instance);
                self.callers.publish_with_headers(reply, headers, Bytes::from(body)).await
            }
        };
    }

    async fn get(&self, body: &[u8]) -> Result<Vec<u8>, Problem> {
        let started = std::time::Instant::now();
        let request = requests::get(body)?;
        let receipt = self.receipt(&request.aggregate_id).await?;
        let receipt = receipt.lock().await;
        if receipt.revision == 0 {
            return Err(Problem::new(404, "not-found", "this receipt has no events"));
        }
        Ok(replies::entity(&request.aggregate_id, &receipt, &self.instance, started.elapsed()))
    }
}
