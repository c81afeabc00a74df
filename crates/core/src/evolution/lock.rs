//! The lock: what released versions of a service have promised.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::compare::is_part_of;
use super::plain::plain;
use crate::AggregateType;
use crate::schema::schema_from;

/// What the released versions of a service have promised about its events, commands, rejections and
/// queries. States are no promise: they are folded anew.
///
/// A lock never forgets: [`updated`](Self::updated) adds what is new and keeps the rest. What was never
/// released, or is given up on purpose, is taken out of the file by hand.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SchemaLock {
    pub(super) aggregates: BTreeMap<String, Promises>,
}

/// What is promised about one aggregate type.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Promises {
    /// By name and schema version.
    #[serde(default)]
    pub(super) events: BTreeMap<String, BTreeMap<u32, Released>>,
    #[serde(default)]
    pub(super) commands: BTreeMap<String, Released>,
    #[serde(default)]
    pub(super) rejections: BTreeMap<String, Released>,
    #[serde(default)]
    pub(super) queries: BTreeMap<String, ReleasedQuery>,
}

/// What is promised about one query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleasedQuery {
    pub(super) request: Released,
    pub(super) answer: Released,
}

/// The schemas that something has had in released versions: the newest, and before it those that allow
/// something the newest does not mention.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Released {
    pub(super) earlier: Vec<Value>,
    pub(super) newest: Value,
}

impl Released {
    fn new(newest: Value) -> Self {
        Self { earlier: Vec::new(), newest }
    }

    /// All of them, the newest last.
    pub(super) fn all(&self) -> impl Iterator<Item = &Value> {
        self.earlier.iter().chain([&self.newest])
    }

    /// The same after a release with `schema`.
    fn and(&self, schema: Value) -> Self {
        if is_part_of(&self.newest, &schema) && is_part_of(&schema, &self.newest) {
            return self.clone();
        }
        let earlier = self.all().filter(|earlier| !is_part_of(earlier, &schema)).cloned().collect();
        Self { earlier, newest: schema }
    }
}

impl SchemaLock {
    /// What these aggregate types promise today.
    #[must_use]
    pub fn of(types: &[AggregateType]) -> Self {
        Self::default().updated(types)
    }

    /// The lock after a release of these aggregate types. It keeps every version of every event, and every
    /// name; where nothing changes but names of Rust types and descriptions, it stays as it is.
    #[must_use]
    pub fn updated(&self, types: &[AggregateType]) -> Self {
        let mut lock = self.clone();
        for described in types {
            lock.aggregates.entry(described.kind().to_string()).or_default().release(described);
        }
        lock
    }

    /// What these aggregate types promise that the lock does not hold yet, such as
    /// ``receipt: event `item-added` version 2``; empty when the lock is up to date.
    #[must_use]
    pub fn unlocked(&self, types: &[AggregateType]) -> Vec<String> {
        let updated = self.updated(types);
        let mut unlocked = Vec::new();
        for (kind, promises) in &updated.aggregates {
            let locked = self.aggregates.get(kind).cloned().unwrap_or_default();
            unlocked.extend(promises.beyond(&locked).into_iter().map(|part| format!("{kind}: {part}")));
        }
        unlocked
    }
}

impl Promises {
    fn release(&mut self, described: &AggregateType) {
        for event in described.events() {
            let versions = self.events.entry(event.name.to_string()).or_default();
            release(versions, event.schema_version, plain(&event.schema));
        }
        for command in described.commands() {
            release(&mut self.commands, command.name().to_string(), plain(command.schema()));
        }
        for rejection in described.rejections() {
            release(&mut self.rejections, rejection.name.to_owned(), plain(&schema_from(rejection.schema)));
        }
        for query in described.queries() {
            let (request, answer) = (plain(query.schema()), plain(query.answer_schema()));
            let name = query.name().to_string();
            let released = match self.queries.get(&name) {
                None => ReleasedQuery { request: Released::new(request), answer: Released::new(answer) },
                Some(old) => ReleasedQuery { request: old.request.and(request), answer: old.answer.and(answer) },
            };
            self.queries.insert(name, released);
        }
    }

    /// What is in here and not, or not the same, in `locked`.
    fn beyond(&self, locked: &Self) -> Vec<String> {
        let mut parts = Vec::new();
        for (name, versions) in &self.events {
            let locked = locked.events.get(name);
            let new = versions.iter().filter(|(version, now)| locked.and_then(|old| old.get(version)) != Some(now));
            parts.extend(new.map(|(version, _)| format!("event `{name}` version {version}")));
        }
        parts.extend(differing(&self.commands, &locked.commands, "command"));
        parts.extend(differing(&self.rejections, &locked.rejections, "rejection"));
        parts.extend(differing(&self.queries, &locked.queries, "query"));
        parts
    }
}

fn release<K: Ord>(released: &mut BTreeMap<K, Released>, name: K, schema: Value) {
    let now = match released.get(&name) {
        None => Released::new(schema),
        Some(before) => before.and(schema),
    };
    released.insert(name, now);
}

fn differing<T: PartialEq>(
    now: &BTreeMap<String, T>,
    locked: &BTreeMap<String, T>,
    what: &str,
) -> impl Iterator<Item = String> {
    now.iter().filter(|(name, now)| locked.get(*name) != Some(now)).map(move |(name, _)| format!("{what} `{name}`"))
}
