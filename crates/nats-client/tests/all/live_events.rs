//! Live events: what a journal republishes, as a client's feed shows it.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::support;

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::{self, message::PublishMessage, stream};
use bytes::Bytes;
use chrono::Utc;
use futures_util::StreamExt;
use headwater_core::call::{CallError, LiveEvent, LiveEvents, Transport};
use headwater_core::store::EventFilter;
use headwater_core::{
    AggregateId, CommandId, EventId, FailureCode, JSON, Metadata, Name, NewEvent, RecordedEvent, Revision, Sequence,
};
use headwater_nats::connect::{ConnectionStatus, NatsConfig};
use headwater_nats::event::{self, Previous};
use headwater_nats::header;
use headwater_nats::subject::Subjects;
use headwater_nats_client::NatsClient;
use headwater_testkit::{FaultProxy, RawClient, TestServer, header_block, wait_until};
use support::{LONG, once, receipts};
use tokio::time::timeout;

fn name(text: &str) -> Name {
    Name::new(text.to_owned()).unwrap()
}

fn receipt(id: &str) -> AggregateId {
    AggregateId::new("receipt", id).unwrap()
}

/// A journal as the protocol has it, written to with plain async-nats.
struct Journal {
    client: async_nats::Client,
    context: jetstream::Context,
    subjects: Subjects,
}

impl Journal {
    async fn on(server: &TestServer) -> Self {
        let client = async_nats::connect(server.url()).await.unwrap();
        let context = jetstream::new(client.clone());
        let subjects = Subjects::new(receipts());
        context
            .create_stream(stream::Config {
                name: subjects.journal_stream(),
                subjects: vec![subjects.journal_all()],
                republish: Some(stream::Republish {
                    source: subjects.republish_source(),
                    destination: subjects.republish_destination(),
                    headers_only: false,
                }),
                ..stream::Config::default()
            })
            .await
            .unwrap();
        Self { client, context, subjects }
    }

    /// Stores the first event of `aggregate`.
    async fn store(&self, aggregate: &AggregateId, event: &str) -> Sequence {
        self.append(aggregate, event, Sequence::ZERO, Revision::new(1)).await.unwrap()
    }

    async fn append(
        &self,
        aggregate: &AggregateId,
        event: &str,
        last: Sequence,
        revision: Revision,
    ) -> Result<Sequence, PublishErrorKind> {
        let command = CommandId::generate();
        let event = NewEvent {
            id: EventId::derive(&command, aggregate, 0),
            name: name(event),
            schema_version: 1,
            time: Utc::now(),
            content_type: JSON.into(),
            data: Bytes::from_static(br#"{"name":"Coffee"}"#),
            metadata: Arc::new(Metadata::new(command)),
        };
        let previous: Vec<_> = (last > Sequence::ZERO).then_some(Previous::At(last)).into_iter().collect();
        let body = event::encode(self.subjects.service(), aggregate, revision, &event, &previous);
        let publish = PublishMessage::build()
            .payload(body)
            .header(header::EXPECTED_LAST_SUBJECT_SEQUENCE, last.to_string())
            .header(header::EXPECTED_LAST_SUBJECT_SEQUENCE_SUBJECT, self.subjects.journal_of(aggregate))
            .message_id(event.id.to_string());
        let ack = self.context.send_publish(self.subjects.journal(aggregate, &event.name), publish).await.unwrap();
        ack.await.map(|ack| Sequence::new(ack.sequence)).map_err(|error| error.kind())
    }

    /// Something that is no event, where events are shown.
    async fn garbage(&self, subject: &str, headers: &[(&str, &str)], body: &'static str) {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), (*value).into())).collect();
        self.client.publish_with_headers(subject.to_owned(), headers, body.into()).await.unwrap();
        self.client.flush().await.unwrap();
    }
}

async fn next(feed: &mut LiveEvents) -> LiveEvent {
    timeout(LONG, feed.next()).await.expect("an event within the deadline").expect("the feed goes on")
}

async fn event(feed: &mut LiveEvents) -> RecordedEvent {
    match next(feed).await {
        LiveEvent::Event(event) => *event,
        other => panic!("not an event: {other:?}"),
    }
}

#[tokio::test]
async fn a_committed_event_is_shown_whole_and_in_order() {
    let server = TestServer::start().await;
    let journal = Journal::on(&server).await;
    let client = once(&server.url()).await;
    let mut feed = client.live(EventFilter::all()).await.unwrap();
    let order = receipt("a.b *>🧾");
    let first = journal.store(&order, "item-added").await;
    let second = journal.append(&order, "item-removed", first, Revision::new(2)).await.unwrap();

    let shown = event(&mut feed).await;
    assert_eq!((&shown.aggregate, shown.revision, shown.sequence), (&order, Revision::new(1), first));
    assert_eq!((shown.event.name.as_str(), shown.event.schema_version), ("item-added", 1));
    assert_eq!(shown.event.data, r#"{"name":"Coffee"}"#);
    let shown = event(&mut feed).await;
    assert_eq!((shown.event.name.as_str(), shown.revision, shown.sequence), ("item-removed", Revision::new(2), second));
}

#[tokio::test]
async fn an_event_that_lost_the_race_is_never_shown() {
    let server = TestServer::start().await;
    let journal = Journal::on(&server).await;
    let mut feed = once(&server.url()).await.live(EventFilter::all()).await.unwrap();
    let first = journal.store(&receipt("1"), "item-added").await;
    let refused = journal.append(&receipt("1"), "item-removed", Sequence::ZERO, Revision::new(1)).await;
    assert_eq!(refused, Err(PublishErrorKind::WrongLastSequence));
    journal.append(&receipt("1"), "receipt-voided", first, Revision::new(2)).await.unwrap();
    assert_eq!(event(&mut feed).await.event.name, "item-added");
    assert_eq!(event(&mut feed).await.event.name, "receipt-voided");
}

#[tokio::test]
async fn a_feed_shows_what_its_filter_shows() {
    let server = TestServer::start().await;
    let journal = Journal::on(&server).await;
    let client = once(&server.url()).await;
    let (added, voided) = (name("item-added"), name("receipt-voided"));
    let filters = [
        EventFilter::all(),
        EventFilter::all().kind(name("receipt")),
        EventFilter::all().kind(name("receipt")).event(added.clone()),
        EventFilter::all().event(added.clone()).event(voided),
        EventFilter::all().event(added.clone()).event(added),
        EventFilter::all().aggregate(receipt("2")),
        EventFilter::all().aggregate(receipt("2").in_tenant("acme").unwrap()),
    ];
    let mut feeds = Vec::new();
    for filter in filters {
        feeds.push((filter.clone(), client.live(filter).await.unwrap()));
    }
    let invoice = AggregateId::new("invoice", "1").unwrap();
    let acme = receipt("2").in_tenant("acme").unwrap();
    for (aggregate, event) in [
        (receipt("1"), "item-added"),
        (receipt("2"), "item-removed"),
        (acme, "receipt-voided"),
        (invoice, "item-added"),
        (receipt("3"), "receipt-voided"),
    ] {
        journal.store(&aggregate, event).await;
    }
    for (filter, feed) in &mut feeds {
        let expected: &[u64] = match (&filter.aggregate, &filter.kind, filter.events.as_slice()) {
            (Some(aggregate), _, _) if aggregate.tenant().is_some() => &[3],
            (Some(_), _, _) => &[2],
            (None, Some(_), []) => &[1, 2, 3, 5],
            (None, Some(_), _) => &[1],
            (None, None, []) => &[1, 2, 3, 4, 5],
            (None, None, [one, other]) if one == other => &[1, 4],
            (None, None, _) => &[1, 3, 4, 5],
        };
        for sequence in expected {
            assert_eq!(event(feed).await.sequence, Sequence::new(*sequence), "{filter:?}");
        }
        let more = timeout(Duration::from_millis(50), feed.next()).await;
        assert!(more.is_err(), "{filter:?} also shows {more:?}");
    }
}

#[tokio::test]
async fn a_message_that_is_no_event_is_shown_as_such_and_the_feed_goes_on() {
    let server = TestServer::start().await;
    let journal = Journal::on(&server).await;
    let mut feed = once(&server.url()).await.live(EventFilter::all()).await.unwrap();
    let subject = "receipts.events.receipt.item-added";
    let stored = "receipts.journal.receipt.1.item-added";
    for (headers, body, why) in [
        (&[][..], "garbage", "it has no header `Nats-Sequence`"),
        (&[(header::SEQUENCE, "x"), (header::SUBJECT, stored)], "{}", "its header `Nats-Sequence` is not a number"),
        (&[(header::SEQUENCE, "7")], "{}", "it has no header `Nats-Subject`"),
        (&[(header::SEQUENCE, "7"), (header::SUBJECT, "elsewhere")], "{}", "the subject is not under"),
        (
            &[(header::SEQUENCE, "7"), (header::SUBJECT, "receipts.journal.receipt.1.item-removed")],
            "{}",
            "it is stored under another subject",
        ),
        (&[(header::SEQUENCE, "7"), (header::SUBJECT, stored)], "secret", "not a stored event"),
        (&[(header::SEQUENCE, "7"), (header::SUBJECT, stored)], r#"{"id":"secret"}"#, "not a stored event"),
    ] {
        journal.garbage(subject, headers, body).await;
        let LiveEvent::Unreadable(failure) = next(&mut feed).await else { panic!("it is no event: {why}") };
        assert!(failure.message.contains(why) && !failure.message.contains("secret"), "{failure}");
    }
    journal.store(&receipt("1"), "item-added").await;
    assert_eq!(event(&mut feed).await.aggregate, receipt("1"));
}

#[tokio::test]
async fn a_lost_connection_is_a_gap_and_the_feed_goes_on_by_itself() {
    let server = TestServer::start().await;
    let journal = Journal::on(&server).await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let client = once(&proxy.url()).await;
    let mut feed = client.live(EventFilter::all()).await.unwrap();
    journal.store(&receipt("1"), "item-added").await;
    assert_eq!(event(&mut feed).await.aggregate, receipt("1"));
    for id in ["2", "3"] {
        let mut statuses = client.connection().statuses();
        proxy.cut().await;
        let lost = |status: &ConnectionStatus| !status.is_connected();
        timeout(LONG, statuses.wait_for(lost)).await.unwrap().unwrap();
        assert!(matches!(next(&mut feed).await, LiveEvent::Gap));
        journal.store(&receipt(id), "item-added").await;
        assert_eq!(event(&mut feed).await.aggregate, receipt(id));
    }
}

#[tokio::test]
async fn a_frame_that_kills_the_library_is_a_gap_too() {
    let server = TestServer::start().await;
    let journal = Journal::on(&server).await;
    let client = once(&server.url()).await;
    let mut feed = client.live(EventFilter::all()).await.unwrap();
    let mut raw = RawClient::connect(server.address()).await.unwrap();
    raw.hpub("receipts.events.receipt.item-added", None, &header_block(b"Name: a\rb"), b"{}").await.unwrap();
    raw.ping().await.unwrap();
    assert!(matches!(next(&mut feed).await, LiveEvent::Gap));
    assert!(client.connection().generation() > 1, "the client was replaced");
    journal.store(&receipt("1"), "item-added").await;
    loop {
        match next(&mut feed).await {
            LiveEvent::Event(event) => break assert_eq!(event.aggregate, receipt("1")),
            LiveEvent::Gap => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_feed_ends_with_its_connection_and_unsubscribes_when_dropped() {
    let server = TestServer::start().await;
    let client = once(&server.url()).await;
    let subscriptions = async || {
        let page = server.monitor("/connz?subs=1").await.unwrap();
        let lists = page["connections"].as_array().unwrap().iter();
        let subjects =
            lists.flat_map(|connection| connection["subscriptions_list"].as_array().cloned().unwrap_or_default());
        subjects.filter(|subject| *subject == "receipts.events.*.*").count()
    };
    let feed = client.live(EventFilter::all()).await.unwrap();
    let mut other = client.live(EventFilter::all()).await.unwrap();
    assert_eq!(subscriptions().await, 2, "a subscription is in place when `live` returns");
    drop(feed);
    wait_until(LONG, "the server to forget the subscription", async || (subscriptions().await == 1).then_some(()))
        .await;
    client.connection().close().await;
    let end = async { while other.next().await.is_some() {} };
    timeout(LONG, end).await.expect("the feed ends");
    let refused = client.live(EventFilter::all()).await.err().unwrap();
    assert!(matches!(refused, CallError::Disconnected(_)), "{refused}");
}

#[tokio::test]
async fn a_feed_that_the_server_does_not_permit_is_refused_in_words() {
    let server = TestServer::with(|builder| {
        builder.config(
            r#"authorization { users = [
                { user: deaf, password: p, permissions: { subscribe: { deny: "receipts.>" } } }
            ] }"#,
        )
    })
    .await;
    let config = NatsConfig::new(&server.url()).user_and_password("deaf", "p");
    let client = NatsClient::connect(&config, "receipts").await.unwrap();
    let why = "does not permit us to subscribe to `receipts.events.*.*`";
    // The refusal may come right after the subscription was taken for made; then the feed shows it.
    match client.live(EventFilter::all()).await {
        Err(error) => assert!(error.to_string().contains(why), "{error}"),
        Ok(mut feed) => {
            let LiveEvent::Unreadable(failure) = next(&mut feed).await else { panic!("it is refused") };
            assert_eq!(failure.code, FailureCode::Forbidden);
            assert!(failure.message.contains(why), "{failure}");
        }
    }
}
