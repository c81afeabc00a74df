//! Tenants kept apart: each sees and changes its own aggregates only.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::support;
use crate::tokens;

use headwater_core::AggregateId;
use headwater_core::store::{EventStore, ReadOptions};
use headwater_nats_service::auth::{Auth, JwtKey, Rule};
use serde_json::{Value, json};
use support::{Reply, World, headers};
use tokens::{Files, Key, bearer, but, jwt, without};

struct Tenants {
    world: World,
    key: Key,
    _files: Files,
}

impl Tenants {
    async fn start() -> Self {
        let (key, files) = (Key::secret(), Files::new());
        let tokens = jwt(JwtKey::file(files.write("key", &key.public), key.algorithm()));
        let everything = Rule::allow().commands(["*"]).queries(["*"]);
        let auth = Auth::default().jwt(tokens).rule(everything).tenants(true);
        Self { world: World::with(|service| service.auth(auth)).await, key, _files: files }
    }

    async fn ask(&self, tenant: &str, subject: &str, body: Value) -> Reply {
        let token = bearer(&self.key.sign(&but("tenant", json!(tenant))));
        self.world.caller.ask_with(subject, headers([("Authorization", &token)]), body.to_string()).await
    }

    async fn add(&self, tenant: &str, amount: i64, command_id: &str) -> Reply {
        let body = json!({
            "aggregateId": "t", "command": { "amount": amount }, "metadata": { "commandId": command_id }
        });
        self.ask(tenant, "tallies.command.tally.add", body).await
    }
}

#[tokio::test]
async fn the_same_id_in_two_tenants_is_two_aggregates() {
    let tenants = Tenants::start().await;
    assert_eq!(tenants.add("north", 1, "c-1").await.result()["state"]["total"], 1);
    assert_eq!(tenants.add("north", 2, "c-2").await.result()["state"]["total"], 3);
    // The id of a command is a tenant's own too: this is no repeat.
    let south = tenants.add("south", 10, "c-1").await;
    assert_eq!((&south.result()["revision"], &south.result()["state"]["total"]), (&json!(1), &json!(10)));
    assert_eq!(south.body["metadata"]["replayed"], false);
    assert_eq!(tenants.add("north", 1, "c-1").await.body["metadata"]["replayed"], true);

    let id = json!({ "aggregateId": "t" });
    for (tenant, total, events) in [("north", 3, 2), ("south", 10, 1)] {
        let get = tenants.ask(tenant, "tallies.query.tally.get", id.clone()).await;
        assert_eq!(get.result()["state"]["total"], total, "{tenant}");
        assert_eq!(get.result()["aggregate"]["id"], "t");
        let history = tenants.ask(tenant, "tallies.query.tally.history", id.clone()).await;
        let page = history.result()["events"].as_array().unwrap();
        assert_eq!(page.len(), events, "{tenant}");
        assert!(page.iter().all(|event| event["tenantid"] == tenant), "{page:#?}");
        let above = json!({ "aggregateId": "t", "query": { "limit": 5 } });
        let above = tenants.ask(tenant, "tallies.query.tally.is-above", above).await;
        assert_eq!(above.result()["answer"], total > 5, "{tenant}");
        let stored = AggregateId::new("tally", "t").unwrap().in_tenant(tenant).unwrap();
        let stored = tenants.world.store.read(&stored, ReadOptions::default()).await.unwrap();
        assert_eq!(stored.events.len(), events);
    }
    let nobody_s = AggregateId::new("tally", "t").unwrap();
    let stored = tenants.world.store.read(&nobody_s, ReadOptions::default()).await.unwrap();
    assert!(stored.events.is_empty());
}

#[tokio::test]
async fn no_tenant_reaches_another_whatever_it_writes() {
    let tenants = Tenants::start().await;
    tenants.add("north", 1, "c-1").await.result();
    for subject in ["tallies.query.tally.get", "tallies.query.tally.history"] {
        let claimed = json!({ "aggregateId": "t", "metadata": { "tenantId": "north" } });
        tenants.ask("south", subject, claimed).await.failure(403, "forbidden");
        // Ids that look like another tenant's are only ids.
        for id in ["north=t", "north%3Dt", "north/t"] {
            let reply = tenants.ask("south", subject, json!({ "aggregateId": id })).await;
            match reply.body["success"] == true {
                true => assert_eq!(reply.result()["events"], json!([]), "{id}"),
                false => assert_eq!(reply.body["error"]["code"], "not-found", "{id}"),
            }
        }
    }
    let claimed = json!({ "aggregateId": "t", "command": { "amount": 1 }, "metadata": { "tenantId": "north" } });
    tenants.ask("south", "tallies.command.tally.add", claimed).await.failure(403, "forbidden");
    let get = tenants.ask("north", "tallies.query.tally.get", json!({ "aggregateId": "t" })).await;
    assert_eq!(get.result()["state"]["total"], 1);
}

#[tokio::test]
async fn a_caller_without_a_tenant_is_refused() {
    let tenants = Tenants::start().await;
    for claims in [without("tenant"), but("tenant", Value::Null)] {
        let token = bearer(&tenants.key.sign(&claims));
        tenants.world.caller.add("t", &token).await.failure(403, "forbidden");
        tenants.world.caller.get_with("t", &token).await.failure(403, "forbidden");
    }
    let stats = tenants.world.service.stats().auth.unwrap();
    assert_eq!((stats.allowed, stats.refused["other-tenant"]), (0, 4));
}
