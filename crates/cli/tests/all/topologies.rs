//! `headwater topology`: a file and a server brought in line.

use std::fs;
use std::path::PathBuf;

use headwater_testkit::TestServer;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{run, run_at};

const FILE: &str = "[[streams]]
name = \"ORDERS\"
subjects = [\"orders.>\"]
max_age = \"7d\"

[[consumers]]
name = \"billing\"
stream = \"ORDERS\"
max_deliver = 3
";

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, text: &str) -> String {
        let path = self.path("topology.toml");
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

async fn edit(server: &TestServer, name: &str, change: impl FnOnce(&mut async_nats::jetstream::stream::Config)) {
    let jetstream = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let mut config = jetstream.get_stream(name).await.unwrap().cached_info().config.clone();
    change(&mut config);
    jetstream.update_stream(config).await.unwrap();
}

#[tokio::test]
async fn a_file_is_planned_applied_verified_and_destroyed() {
    let (server, folder) = (TestServer::start().await, Folder::new());
    let (url, file) = (server.url(), folder.file(FILE));

    let planned = run_at(&url, &format!("topology plan {file}")).await;
    assert_eq!(planned.status, Some(3), "{planned:?}");
    assert!(
        planned.stdout.starts_with("+ stream ORDERS (create)\n    subjects = [\"orders.>\"]\n    max_age = \"7d\"\n")
    );
    assert!(planned.stdout.ends_with("2 to create, 0 to update, 0 to replace, 0 extra; 0 as they should be.\n"));

    let unconfirmed = run_at(&url, &format!("topology apply {file}")).await;
    assert_eq!(unconfirmed.status, Some(1));
    assert!(unconfirmed.stderr.contains("--yes"), "{unconfirmed:?}");

    let applied = run_at(&url, &format!("topology apply {file} --yes")).await.done();
    assert_eq!(applied, "created stream ORDERS\ncreated consumer ORDERS / billing\n");
    let again = run_at(&url, &format!("topology apply {file} --yes")).await.done();
    assert_eq!(again, "Nothing to do: 2 as they should be.\n");
    run_at(&url, &format!("topology verify {file}")).await.done();

    edit(&server, "ORDERS", |config| config.max_messages = 5).await;
    let drifted = run_at(&url, &format!("topology verify {file}")).await;
    assert_eq!(drifted.status, Some(3));
    assert_eq!(
        drifted.stdout,
        "~ stream ORDERS (update in place)\n    max_messages: 5 -> (none)\n\
         0 to create, 1 to update, 0 to replace, 0 extra; 1 as they should be.\n"
    );
    let told = run_at(&url, &format!("topology verify {file} --json")).await;
    assert_eq!(told.status, Some(3));
    let told: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(told["pending"], true);
    assert_eq!(told["changes"][0]["differences"][0]["field"], "max_messages");
    let steps = run_at(&url, &format!("topology apply {file} --yes --json")).await.json_lines();
    assert_eq!(steps, [json!({ "target": { "stream": { "name": "ORDERS" } }, "action": "update" })]);

    let unconfirmed = run_at(&url, &format!("topology destroy {file}")).await;
    assert_eq!(unconfirmed.status, Some(1));
    let destroyed = run_at(&url, &format!("topology destroy {file} --yes")).await.done();
    assert_eq!(destroyed, "deleted stream ORDERS\n");
    let again = run_at(&url, &format!("topology destroy {file} --yes")).await.done();
    assert_eq!(again, "Nothing to do: none of it is there.\n");
}

#[tokio::test]
async fn nothing_is_replaced_or_deleted_without_being_told_to() {
    let (server, folder) = (TestServer::start().await, Folder::new());
    let (url, file) = (server.url(), folder.file(FILE));
    run_at(&url, &format!("topology apply {file} --yes")).await.done();
    let file = folder.file("[[streams]]\nname = \"ORDERS\"\nsubjects = [\"orders.>\"]\nstorage = \"memory\"\n");

    let planned = run_at(&url, &format!("topology plan {file}")).await;
    assert_eq!(planned.status, Some(3));
    assert!(planned.stdout.contains("! stream ORDERS (replace)"), "{planned:?}");
    assert!(planned.stdout.contains("storage: \"file\" -> \"memory\"  (the server refuses to change this)"));
    let refused = run_at(&url, &format!("topology apply {file} --yes")).await.refused(1);
    assert!(refused.contains("needs-replace") && refused.contains("--allow-replace"), "{refused}");
    let applied = run_at(&url, &format!("topology apply {file} --yes --allow-replace")).await.done();
    assert_eq!(applied, "replaced stream ORDERS\n");

    let file = folder.file("[[streams]]\nname = \"OTHER\"\nsubjects = [\"other\"]\n");
    run_at(&url, &format!("topology apply {file} --yes")).await.done();
    let extra = run_at(&url, &format!("topology plan {file}")).await.done();
    assert!(extra.contains("? stream ORDERS (extra)"), "{extra}");
    assert_eq!(run_at(&url, &format!("topology verify {file} --prune")).await.status, Some(3));
    let pruned = run_at(&url, &format!("topology apply {file} --yes --prune")).await.done();
    assert_eq!(pruned, "deleted stream ORDERS\n");
    run_at(&url, &format!("topology verify {file} --prune")).await.done();
}

#[tokio::test]
async fn a_server_is_imported_to_a_file_that_has_nothing_to_do() {
    let (server, folder) = (TestServer::start().await, Folder::new());
    let (url, file) = (server.url(), folder.file(FILE));
    run_at(&url, &format!("topology apply {file} --yes")).await.done();

    let to = folder.path("imported.toml").display().to_string();
    run_at(&url, &format!("topology import --to {to}")).await.done();
    run_at(&url, &format!("topology verify {to} --prune")).await.done();
    let refused = run_at(&url, &format!("topology import --to {to}")).await.refused(1);
    assert!(refused.contains("exists") && refused.contains("--force"), "{refused}");
    run_at(&url, &format!("topology import --to {to} --force")).await.done();

    let json = run_at(&url, "topology import ORDERS --json").await.json();
    assert_eq!(json["streams"][0]["max_age"], "7d");
    let refused = run_at(&url, "topology import NONE").await.refused(1);
    assert!(refused.contains("there is no stream NONE"), "{refused}");
}

#[tokio::test]
async fn mistakes_are_told_with_file_line_and_field() {
    let folder = Folder::new();
    let file = folder.file("[[streams]]\nname = \"OR*\"\nsubjects = [\"orders.>\"]\nmax_age = \"7 days\"\n");
    let told = run(&["topology", "plan", &file]).await.refused(1);
    assert!(told.contains(&format!("{file}:2:8: streams.OR*.name:")), "{told}");
    assert!(told.contains(&format!("{file}:4:11: streams.OR*.max_age:")), "{told}");
    let told = run(&["topology", "verify", &file, "--json"]).await.refused(1);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["error"]["code"], "invalid-topology");
    assert_eq!(told["error"]["details"]["mistakes"][1]["line"], 4);
    assert_eq!(told["error"]["details"]["mistakes"][1]["field"], "streams.OR*.max_age");

    let missing = run(&["topology", "plan", "nowhere.toml"]).await.refused(1);
    assert!(missing.contains("nowhere.toml"), "{missing}");
    assert_eq!(run(&["topology", "plan"]).await.status, Some(2));
    assert_eq!(run(&["topology", "plan", &file, "--bogus"]).await.status, Some(2));
}

#[tokio::test]
async fn the_schema_of_the_file_is_printed_without_a_server() {
    let schema = run(&["topology", "schema"]).await.json();
    assert_eq!(schema["properties"]["streams"]["type"], "array");
}
