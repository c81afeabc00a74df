//! Where everything of a service is on NATS: its subjects and its JetStream names.

mod discovery;
mod parse;

use headwater_core::store::EventFilter;
use headwater_core::{AggregateId, Name};

pub use discovery::{DiscoveryTarget, Verb, discovery};
pub use parse::{CallKind, CallSubject, EventSubject, JournalSubject, SubjectError};

use crate::token;

/// The name of the query that every aggregate type has for its state.
pub const GET: &str = "get";

/// The name of the query that every aggregate type has for its recorded events.
pub const HISTORY: &str = "history";

/// The subjects and JetStream names of one service, made from its name.
///
/// ```
/// use headwater_core::{AggregateId, Name};
/// use headwater_nats::subject::Subjects;
///
/// let subjects = Subjects::new(Name::new("receipts")?);
/// let order = AggregateId::new("receipt", "order-1")?;
/// let added = Name::new("item-added")?;
/// assert_eq!(subjects.journal(&order, &added), "receipts.journal.receipt.order-1.item-added");
/// assert_eq!(subjects.parse_journal("receipts.journal.receipt.order-1.item-added")?.aggregate, order);
/// assert_eq!(subjects.journal_stream(), "RECEIPTS_JOURNAL");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subjects {
    service: Name,
    command: String,
    query: String,
    events: String,
    journal: String,
}

impl Subjects {
    /// The subjects of the service called `service`.
    #[must_use]
    pub fn new(service: Name) -> Self {
        let prefix = |room: &str| format!("{service}.{room}.");
        let (command, query, events, journal) =
            (prefix("command"), prefix("query"), prefix("events"), prefix("journal"));
        Self { service, command, query, events, journal }
    }

    /// The service's name.
    #[must_use]
    pub fn service(&self) -> &Name {
        &self.service
    }

    /// `{service}.command.{aggregate}.{command}`: where a command is sent.
    #[must_use]
    pub fn command(&self, aggregate: &Name, command: &Name) -> String {
        join(&self.command, [aggregate.as_str(), command.as_str()])
    }

    /// `{service}.query.{aggregate}.{query}`: where a query is sent; [`GET`] and [`HISTORY`] are
    /// queries too.
    #[must_use]
    pub fn query(&self, aggregate: &Name, query: &Name) -> String {
        join(&self.query, [aggregate.as_str(), query.as_str()])
    }

    /// `{service}.query.{aggregate}.get`.
    #[must_use]
    pub fn get(&self, aggregate: &Name) -> String {
        join(&self.query, [aggregate.as_str(), GET])
    }

    /// `{service}.query.{aggregate}.history`.
    #[must_use]
    pub fn history(&self, aggregate: &Name) -> String {
        join(&self.query, [aggregate.as_str(), HISTORY])
    }

    /// `{service}.command.>`: what an instance subscribes to for all commands.
    #[must_use]
    pub fn commands(&self) -> String {
        format!("{}>", self.command)
    }

    /// `{service}.query.>`: what an instance subscribes to for all queries.
    #[must_use]
    pub fn queries(&self) -> String {
        format!("{}>", self.query)
    }

    /// `{service}.events.{aggregate}.{event}`: the live feed of committed events, with a wildcard
    /// for each part that is absent.
    #[must_use]
    pub fn events(&self, aggregate: Option<&Name>, event: Option<&Name>) -> String {
        join(&self.events, [part(aggregate), part(event)])
    }

    /// `{service}.journal.{aggregate}.{id-token}.{event}`: where an event is stored.
    #[must_use]
    pub fn journal(&self, aggregate: &AggregateId, event: &Name) -> String {
        self.in_journal(aggregate, event.as_str())
    }

    /// `{service}.journal.{aggregate}.{id-token}.*`: the stored events of one aggregate. An
    /// append is guarded by the last sequence of this filter.
    #[must_use]
    pub fn journal_of(&self, aggregate: &AggregateId) -> String {
        self.in_journal(aggregate, "*")
    }

    /// `{service}.journal.{aggregate}.*.{event}`: the stored events of one type or name, with a
    /// wildcard for each part that is absent.
    #[must_use]
    pub fn journal_events(&self, aggregate: Option<&Name>, event: Option<&Name>) -> String {
        join(&self.journal, [part(aggregate), "*", part(event)])
    }

    /// The subjects under which all events that `filter` shows are stored, and no others: what a JetStream consumer is
    /// to filter by. None when the filter shows nothing at all.
    ///
    /// ```
    /// use headwater_core::Name;
    /// use headwater_core::store::EventFilter;
    /// use headwater_nats::subject::Subjects;
    ///
    /// let subjects = Subjects::new(Name::new("receipts")?);
    /// let voided = EventFilter::all().kind(Name::new("receipt")?).event(Name::new("voided")?);
    /// assert_eq!(subjects.journal_filters(&voided).unwrap(), ["receipts.journal.receipt.*.voided"]);
    /// # Ok::<(), headwater_core::NameError>(())
    /// ```
    #[must_use]
    pub fn journal_filters(&self, filter: &EventFilter) -> Option<Vec<String>> {
        let mut names: Vec<&Name> = filter.events.iter().collect();
        names.sort_unstable();
        names.dedup();
        let kind = filter.kind.as_ref();
        match &filter.aggregate {
            Some(aggregate) if kind.is_some_and(|kind| kind != aggregate.kind()) => None,
            Some(aggregate) if names.is_empty() => Some(vec![self.journal_of(aggregate)]),
            Some(aggregate) => Some(names.into_iter().map(|name| self.journal(aggregate, name)).collect()),
            None if names.is_empty() && kind.is_none() => Some(vec![self.journal_all()]),
            None if names.is_empty() => Some(vec![self.journal_events(kind, None)]),
            None => Some(names.into_iter().map(|name| self.journal_events(kind, Some(name))).collect()),
        }
    }

    /// `{service}.journal.>`: the subject of the journal stream. Never to be followed with a plain
    /// subscription, which also sees publishes that JetStream then refuses.
    #[must_use]
    pub fn journal_all(&self) -> String {
        format!("{}>", self.journal)
    }

    /// `{service}.health`.
    #[must_use]
    pub fn health(&self) -> String {
        format!("{}.health", self.service)
    }

    /// `{service}.info`.
    #[must_use]
    pub fn info(&self) -> String {
        format!("{}.info", self.service)
    }

    /// `{service}.stats`.
    #[must_use]
    pub fn stats(&self) -> String {
        format!("{}.stats", self.service)
    }

    /// `{service}.schema`.
    #[must_use]
    pub fn schema(&self) -> String {
        format!("{}.schema", self.service)
    }

    /// The journal's JetStream stream, such as `RECEIPTS_JOURNAL`.
    #[must_use]
    pub fn journal_stream(&self) -> String {
        format!("{}_JOURNAL", self.upper_case())
    }

    /// The key-value bucket of snapshots, such as `RECEIPTS_SNAPSHOTS`.
    #[must_use]
    pub fn snapshot_bucket(&self) -> String {
        format!("{}_SNAPSHOTS", self.upper_case())
    }

    /// What the journal stream republishes: every event.
    #[must_use]
    pub fn republish_source(&self) -> String {
        format!("{}*.*.*", self.journal)
    }

    /// Where the journal stream republishes to: the live feed, in the server's own notation.
    #[must_use]
    pub fn republish_destination(&self) -> String {
        format!("{}{{{{wildcard(1)}}}}.{{{{wildcard(3)}}}}", self.events)
    }

    fn upper_case(&self) -> String {
        self.service.as_str().replace('-', "_").to_ascii_uppercase()
    }

    fn in_journal(&self, aggregate: &AggregateId, event: &str) -> String {
        let kind = aggregate.kind().as_str();
        // Escapes may make the token longer; then the one allocation becomes two.
        let length = self.journal.len() + kind.len() + aggregate.id().len() + event.len() + 2;
        let mut subject = String::with_capacity(length + aggregate.tenant().map_or(0, |tenant| tenant.len() + 1));
        subject.push_str(&self.journal);
        subject.push_str(kind);
        subject.push('.');
        token::push_aggregate(&mut subject, aggregate);
        subject.push('.');
        subject.push_str(event);
        subject
    }
}

fn part(name: Option<&Name>) -> &str {
    name.map_or("*", Name::as_str)
}

/// The prefix, which ends with a dot, and the tokens after it.
fn join<const N: usize>(prefix: &str, tokens: [&str; N]) -> String {
    let mut subject = String::with_capacity(prefix.len() + N + tokens.iter().map(|token| token.len()).sum::<usize>());
    subject.push_str(prefix);
    for (at, token) in tokens.into_iter().enumerate() {
        if at > 0 {
            subject.push('.');
        }
        subject.push_str(token);
    }
    subject
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text.to_owned()).unwrap()
    }

    #[test]
    fn subjects_are_the_protocols() {
        let subjects = Subjects::new(name("till-receipts"));
        let (kind, event) = (name("receipt"), name("item-added"));
        let order = AggregateId::new("receipt", "a.b").unwrap();
        let acme = order.clone().in_tenant("acme").unwrap();
        for (made, expected) in [
            (subjects.command(&kind, &name("add-item")), "till-receipts.command.receipt.add-item"),
            (subjects.query(&kind, &name("count")), "till-receipts.query.receipt.count"),
            (subjects.get(&kind), "till-receipts.query.receipt.get"),
            (subjects.history(&kind), "till-receipts.query.receipt.history"),
            (subjects.commands(), "till-receipts.command.>"),
            (subjects.queries(), "till-receipts.query.>"),
            (subjects.events(Some(&kind), Some(&event)), "till-receipts.events.receipt.item-added"),
            (subjects.events(None, None), "till-receipts.events.*.*"),
            (subjects.journal(&order, &event), "till-receipts.journal.receipt.a%2Eb.item-added"),
            (subjects.journal(&acme, &event), "till-receipts.journal.receipt.acme=a%2Eb.item-added"),
            (subjects.journal_of(&order), "till-receipts.journal.receipt.a%2Eb.*"),
            (subjects.journal_events(Some(&kind), None), "till-receipts.journal.receipt.*.*"),
            (subjects.journal_events(None, Some(&event)), "till-receipts.journal.*.*.item-added"),
            (subjects.journal_all(), "till-receipts.journal.>"),
            (subjects.health(), "till-receipts.health"),
            (subjects.info(), "till-receipts.info"),
            (subjects.stats(), "till-receipts.stats"),
            (subjects.schema(), "till-receipts.schema"),
            (subjects.journal_stream(), "TILL_RECEIPTS_JOURNAL"),
            (subjects.snapshot_bucket(), "TILL_RECEIPTS_SNAPSHOTS"),
            (subjects.republish_source(), "till-receipts.journal.*.*.*"),
            (subjects.republish_destination(), "till-receipts.events.{{wildcard(1)}}.{{wildcard(3)}}"),
        ] {
            assert_eq!(made, expected);
        }
    }

    #[test]
    fn a_filter_becomes_the_subjects_of_what_it_shows() {
        let subjects = Subjects::new(name("receipts"));
        let one = AggregateId::new("receipt", "a.b").unwrap();
        let all = EventFilter::all;
        for (filter, expected) in [
            (all(), vec!["receipts.journal.>"]),
            (all().kind(name("receipt")), vec!["receipts.journal.receipt.*.*"]),
            (all().event(name("voided")), vec!["receipts.journal.*.*.voided"]),
            (
                all().kind(name("receipt")).event(name("voided")).event(name("added")).event(name("voided")),
                vec!["receipts.journal.receipt.*.added", "receipts.journal.receipt.*.voided"],
            ),
            (all().aggregate(one.clone()), vec!["receipts.journal.receipt.a%2Eb.*"]),
            (all().aggregate(one.clone()).kind(name("receipt")), vec!["receipts.journal.receipt.a%2Eb.*"]),
            (all().aggregate(one.clone()).event(name("added")), vec!["receipts.journal.receipt.a%2Eb.added"]),
        ] {
            assert_eq!(subjects.journal_filters(&filter).unwrap(), expected);
        }
        assert_eq!(subjects.journal_filters(&all().aggregate(one).kind(name("invoice"))), None);
    }
}
