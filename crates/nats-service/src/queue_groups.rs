//! Queue groups of single aggregate types, commands and queries.

use std::collections::{BTreeMap, BTreeSet};

use headwater_core::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::endpoint::{Asks, Endpoints};
use crate::problem::Problems;

/// The queue groups of single aggregate types, commands and queries, and queries that every instance answers; handed to
/// [`Service::queue_groups`](crate::Service::queue_groups). Whatever is not named here has the service's
/// [`queue_group`](crate::Service::queue_group); of several names for one endpoint the narrowest holds.
///
/// ```
/// use headwater_nats_service::QueueGroups;
///
/// let groups = QueueGroups::default()
///     .aggregate("receipt", "tills")
///     .command("receipt.import", "importers")
///     .broadcast("receipt.cached");
/// ```
///
/// The same as TOML:
///
/// ```toml
/// [queue_groups]
/// aggregates = { receipt = "tills" }
/// commands = { "receipt.import" = "importers" }
/// broadcast = ["receipt.cached"]
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[must_use]
pub struct QueueGroups {
    /// Of all commands and queries of an aggregate type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    aggregates: BTreeMap<String, String>,
    /// Of single commands, as `aggregate.command`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    commands: BTreeMap<String, String>,
    /// Of single queries, as `aggregate.query`, `get` and `history` included.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    queries: BTreeMap<String, String>,
    /// Queries, as `aggregate.query`, that every instance answers.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    broadcast: BTreeSet<String>,
}

impl QueueGroups {
    /// The group of all commands and queries of an aggregate type.
    pub fn aggregate(mut self, kind: impl Into<String>, group: impl Into<String>) -> Self {
        self.aggregates.insert(kind.into(), group.into());
        self
    }

    /// The group of one command, as `aggregate.command`.
    pub fn command(mut self, name: impl Into<String>, group: impl Into<String>) -> Self {
        self.commands.insert(name.into(), group.into());
        self
    }

    /// The group of one query, as `aggregate.query`.
    pub fn query(mut self, name: impl Into<String>, group: impl Into<String>) -> Self {
        self.queries.insert(name.into(), group.into());
        self
    }

    /// Every instance answers this query, given as `aggregate.query`; the caller collects the answers.
    pub fn broadcast(mut self, name: impl Into<String>) -> Self {
        self.broadcast.insert(name.into());
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The group of an endpoint of a service whose group is `usual`, and whether it differs from that.
    pub(crate) fn group_of(&self, kind: &Name, asks: &Asks, usual: Option<&str>) -> (Option<String>, bool) {
        let name = format!("{kind}.{}", asks.name());
        let own = match asks {
            Asks::Query(_) if self.broadcast.contains(&name) => Some(None),
            Asks::Query(_) => self.queries.get(&name).map(Some),
            Asks::Command(_) => self.commands.get(&name).map(Some),
        };
        let group = own.or_else(|| self.aggregates.get(kind.as_str()).map(Some));
        match group {
            None => (usual.map(str::to_owned), false),
            Some(group) => (group.cloned(), group.map(String::as_str) != usual),
        }
    }

    pub(crate) fn check(&self, endpoints: &Endpoints, problems: &mut Problems) {
        let has = |wanted: &dyn Fn(&str, &Asks) -> bool| {
            endpoints.iter().any(|endpoint| wanted(endpoint.aggregate.as_str(), &endpoint.asks))
        };
        for kind in self.aggregates.keys() {
            if !has(&|known, _| known == kind) {
                problems.add("queue_groups.aggregates", kind, "is no aggregate type of the service");
            }
        }
        let is = |name: &str, kind: &str, asks: &Asks| name == format!("{kind}.{}", asks.name());
        for name in self.commands.keys() {
            if !has(&|kind, asks| matches!(asks, Asks::Command(_)) && is(name, kind, asks)) {
                problems.add("queue_groups.commands", name, "is no `aggregate.command` of the service");
            }
        }
        for (setting, name) in (self.queries.keys().map(|name| ("queue_groups.queries", name)))
            .chain(self.broadcast.iter().map(|name| ("queue_groups.broadcast", name)))
        {
            if !has(&|kind, asks| matches!(asks, Asks::Query(_)) && is(name, kind, asks)) {
                problems.add(setting, name, "is no `aggregate.query` of the service");
            }
        }
        for name in self.queries.keys().filter(|name| self.broadcast.contains(*name)) {
            problems.add("queue_groups.broadcast", name, "has a group in queue_groups.queries");
        }
        for group in self.aggregates.values().chain(self.commands.values()).chain(self.queries.values()) {
            check_name("queue_groups", group, problems);
        }
    }
}

/// Whether the server takes this name of a queue group.
pub(crate) fn check_name(setting: &str, group: &str, problems: &mut Problems) {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'*' | b'>');
    let fits = group.len() <= 128 && group.split('.').all(|token| !token.is_empty()) && group.bytes().all(plain);
    if !fits {
        problems.add(setting, &group, "must be tokens of printable ASCII joined by dots, without wildcards");
    }
}
