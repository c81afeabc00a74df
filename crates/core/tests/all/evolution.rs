//! Promises of released versions: what a lock holds, and what breaks it.
#![allow(clippy::unwrap_used, reason = "a panic is how a test reports")]

use crate::wallet;

use std::path::{Path, PathBuf};
use std::process::Command as Process;

use headwater_core::dispatch::Dispatcher;
use headwater_core::evolution::{Compatibility, LockError, Part, SchemaLock, UPDATE_LOCK, assert_compatible};
use headwater_core::store::MemoryStore;
use headwater_core::{
    Aggregate, AggregateId, AggregateType, Command, CommandContext, Decide, DecodeError, Describe, Event, EventType,
    NeverRejected, Upcasters,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use Compatibility::{Backward, Forward, Full, Off};

fn wallets() -> [AggregateType; 1] {
    [wallet::described().build().unwrap()]
}

/// The lock of the wallet as it is, changed as JSON.
fn lock(change: impl FnOnce(&mut Value)) -> SchemaLock {
    let mut file: Value = serde_json::from_str(&SchemaLock::of(&wallets()).to_json()).unwrap();
    change(&mut file["aggregates"]["wallet"]);
    SchemaLock::from_json(&file.to_string()).unwrap()
}

/// Every problem of today's wallet with the lock, in one line each.
fn problems(lock: &SchemaLock, compatibility: Compatibility) -> Vec<String> {
    match lock.check(&wallets(), compatibility) {
        Ok(()) => Vec::new(),
        Err(incompatible) => incompatible.problems().iter().map(ToString::to_string).collect(),
    }
}

const NONE: [&str; 0] = [];

#[test]
fn a_lock_holds_every_event_command_rejection_and_query_and_reads_what_it_writes() {
    let lock = SchemaLock::of(&wallets());
    let text = lock.to_json();
    assert_eq!(SchemaLock::from_json(&text).unwrap(), lock);
    assert_eq!(SchemaLock::of(&wallets()).to_json(), text, "the same each time");
    assert!(text.ends_with("}\n") && text.contains("\n  \"aggregates\": {\n    \"wallet\": {\n"), "{text}");
    let file: Value = serde_json::from_str(&text).unwrap();
    let members = |pointer: &str| {
        let object = file.pointer(&format!("/aggregates/wallet{pointer}")).unwrap().as_object().unwrap();
        object.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(members(""), ["commands", "events", "queries", "rejections"], "the state is no promise");
    assert_eq!(members("/events"), ["assigned", "deposited", "withdrawn"]);
    assert_eq!(members("/events/deposited"), ["3"]);
    assert_eq!(members("/commands"), ["assign", "deposit", "withdraw"]);
    assert_eq!(members("/rejections"), ["already-owned", "insufficient-funds"]);
    assert_eq!(members("/queries/can-withdraw"), ["answer", "request"]);
    assert_eq!(
        file["aggregates"]["wallet"]["commands"]["deposit"]["properties"]["amount"],
        json!({ "type": "integer", "format": "uint64", "minimum": 1 }),
    );
    assert!(!text.contains("\"title\"") && !text.contains("\"description\""), "{text}");
}

#[test]
fn the_code_is_compatible_with_its_own_lock_and_the_lock_is_up_to_date() {
    let lock = SchemaLock::of(&wallets());
    for compatibility in [Off, Backward, Forward, Full] {
        assert_eq!(problems(&lock, compatibility), NONE, "{compatibility}");
    }
    assert_eq!(lock.unlocked(&wallets()), NONE);
    assert_eq!(lock.updated(&wallets()), lock);
}

#[test]
fn stored_events_of_every_age_are_read_by_upcasters_and_discard_rules() {
    let lock = lock(|wallet| {
        wallet["events"]["deposited"]["1"] =
            json!({ "type": "object", "properties": { "amount": { "type": "string" } } });
        wallet["events"]["deposited"]["2"] =
            json!({ "type": "object", "properties": { "amount": { "type": "integer" } } });
        wallet["events"]["opened"] = json!({ "1": { "type": "object" } });
        wallet["events"]["balance-viewed"] = json!({ "1": { "type": "null" } });
    });
    assert_eq!(problems(&lock, Full), NONE);
    assert_eq!(lock.unlocked(&wallets()), NONE, "old versions stay");
    assert_eq!(lock.updated(&wallets()), lock);
}

#[test]
fn an_event_that_is_gone_without_a_rule_is_a_problem() {
    let lock = lock(|wallet| wallet["events"]["frozen"] = json!({ "1": { "type": "null" } }));
    assert_eq!(
        problems(&lock, Backward),
        ["wallet: event `frozen` version 1: the event is gone, stored events are not, and no upcaster leads on from \
          version 1; keep the event; or add an upcaster to what it means today, or a discard rule"]
    );
    assert_eq!(problems(&lock, Forward), NONE, "nobody writes it any more");
}

#[test]
fn a_schema_version_that_is_lower_than_before_is_a_problem_whatever_is_promised() {
    let lock = lock(|wallet| wallet["events"]["deposited"]["4"] = wallet["events"]["deposited"]["3"].clone());
    for compatibility in [Backward, Forward, Full] {
        let found = problems(&lock, compatibility);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("event `deposited` version 4: the schema version was lowered to 3"), "{found:?}");
    }
}

#[test]
fn a_member_that_breaks_is_named_with_its_place_and_with_what_to_do() {
    let lock = lock(|wallet| {
        let data = &mut wallet["events"]["withdrawn"]["1"];
        data["required"] = json!(["amount"]);
        data["properties"]["amount"] = json!({ "type": "number" });
    });
    let incompatible = lock.check(&wallets(), Backward).unwrap_err();
    let found: Vec<_> = incompatible.problems().iter().map(|problem| (problem.path(), problem.what())).collect();
    assert_eq!(
        found,
        [
            ("/amount", "this code can only take whole numbers here, and stored events may have others"),
            ("/amount", "this code can only take numbers from 0 here, and stored events may have others"),
            (
                "/amount",
                "this code can only take numbers up to 18446744073709551615 here, and stored events may have others"
            ),
            ("/by", "this code cannot do without it, and stored events may leave it out"),
        ]
    );
    let last = incompatible.problems().last().unwrap();
    assert_eq!(last.aggregate(), "wallet");
    assert_eq!(last.part(), &Part::Event { name: "withdrawn".to_owned(), version: 1 });
    assert_eq!(
        last.advice(),
        "make it optional (`Option`, `#[serde(default)]`), or raise the event's schema version to 2 and add an upcaster \
         from 1"
    );
    let message = incompatible.to_string();
    assert!(
        message.starts_with("the code breaks what released versions promised: 4 problems\n- wallet: "),
        "{message}"
    );
    assert_eq!(message.lines().count(), 1 + 4 * 3, "{message}");
    assert_eq!(problems(&lock, Forward), NONE);
    assert_eq!(problems(&lock, Off), NONE);
}

#[test]
fn older_programs_have_to_read_what_is_written_today_when_forward_is_promised() {
    let lock = lock(|wallet| {
        let data = &mut wallet["events"]["withdrawn"]["1"];
        data["properties"]["note"] = json!({ "type": "string" });
        data["required"] = json!(["amount", "by", "note"]);
        wallet["commands"]["assign"]["additionalProperties"] = json!(false);
        wallet["commands"]["assign"]["properties"] = json!({});
        wallet["commands"]["assign"]["required"] = json!([]);
    });
    let found = problems(&lock, Forward);
    assert_eq!(
        found,
        [
            "wallet: event `withdrawn` version 1 at `/note`: older programs cannot do without it, and new events may leave \
             it out; keep it required, or add an event of another name; or stop older programs first and check this \
             release backward only",
            "wallet: command `assign` at `/owner`: newer callers may have it, and older services cannot take members that \
             are not known there; leave the member out, or add a command of another name",
        ]
    );
    let backward = problems(&lock, Backward);
    assert_eq!(backward.len(), 1, "{backward:?}");
    assert!(backward[0].contains("command `assign` at `/owner`: this code cannot do without it"), "{backward:?}");
    assert_eq!(problems(&lock, Full).len(), 3);
}

#[test]
fn older_callers_keep_their_commands_and_queries() {
    let lock = lock(|wallet| {
        wallet["commands"]["close"] = json!({ "type": "object" });
        wallet["commands"]["deposit"]["properties"]["amount"]["minimum"] = json!(0);
        wallet["queries"]["owner"] = json!({ "request": true, "answer": true });
        wallet["queries"]["can-withdraw"]["request"]["properties"]["amount"] = json!({ "type": "string" });
    });
    let incompatible = lock.check(&wallets(), Backward).unwrap_err();
    let found: Vec<_> =
        incompatible.problems().iter().map(|problem| (problem.part().to_string(), problem.path())).collect();
    let expected = [
        ("command `close`", ""),
        ("command `deposit`", "/amount"),
        ("query `can-withdraw`", "/amount"),
        ("query `can-withdraw`", "/then/amount"),
        ("query `owner`", ""),
    ];
    assert_eq!(found, expected.map(|(part, path)| (part.to_owned(), path)), "{incompatible}");
    assert!(incompatible.to_string().contains("older callers may still send it"), "{incompatible}");
}

#[test]
fn older_callers_read_rejections_and_answers_when_forward_is_promised() {
    let lock = lock(|wallet| {
        wallet["rejections"]["insufficient-funds"]["properties"]["balance"] = json!({ "type": "string" });
        wallet["rejections"]["frozen"] = json!({ "type": "object" });
        wallet["queries"]["can-withdraw"]["answer"]["required"] = json!(["allowed", "limit"]);
    });
    let found = problems(&lock, Forward);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found[0].starts_with("wallet: rejection `insufficient-funds` at `/balance`: this code may have whole numbers")
    );
    assert!(found[1].starts_with("wallet: answer to `can-withdraw` at `/limit`: older callers cannot do without it"));
    assert!(found[1].ends_with("or add a query of another name"), "{}", found[1]);
}

#[test]
fn an_aggregate_type_that_is_gone_is_one_problem() {
    let lock = SchemaLock::of(&wallets());
    let incompatible = lock.check(&[meter()], Backward).unwrap_err();
    assert_eq!(incompatible.problems().len(), 1, "{incompatible}");
    assert_eq!(incompatible.problems()[0].part(), &Part::Aggregate);
    assert!(lock.check(&[meter()], Forward).is_ok());
}

/// An aggregate whose event has come to version 3, with an upcaster from version 1 only.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
struct Meter {}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
struct Read {
    value: u64,
}

impl Command for Read {
    const NAME: &'static str = "read";
}

impl Event for Read {
    fn types() -> Vec<EventType> {
        vec![EventType { name: "read", schema_version: 3, schema: |generator| generator.subschema_for::<Self>() }]
    }

    fn name(&self) -> &'static str {
        "read"
    }

    fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    fn decode(name: &str, data: &[u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(data).map_err(|source| DecodeError::Data { name: name.to_owned(), source })
    }

    fn upcasters() -> Upcasters {
        Upcasters::new().rewrite("read", 1, Ok)
    }
}

impl Aggregate for Meter {
    const TYPE: &'static str = "meter";
    type Event = Read;
    type Rejection = NeverRejected;

    fn init(_: &AggregateId) -> Self {
        Self {}
    }

    fn evolve(&mut self, _: &Read) {}
}

impl Decide<Read> for Meter {
    fn decide(&self, command: Read, _: &CommandContext) -> Result<Vec<Read>, NeverRejected> {
        Ok(vec![command])
    }
}

fn meter() -> AggregateType {
    Describe::<Meter>::new().command::<Read>().build().unwrap()
}

fn meter_lock(events: &Value) -> SchemaLock {
    let file = json!({ "format": 1, "aggregates": { "meter": { "events": { "read": events } } } });
    SchemaLock::from_json(&file.to_string()).unwrap()
}

#[test]
fn upcasters_have_to_lead_from_every_locked_version_to_todays() {
    let lock = meter_lock(&json!({ "1": { "type": "object" }, "2": { "type": "object" } }));
    let incompatible = lock.check(&[meter()], Backward).unwrap_err();
    let found: Vec<_> = incompatible.problems().iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "meter: event `read` version 1: the schema version is 3 now, and no upcaster leads on from version 2, where \
             those from version 1 end; add an upcaster (or a discard rule) from version 2",
            "meter: event `read` version 2: the schema version is 3 now, and no upcaster leads on from version 2; add an \
             upcaster (or a discard rule) from version 2",
        ]
    );
}

#[test]
fn older_programs_do_not_read_a_higher_schema_version() {
    let lock = meter_lock(&json!({ "2": { "type": "object" } }));
    let incompatible = lock.check(&[meter()], Forward).unwrap_err();
    let what = "the schema version is 3 now, and older programs do not read it";
    assert_eq!(incompatible.problems()[0].what(), what);
    let updated = lock.updated(&[meter()]);
    assert!(updated.check(&[meter()], Forward).is_ok(), "once it is released, version 3 is what older programs read");
}

#[test]
fn what_is_new_is_no_problem_and_is_named_as_not_locked_yet() {
    let lock = lock(|wallet| {
        wallet["events"].as_object_mut().unwrap().remove("assigned");
        wallet["commands"].as_object_mut().unwrap().remove("assign");
        wallet["rejections"].as_object_mut().unwrap().remove("already-owned");
        wallet["queries"] = json!({});
        wallet["events"]["withdrawn"]["1"]["properties"]["amount"]["maximum"] = json!(100);
    });
    assert_eq!(problems(&lock, Backward), NONE);
    assert_eq!(
        lock.unlocked(&wallets()),
        [
            "wallet: event `assigned` version 1",
            "wallet: event `withdrawn` version 1",
            "wallet: command `assign`",
            "wallet: rejection `already-owned`",
            "wallet: query `can-withdraw`",
        ]
    );
    assert_eq!(lock.updated(&wallets()), SchemaLock::of(&wallets()));
    assert_eq!(SchemaLock::default().unlocked(&[meter()]), ["meter: event `read` version 3", "meter: command `read`"]);
}

#[test]
fn a_member_that_comes_back_as_something_else_is_found_although_it_was_gone_for_a_release() {
    let with = |by: Value| lock(|wallet| wallet["events"]["withdrawn"]["1"]["properties"]["note"] = by);
    let released = with(json!({ "type": "string" }));
    assert_eq!(problems(&released, Backward), NONE, "it may be left out of the code");
    let updated = released.updated(&wallets());
    let text = updated.to_json();
    assert_eq!(SchemaLock::from_json(&text).unwrap(), updated);
    let kept: Value = serde_json::from_str(&text).unwrap();
    let kept = kept["aggregates"]["wallet"]["events"]["withdrawn"]["1"].as_array().unwrap();
    assert_eq!(kept.len(), 2, "what the newest does not mention is kept beside it");
    assert_eq!(kept[0]["properties"]["note"], json!({ "type": "string" }));
    assert_eq!(kept[1]["properties"].as_object().unwrap().len(), 2);
    assert_eq!(problems(&updated, Full), NONE);
    assert_eq!(updated.unlocked(&wallets()), NONE);

    let mut retyped: Value = serde_json::from_str(&text).unwrap();
    let by = &mut retyped["aggregates"]["wallet"]["events"]["withdrawn"]["1"][0]["properties"];
    by["by"] = json!({ "type": "integer" });
    let found = problems(&SchemaLock::from_json(&retyped.to_string()).unwrap(), Backward);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("at `/by`: stored events may have whole numbers here"), "{found:?}");
}

#[test]
fn names_of_types_are_no_promise_and_do_not_change_the_lock() {
    let renamed = lock(|wallet| {
        for (part, name) in [("commands", "deposit"), ("rejections", "insufficient-funds")] {
            let schema = wallet[part][name].take();
            wallet[part][name] = json!({ "$ref": "#/$defs/Named", "$defs": { "Named": schema } });
        }
    });
    assert_eq!(renamed.unlocked(&wallets()), NONE);
    assert_eq!(renamed.updated(&wallets()), renamed);
}

#[test]
fn text_that_is_no_lock_is_refused_with_the_member_that_is_wrong() {
    let refused = |text: &str| {
        let error = SchemaLock::from_json(text).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error}; {source}")
    };
    for (text, told) in [
        ("", "EOF"),
        ("{}", "missing field `format`"),
        (r#"{ "format": 1 }"#, "missing field `aggregates`"),
        (r#"{ "format": 1, "aggregates": {}, "agregates": {} }"#, "`agregates`"),
        (r#"{ "format": 1, "aggregates": { "a": { "event": {} } } }"#, "`aggregates.a.event`"),
        (
            r#"{ "format": 1, "aggregates": { "a": { "events": { "done": { "one": {} } } } } }"#,
            "`aggregates.a.events.done",
        ),
        (
            r#"{ "format": 1, "aggregates": { "a": { "events": { "done": { "1": [] } } } } }"#,
            "`aggregates.a.events.done.1`",
        ),
        (
            r#"{ "format": 1, "aggregates": { "a": { "events": { "done": { "1": 7 } } } } }"#,
            "`aggregates.a.events.done.1`",
        ),
        (
            r#"{ "format": 1, "aggregates": { "a": { "commands": { "do": { "type": "texts" } } } } }"#,
            "`aggregates.a.commands.do`",
        ),
        (
            r#"{ "format": 1, "aggregates": { "a": { "queries": { "how": { "request": true } } } } }"#,
            "`aggregates.a.queries.how`",
        ),
        (r#"{ "format": 1, "aggregates": {} } and more"#, "trailing characters"),
    ] {
        let found = refused(text);
        assert!(found.contains(told), "{text}\nshould name {told}: {found}");
    }
    assert!(matches!(SchemaLock::from_json(r#"{ "format": 2, "form": "new" }"#), Err(LockError::Format { found: 2 })));
}

#[test]
fn a_dispatcher_does_not_start_on_a_broken_promise_and_says_which() {
    let lock = lock(|wallet| wallet["commands"]["close"] = json!({ "type": "object" }));
    let build = |compatibility| {
        let builder = Dispatcher::builder(MemoryStore::new()).aggregate::<wallet::Wallet>();
        builder.schema_lock(lock.clone(), compatibility).build()
    };
    let refused = build(Full).unwrap_err();
    assert_eq!(refused.problems().len(), 1, "{refused}");
    assert!(refused.problems()[0].starts_with("wallet: command `close`: it is gone"), "{refused}");
    assert!(build(Forward).is_ok());
    assert!(build(Off).is_ok());
}

#[test]
fn a_compatibility_is_read_by_its_name() {
    for compatibility in [Backward, Forward, Full, Off] {
        assert_eq!(compatibility.to_string().parse(), Ok(compatibility));
    }
    let refused = "both".parse::<Compatibility>().unwrap_err();
    assert_eq!(refused.to_string(), "`both` is none of backward, forward, full and off");
}

/// Where the process of its own finds the lock file.
const FILE: &str = "LOCK_FILE_OF_THIS_TEST";

#[test]
#[ignore = "other tests run it in a process of its own, with the environment they want"]
fn the_lock_file_is_kept() {
    assert_compatible(std::env::var(FILE).unwrap(), &wallets(), Full);
}

/// What `assert_compatible` says to this lock file; none when it is content.
fn asserted(file: &Path, is_updating: bool) -> Option<String> {
    let mut process = Process::new(std::env::current_exe().unwrap());
    process.args(["--exact", "evolution::the_lock_file_is_kept", "--ignored"]).env(FILE, file).env_remove(UPDATE_LOCK);
    if is_updating {
        process.env(UPDATE_LOCK, "1");
    }
    let output = process.output().unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A path for a lock file that is not there yet.
fn new_file(name: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    _ = std::fs::remove_file(&file);
    file
}

#[test]
fn a_lock_file_is_asked_for_written_on_demand_and_then_kept() {
    let file = new_file("kept.lock.json");
    let missing = asserted(&file, false).unwrap();
    assert!(missing.contains("there is no lock file yet; run this test with HEADWATER_UPDATE_LOCK=1"), "{missing}");
    assert!(!file.exists());
    assert_eq!(asserted(&file, true), None);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), SchemaLock::of(&wallets()).to_json());
    assert_eq!(asserted(&file, false), None);
}

#[test]
fn a_lock_file_that_is_not_up_to_date_is_told_with_what_is_new() {
    let file = new_file("old.lock.json");
    let old = lock(|wallet| _ = wallet["commands"].as_object_mut().unwrap().remove("assign"));
    std::fs::write(&file, old.to_json()).unwrap();
    let complaint = asserted(&file, false).unwrap();
    assert!(complaint.contains("- wallet: command `assign`"), "{complaint}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), old.to_json(), "nothing is written unasked");
    assert_eq!(asserted(&file, true), None);
    assert_eq!(asserted(&file, false), None);
}

#[test]
fn a_broken_promise_is_never_written_over() {
    let file = new_file("broken.lock.json");
    let promised = lock(|wallet| wallet["commands"]["close"] = json!({ "type": "object" }));
    std::fs::write(&file, promised.to_json()).unwrap();
    for is_updating in [false, true] {
        let complaint = asserted(&file, is_updating).unwrap();
        assert!(complaint.contains("wallet: command `close`"), "{complaint}");
        assert!(complaint.contains("can be taken out of the lock file"), "{complaint}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), promised.to_json());
    }
    std::fs::write(&file, "{}").unwrap();
    let complaint = asserted(&file, true).unwrap();
    assert!(complaint.contains("broken.lock.json: the schema lock cannot be read"), "{complaint}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{}");
}
