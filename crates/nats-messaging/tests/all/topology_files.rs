//! Topology files: what is read, in which language, and what is refused and how.

use std::fs;

use headwater_nats_messaging::topology::{Format, Mistakes, Topology, TopologyError, Variables};

fn variables() -> Variables {
    Variables::of([("REPLICAS", "3"), ("AGE", "7x"), ("SECRET", "hunter2")])
}

fn read(text: &str) -> Result<Topology, Mistakes> {
    Topology::parse(text, "topology.toml", Format::Toml, &variables())
}

const STREAM: &str = "[[streams]]\nname = \"ORDERS\"\nsubjects = [\"orders.>\"]\n";

/// Whether the file is refused with one mistake, told as `line:column: field: message`; if not, what is told instead.
fn misjudged(text: &str, told: &str) -> Option<String> {
    match read(text) {
        Ok(_) => Some(format!("{text}\nis not refused: {told}\n")),
        Err(mistakes) => {
            let all = mistakes.to_string();
            let as_told = all.starts_with(&format!("topology.toml:{told}")) && mistakes.all().len() == 1;
            (!as_told).then(|| format!("{text}\n{all}\nand not\n{told}\n"))
        }
    }
}

/// Refuses each file with one mistake.
#[track_caller]
fn refused<'a>(cases: impl IntoIterator<Item = (String, &'a str)>) {
    let misjudged: Vec<_> = cases.into_iter().filter_map(|(text, told)| misjudged(&text, told)).collect();
    assert!(misjudged.is_empty(), "{}", misjudged.join("\n"));
}

#[test]
fn a_bad_file_is_refused_with_file_line_and_field() {
    let line = |line: &str| format!("{STREAM}{line}\n");
    refused([
        (line("max_aeg = \"7d\""), "4:1: streams.ORDERS.max_aeg: there is no such key; is `max_age` meant?"),
        (line("max_msgs = 4"), "4:1: streams.ORDERS.max_msgs: there is no such key; is `max_messages` meant?"),
        (line("colour = 4"), "4:1: streams.ORDERS.colour: there is no such key"),
        (line("max_age = \"7 days\""), "4:11: streams.ORDERS.max_age: \"7 days\" is not a duration"),
        (line("max_age = 7"), "4:11: streams.ORDERS.max_age: 7 has no unit"),
        (line("max_age = \"-7d\""), "4:11: streams.ORDERS.max_age: \"-7d\" is negative"),
        (line("max_age = \"10ms\""), "4:11: streams.ORDERS.max_age: is less than 100ms"),
        (line("max_bytes = -5"), "4:13: streams.ORDERS.max_bytes: -5 is negative"),
        (line("max_bytes = \"-1GiB\""), "4:13: streams.ORDERS.max_bytes: \"-1GiB\" is negative"),
        (line("max_bytes = \"1XB\""), "4:13: streams.ORDERS.max_bytes: \"1XB\" is not a size"),
        (line("max_messages = -1"), "4:16: streams.ORDERS.max_messages: -1 is negative"),
        (line("replicas = 0"), "4:12: streams.ORDERS.replicas: 0 is not between 1 and 5"),
        (line("replicas = 6"), "4:12: streams.ORDERS.replicas: 6 is not between 1 and 5"),
        (line("replicas = \"3\""), "4:12: streams.ORDERS.replicas: must be a whole number, not \"3\""),
        (line("storage = \"flie\""), "4:11: streams.ORDERS.storage: \"flie\" is unknown here; is \"file\" meant?"),
        (line("retention = \"x\""), "4:13: streams.ORDERS.retention: \"x\" is unknown here; known are \"limits\""),
        (line("deny_delete = \"yes\""), "4:15: streams.ORDERS.deny_delete: must be true or false, not \"yes\""),
        (line("description = 4"), "4:15: streams.ORDERS.description: must be a text, not 4"),
        (line("metadata = 4"), "4:12: streams.ORDERS.metadata: must be a table of texts"),
        (line("mirror = { stream = \"A.B\" }"), "4:21: streams.ORDERS.mirror.stream: \"A.B\" has a dot in it"),
        (line("max_age = \"${MISSING}\""), "4:11: streams.ORDERS.max_age: the variable MISSING is not set"),
        (line("max_age = \"${MIS\""), "4:11: streams.ORDERS.max_age: `${` has no `}` after it"),
        (
            line("max_age = \"${AGE}\""),
            "4:11: streams.ORDERS.max_age: \"${AGE}\" (with its variables) is not a duration",
        ),
        (
            line("max_age = \"1m\"\nduplicate_window = \"5m\""),
            "5:20: streams.ORDERS.duplicate_window: 5m is longer than",
        ),
        (
            line("discard_new_per_subject = true\nmax_messages_per_subject = 1"),
            "4:27: streams.ORDERS.discard_new_per_subject: needs",
        ),
        (line("deny_purge = true\nallow_rollup = true"), "4:14: streams.ORDERS.deny_purge: does not go with roll-ups"),
        (
            line("profile = \"high-troughput\""),
            "4:11: streams.ORDERS.profile: there is no profile \"high-troughput\"; is",
        ),
        (line("include = \"x.json\""), "4:11: streams.ORDERS.include: a topology that is not read from a file"),
        (
            line("republish = { destination = \"orders.live.>\" }"),
            "4:1: streams.ORDERS.republish: goes round in a circle",
        ),
        (
            "[[streams]]\nname = \"OR*\"\nsubjects = [\"o\"]".into(),
            "2:8: streams.OR*.name: \"OR*\" has a wildcard in it",
        ),
        ("[[streams]]\nname = \"O.R\"\nsubjects = [\"o\"]".into(), "2:8: streams.O.R.name: \"O.R\" has a dot in it"),
        ("[[streams]]\nname = \"O R\"\nsubjects = [\"o\"]".into(), "2:8: streams.O R.name: \"O R\" has a space in it"),
        ("[[streams]]\nname = \"\"\nsubjects = [\"o\"]".into(), "2:8: streams..name: is empty"),
        ("[[streams]]\nsubjects = [\"o\"]".into(), "1:1: streams.0.name: is missing"),
        ("[[streams]]\nname = \"A\"".into(), "1:1: streams.A.subjects: is missing"),
        ("[[streams]]\nname = \"A\"\nsubjects = []".into(), "3:1: streams.A.subjects: is empty"),
        ("[[streams]]\nname = \"A\"\nsubjects = [\"a..b\"]".into(), "3:13: streams.A.subjects: \"a..b\" is no subject"),
        (
            "[[streams]]\nname = \"A\"\nsubjects = [\"a\", \"a\"]".into(),
            "3:18: streams.A.subjects: \"a\" is there twice",
        ),
        (
            "[[streams]]\nname = \"A\"\nsubjects = [\">\"]".into(),
            "3:13: streams.A.subjects: \">\" takes the server's own",
        ),
        ("[[streams]\n".into(), "1:11: this is not TOML"),
        ("[streams]\nname = \"A\"".into(), "1:1: streams: must be a list of tables"),
        ("[[stream]]\nname = \"A\"".into(), "1:3: stream: there is no such key; is `streams` meant?"),
        ("[[buckets]]\nname = \"a!\"".into(), "2:8: buckets.a!.name: the name of a bucket"),
        ("[[buckets]]\nname = \"a\"\nhistory = 65".into(), "3:11: buckets.a.history: 65 is not between 1 and 64"),
        ("[profiles.durable.stream]\nreplicas = 5".into(), "1:11: profiles.durable: there is a profile of that name"),
        (
            format!("{STREAM}[[streams]]\nname = \"ORDERS\"\nsubjects = [\"other\"]"),
            "5:8: streams.ORDERS.name: there is a stream \"ORDERS\" already, in line 2",
        ),
        (
            format!("{STREAM}[[streams]]\nname = \"EU\"\nsubjects = [\"orders.eu.*\"]"),
            "6:13: streams.EU.subjects: \"orders.eu.*\" overlaps with \"orders.>\" of stream \"ORDERS\", in line 3",
        ),
        (
            format!("{STREAM}[[streams]]\nname = \"M\"\nsubjects = [\"m\"]\nmirror = {{ stream = \"ORDERS\" }}"),
            "6:1: streams.M.subjects: a mirror has no subjects",
        ),
        (
            format!("{STREAM}[[streams]]\nname = \"M\"\nmirror = {{ stream = \"M\" }}"),
            "6:1: streams.M.mirror: a stream cannot be copied from itself",
        ),
    ]);
}

#[test]
fn a_bad_consumer_is_refused_with_file_line_and_field() {
    let line = |line: &str| format!("{STREAM}[[consumers]]\nname = \"c\"\nstream = \"ORDERS\"\n{line}\n");
    refused([
        (
            line("").replace("m = \"ORDERS\"\n\n", "m = \"ORDRES\"\n"),
            "6:10: consumers.c.stream: there is no stream \"ORDRES\" in this file; is \"ORDERS\" meant?",
        ),
        (
            line("filter = \"other.>\""),
            "7:10: consumers.c.filter: \"other.>\" is outside the subjects of stream \"ORDERS\", \"orders.>\"",
        ),
        (
            line("filter = [\"orders.*\", \"orders.a\"]"),
            "7:23: consumers.c.filter: \"orders.a\" overlaps with \"orders.*\"",
        ),
        (line("max_deliver = 0"), "7:15: consumers.c.max_deliver: 0 is less than 1"),
        (line("max_deliver = 2\nbackoff = [\"1s\", \"2s\", \"3s\"]"), "8:1: consumers.c.backoff: has 3 times"),
        (line("ack_wait = \"5s\"\nbackoff = [\"1s\"]"), "7:12: consumers.c.ack_wait: does not go with `backoff`"),
        (line("ack_wait = \"soon\""), "7:12: consumers.c.ack_wait: \"soon\" is not a duration"),
        (line("deliver = \"from-time\""), "7:11: consumers.c.deliver: \"from-time\" needs `start_time`"),
        (
            line("deliver = \"new\"\nstart_sequence = 4"),
            "8:18: consumers.c.start_sequence: goes with `deliver = \"from-sequence\"`",
        ),
        (line("deliver = \"last-per-subject\""), "7:11: consumers.c.deliver: \"last-per-subject\" needs a `filter`"),
        (line("start_time = \"yesterday\""), "7:14: consumers.c.start_time: \"yesterday\" is no moment"),
        (line("mode = \"push\""), "7:8: consumers.c.mode: a push consumer needs a `deliver_subject`"),
        (line("heartbeat = \"5s\""), "7:13: consumers.c.heartbeat: is for push consumers"),
        (line("deliver_subject = \"x\"\nmax_waiting = 4"), "8:15: consumers.c.max_waiting: is for pull consumers"),
        (line("deliver_subject = \"x.*\""), "7:19: consumers.c.deliver_subject: \"x.*\" is no subject to send to"),
        (
            line("deliver_subject = \"orders.x\""),
            "7:19: consumers.c.deliver_subject: \"orders.x\" goes round in a circle",
        ),
        (line("replicas = 3"), "7:12: consumers.c.replicas: 3 is more than its stream's 1"),
        (
            line("[[consumers]]\nname = \"c\"\nstream = \"ORDERS\""),
            "8:8: consumers.c.name: stream \"ORDERS\" has a consumer of that name already, in line 5",
        ),
        (
            line("ack = \"none\"").replace("]\n[[c", "]\nretention = \"work-queue\"\n[[c"),
            "8:7: consumers.c.ack: must be \"explicit\" on a work queue",
        ),
        (
            line("[[consumers]]\nname = \"d\"\nstream = \"ORDERS\"").replace(
                "]\n[[consumers]]\nname = \"c\"",
                "]\nretention = \"work-queue\"\n[[consumers]]\nname = \"c\"",
            ),
            "8:1: consumers.d.filter: takes messages that consumer \"c\" takes too",
        ),
    ]);
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let mistakes = read(
        "[[streams]]\nname = \"A.B\"\nsubjects = [\"a\"]\nmax_age = \"x\"\n[[consumers]]\nname = \"c\"\nstream = \"NONE\"\nbogus = 1",
    )
    .unwrap_err();
    let lines: Vec<_> = mistakes.all().iter().map(|mistake| mistake.place.line).collect();
    assert_eq!(lines, [2, 4, 7, 8], "{mistakes}");
}

#[test]
fn the_value_of_a_variable_is_not_told() {
    let mistakes = read(&format!("{STREAM}max_age = \"${{SECRET}}\"")).unwrap_err();
    assert!(!mistakes.to_string().contains("hunter2"), "{mistakes}");
}

const IN_TOML: &str = r#"
profile = "archive"

[[streams]]
name = "ORDERS"
subjects = ["orders.>", "refunds.*"]
max_age = "7d"
max_bytes = "1GiB"
replicas = "${REPLICAS:-1}"
metadata = { owner = "shop" }
republish = { destination = "live.{{wildcard(1)}}", source = "refunds.*" }

[[streams]]
name = "COPY"
profile = "low-latency"
mirror = { stream = "ORDERS", filter = "orders.>" }

[[consumers]]
name = "billing"
stream = "ORDERS"
filter = "orders.*.placed"
backoff = ["1s", "1m30s"]
max_deliver = 3

[[buckets]]
name = "prices"
history = 5

[[dead_letters]]
name = "DEAD"
max_age = "30d"
"#;

const IN_YAML: &str = r"
profile: archive
streams:
  - name: ORDERS
    subjects: [orders.>, refunds.*]
    max_age: 7d
    max_bytes: 1GiB
    replicas: ${REPLICAS:-1}
    metadata: &notes
      owner: shop
    republish: { destination: 'live.{{wildcard(1)}}', source: refunds.* }
  - name: COPY
    profile: low-latency
    mirror: { stream: ORDERS, filter: orders.> }
consumers:
  - name: billing
    stream: ORDERS
    filter: orders.*.placed
    backoff: [1s, 1m30s]
    max_deliver: 3
buckets: [{ name: prices, history: 5 }]
dead_letters:
  - name: DEAD
    max_age: 30d
";

const IN_JSON: &str = r#"{
  "$schema": "topology.schema.json",
  "profile": "archive",
  "streams": [
    { "name": "ORDERS", "subjects": ["orders.>", "refunds.*"], "max_age": "7d", "max_bytes": "1GiB",
      "replicas": "${REPLICAS:-1}", "metadata": { "owner": "shop" },
      "republish": { "destination": "live.{{wildcard(1)}}", "source": "refunds.*" } },
    { "name": "COPY", "profile": "low-latency", "mirror": { "stream": "ORDERS", "filter": "orders.>" } }
  ],
  "consumers": [
    { "name": "billing", "stream": "ORDERS", "filter": "orders.*.placed", "backoff": ["1s", "1m30s"], "max_deliver": 3 }
  ],
  "buckets": [{ "name": "prices", "history": 5 }],
  "dead_letters": [{ "name": "DEAD", "max_age": "30d" }]
}"#;

#[test]
fn three_languages_say_the_same() {
    let toml = read(IN_TOML).unwrap().to_toml();
    let yaml = Topology::parse(IN_YAML, "t.yaml", Format::Yaml, &variables()).unwrap().to_toml();
    let json = Topology::parse(IN_JSON, "t.json", Format::Json, &variables()).unwrap().to_toml();
    assert_eq!(toml, yaml);
    assert_eq!(toml, json);
    for told in [
        "max_age = \"7d\"",
        "max_bytes = \"1GiB\"",
        "replicas = 3",
        "compression = \"s2\"",
        "storage = \"memory\"",
        "history = 5",
        "[\"dead.>\"]",
    ] {
        assert!(toml.contains(told), "{told} in\n{toml}");
    }
}

#[test]
fn a_topology_that_is_written_is_read_again_as_the_same() {
    let written = read(IN_TOML).unwrap();
    let again = read(&written.to_toml()).unwrap();
    assert_eq!(written.to_toml(), again.to_toml());
    let json = written.to_json().to_string();
    assert_eq!(Topology::parse(&json, "t.json", Format::Json, &variables()).unwrap().to_json(), written.to_json());
}

#[test]
fn mistakes_in_yaml_and_json_have_their_places_too() {
    for (format, text, told) in [
        (
            Format::Yaml,
            "streams:\n  - name: A\n    subjects: [a]\n    max_age: 7y\n",
            "f:4:14: streams.A.max_age: \"7y\"",
        ),
        (
            Format::Yaml,
            "streams:\n  - name: A\n    subjects: [a]\n    bogus: 1\n",
            "f:4:5: streams.A.bogus: there is no",
        ),
        (Format::Yaml, "streams: [\n", "f:2:1: this is not YAML"),
        (Format::Yaml, "a: 1\na: 2\n", "f:2:1: \"a\" is there twice"),
        (Format::Yaml, "streams: []\n---\nstreams: []\n", "f:2:1: there is a second document"),
        (
            Format::Json,
            "{\"streams\": [{\"name\": \"A\", \"subjects\": [\"a\"],\n \"max_age\": \"7y\"}]}",
            "f:2:13: streams.A.max_age",
        ),
        (Format::Json, "{\"streams\": [\n}", "f:2:1: this is not JSON"),
        (Format::Json, "{\"a\": 1,\n \"a\": 2}", "f:2:2: \"a\" is there twice"),
    ] {
        let mistakes = Topology::parse(text, "f", format, &variables()).expect_err(told);
        assert!(mistakes.to_string().starts_with(told), "{mistakes}\n{told}");
    }
}

#[test]
fn aliases_of_yaml_that_stand_for_millions_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..8 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    let mistakes = Topology::parse(&text, "f", Format::Yaml, &variables()).unwrap_err();
    assert!(mistakes.to_string().contains("more than 100000 values"), "{mistakes}");
}

#[test]
fn profiles_stand_behind_what_a_stream_says_itself() {
    let file = "[profiles.mine.stream]\nmax_age = \"1d\"\nmax_bytes = \"1GiB\"\nallow_direct = true\n[profiles.mine.consumer]\nmax_deliver = 9\n\
                [[streams]]\nname = \"A\"\nsubjects = [\"a\"]\nprofile = \"mine\"\nmax_age = \"2d\"\nmax_bytes = \"unlimited\"\nallow_direct = false\n\
                [[consumers]]\nname = \"c\"\nstream = \"A\"\nprofile = \"mine\"";
    let text = read(file).unwrap().to_toml();
    assert!(text.contains("max_age = \"2d\"") && text.contains("max_deliver = 9"), "{text}");
    assert!(!text.contains("max_bytes") && !text.contains("allow_direct"), "{text}");
}

#[test]
fn backoff_stands_instead_of_the_ack_wait_of_a_profile_and_the_other_way_round() {
    let consumer = |profile: &str, own: &str| {
        let file = format!(
            "[profiles.mine.consumer]\n{profile}\n{STREAM}[[consumers]]\nname = \"c\"\nstream = \"ORDERS\"\nprofile = \"mine\"\n{own}"
        );
        read(&file).unwrap().to_toml()
    };
    let backoff = consumer("ack_wait = \"5s\"", "backoff = [\"1s\", \"2s\"]");
    assert!(backoff.contains("backoff") && !backoff.contains("ack_wait"), "{backoff}");
    let wait = consumer("backoff = [\"1s\", \"2s\"]", "ack_wait = \"5s\"");
    assert!(wait.contains("ack_wait = \"5s\"") && !wait.contains("backoff"), "{wait}");
}

#[test]
fn configurations_of_the_nats_tool_are_included() {
    let folder = tempfile::tempdir().unwrap();
    let stream = r#"{ "config": { "name": "ORDERS", "subjects": ["orders.>"], "retention": "workqueue", "max_consumers": -1,
        "max_msgs": -1, "max_bytes": 1048576, "max_age": 3600000000000, "storage": "file", "num_replicas": 1,
        "duplicate_window": 120000000000, "sealed": false, "metadata": { "_nats.ver": "2.15.1", "owner": "shop" },
        "compression": "none", "consumer_limits": {} } }"#;
    let consumer = r#"{ "stream_name": "ORDERS", "config": { "durable_name": "work", "ack_policy": "explicit",
        "deliver_policy": "all", "replay_policy": "instant", "ack_wait": 5000000000, "backoff": [5000000000, 10000000000],
        "max_deliver": 5, "num_replicas": 0, "priority_policy": "", "metadata": null,
        "filter_subject": "orders.new" } }"#;
    fs::write(folder.path().join("stream.json"), stream).unwrap();
    fs::write(folder.path().join("consumer.json"), consumer).unwrap();
    let file = folder.path().join("topology.toml");
    fs::write(
        &file,
        "[[streams]]\ninclude = \"stream.json\"\nmax_age = \"2h\"\n[[consumers]]\ninclude = \"consumer.json\"",
    )
    .unwrap();
    let text = Topology::load(&file).unwrap().to_toml();
    assert_eq!(
        text,
        "[[streams]]\nname = \"ORDERS\"\nsubjects = [\"orders.>\"]\nretention = \"work-queue\"\nmax_age = \"2h\"\nmax_bytes = \"1MiB\"\n\
         metadata = { owner = \"shop\" }\n\n\
         [[consumers]]\nname = \"work\"\nstream = \"ORDERS\"\nfilter = [\"orders.new\"]\n\
         max_deliver = 5\nbackoff = [\"5s\", \"10s\"]\n"
    );

    fs::write(folder.path().join("stream.json"), stream.replace("\"max_age\": 3600000000000", "\"max_age\":\n \"1h\""))
        .unwrap();
    let Err(TopologyError::Mistakes(mistakes)) = Topology::load(&file) else { panic!("the file is bad") };
    assert!(
        mistakes.to_string().contains("stream.json:3:2: streams.0.max_age: \"1h\" is no time in nanoseconds"),
        "{mistakes}"
    );
    fs::remove_file(folder.path().join("stream.json")).unwrap();
    let Err(TopologyError::Mistakes(mistakes)) = Topology::load(&file) else { panic!("the file is gone") };
    assert!(
        mistakes.to_string().contains("streams.0.include") && mistakes.to_string().contains("cannot be read"),
        "{mistakes}"
    );
    assert!(matches!(Topology::load(folder.path().join("none.toml")), Err(TopologyError::Unreadable { .. })));
}

#[test]
fn the_json_schema_takes_what_is_right_and_refuses_what_is_wrong() {
    let schema = jsonschema::validator_for(&Topology::schema()).unwrap();
    let right: serde_json::Value = serde_json::from_str(IN_JSON).unwrap();
    assert!(schema.is_valid(&right));
    assert!(schema.is_valid(&read(IN_TOML).unwrap().to_json()));
    for (from, to) in [
        ("7d", "7 days"),
        ("1GiB", "1XB"),
        ("history\": 5", "history\": 65"),
        ("max_deliver", "max_delivery"),
        ("\"COPY\"", "\"CO.PY\""),
    ] {
        let wrong: serde_json::Value = serde_json::from_str(&IN_JSON.replace(from, to)).unwrap();
        assert!(!schema.is_valid(&wrong), "{to}");
    }
}
