//! What the server changes in place and what it does not: what a plan says beside what a real server does.

use headwater_nats_messaging::topology::{Action, Leave, TopologyError};
use serde_json::json;

use crate::topology_support::{World, topology, world};

/// Lines of a stream: before, after, and whether the server refuses the change.
const STREAMS: [(&str, &str, bool); 41] = [
    ("", "description = 'x'", false),
    ("retention = 'limits'", "retention = 'interest'", false),
    ("retention = 'interest'", "retention = 'limits'", false),
    ("retention = 'limits'", "retention = 'work-queue'", true),
    ("retention = 'work-queue'", "retention = 'interest'", true),
    ("", "max_age = '1h'", false),
    ("max_age = '1m'", "", false),
    ("", "max_age = '1m'", false),
    ("", "max_bytes = '1MiB'\nmax_messages = 5\nmax_messages_per_subject = 2\nmax_message_size = 1000", false),
    ("max_bytes = 10\nmax_messages = 5", "", false),
    ("max_consumers = 5", "max_consumers = 6", false),
    ("storage = 'file'", "storage = 'memory'", true),
    ("discard = 'old'", "discard = 'new'\ndiscard_new_per_subject = true\nmax_messages_per_subject = 1", false),
    ("duplicate_window = '1m'", "duplicate_window = '10m'", false),
    ("", "compression = 's2'", false),
    ("compression = 's2'", "", false),
    ("", "republish = { destination = 'live.>' }", false),
    ("republish = { destination = 'live.>' }", "republish = { destination = 'other.>', headers_only = true }", false),
    ("", "subject_transform = { source = 'x.>', destination = 'y.>' }", false),
    ("", "sources = [{ stream = 'ORIGIN' }]", false),
    ("sources = [{ stream = 'ORIGIN' }]", "", false),
    ("sources = [{ stream = 'ORIGIN' }]", "sources = [{ stream = 'ORIGIN', filter = 'origin.a' }]", false),
    ("", "no_ack = true", false),
    ("", "deny_delete = true\ndeny_purge = true", false),
    ("deny_delete = true", "", true),
    ("deny_purge = true", "", true),
    ("allow_rollup = true", "", false),
    ("", "allow_direct = true", false),
    ("", "allow_message_ttl = true", false),
    ("allow_message_ttl = true", "", true),
    ("allow_message_ttl = true", "subject_delete_marker_ttl = '5s'", false),
    ("", "allow_atomic_publish = true\nallow_batched_publish = true", false),
    ("allow_atomic_publish = true\nallow_batched_publish = true", "", false),
    ("", "allow_message_schedules = true", false),
    ("allow_message_schedules = true", "", true),
    ("", "allow_message_counter = true", true),
    ("", "persist_mode = 'async'", true),
    ("", "consumer_limits = { max_ack_pending = 10, inactive_threshold = '1h' }", false),
    ("metadata = { a = 'b' }", "metadata = { c = 'd' }", false),
    ("placement = { tags = ['a'] }", "", false),
    ("subject_delete_marker_ttl = '5s'", "subject_delete_marker_ttl = '6s'", false),
];

/// The same of a consumer.
const CONSUMERS: [(&str, &str, bool); 30] = [
    ("", "description = 'x'", false),
    ("filter = 'x.a'", "filter = ['x.b', 'x.c']", false),
    ("filter = ['x.b', 'x.c']", "", false),
    ("deliver = 'all'", "deliver = 'new'", true),
    ("start_sequence = 3", "start_sequence = 4", true),
    ("start_time = '2026-01-01T00:00:00Z'", "start_time = '2026-01-01T01:00:00+00:00'", true),
    ("ack = 'explicit'", "ack = 'all'", true),
    ("ack = 'none'", "ack = 'explicit'", true),
    ("ack_wait = '30s'", "ack_wait = '1m'", false),
    ("max_deliver = 3", "max_deliver = 4", false),
    ("max_deliver = 3", "", false),
    ("", "backoff = ['1s', '2s']", false),
    ("backoff = ['1s', '2s']", "", false),
    ("max_ack_pending = 10", "max_ack_pending = 'unlimited'", false),
    ("replay = 'instant'", "replay = 'original'", true),
    ("max_waiting = 10", "max_waiting = 20", true),
    ("", "max_batch = 10\nmax_expires = '5s'\nmax_bytes = '1KiB'", false),
    ("", "priority_policy = 'overflow'\npriority_groups = ['a']", false),
    ("", "priority_policy = 'pinned-client'\npriority_groups = ['a']", false),
    ("", "headers_only = true", false),
    ("", "inactive_threshold = '1h'", false),
    ("inactive_threshold = '1h'", "", false),
    ("", "memory_storage = true", true),
    ("", "sample = 50", false),
    ("metadata = { a = 'b' }", "metadata = { a = 'c' }", false),
    ("", "deliver_subject = 'd.a'", true),
    ("deliver_subject = 'd.a'", "", true),
    (
        "deliver_subject = 'd.a'\nrate_limit = 1000",
        "deliver_subject = 'd.b'\nrate_limit = 2000\ndeliver_group = 'g'",
        false,
    ),
    ("deliver_subject = 'd.a'\nheartbeat = '5s'", "deliver_subject = 'd.a'\nheartbeat = '6s'", true),
    (
        "deliver_subject = 'd.a'\nheartbeat = '5s'",
        "deliver_subject = 'd.a'\nheartbeat = '5s'\nflow_control = true",
        true,
    ),
];

fn stream(name: &str, subject: &str, lines: &str) -> String {
    format!("[[streams]]\nname = '{name}'\nsubjects = ['{subject}']\n{lines}\n")
}

fn consumer(name: &str, lines: &str) -> String {
    format!("{}[[consumers]]\nname = '{name}'\nstream = 'ORIGIN'\n{lines}\n", stream("ORIGIN", "x.>", ""))
}

#[tokio::test]
async fn what_the_server_refuses_to_change_of_a_stream_is_known_beforehand() {
    let world = world().await;
    if world.server.is_older_than((2, 15, 0)) {
        return;
    }
    world.create_stream(json!({ "name": "ORIGIN", "subjects": ["origin.>"] })).await;
    for (index, (before, after, is_refused)) in STREAMS.into_iter().enumerate() {
        let name = format!("S{index}");
        topology(&stream(&name, "x.>", before)).apply(&world.connection, Leave::none()).await.unwrap();
        let wanted = topology(&stream(&name, "x.>", after));
        let plan = wanted.plan(&world.connection).await.unwrap();
        let change = plan.changes.iter().find(|change| change.action != Action::Extra).unwrap();
        assert_eq!(change.action == Action::Replace, is_refused, "{before} -> {after}\n{plan}");
        if is_refused {
            // What the server itself says to the same change.
            let other = topology(&stream("TWIN", "twin.>", after));
            other.apply(&world.connection, Leave::none()).await.unwrap();
            let mut config = world.stream("TWIN").await["config"].clone();
            (config["name"], config["subjects"]) = (json!(name), json!(["x.>"]));
            let answer = world.ask(&format!("STREAM.UPDATE.{name}"), config).await;
            assert!(answer.get("error").is_some(), "{before} -> {after}: {answer}");
            other.destroy(&world.connection).await.unwrap();
            let error = wanted.apply(&world.connection, Leave::none()).await.unwrap_err();
            assert!(matches!(error, TopologyError::NeedsReplace { .. }), "{error}");
        }
        wanted.apply(&world.connection, Leave::none().replace(is_refused)).await.expect(after);
        wanted.verify(&world.connection, Leave::none()).await.expect(after);
        wanted.destroy(&world.connection).await.unwrap();
    }
}

#[tokio::test]
async fn what_the_server_refuses_to_change_of_a_consumer_is_known_beforehand() {
    let world = world().await;
    if world.server.is_older_than((2, 15, 0)) {
        return;
    }
    for (index, (before, after, is_refused)) in CONSUMERS.into_iter().enumerate() {
        let name = format!("c{index}");
        topology(&consumer(&name, before)).apply(&world.connection, Leave::none()).await.expect(before);
        let wanted = topology(&consumer(&name, after));
        let plan = wanted.plan(&world.connection).await.unwrap();
        let change = plan.changes.iter().find(|change| change.action != Action::Extra).unwrap();
        assert_eq!(change.action == Action::Replace, is_refused, "{before} -> {after}\n{plan}");
        if is_refused {
            topology(&consumer("twin", after)).apply(&world.connection, Leave::none()).await.expect(after);
            let twin = World::done(world.ask("CONSUMER.INFO.ORIGIN.twin", json!(null)).await);
            let mut config = twin["config"].clone();
            (config["name"], config["durable_name"]) = (json!(name), json!(name));
            let request = json!({ "stream_name": "ORIGIN", "config": config, "action": "update" });
            let answer = world.ask(&format!("CONSUMER.CREATE.ORIGIN.{name}"), request).await;
            assert!(answer.get("error").is_some(), "{before} -> {after}: {answer}");
            World::done(world.ask("CONSUMER.DELETE.ORIGIN.twin", json!(null)).await);
        }
        wanted.apply(&world.connection, Leave::none().replace(is_refused)).await.expect(after);
        wanted.verify(&world.connection, Leave::none()).await.expect(after);
        World::done(world.ask(&format!("CONSUMER.DELETE.ORIGIN.{name}"), json!(null)).await);
    }
}

#[tokio::test]
async fn a_mirror_may_be_taken_away_and_nothing_else() {
    let world = world().await;
    world.create_stream(json!({ "name": "ORIGIN", "subjects": ["origin.>"] })).await;
    let mirror = |lines: &str| topology(&format!("[[streams]]\nname = 'M'\n{lines}"));
    mirror("mirror = { stream = 'ORIGIN' }").apply(&world.connection, Leave::none()).await.unwrap();
    let other = mirror("mirror = { stream = 'ORIGIN', filter = 'origin.a' }");
    assert!(matches!(other.apply(&world.connection, Leave::none()).await, Err(TopologyError::NeedsReplace { .. })));
    let promoted = mirror("subjects = ['m.>']");
    promoted.apply(&world.connection, Leave::none()).await.unwrap();
    promoted.verify(&world.connection, Leave::none()).await.unwrap();
    assert!(matches!(
        mirror("mirror = { stream = 'ORIGIN' }").apply(&world.connection, Leave::none()).await,
        Err(TopologyError::NeedsReplace { .. })
    ));
    let lost = mirror("mirror = { stream = 'NOWHERE' }");
    let Err(TopologyError::Refused { problems, .. }) = lost.apply(&world.connection, Leave::none()).await else {
        panic!("there is no such stream")
    };
    assert!(problems[0].contains("streams.M.mirror: there is no stream \"NOWHERE\""), "{problems:?}");
}
