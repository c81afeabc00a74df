//! Topologies and a server: what is deleted and what is not, who else is at it, and back to a file.

use headwater_nats_messaging::topology::{Action, Done, Leave, Topology, TopologyError};
use serde_json::{Value, json};

use crate::topology_support::{connect, lines, topology, world};

const ORDERS: &str = "[[streams]]\nname = 'ORDERS'\nsubjects = ['orders.>']\n";

#[tokio::test]
async fn nothing_is_deleted_without_leave_and_nothing_replaced() {
    let world = world().await;
    world.create_stream(json!({ "name": "ORDERS", "subjects": ["orders.>"], "storage": "memory" })).await;
    world.create_stream(json!({ "name": "OLD", "subjects": ["old"] })).await;
    world.create_stream(json!({ "name": "KV_keep", "subjects": ["$KV.keep.>"] })).await;
    world.create_consumer("ORDERS", json!({ "durable_name": "theirs", "ack_policy": "explicit" })).await;
    world.publish("orders.1").await;
    let wanted = topology(&format!("ignore = ['KV_*']\n{ORDERS}[[consumers]]\nname = 'ours'\nstream = 'ORDERS'"));

    let error = wanted.apply(&world.connection, Leave::none().prune(true)).await.unwrap_err();
    assert!(error.to_string().contains("stream ORDERS (storage: \"memory\" -> \"file\")"), "{error}");
    assert_eq!(world.stream("ORDERS").await["state"]["messages"], 1, "nothing was touched");
    world.stream("OLD").await;

    let done = wanted.apply(&world.connection, Leave::none().replace(true)).await.unwrap();
    assert_eq!(done.iter().map(|step| step.action).collect::<Vec<_>>(), [Action::Replace, Action::Create]);
    world.stream("OLD").await;

    let done = wanted.apply(&world.connection, Leave::none().prune(true)).await.unwrap();
    assert_eq!(done.iter().map(|step| step.target.to_string()).collect::<Vec<_>>(), ["stream OLD"]);
    world.stream("KV_keep").await;
    wanted.verify(&world.connection, Leave::none().prune(true)).await.unwrap();
}

#[tokio::test]
async fn subjects_that_a_stream_on_the_server_has_are_found_before_anything_is_done() {
    let world = world().await;
    world.create_stream(json!({ "name": "OLD", "subjects": ["orders.eu.*"] })).await;
    let wanted = topology(&format!("[[streams]]\nname = 'AAA'\nsubjects = ['aaa']\n{ORDERS}"));
    let Err(TopologyError::Refused { problems, .. }) = wanted.apply(&world.connection, Leave::none()).await else {
        panic!("the subjects overlap")
    };
    assert!(
        problems[0].starts_with("streams.ORDERS.subjects: \"orders.>\" overlaps with \"orders.eu.*\" of stream OLD"),
        "{problems:?}"
    );
    assert!(world.ask("STREAM.INFO.AAA", Value::Null).await.get("error").is_some(), "nothing was done");
    // When the other one may go, it goes first.
    wanted.apply(&world.connection, Leave::none().prune(true)).await.unwrap();
    wanted.verify(&world.connection, Leave::none().prune(true)).await.unwrap();
}

#[tokio::test]
async fn a_subject_moves_from_one_stream_to_another() {
    let world = world().await;
    let file = |a: &str, b: &str| {
        format!("[[streams]]\nname = 'A'\nsubjects = [{a}]\n[[streams]]\nname = 'B'\nsubjects = [{b}]")
    };
    topology(&file("'a'", "'b', 'c'")).apply(&world.connection, Leave::none()).await.unwrap();
    let moved = topology(&file("'a', 'c'", "'b'"));
    moved.apply(&world.connection, Leave::none()).await.unwrap();
    moved.verify(&world.connection, Leave::none()).await.unwrap();
    let exchanged = topology(&file("'b', 'c'", "'a'"));
    let error = exchanged.apply(&world.connection, Leave::none()).await.unwrap_err();
    assert!(error.to_string().contains("streams A, B exchange subjects"), "{error}");
}

#[tokio::test]
async fn replicas_without_a_cluster_are_refused_beforehand() {
    let world = world().await;
    let error = topology(&format!("{ORDERS}replicas = 3")).apply(&world.connection, Leave::none()).await.unwrap_err();
    assert!(error.to_string().contains("streams.ORDERS.replicas: 3 replicas need a cluster"), "{error}");
}

#[tokio::test]
async fn what_the_server_has_and_we_do_not_know_is_left_alone() {
    let world = world().await;
    topology(ORDERS).apply(&world.connection, Leave::none()).await.unwrap();
    // `sealed` is no field of a topology.
    topology("[[streams]]\nname = 'MIRROR'\nmirror = { stream = 'ORDERS' }\nallow_direct = true")
        .apply(&world.connection, Leave::none())
        .await
        .unwrap();
    world.edit("ORDERS", json!({ "max_msgs": 3 })).await;
    let mended = topology(ORDERS).apply(&world.connection, Leave::none()).await.unwrap();
    assert_eq!(mended.len(), 1);
    assert_eq!(world.stream("ORDERS").await["config"]["max_msgs"], -1);
}

fn of(done: &[Done], action: Action) -> usize {
    done.iter().filter(|step| step.action == action).count()
}

#[tokio::test]
async fn two_who_apply_at_once_do_everything_once() {
    let world = world().await;
    let mut file = String::new();
    for index in 0..8 {
        file.push_str(&format!("[[streams]]\nname = 'S{index}'\nsubjects = ['s{index}.>']\nmax_age = '7d'\n"));
        file.push_str(&format!("[[consumers]]\nname = 'c'\nstream = 'S{index}'\nmax_deliver = 3\n"));
    }
    // What both have to do: create, update, replace and prune.
    for index in 0..2 {
        world.create_stream(json!({ "name": format!("S{index}"), "subjects": [format!("s{index}.>")] })).await;
    }
    for index in 2..4 {
        let config = json!({ "name": format!("S{index}"), "subjects": [format!("s{index}.>")], "storage": "memory" });
        world.create_stream(config).await;
    }
    world.create_stream(json!({ "name": "OLD", "subjects": ["s7.old"] })).await;
    let wanted = topology(&file);
    let other = connect(&world.server).await;
    let leave = Leave::none().prune(true).replace(true);
    let (one, two) = tokio::join!(wanted.apply(&world.connection, leave), wanted.apply(&other, leave));
    let (one, two) = (one.unwrap(), two.unwrap());
    wanted.verify(&world.connection, leave).await.unwrap();
    assert_eq!(of(&one, Action::Replace) + of(&two, Action::Replace), 2, "a stream is replaced once\n{one:?}\n{two:?}");
    assert_eq!(of(&one, Action::Delete) + of(&two, Action::Delete), 1, "what is extra is deleted once");
    assert_eq!(wanted.apply(&other, leave).await.unwrap(), []);
}

#[tokio::test]
async fn many_instances_that_start_at_once_ensure_the_same() {
    let world = world().await;
    let file = format!("{ORDERS}[[consumers]]\nname = 'c'\nstream = 'ORDERS'\n[[buckets]]\nname = 'b'\nhistory = 3");
    let wanted = topology(&file);
    let starts = (0..6).map(|_| wanted.apply(&world.connection, Leave::none()));
    for done in futures_util::future::join_all(starts).await {
        done.unwrap();
    }
    wanted.verify(&world.connection, Leave::none().prune(true)).await.unwrap();
}

#[tokio::test]
async fn an_imported_server_has_nothing_to_do() {
    let world = world().await;
    if world.server.is_older_than((2, 14, 0)) {
        return;
    }
    let second = 1_000_000_000_u64;
    for config in [
        json!({ "name": "PLAIN", "subjects": ["plain", "plain.*"] }),
        json!({ "name": "FULL", "subjects": ["full.>"], "description": "a \"b\"\n\tc", "retention": "interest", "max_age": 90 * second,
            "max_bytes": 1_073_741_824, "max_msgs": 7, "max_msgs_per_subject": 3, "max_msg_size": 12_345, "storage": "memory",
            "discard": "new", "discard_new_per_subject": true, "duplicate_window": 45 * second, "allow_direct": true,
            "republish": { "src": "full.>", "dest": "live.>", "headers_only": true }, "allow_atomic": true, "allow_batched": true,
            "metadata": { "owner": "shop", "a b": "c" }, "consumer_limits": { "max_ack_pending": 50, "inactive_threshold": 3600 * second } }),
        json!({ "name": "SHORT", "subjects": ["short"], "max_age": second, "compression": "s2", "deny_delete": true, "no_ack": true }),
        json!({ "name": "MARKED", "subjects": ["marked"], "subject_delete_marker_ttl": 5 * second, "first_seq": 100 }),
        json!({ "name": "LATER", "subjects": ["later.>"], "allow_msg_schedules": true, "persist_mode": "async" }),
        json!({ "name": "MIRROR", "mirror": { "name": "PLAIN", "filter_subject": "plain", "opt_start_seq": 3 } }),
        json!({ "name": "SOURCED", "sources": [{ "name": "FULL", "subject_transforms": [{ "src": "full.a", "dest": "copied.a" }] },
            { "name": "SHORT", "opt_start_time": "2026-01-01T00:00:00Z" }] }),
        json!({ "name": "ELSEWHERE", "subjects": ["here"], "sources": [{ "name": "THERE", "external": { "api": "$JS.x.API", "deliver": "" } }] }),
        json!({ "name": "CHANGED", "subjects": ["changed.*"], "subject_transform": { "src": "changed.*", "dest": "other.{{wildcard(1)}}" } }),
        json!({ "name": "COUNTED", "subjects": ["counted"], "allow_msg_counter": true }),
        json!({ "name": "WORK", "subjects": ["work.*"], "retention": "workqueue" }),
        // Buckets: as clients make them, and one that only looks like it.
        json!({ "name": "KV_prices", "subjects": ["$KV.prices.>"], "max_msgs_per_subject": 5, "discard": "new", "allow_rollup_hdrs": true,
            "deny_delete": true, "allow_direct": true, "max_age": 60 * second, "duplicate_window": 60 * second }),
        json!({ "name": "KV_odd", "subjects": ["$KV.odd.>"], "max_msgs_per_subject": 5 }),
    ] {
        world.create_stream(config).await;
    }
    let store = world.connection.jetstream();
    let bucket = async_nats::jetstream::kv::Config { bucket: "made".into(), history: 2, ..Default::default() };
    store.create_key_value(bucket).await.unwrap();
    for (stream, config) in [
        (
            "PLAIN",
            json!({ "durable_name": "pull", "ack_policy": "explicit", "filter_subjects": ["plain", "plain.a"], "backoff": [second, 2 * second], "max_deliver": 5 }),
        ),
        (
            "PLAIN",
            json!({ "durable_name": "push", "ack_policy": "none", "deliver_subject": "d.x", "flow_control": true, "idle_heartbeat": 5 * second }),
        ),
        (
            "PLAIN",
            json!({ "durable_name": "late", "ack_policy": "all", "deliver_policy": "by_start_time", "opt_start_time": "2026-01-01T00:00:00.5Z", "max_ack_pending": -1 }),
        ),
        (
            "PLAIN",
            json!({ "durable_name": "seq", "ack_policy": "explicit", "deliver_policy": "by_start_sequence", "opt_start_seq": 3, "sample_freq": "50%" }),
        ),
        (
            "FULL",
            json!({ "durable_name": "limited", "ack_policy": "explicit", "priority_policy": "pinned_client", "priority_groups": ["a"] }),
        ),
        (
            "WORK",
            json!({ "durable_name": "worker", "ack_policy": "explicit", "filter_subject": "work.a", "mem_storage": true, "replay_policy": "original" }),
        ),
    ] {
        world.create_consumer(stream, config).await;
    }

    let imported = Topology::import(&world.connection, |_| true).await.unwrap();
    let file = imported.to_toml();
    let plan = topology(&file).plan(&world.connection).await.unwrap();
    assert_eq!(lines(&plan), Vec::<String>::new(), "{file}");
    assert_eq!(plan.problems, [], "{file}");
    assert_eq!(plan.unchanged, 20);
    for told in ["[[buckets]]\nname = \"prices\"", "[[buckets]]\nname = \"made\"", "name = \"KV_odd\""] {
        assert!(file.contains(told), "{told} in\n{file}");
    }
    // The same on a server that has nothing yet, but for what is elsewhere.
    let fresh = crate::topology_support::world().await;
    topology(&file).apply(&fresh.connection, Leave::none()).await.expect(&file);
    let again = Topology::import(&fresh.connection, |_| true).await.unwrap().to_toml();
    assert_eq!(again, file);
}

#[tokio::test]
async fn a_topology_is_destroyed_and_nothing_else() {
    let world = world().await;
    world.create_stream(json!({ "name": "OTHER", "subjects": ["other"] })).await;
    let file = format!("{ORDERS}[[streams]]\nname = 'COPY'\nmirror = {{ stream = 'ORDERS' }}");
    let wanted = topology(&file);
    wanted.apply(&world.connection, Leave::none()).await.unwrap();
    world.publish("orders.1").await;
    let told = wanted.destroyed(&world.connection).await.unwrap();
    assert_eq!(
        told.iter().map(|change| change.target.to_string()).collect::<Vec<_>>(),
        ["stream COPY", "stream ORDERS"]
    );
    assert!(told[1].notes[0].starts_with("1 messages"), "{told:?}");
    assert_eq!(wanted.destroy(&world.connection).await.unwrap().len(), 2);
    assert_eq!(wanted.destroy(&world.connection).await.unwrap(), []);
    world.stream("OTHER").await;
}

#[tokio::test]
async fn a_plan_is_read_by_people_and_by_programs() {
    let world = world().await;
    world.create_stream(json!({ "name": "ORDERS", "subjects": ["orders.>"], "max_age": 3_600_000_000_000_u64 })).await;
    let file = format!(
        "{ORDERS}max_age = '30m'\n[[buckets]]\nname = 'b'\nttl = '1h'\n[[consumers]]\nname = 'c'\nstream = 'ORDERS'\nack_wait = '5s'"
    );
    let plan = topology(&file).plan(&world.connection).await.unwrap();
    assert_eq!(
        plan.to_string(),
        "~ stream ORDERS (update in place)\n    max_age: \"1h\" -> \"30m\"\n    # the server drops messages that are beyond the new limits\n\
         + bucket b (create)\n    subjects = [\"$KV.b.>\"]\n    ttl = \"1h\"\n    history = 1\n    discard = \"new\"\n    deny_delete = true\n    allow_rollup = true\n    allow_direct = true\n\
         + consumer ORDERS / c (create)\n    ack_wait = \"5s\"\n\
         2 to create, 1 to update, 0 to replace, 0 extra; 0 as they should be."
    );
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["changes"][0]["action"], "update");
    assert_eq!(json["changes"][0]["target"], json!({ "stream": { "name": "ORDERS" } }));
    assert_eq!(
        json["changes"][0]["differences"][0],
        json!({ "field": "max_age", "live": "1h", "wanted": "30m", "needs_replace": false })
    );
}

#[tokio::test]
async fn a_lease_that_somebody_left_behind_runs_out_or_is_waited_for() {
    let world = world().await;
    let wanted = topology(ORDERS);
    wanted.apply(&world.connection, Leave::none()).await.unwrap();
    wanted.destroy(&world.connection).await.unwrap();
    // Somebody holds it for a moment, and gives it back while we wait.
    let held = world.connection.client().request("$HEADWATER.TOPOLOGY.LEASE", "".into()).await.unwrap();
    let sequence = serde_json::from_slice::<Value>(&held.payload).unwrap()["seq"].clone();
    wanted.apply(&world.connection, Leave::none()).await.unwrap();
    let destroyed = wanted.destroy(&world.connection);
    let given_back = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert_eq!(world.stream("ORDERS").await["config"]["name"], "ORDERS", "nothing is deleted meanwhile");
        world.ask("STREAM.MSG.DELETE.HEADWATER_TOPOLOGY_LEASE", json!({ "seq": sequence })).await;
    };
    let (destroyed, ()) = tokio::join!(destroyed, given_back);
    assert_eq!(destroyed.unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_gone_is_told_as_unavailable() {
    let world = world().await;
    world.server.kill();
    let error = topology(ORDERS).apply(&world.connection, Leave::none()).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
}
