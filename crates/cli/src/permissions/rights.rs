//! What each role publishes and subscribes to.

use std::fmt;

use clap::ValueEnum;
use headwater_core::Name;
use headwater_nats::connect::NatsConfig;
use headwater_nats::subject::{Subjects, Verb};
use serde::Serialize;

/// What a user is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    /// Answers calls, writes its journal and its snapshots
    Service,
    /// Sends commands and queries, and follows live events
    Client,
    /// Reads the journal
    Reader,
    /// Reads the journal with the durables named, and keeps a read model in a bucket
    Projector,
    /// Looks after the service's streams
    Admin,
    /// Asks which services there are and how they are
    Discovery,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Service => "service",
            Self::Client => "client",
            Self::Reader => "reader",
            Self::Projector => "projector",
            Self::Admin => "admin",
            Self::Discovery => "discovery",
        })
    }
}

/// Where answers and JetStream are, as the user's connection has it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    inbox: String,
    api: String,
}

impl Place {
    pub(crate) fn of(config: &NatsConfig) -> Self {
        let inbox = config.inbox_prefix.clone().unwrap_or_else(|| "_INBOX".to_owned());
        let api = match (&config.jetstream.domain, &config.jetstream.api_prefix) {
            (Some(domain), _) => format!("$JS.{domain}.API"),
            (None, Some(prefix)) => prefix.clone(),
            (None, None) => "$JS.API".to_owned(),
        };
        Self { inbox, api }
    }

    /// A bucket's own subject. Behind a domain or a prefix, writing goes through the API's.
    fn kv(&self, bucket: &str) -> String {
        let subject = format!("$KV.{bucket}.>");
        if self.api == "$JS.API" { subject } else { format!("{}.{subject}", self.api) }
    }
}

/// A subject with the reason why it is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Right {
    pub(crate) subject: String,
    pub(crate) why: &'static str,
}

/// How replies are permitted: to whoever asked, and nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Responses {
    pub(crate) max: u32,
    /// Seconds. No request takes longer to be answered.
    pub(crate) expires: u64,
}

/// All that a user of one role needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Rights {
    pub(crate) role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<String>,
    pub(crate) publish: Vec<Right>,
    pub(crate) subscribe: Vec<Right>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) responses: Option<Responses>,
}

impl Rights {
    fn none(role: Role, service: Option<&Name>, place: &Place) -> Self {
        let service = service.map(ToString::to_string);
        let mut rights = Self { role, service, publish: Vec::new(), subscribe: Vec::new(), responses: None };
        rights.listens(format!("{}.>", place.inbox), "answers");
        rights
    }

    fn sends(&mut self, subject: String, why: &'static str) {
        if self.publish.iter().all(|right| right.subject != subject) {
            self.publish.push(Right { subject, why });
        }
    }

    fn asks(&mut self, place: &Place, verb: &str, why: &'static str) {
        self.sends(format!("{}.{verb}", place.api), why);
    }

    fn listens(&mut self, subject: String, why: &'static str) {
        self.subscribe.push(Right { subject, why });
    }

    /// An instance of a service with its journal and its snapshots in JetStream.
    pub(crate) fn service(service: &Name, place: &Place, creates: bool) -> Self {
        let subjects = Subjects::new(service.clone());
        let (journal, bucket) = (subjects.journal_stream(), subjects.snapshot_bucket());
        let snapshots = format!("KV_{bucket}");
        let mut rights = Self::none(Role::Service, Some(service), place);
        rights.sends(subjects.republish_source(), "append events");
        rights.stream(place, &journal, creates, "look at the journal's stream", "create the journal's stream");
        rights.asks(place, &format!("DIRECT.GET.{journal}"), "look events up");
        rights.asks(place, &format!("STREAM.MSG.GET.{journal}"), "look events up at the leader");
        // Of one aggregate: a query that waits for a revision follows it.
        let one = format!("CONSUMER.CREATE.{journal}.*.{}", subjects.republish_source());
        rights.asks(place, &one, "follow an aggregate until a revision is reached");
        rights.asks(place, &format!("CONSUMER.MSG.NEXT.{journal}.*"), "follow an aggregate");
        rights.asks(place, &format!("CONSUMER.DELETE.{journal}.*"), "stop following an aggregate");
        rights.stream(place, &snapshots, creates, "look at the bucket of snapshots", "create the bucket of snapshots");
        rights.asks(place, &format!("DIRECT.GET.{snapshots}.$KV.{bucket}.>"), "load snapshots");
        rights.sends(place.kv(&bucket), "save snapshots");
        rights.listens(subjects.commands(), "commands");
        rights.listens(subjects.queries(), "queries");
        for subject in [subjects.health(), subjects.info(), subjects.stats(), subjects.schema()] {
            rights.listens(subject, "questions about the service");
        }
        for subject in discovery(Some(service)) {
            rights.listens(subject, "discovery");
        }
        rights.responses = Some(Responses { max: 1, expires: 120 });
        rights
    }

    /// A program that calls the service.
    pub(crate) fn client(service: &Name, place: &Place) -> Self {
        let subjects = Subjects::new(service.clone());
        let mut rights = Self::none(Role::Client, Some(service), place);
        rights.sends(subjects.commands().replace('>', "*.*"), "send commands");
        rights.sends(subjects.queries().replace('>', "*.*"), "send queries");
        rights.sends(subjects.schema(), "read the contract");
        rights.listens(subjects.events(None, None), "live events");
        rights
    }

    /// A program that reads the journal. With names, only with durable readers of these names.
    pub(crate) fn reader(service: &Name, place: &Place, durables: &[Name]) -> Self {
        let mut rights = Self::none(Role::Reader, Some(service), place);
        rights.reads(service, place, durables);
        rights.listens(Subjects::new(service.clone()).events(None, None), "live events");
        rights
    }

    /// A program that builds a read model from the journal.
    pub(crate) fn projector(service: &Name, place: &Place, durables: &[Name], buckets: &[String]) -> Self {
        let mut rights = Self::none(Role::Projector, Some(service), place);
        rights.reads(service, place, durables);
        if !buckets.is_empty() {
            rights.asks(place, "INFO", "see JetStream's limits, as clients do before they create a bucket");
        }
        for bucket in buckets {
            let stream = format!("KV_{bucket}");
            rights.stream(place, &stream, true, "look at the read model's bucket", "create the read model's bucket");
            rights.asks(place, &format!("DIRECT.GET.{stream}.$KV.{bucket}.>"), "read the read model");
            rights.asks(place, &format!("STREAM.MSG.GET.{stream}"), "read the read model at the leader");
            rights.sends(place.kv(bucket), "write the read model");
        }
        rights
    }

    /// Whoever looks after the streams of the service.
    pub(crate) fn admin(service: &Name, place: &Place, further: &[String]) -> Self {
        let subjects = Subjects::new(service.clone());
        let mut rights = Self::none(Role::Admin, Some(service), place);
        for verb in ["INFO", "STREAM.NAMES", "STREAM.LIST"] {
            rights.asks(place, verb, "list streams, see limits");
        }
        let own = [subjects.journal_stream(), format!("KV_{}", subjects.snapshot_bucket())];
        for stream in own.iter().chain(further) {
            rights.asks(place, &format!("STREAM.*.{stream}"), "create, change, back up, restore, delete");
            rights.asks(place, &format!("CONSUMER.*.{stream}"), "list consumers");
            rights.asks(place, &format!("CONSUMER.*.{stream}.>"), "create, change, delete consumers");
            rights.sends(format!("$JS.SNAPSHOT.ACK.{stream}.>"), "take what a backup sends");
            rights.sends(format!("$JS.SNAPSHOT.RESTORE.{stream}.>"), "send what a restore takes");
        }
        rights.sends("$SYS.REQ.USER.INFO".to_owned(), "see the own permissions, for the doctor");
        rights
    }

    /// Whoever asks what services there are: one, or all of them.
    pub(crate) fn discovery(service: Option<&Name>, place: &Place) -> Self {
        let mut rights = Self::none(Role::Discovery, service, place);
        for subject in discovery(service) {
            rights.sends(subject, "discovery");
        }
        for question in ["health", "info", "stats", "schema"] {
            let service = service.map_or("*", Name::as_str);
            rights.sends(format!("{service}.{question}"), "ask one instance");
        }
        rights
    }

    fn stream(&mut self, place: &Place, stream: &str, creates: bool, look: &'static str, create: &'static str) {
        self.asks(place, &format!("STREAM.INFO.{stream}"), look);
        if creates {
            self.asks(place, &format!("STREAM.CREATE.{stream}"), create);
        }
    }

    fn reads(&mut self, service: &Name, place: &Place, durables: &[Name]) {
        let subjects = Subjects::new(service.clone());
        let journal = subjects.journal_stream();
        self.asks(place, &format!("STREAM.INFO.{journal}"), "see how far the journal reaches");
        let names: Vec<&str> =
            if durables.is_empty() { vec!["*"] } else { durables.iter().map(Name::as_str).collect() };
        for name in names {
            let consumer = format!("{journal}.{name}");
            self.asks(place, &format!("CONSUMER.INFO.{consumer}"), "find the consumer");
            self.asks(place, &format!("CONSUMER.CREATE.{consumer}"), "make it, with several filters");
            let filtered = format!("CONSUMER.CREATE.{consumer}.{}", subjects.journal_all());
            self.asks(place, &filtered, "make it, with one filter");
            self.asks(place, &format!("CONSUMER.MSG.NEXT.{consumer}"), "ask for events");
            self.asks(place, &format!("CONSUMER.UNPIN.{consumer}"), "let another reader take over at once");
            self.sends(format!("$JS.ACK.{consumer}.>"), "acknowledge events");
            // With the domain and the account before the stream, as servers may be told to write it.
            self.sends(format!("$JS.ACK.*.*.{consumer}.>"), "the same, in the longer form");
        }
        if durables.is_empty() {
            self.asks(place, &format!("CONSUMER.DELETE.{journal}.*"), "end a reading without a durable");
        }
    }
}

/// What discovery asks on: everybody, one service, one instance of it.
fn discovery(service: Option<&Name>) -> impl Iterator<Item = String> {
    let service = service.map_or("*", Name::as_str).to_owned();
    Verb::ALL.into_iter().flat_map(move |verb| {
        let verb = verb.as_str();
        [format!("$SRV.{verb}"), format!("$SRV.{verb}.{service}"), format!("$SRV.{verb}.{service}.*")]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(set: impl FnOnce(&mut NatsConfig)) -> Place {
        let mut config = NatsConfig::default();
        set(&mut config);
        Place::of(&config)
    }

    fn publishes(rights: &Rights) -> Vec<&str> {
        rights.publish.iter().map(|right| right.subject.as_str()).collect()
    }

    fn receipts() -> Name {
        Name::new("till-receipts").unwrap()
    }

    #[test]
    fn a_service_writes_its_own_journal_and_nobody_elses() {
        let rights = Rights::service(&receipts(), &place(|_| {}), true);
        let subjects = publishes(&rights);
        assert!(subjects.contains(&"till-receipts.journal.*.*.*"));
        assert!(subjects.contains(&"$JS.API.STREAM.CREATE.TILL_RECEIPTS_JOURNAL"));
        assert!(subjects.contains(&"$KV.TILL_RECEIPTS_SNAPSHOTS.>"));
        assert!(subjects.iter().all(|subject| subject.contains("till-receipts") || subject.contains("TILL_RECEIPTS")));
        assert!(!subjects.iter().any(|subject| subject.contains("UPDATE") || subject.contains("STREAM.DELETE")));
        let verifies = Rights::service(&receipts(), &place(|_| {}), false);
        assert!(!publishes(&verifies).iter().any(|subject| subject.contains("STREAM.CREATE")));
    }

    #[test]
    fn nobody_but_an_admin_may_touch_streams_and_nobody_but_a_service_may_reply() {
        let (service, place) = (receipts(), place(|_| {}));
        for rights in [
            Rights::client(&service, &place),
            Rights::reader(&service, &place, &[]),
            Rights::projector(&service, &place, &[Name::new("totals").unwrap()], &["TOTALS".to_owned()]),
            Rights::discovery(Some(&service), &place),
        ] {
            let journal = |subject: &&&str| subject.contains("_JOURNAL") && subject.contains("STREAM.");
            assert!(publishes(&rights).iter().filter(journal).all(|subject| subject.contains("STREAM.INFO")));
            assert!(publishes(&rights).iter().all(|subject| !subject.starts_with("till-receipts.journal")));
            assert_eq!(rights.responses, None);
        }
    }

    #[test]
    fn a_projector_is_held_to_its_durables() {
        let durables = [Name::new("totals").unwrap()];
        let rights = Rights::projector(&receipts(), &place(|_| {}), &durables, &[]);
        let consumers = |subject: &&&str| subject.contains("CONSUMER.") || subject.contains("$JS.ACK");
        assert!(
            publishes(&rights).iter().filter(consumers).all(|subject| subject.contains("TILL_RECEIPTS_JOURNAL.totals"))
        );
        assert!(!publishes(&rights).iter().any(|subject| subject.contains("DELETE")));
    }

    #[test]
    fn an_inbox_a_domain_and_a_prefix_are_heeded() {
        let leaf = place(|config| {
            config.inbox_prefix = Some("_INBOX_till".into());
            config.jetstream.domain = Some("leaf".into());
        });
        let rights = Rights::service(&receipts(), &leaf, true);
        assert_eq!(rights.subscribe[0].subject, "_INBOX_till.>");
        assert!(publishes(&rights).contains(&"$JS.leaf.API.STREAM.INFO.TILL_RECEIPTS_JOURNAL"));
        assert!(publishes(&rights).contains(&"$JS.leaf.API.$KV.TILL_RECEIPTS_SNAPSHOTS.>"));
        let imported = place(|config| config.jetstream.api_prefix = Some("JS.acme".into()));
        assert!(publishes(&Rights::admin(&receipts(), &imported, &[])).contains(&"JS.acme.INFO"));
    }
}
