//! Calls of a service that asks who calls: signatures, tokens and tenants.

use headwater::service::auth::{Auth, NkeyUser, Nkeys, Rule};
use serde_json::{Value, json};

use crate::support::finish;
use crate::support::receipts::{Receipts, item};

#[tokio::test]
async fn a_service_that_asks_who_calls_is_told_by_a_signature() {
    let key = nkeys::KeyPair::new_user();
    let till = NkeyUser::new(key.public_key(), "till-7").tenant("north").role("till");
    let rule = Rule::allow().commands(["receipt.add-item"]).queries(["receipt.*"]).role("till");
    let auth = Auth::default().nkeys(Nkeys::default().allow(till)).roles(["till"]).rule(rule).tenants(true);
    let mut receipts = Receipts::start(0).await;
    let instance = receipts.instance_with("1.0.0", |service| service.auth(auth)).await;
    receipts.instances.push(instance);
    let seed = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(seed.path(), key.seed().unwrap()).unwrap();
    let signed = format!("--sign-with {}", seed.path().display());

    let add = format!("command send receipts receipt add-item order-1 --data {}", item("Tea", 1));
    let unknown = receipts.run(&add).await.refused(1);
    assert!(unknown.starts_with("refused: unauthenticated: ") && unknown.contains("--sign-with"), "{unknown}");
    let mut with_token = receipts.program(&format!("{add} --json"));
    with_token.env("HEADWATER_TOKEN", "canary");
    let with_token = finish(with_token).await.refused(1);
    let refused: Value = serde_json::from_str(&with_token).unwrap();
    assert_eq!(refused["error"]["code"], "unauthenticated");
    assert!(!with_token.contains("canary"), "{with_token}");

    let mut sign = receipts.program(&format!("{add} {signed}"));
    sign.env("HEADWATER_TOKEN", "canary");
    finish(sign).await.done();
    let forbidden = receipts.run(&format!("command send receipts receipt finalize order-1 {signed}")).await.refused(1);
    assert!(forbidden.starts_with("refused: forbidden: "), "{forbidden}");
    let shown = receipts.run(&format!("aggregate show receipts receipt order-1 --json {signed}")).await.json();
    assert_eq!((&shown["revision"], &shown["state"]["total"]), (&json!(1), &json!("2.50")));

    // In the journal it is an aggregate of its tenant.
    let of = async |line: &str| receipts.run(&format!("events show receipts --json {line}")).await.json_lines();
    assert!(of("--aggregate receipt/order-1").await.is_empty());
    let event = &of("--aggregate receipt/order-1 --tenant north").await[0];
    assert_eq!((&event["userid"], &event["aggregatetenant"]), (&json!("till-7"), &json!("north")));
    let text = receipts.run("events show receipts").await.done();
    assert!(text.contains("north:receipt/order-1  r1  item-added"), "{text}");
}

#[tokio::test]
async fn proofs_that_cannot_be_had_are_told_before_anybody_is_asked() {
    let receipts = Receipts::start(0).await;
    for (flag, status) in [
        ("--sign-with /nonexistent/seed", 1),
        ("--bearer-file /nonexistent/jwt", 1),
        ("--bearer-file a --sign-with b", 2),
    ] {
        let told = receipts.run(&format!("aggregate show receipts receipt order-1 {flag}")).await.refused(status);
        assert!(told.contains("/nonexistent/") || status == 2, "{flag}: {told}");
    }
}
