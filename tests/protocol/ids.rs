//! Section 1: an aggregate id is one subject token, encoded, whatever characters it has.

use headwater_tests::Site;
use serde_json::json;

/// Ids and the tokens they become.
fn ids() -> Vec<(String, String)> {
    let pairs = [
        ("order-12345", "order-12345"),
        ("AZaz09-_~", "AZaz09-_~"),
        ("a.b", "a%2Eb"),
        ("*", "%2A"),
        (">", "%3E"),
        ("two words", "two%20words"),
        ("100%", "100%25"),
        ("%41", "%2541"),
        ("a=b/c:d", "a%3Db%2Fc%3Ad"),
        ("🧾", "%F0%9F%A7%BE"),
        ("é", "%C3%A9"),
        ("\"quoted\\\"", "%22quoted%5C%22"),
        ("$JS.API.>", "%24JS%2EAPI%2E%3E"),
    ];
    let mut ids: Vec<_> = pairs.map(|(id, token)| (id.to_owned(), token.to_owned())).into();
    ids.push(("x".repeat(128), "x".repeat(128)));
    ids.push((".".repeat(128), "%2E".repeat(128)));
    // 32 characters, 128 bytes.
    ids.push(("🧾".repeat(32), "%F0%9F%A7%BE".repeat(32)));
    ids
}

#[tokio::test]
async fn an_id_becomes_one_token_and_comes_back_as_it_was() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    for (id, token) in ids() {
        let added = plain.add(&id, "Coffee").await;
        assert_eq!(added.result()["aggregate"], json!({ "type": "receipt", "id": id }));
        assert_eq!(added.result()["state"]["id"], id.as_str());
        let stored = journal.all().await.pop().unwrap();
        assert_eq!(stored.subject, format!("receipts.journal.receipt.{token}.item-added"));
        assert_eq!(stored.body["subject"], id.as_str());

        let state = plain.get(&id).await;
        assert_eq!(state.result()["aggregate"]["id"], id.as_str());
        let history = plain.query("history", &json!({ "aggregateId": id })).await;
        assert_eq!(history.result()["events"][0]["subject"], id.as_str());
    }
}

#[tokio::test]
async fn ids_that_look_alike_are_different_aggregates() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let plain = site.plain().await;
    for id in ["a.b", "a%2Eb", "a%2eb", "A.B", "a.b ", "*", ">", "%2A", "e\u{301}", "é"] {
        assert_eq!(plain.add(id, "Tea").await.result()["revision"], 1, "{id}");
    }
}

#[tokio::test]
async fn a_token_that_the_encoder_would_not_have_made_is_not_taken_for_an_id() {
    let site = Site::open().await;
    let _instance = site.instance().await;
    let (plain, journal) = (site.plain().await, site.journal().await);
    plain.add("A", "Coffee").await.result();
    let stored = journal.of("A").await;
    // Another program writes the same event where a sloppy encoder would.
    for token in ["%41", "%4a", "%zz", "%", "é", "a=b"] {
        let subject = format!("receipts.journal.receipt.{token}.item-added");
        let ack = async_nats::jetstream::new(journal.client().clone()).publish(subject, stored[0].raw.clone()).await;
        ack.unwrap().await.unwrap();
    }
    let state = plain.get("A").await;
    assert_eq!(state.result()["revision"], 1, "what lies under another token is not part of it");
    for id in ["%41", "%4a", "%zz", "%"] {
        plain.get(id).await.error(404, "not-found");
    }
}
