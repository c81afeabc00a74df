//! Callers who mean harm, or whose library does: nothing of theirs stops the service or reaches its journal.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::support;

use std::collections::HashSet;
use std::time::Duration;

use async_nats::jetstream;
use futures_util::StreamExt;
use headwater_testkit::{RawClient, header_block, wait_until};
use serde_json::{Value, json};
use support::{World, body, headers};
use tokio::time::{Instant, timeout};

const SOON: Duration = Duration::from_secs(10);

/// A stream that stores whatever is published under these subjects.
async fn stream(world: &World, name: &str, subject: &str) -> jetstream::stream::Stream {
    let context = jetstream::new(world.caller.client.clone());
    let config = jetstream::stream::Config { name: name.into(), subjects: vec![subject.into()], ..Default::default() };
    context.create_stream(config).await.expect("the stream is made")
}

async fn messages(stream: &mut jetstream::stream::Stream) -> u64 {
    stream.info().await.expect("the stream is there").state.messages
}

/// What an endpoint's statistics say beside ADR-32's numbers.
fn data(world: &World, endpoint: &str) -> Value {
    let stats = world.service.stats();
    let endpoint = stats.endpoints.into_iter().find(|found| found.name == endpoint).expect("the endpoint is listed");
    endpoint.data.expect("an endpoint has data")
}

#[tokio::test]
async fn an_answer_never_goes_into_the_journal_or_to_an_api() {
    let world = World::start().await;
    let mut journal = stream(&world, "TALLIES_JOURNAL", "tallies.journal.>").await;
    let mut precious = stream(&world, "PRECIOUS", "precious").await;
    world.caller.client.publish("precious", "data".into()).await.unwrap();
    let targets = [
        "tallies.journal.tally.a.added",
        "$JS.API.STREAM.DELETE.PRECIOUS",
        "$JS.API.STREAM.PURGE.PRECIOUS",
        "$JS.API.STREAM.INFO.PRECIOUS",
        "tallies.command.tally.add",
        "precious",
        "_INBOX",
        "_INBOXES.a",
    ];
    let subjects = [
        "tallies.command.tally.add",
        "tallies.command.tally.nothing",
        "tallies.query.tally.get",
        "tallies.schema",
        "tallies.health",
        "$SRV.PING",
        "$SRV.STATS.tallies",
    ];
    for subject in subjects {
        for target in targets {
            let request = body("a", &json!({ "amount": 1 }));
            world.caller.client.publish_with_reply(subject, target, request.into()).await.unwrap();
        }
    }
    let counted = async || {
        let strays = world.service.stats().strays;
        let refused = [data(&world, "command-tally-add"), data(&world, "query-tally-get")];
        let refused = refused.map(|data| data["refused_reply"].as_u64().unwrap());
        (refused == [8, 8] && strays.unknown == 8 && strays.unanswerable == 8 && strays.unasked == 32).then_some(())
    };
    wait_until(SOON, "every refusal counted", counted).await;
    // The service answers over one connection in order, so what it answered by mistake would be there by now.
    world.caller.command("b", "add", json!({ "amount": 1 })).await.result();
    assert_eq!(messages(&mut journal).await, 0);
    assert_eq!(messages(&mut precious).await, 1);
    assert_eq!(world.store.len(), 1, "a command whose answer nobody may have is not carried out");
}

#[tokio::test]
async fn a_command_without_a_reply_subject_is_not_carried_out_and_counted() {
    let world = World::start().await;
    world.caller.client.publish("tallies.command.tally.add", body("a", &json!({ "amount": 1 })).into()).await.unwrap();
    wait_until(SOON, "it counted", async || (data(&world, "command-tally-add")["no_reply"] == 1).then_some(())).await;
    assert!(world.store.is_empty());
}

#[tokio::test]
async fn a_stored_event_delivered_to_the_command_subscription_is_no_command() {
    let world = World::start().await;
    let stream = stream(&world, "OTHER", "other.>").await;
    let event = body("a", &json!({ "amount": 1 }));
    world.caller.client.publish("other.event", event.into()).await.unwrap();
    let consumer = jetstream::consumer::pull::Config { durable_name: Some("c".into()), ..Default::default() };
    stream.create_consumer(consumer).await.expect("the consumer is made");
    // The server sends the stored message to the "reply" subject, under its own subject.
    let next = "$JS.API.CONSUMER.MSG.NEXT.OTHER.c";
    world.caller.client.publish_with_reply(next, "tallies.command.tally.add", "".into()).await.unwrap();
    wait_until(SOON, "it counted", async || (world.service.stats().strays.foreign == 1).then_some(())).await;
    assert!(world.store.is_empty());
    world.caller.command("a", "add", json!({ "amount": 1 })).await.result();
}

#[tokio::test]
async fn sizes_above_the_limit_are_refused_and_those_at_it_are_not() {
    let world = World::start().await;
    let exactly = |length: usize| {
        let start = body("a", &json!({ "amount": 1 }));
        format!("{start}{}", " ".repeat(length - start.len()))
    };
    world.caller.ask("tallies.command.tally.add", exactly(64 * 1024)).await.result();
    let reply = world.caller.ask("tallies.command.tally.add", exactly(64 * 1024 + 1)).await;
    assert_eq!(reply.failure(413, "payload-too-large")["details"]["limit"], 65536);
    world.caller.ask("tallies.query.tally.get", exactly(64 * 1024 + 1)).await.failure(413, "payload-too-large");
    world.caller.ask("tallies.schema", exactly(64 * 1024 + 1)).await.failure(413, "payload-too-large");
}

#[tokio::test]
async fn a_hundred_thousand_levels_are_refused_before_they_are_parsed() {
    let limits = headwater_nats_service::Limits::default().max_body(1024 * 1024);
    let world = World::with(|service| service.limits(limits)).await;
    for bomb in ["[".repeat(100_000), r#"{"a":"#.repeat(100_000)] {
        let request = format!(r#"{{"aggregateId": "a", "command": {bomb}"#);
        world.caller.ask("tallies.command.tally.add", request.clone()).await.failure(400, "invalid-request");
        world.caller.ask("tallies.query.tally.get", request.clone()).await.failure(400, "invalid-request");
        world.caller.ask("tallies.schema", request).await.failure(400, "invalid-request");
    }
    let deep = format!(r#"{{"aggregateId": "a", "command": {}{}}}"#, "[".repeat(31), "]".repeat(31));
    world.caller.ask("tallies.command.tally.add", deep).await.failure(400, "validation-failed");
    let deeper = format!(r#"{{"aggregateId": "a", "command": {}{}}}"#, "[".repeat(32), "]".repeat(32));
    world.caller.ask("tallies.command.tally.add", deeper).await.failure(400, "invalid-request");
}

#[tokio::test]
async fn a_flood_of_headers_is_refused() {
    let world = World::start().await;
    let request = body("a", &json!({ "amount": 1 }));
    let mut hostile = RawClient::connect(world.server.address()).await.unwrap();
    hostile.subscribe("_INBOX.hostile.*", "1").await.unwrap();
    let many: String = (0..80_000).map(|line| format!("A{line}:\r\n")).collect();
    let long = format!("X-Long: {}", "x".repeat(9000));
    for (place, lines) in [many.trim_end(), long.as_str()].into_iter().enumerate() {
        let reply = format!("_INBOX.hostile.{place}");
        let block = header_block(lines.as_bytes());
        hostile.hpub("tallies.command.tally.add", Some(&reply), &block, request.as_bytes()).await.unwrap();
        let answer = hostile.message().await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer["error"]["code"], "payload-too-large", "{answer}");
    }
    assert!(world.store.is_empty());
    world.caller.command("a", "add", json!({ "amount": 1 })).await.result();
}

/// Frames that break the client which receives them, each in its own way.
const POISON: [(&str, &[u8]); 6] = [
    ("a bare CR in a value", b"Name: a\rb"),
    ("a bare LF in a value", b"Name: a\nb"),
    ("a line without a colon", b"no colon here"),
    ("a value that is not UTF-8", b"Name: \xff\xfe"),
    ("a space in a name", b"Na me: a"),
    ("a version that is none", b"Name: a\r\n\r\nNATS/9.9"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_kills_the_client_costs_at_most_two_seconds() {
    let world = World::start().await;
    world.caller.command("a", "add", json!({ "amount": 1 })).await.result();
    let mut revision = 1;
    for (what, lines) in POISON {
        for subject in ["tallies.command.tally.add", "tallies.query.tally.get", "$SRV.PING", "tallies.health"] {
            let mut hostile = RawClient::connect(world.server.address()).await.unwrap();
            hostile.hpub(subject, Some("_INBOX.hostile"), &header_block(lines), b"{}").await.unwrap();
            hostile.ping().await.unwrap();
            let sent = Instant::now();
            revision += 1;
            answered_again(&world, revision).await;
            assert!(sent.elapsed() < Duration::from_secs(2), "{what} on {subject}: {:?}", sent.elapsed());
        }
    }
    assert_eq!(world.store.len() as u64, revision, "each command that was sent is stored once");
    let connection = world.service.stats().connection;
    assert!(connection.rebuilds >= 4 && connection.reconnects >= 4, "the frames did no harm: {connection:?}");
}

/// Repeats one command under one id until it is answered.
async fn answered_again(world: &World, revision: u64) {
    let request = json!({
        "aggregateId": "a", "command": { "amount": 1 }, "metadata": { "commandId": format!("c-{revision}") },
    });
    let answered = async || {
        let asking = world.caller.try_ask("tallies.command.tally.add", headers([]), request.to_string());
        // Nobody may be listening for a moment, and what was on its way to the dead client is lost.
        let reply = timeout(Duration::from_millis(200), asking).await.ok()?.ok()?;
        assert_eq!(reply.result()["revision"], revision);
        Some(())
    };
    wait_until(SOON, "the answer", answered).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_around_a_poisoned_frame_is_answered_and_can_be_asked_for_again() {
    let world = World::start().await;
    let client = world.caller.client.clone();
    let inbox = client.new_inbox();
    let mut replies = client.subscribe(format!("{inbox}.*")).await.unwrap();
    let mut hostile = RawClient::connect(world.server.address()).await.unwrap();
    let request = |number: u64| {
        let request = json!({
            "aggregateId": number.to_string(), "command": { "amount": 1 }, "metadata": { "commandId": format!("c-{number}") },
        });
        request.to_string()
    };
    let number = |message: &async_nats::Message| message.subject.rsplit('.').next().unwrap().parse::<u64>().unwrap();
    let mut answered = HashSet::new();
    for place in 0..200 {
        let reply = format!("{inbox}.{place}");
        client.publish_with_reply("tallies.command.tally.add", reply, request(place).into()).await.unwrap();
        if place == 100 {
            // One at least has been taken in when the frame comes; most of the others are on their way.
            answered.insert(number(&timeout(SOON, replies.next()).await.expect("a reply").unwrap()));
            let block = header_block(b"Name: a\rb");
            hostile.hpub("tallies.command.tally.add", Some("_INBOX.hostile"), &block, b"{}").await.unwrap();
        }
    }
    while let Ok(Some(message)) = timeout(Duration::from_secs(2), replies.next()).await {
        // The others are told that nobody listens, or nothing at all.
        if message.status.is_none() {
            answered.insert(number(&message));
        }
    }
    assert_eq!(answered.len(), world.store.len(), "what was carried out was answered, in spite of the frame");
    for number in answered {
        let reply = world.caller.ask("tallies.command.tally.add", request(number)).await;
        assert_eq!(reply.result()["revision"], 1, "{number}");
        assert_eq!(reply.body["metadata"]["replayed"], true, "{number}");
    }
}
