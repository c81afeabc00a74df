//! Endpoints: one for each command and query, with its counters, found by subject.

use std::collections::HashMap;
use std::sync::Arc;

use headwater_core::{AggregateType, Name};
use headwater_nats::discovery::{EndpointInfo, Metadata, metadata};
use headwater_nats::subject::{GET, HISTORY, Subjects};
use headwater_nats::telemetry::Method;
use tokio::sync::Semaphore;

use crate::counters::Counters;
use crate::limits::Limits;
use crate::queue_groups::QueueGroups;

/// What can be asked at one subject.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Its name in discovery, such as `command-receipt-add-item`.
    pub(crate) name: String,
    pub(crate) subject: String,
    /// The aggregate type.
    pub(crate) aggregate: Name,
    pub(crate) asks: Asks,
    pub(crate) metadata: Metadata,
    pub(crate) counters: Counters,
    /// The queue group that shares its requests; none when every instance answers.
    pub(crate) queue_group: Option<String>,
    /// Its queue group is not the service's: it has a subscription of its own.
    pub(crate) is_apart: bool,
    /// Places for its requests under way, where it has a limit of its own.
    pub(crate) places: Option<Arc<Semaphore>>,
    /// Its name and labels in traces and metrics.
    pub(crate) method: Method,
}

/// What a request at an endpoint asks for.
#[derive(Debug, Clone)]
pub(crate) enum Asks {
    Command(Name),
    Query(Question),
}

/// What a query asks.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    Get,
    History,
    Further(Name),
}

impl Asks {
    /// The last token of its subject.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Command(name) | Self::Query(Question::Further(name)) => name.as_str(),
            Self::Query(Question::Get) => GET,
            Self::Query(Question::History) => HISTORY,
        }
    }
}

/// All endpoints of a service. A request is looked up once, by its whole subject.
#[derive(Debug)]
pub(crate) struct Endpoints {
    listed: Vec<Arc<Endpoint>>,
    by_subject: HashMap<Box<str>, Arc<Endpoint>>,
}

impl Endpoints {
    /// The endpoints of the aggregate types, whose contract has this hash.
    pub(crate) fn of<'a>(
        subjects: &Subjects,
        types: impl Iterator<Item = &'a AggregateType>,
        contract: &str,
        limits: &Limits,
        groups: (&QueueGroups, Option<&str>),
    ) -> Self {
        let describe = Describe { subjects, contract, limits, groups };
        let listed: Vec<_> = types.flat_map(|described| describe.endpoints(described)).map(Arc::new).collect();
        let by_subject =
            listed.iter().map(|endpoint| (endpoint.subject.clone().into(), Arc::clone(endpoint))).collect();
        Self { listed, by_subject }
    }

    /// The endpoint that listens at `subject`.
    pub(crate) fn at(&self, subject: &str) -> Option<&Arc<Endpoint>> {
        self.by_subject.get(subject)
    }

    /// Those whose queue group is not the service's.
    pub(crate) fn apart(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.listed.iter().filter(|endpoint| endpoint.is_apart)
    }

    /// In the order in which discovery lists them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.listed.iter()
    }
}

impl Endpoint {
    /// What discovery says about it.
    pub(crate) fn info(&self) -> EndpointInfo {
        EndpointInfo {
            name: self.name.clone(),
            subject: self.subject.clone(),
            queue_group: self.queue_group.clone().unwrap_or_default(),
            metadata: self.metadata.clone(),
        }
    }
}

struct Describe<'a> {
    subjects: &'a Subjects,
    contract: &'a str,
    limits: &'a Limits,
    /// The groups of single endpoints, and that of the service.
    groups: (&'a QueueGroups, Option<&'a str>),
}

impl Describe<'_> {
    fn endpoints(&self, described: &AggregateType) -> Vec<Endpoint> {
        let kind = described.kind();
        let commands = described.commands().map(|command| {
            let name = command.name();
            let schemas = [format!("commands/{name}/request"), "result".to_owned()];
            self.endpoint(
                "command",
                kind,
                name.as_str(),
                self.subjects.command(kind, name),
                Asks::Command(name.clone()),
                schemas,
            )
        });
        let query = |name: &str, subject: String, question| {
            let schemas = ["request", "response"].map(|part| format!("queries/{name}/{part}"));
            self.endpoint("query", kind, name, subject, Asks::Query(question), schemas)
        };
        let usual = [
            query(GET, self.subjects.get(kind), Question::Get),
            query(HISTORY, self.subjects.history(kind), Question::History),
        ];
        let further = described.queries().map(|further| {
            let name = further.name();
            query(name.as_str(), self.subjects.query(kind, name), Question::Further(name.clone()))
        });
        commands.chain(usual).chain(further).collect()
    }

    fn endpoint(
        &self,
        word: &str,
        kind: &Name,
        name: &str,
        subject: String,
        asks: Asks,
        [request, response]: [String; 2],
    ) -> Endpoint {
        let schema = |part: String| format!("{}#/aggregates/{kind}/{part}", self.subjects.schema());
        let metadata = [
            (metadata::KIND, word.to_owned()),
            (metadata::AGGREGATE, kind.to_string()),
            (metadata::REQUEST_SCHEMA, schema(request)),
            (metadata::RESPONSE_SCHEMA, schema(response)),
            (metadata::CONTRACT, self.contract.to_owned()),
        ];
        let (groups, usual) = self.groups;
        let (queue_group, is_apart) = groups.group_of(kind, &asks, usual);
        Endpoint {
            name: format!("{word}-{kind}-{name}"),
            subject,
            aggregate: kind.clone(),
            queue_group,
            is_apart,
            places: self.limits.places_of(kind.as_str(), &asks),
            asks,
            metadata: metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            counters: Counters::default(),
            method: Method::new(self.subjects.service().as_str(), kind.as_str(), name),
        }
    }
}
