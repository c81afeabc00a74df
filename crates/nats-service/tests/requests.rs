//! Requests and their answers, asked the way any NATS program would.

mod support;

use serde_json::json;
use support::World;

#[tokio::test]
async fn a_command_is_carried_out_and_answered_with_the_entity() {
    let world = World::start().await;
    let reply = world.caller.command("a", "add", json!({ "amount": 5 })).await;
    let result = reply.result();
    assert_eq!(result["aggregate"], json!({ "type": "tally", "id": "a" }));
    assert_eq!((&result["revision"], &result["sequence"]), (&json!(1), &json!(1)));
    assert_eq!(result["state"]["total"], 5);
    assert_eq!(result["events"][0]["type"], "added");
    assert_eq!(reply.body["metadata"]["instance"], world.service.instance_id());
    assert_eq!(world.caller.get("a").await.result()["state"]["total"], 5);
}
