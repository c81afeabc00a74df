//! Queries: an aggregate's state now or earlier, its history, and the further queries of its type.

use bytes::Bytes;
use serde_json::Value;

use super::cache::Slot;
use super::entity::Entity;
use super::execute::within;
use super::load::read_failure;
use super::{Deadline, Dispatcher, Inner};
use crate::call::{EntityReply, GetRequest, HistoryReply, HistoryRequest, QueryReply, QueryRequest};
use crate::store::{Freshness, ReadOptions};
use crate::{AggregateId, AggregateType, Failure, Revision};

impl Dispatcher {
    /// An aggregate's state: the newest, or as of a revision or a time.
    ///
    /// # Errors
    /// `not-found` for an aggregate without events (then), `deadline-exceeded` when the minimal
    /// revision is not reached in time, and the other failures of the protocol.
    pub async fn get(&self, request: GetRequest, deadline: Deadline) -> Result<EntityReply, Failure> {
        within(deadline, "reading the aggregate", self.inner.get(request, deadline)).await
    }

    /// What [`get`](Self::get) would answer, if that is in memory and fresh enough to be shown without asking the store:
    /// the aggregate was confirmed within [`query_staleness`](super::DispatcherBuilder::query_staleness), or has the
    /// minimal revision that was asked for. None when it takes more than a look.
    #[must_use]
    pub fn get_now(&self, request: &GetRequest) -> Option<EntityReply> {
        self.inner.get_now(request)
    }

    /// A page of an aggregate's events.
    ///
    /// # Errors
    /// `not-found` for an aggregate without events, and the other failures of the protocol.
    pub async fn history(&self, request: HistoryRequest, deadline: Deadline) -> Result<HistoryReply, Failure> {
        within(deadline, "reading the history", self.inner.history(request)).await
    }

    /// Answers one of the further queries.
    ///
    /// # Errors
    /// `not-found` for an unknown query or an aggregate without events, `validation-failed` for a
    /// payload that breaks the query's schema, and the other failures of the protocol.
    pub async fn query(&self, request: QueryRequest, deadline: Deadline) -> Result<QueryReply, Failure> {
        within(deadline, "answering the query", self.inner.query(request, deadline)).await
    }
}

impl Inner {
    async fn get(&self, request: GetRequest, deadline: Deadline) -> Result<EntityReply, Failure> {
        let described = self.type_of(&request.aggregate)?;
        let aggregate = &request.aggregate;
        if let (Some(_), Some(_)) = (request.at_revision, request.at_time) {
            return Err(Failure::invalid_request("`atRevision` and `atTime` exclude each other"));
        }
        let slot = self.newest(described, aggregate, request.min_revision, deadline).await?;
        if request.at_revision.is_none() && request.at_time.is_none() {
            return self.shown(aggregate, slot);
        }
        if let Some(at) = request.at_revision {
            let newest = slot.lock().revision();
            if at > newest {
                return Err(Failure::not_found(format!(
                    "{aggregate} is at revision {newest}; there is no revision {at}"
                )));
            }
            if at == newest {
                return self.shown(aggregate, slot);
            }
        }
        let keep = |event: &crate::RecordedEvent| {
            request.at_revision.is_none_or(|at| event.revision <= at)
                && request.at_time.is_none_or(|at| event.event.time <= at)
        };
        let mut entity = self.replayed(described, aggregate, keep).await?;
        if entity.revision() == Revision::ZERO {
            return Err(Failure::not_found(format!("{aggregate} had no events then")));
        }
        entity_reply(aggregate, &mut entity)
    }

    fn get_now(&self, request: &GetRequest) -> Option<EntityReply> {
        if request.at_revision.is_some() || request.at_time.is_some() {
            return None;
        }
        let slot = self.cache.get(&request.aggregate)?;
        {
            let entity = slot.lock();
            let reached = request.min_revision.is_none_or(|at_least| entity.revision() >= at_least);
            if !reached || !self.is_fresh_enough(&entity, request.min_revision) {
                return None;
            }
        }
        let reply = self.shown(&request.aggregate, slot).ok()?;
        self.counters.cache_hits.add(1);
        Some(reply)
    }

    /// The aggregate as it is in memory.
    fn shown(&self, aggregate: &AggregateId, slot: Slot) -> Result<EntityReply, Failure> {
        let reply = entity_reply(aggregate, &mut slot.lock())?;
        // It may have grown by what is kept to be shown again.
        self.cache.put(aggregate, slot);
        Ok(reply)
    }

    async fn query(&self, request: QueryRequest, deadline: Deadline) -> Result<QueryReply, Failure> {
        let described = self.type_of(&request.aggregate)?;
        let query = described.query(&request.query).ok_or_else(|| {
            let name: String = request.query.chars().take(80).collect();
            Failure::not_found(format!("aggregate `{}` has no query `{name}`", described.kind()))
        })?;
        let payload: Value = serde_json::from_slice(&request.payload)
            .map_err(|error| Failure::invalid_request(format!("`query` is not JSON: {error}")))?;
        query.check(&payload)?;
        let slot = self.newest(described, &request.aggregate, request.min_revision, deadline).await?;
        let (answer, revision, sequence) = self.guarded(&request.aggregate, || {
            let entity = slot.lock();
            (query.answer(&*entity.state, &payload), entity.revision(), entity.head.sequence())
        })?;
        let answer = Bytes::from(answer?.to_string());
        Ok(QueryReply { aggregate: request.aggregate, revision, sequence, answer })
    }

    async fn history(&self, request: HistoryRequest) -> Result<HistoryReply, Failure> {
        self.type_of(&request.aggregate)?;
        let page = self.settings.history_page;
        let limit = request.limit.unwrap_or(page).min(page);
        if limit == 0 {
            return Err(Failure::invalid_request("`limit` is 0; a page has at least one event"));
        }
        let options = ReadOptions::after(request.after_revision).limit(limit).freshness(Freshness::Leader);
        let history = self.store.read(&request.aggregate, options).await.map_err(|error| read_failure(&error))?;
        let revision = history.head.revision();
        if revision == Revision::ZERO {
            return Err(no_events(&request.aggregate));
        }
        let next = history.events.last().map(|event| event.revision).filter(|last| *last < revision);
        Ok(HistoryReply { aggregate: request.aggregate, revision, events: history.events, next })
    }

    /// The aggregate at its newest revision, and not below `at_least`.
    async fn newest(
        &self,
        described: &AggregateType,
        aggregate: &AggregateId,
        at_least: Option<Revision>,
        deadline: Deadline,
    ) -> Result<Slot, Failure> {
        let was_cached = self.cache.get(aggregate).is_some();
        let slot = self.load(described, aggregate).await?;
        if was_cached && !self.is_fresh_enough(&slot.lock(), at_least) {
            let head = self.store.head(aggregate, Freshness::Fast).await.map_err(|error| read_failure(&error))?;
            if head.revision() > slot.lock().revision() {
                self.catch_up(described, aggregate, &slot, Freshness::Fast).await?;
            } else {
                slot.lock().confirmed = Deadline::now();
            }
        }
        if let Some(at_least) = at_least {
            self.wait_for(described, aggregate, &slot, at_least, deadline).await?;
        }
        let is_empty = || slot.lock().revision() == Revision::ZERO;
        // A replica that is behind may not have heard of it yet; the one that takes the writes has.
        if is_empty() {
            self.catch_up(described, aggregate, &slot, Freshness::Leader).await?;
        }
        if is_empty() { Err(no_events(aggregate)) } else { Ok(slot) }
    }

    /// Whether what is in memory will do: it has the revision the caller asked for, or it was the
    /// newest a moment ago that is short enough by the dispatcher's settings.
    fn is_fresh_enough(&self, entity: &Entity, at_least: Option<Revision>) -> bool {
        at_least.is_some_and(|at_least| entity.revision() >= at_least)
            || entity.confirmed.elapsed() < self.settings.query_staleness
    }
}

fn entity_reply(aggregate: &AggregateId, entity: &mut Entity) -> Result<EntityReply, Failure> {
    if entity.revision() == Revision::ZERO {
        return Err(no_events(aggregate));
    }
    Ok(EntityReply {
        aggregate: aggregate.clone(),
        revision: entity.revision(),
        sequence: entity.head.sequence(),
        state: entity.show(aggregate)?,
    })
}

fn no_events(aggregate: &AggregateId) -> Failure {
    Failure::not_found(format!("{aggregate} has no events"))
}
