//! Requests whose body is bad: each is refused by name, leaves nothing behind and disturbs nobody.

use bytes::Bytes;
use headwater::service::Limits;
use headwater_tests::plain::{add_item, command_subject, headers, query_subject};
use headwater_tests::{Answer, Instance, Journal, Plain, Site};
use sample_receipts::domain::AddItem;
use serde_json::{Value, json};

/// A service, somebody who asks it, and what is stored.
struct Till {
    site: Site,
    plain: Plain,
    journal: Journal,
    _instance: Instance,
}

impl Till {
    async fn open() -> Self {
        let site = Site::open().await;
        let instance = site.instance().await;
        let (plain, journal) = (site.plain().await, site.journal().await);
        Self { site, plain, journal, _instance: instance }
    }

    /// Asks what must be refused, and makes sure that nothing else happened.
    async fn refused(&self, subject: &str, body: impl Into<Bytes>, number: u16, code: &str) -> Answer {
        let before = self.journal.count().await;
        let answer = self.plain.ask(subject, body).await;
        answer.error(number, code);
        assert_eq!(self.journal.count().await, before, "something was stored");
        self.goes_on().await;
        answer
    }

    /// A command that must be refused, with the message that the caller gets.
    async fn refused_command(&self, name: &str, body: impl Into<Bytes>, number: u16, code: &str) -> String {
        self.refused(&command_subject(name), body, number, code).await.message(number, code)
    }

    /// Somebody else's call succeeds.
    async fn goes_on(&self) {
        let before = self.plain.add("somebody-else", "Tea").await.result()["revision"].as_u64().unwrap();
        assert_eq!(self.plain.get("somebody-else").await.result()["revision"], before);
    }

    /// The violations of a payload that breaks its schema, as path and message.
    async fn violations(&self, name: &str, command: Value) -> Vec<(String, String)> {
        let body = json!({ "aggregateId": "order-1", "command": command }).to_string();
        let answer = self.refused(&command_subject(name), body, 400, "validation-failed").await;
        let violations = answer.body["error"]["details"]["violations"].clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let pair = |violation: &Value| (text(&violation["path"]), text(&violation["message"]));
        violations.as_array().unwrap().iter().map(pair).collect()
    }
}

#[tokio::test]
async fn a_truncated_body() {
    let till = Till::open().await;
    let whole = add_item("order-1", "Tea").to_string();
    for length in [1, 10, whole.len() / 2, whole.len() - 1] {
        let message = till.refused_command("add-item", whole[..length].to_owned(), 400, "invalid-request").await;
        assert!(message.starts_with("the body is not JSON: EOF"), "{message}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_a_json_object() {
    let till = Till::open().await;
    for (body, message) in [
        (&b""[..], "the body is empty; a JSON object is expected"),
        (b"hello", "the body must be a JSON object"),
        (b"[]", "the body must be a JSON object"),
        (b"null", "the body must be a JSON object"),
        (b"\x00\x01\x02", "the body must be a JSON object"),
        (b"\xff\xfe{}", "the body must be a JSON object"),
    ] {
        assert_eq!(till.refused_command("add-item", body, 400, "invalid-request").await, message, "{body:?}");
    }
    for body in
        [&b"{}}"[..], b"{\"aggregateId\": nope}", b"{'aggregateId': 'a'}", b"{\"aggregateId\":\"\xff\",\"command\":{}}"]
    {
        till.refused_command("add-item", body, 400, "invalid-request").await;
    }
}

#[tokio::test]
async fn a_missing_member() {
    let till = Till::open().await;
    for (body, message) in [
        (json!({ "command": {} }), "missing member `aggregateId`"),
        (json!({ "aggregateId": "order-1" }), "missing member `command`"),
        (json!({}), "missing member `aggregateId`"),
    ] {
        assert_eq!(till.refused_command("add-item", body.to_string(), 400, "invalid-request").await, message);
    }
    let twice = r#"{"aggregateId":"a","aggregateId":"b","command":{}}"#;
    let message = till.refused_command("add-item", twice, 400, "invalid-request").await;
    assert_eq!(message, "the member `aggregateId` is there twice");
}

#[tokio::test]
async fn an_id_that_is_empty_or_too_long_or_has_control_characters() {
    let till = Till::open().await;
    let (long, wide) = ("x".repeat(129), "🧾".repeat(33));
    for (id, message) in [
        ("", "aggregateId is empty"),
        (long.as_str(), "aggregateId is 129 bytes long; at most 128 are allowed"),
        (wide.as_str(), "aggregateId is 132 bytes long; at most 128 are allowed"),
        ("a\nb", "aggregateId holds a control character at byte 1"),
        ("a\tb", "aggregateId holds a control character at byte 1"),
        ("\u{0}", "aggregateId holds a control character at byte 0"),
        ("a\u{7f}", "aggregateId holds a control character at byte 1"),
        ("a\u{85}", "aggregateId holds a control character at byte 1"),
    ] {
        let body = add_item(id, "Tea").to_string();
        assert_eq!(till.refused_command("add-item", body, 400, "invalid-request").await, message, "{id:?}");
        for query in ["get", "history"] {
            let body = json!({ "aggregateId": id }).to_string();
            till.refused(&query_subject(query), body, 400, "invalid-request").await;
        }
    }
}

#[tokio::test]
async fn an_id_with_dots_wildcards_spaces_or_emoji_works() {
    let till = Till::open().await;
    let client = till.site.receipts().await;
    for id in ["a.b.c", "*", ">", "receipts.journal.>", "two words", "🧾", "100 %", "../..", "a\\b"] {
        assert_eq!(till.plain.add(id, "Tea").await.result()["revision"], 1, "{id}");
        let item = AddItem { name: "Cake".to_owned(), price: "1".parse().unwrap(), quantity: 1 };
        assert_eq!(client.add_item(id, item).await.unwrap().revision.get(), 2, "{id}");
        assert_eq!(till.plain.get(id).await.result()["state"]["id"], id);
    }
}

#[tokio::test]
async fn unknown_members_of_a_payload() {
    let till = Till::open().await;
    let item = json!({ "name": "Tea", "price": "1", "quantity": 1 });
    let mut more = item.clone();
    more["discount"] = json!("0.5");
    for (name, command, path) in [
        ("add-item", more.clone(), ""),
        ("add-items", json!({ "items": [item, more] }), "/items/1"),
        ("finalize", json!({ "now": true }), ""),
    ] {
        let violations = till.violations(name, command).await;
        let [(found, message)] = &violations[..] else { panic!("{violations:?}") };
        assert_eq!(found, path);
        assert!(message.contains("discount") || message.contains("now"), "{message}");
    }
}

#[tokio::test]
async fn members_of_a_wrong_type() {
    let till = Till::open().await;
    let mut paths: Vec<_> = till
        .violations("add-item", json!({ "name": 5, "price": 5.99, "quantity": "2" }))
        .await
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/name", "/price", "/quantity"]);
    for command in [json!(null), json!([]), json!("text"), json!(5)] {
        assert_eq!(till.violations("add-item", command).await[0].0, "");
    }
    for (member, value, message) in [
        ("aggregateId", json!(5), "`aggregateId` must be a string"),
        ("expectedRevision", json!("3"), "`expectedRevision` must be a non-negative integer"),
        ("expectedRevision", json!(-1), "`expectedRevision` must be a non-negative integer"),
        ("expectedRevision", json!(1.5), "`expectedRevision` must be a non-negative integer"),
        ("return", json!("all"), "`return` must be `entity` or `revision`"),
        ("metadata", json!([]), "`metadata` must be an object"),
        ("metadata", json!({ "commandId": 7 }), "`metadata.commandId` must be a string"),
        ("metadata", json!({ "commandId": "" }), "in `metadata`, commandId is empty"),
        ("metadata", json!({ "timestamp": "now" }), "`metadata.timestamp` must be an RFC 3339 time"),
        ("metadata", json!({ "userId": "a\nb" }), "`metadata.userId` holds a control character"),
        ("metadata", json!({ "tenantId": "x".repeat(257) }), "`metadata.tenantId` is longer than 256 bytes"),
    ] {
        let mut body = add_item("order-1", "Tea");
        body[member] = value.clone();
        let told = till.refused_command("add-item", body.to_string(), 400, "invalid-request").await;
        assert_eq!(told, message, "{member}: {value}");
    }
    for (query, body, message) in [
        ("get", json!({ "aggregateId": "a", "atRevision": "1" }), "`atRevision` must be a non-negative integer"),
        ("get", json!({ "aggregateId": "a", "atTime": 5 }), "`atTime` must be an RFC 3339 time"),
        ("get", json!({ "aggregateId": "a", "minRevision": -1 }), "`minRevision` must be a non-negative integer"),
        (
            "history",
            json!({ "aggregateId": "a", "afterRevision": [] }),
            "`afterRevision` must be a non-negative integer",
        ),
        ("history", json!({ "aggregateId": "a", "limit": 0 }), "`limit` must be a positive integer"),
    ] {
        let answer = till.refused(&query_subject(query), body.to_string(), 400, "invalid-request").await;
        assert_eq!(answer.message(400, "invalid-request"), message);
    }
}

#[tokio::test]
async fn prices_that_are_negative_or_too_precise_or_no_prices() {
    let till = Till::open().await;
    for price in ["-1", "-0.01", "1.999", "1e3", "1,50", "", " 1", "NaN", "0x10", "1000000000000"] {
        let violations = till.violations("add-item", json!({ "name": "Tea", "price": price, "quantity": 1 })).await;
        assert!(violations.iter().all(|(path, _)| path == "/price"), "{price}: {violations:?}");
    }
}

#[tokio::test]
async fn names_quantities_and_lists_out_of_their_bounds() {
    let till = Till::open().await;
    let item = |name: &str, quantity: i64| json!({ "name": name, "price": "1", "quantity": quantity });
    for (command, path) in [
        (item("", 1), "/name"),
        (item(&"x".repeat(201), 1), "/name"),
        (item("Tea", 0), "/quantity"),
        (item("Tea", -1), "/quantity"),
        (item("Tea", 10_001), "/quantity"),
        (item("Tea", i64::MAX), "/quantity"),
    ] {
        assert!(till.violations("add-item", command).await.iter().all(|(found, _)| found == path), "{path}");
    }
    for count in [0, 501] {
        let items: Vec<_> = (0..count).map(|_| item("Tea", 1)).collect();
        assert_eq!(till.violations("add-items", json!({ "items": items })).await[0].0, "/items");
    }
    let half_good = json!({ "items": [item("Tea", 1), item("", 1)] });
    assert_eq!(till.violations("add-items", half_good).await[0].0, "/items/1/name");
}

#[tokio::test]
async fn a_hundred_thousand_levels_of_nesting() {
    let bomb = |open: &str, levels: usize| format!(r#"{{"aggregateId":"a","command":{}"#, open.repeat(levels));
    let till = Till::open().await;
    // As many levels as fit into a body, and more than fit.
    for open in ["[", "{\"a\":"] {
        let message = till.refused_command("add-item", bomb(open, 12_000), 400, "invalid-request").await;
        assert_eq!(message, "the JSON is nested more than 32 levels deep");
    }
    till.refused_command("add-item", bomb("[", 100_000), 413, "payload-too-large").await;

    // A service that takes larger bodies looks at the nesting before anything else does.
    let site = Site::open().await;
    let limits = Limits::default().max_body(900_000);
    let _instance = site.starting().service(|service| service.limits(limits)).start().await;
    let plain = site.plain().await;
    for body in [bomb("[", 100_000), bomb("{\"a\":", 100_000), "[".repeat(100_000)] {
        for subject in
            [command_subject("add-item"), query_subject("get"), query_subject("summary"), "receipts.schema".to_owned()]
        {
            let message = plain.ask(&subject, body.clone()).await.message(400, "invalid-request");
            assert_eq!(message, "the JSON is nested more than 32 levels deep", "{subject}");
        }
    }
    plain.add("order-1", "Tea").await.result();
}

#[tokio::test]
async fn a_body_over_the_servers_max_payload() {
    let till = Till::open().await;
    let before = till.journal.count().await;
    let body = vec![b' '; 1024 * 1024 + 1];
    // A client library refuses to send it; ours says why.
    let refused = till.plain.try_ask(&command_subject("add-item"), headers([]), body.clone()).await.unwrap_err();
    assert_eq!(refused.kind(), async_nats::RequestErrorKind::MaxPayloadExceeded);
    let item = AddItem { name: "x".repeat(1024 * 1024), price: "1".parse().unwrap(), quantity: 1 };
    let refused = till.site.receipts().await.add_item("order-1", item).await.unwrap_err();
    assert!(refused.to_string().contains("more than the 1048576 the server takes"), "{refused}");
    // Whoever sends it all the same is cut off by the server.
    let mut raw = till.site.raw().await;
    let sent = async {
        raw.publish(&command_subject("add-item"), Some("_INBOX.raw"), &body).await?;
        raw.ping().await
    };
    sent.await.unwrap_err();
    assert_eq!(till.journal.count().await, before);
    till.goes_on().await;
}

#[tokio::test]
async fn an_unknown_command() {
    let till = Till::open().await;
    let body = add_item("order-1", "Tea").to_string();
    for (name, message) in [
        ("add-things", "aggregate `receipt` has no command `add-things`".to_owned()),
        ("Add-Item", "aggregate `receipt` has no command `Add-Item`".to_owned()),
        (&"x".repeat(300), format!("aggregate `receipt` has no command `{}`", "x".repeat(80))),
    ] {
        assert_eq!(till.refused_command(name, body.clone(), 400, "invalid-request").await, message);
    }
}

/// What is private stays out of messages: they end up in logs.
#[tokio::test]
async fn refusals_never_quote_what_was_sent() {
    let till = Till::open().await;
    for body in [
        r#"{"aggregateId":"hunter2"#.to_owned(),
        r#"{"aggregateId":"a","command":"hunter2"}"#.to_owned(),
        r#"{"aggregateId":"a","command":{"name":"Tea","price":"hunter2","quantity":1}}"#.to_owned(),
        r#"{"aggregateId":"a","command":{"name":"Tea","price":"1","quantity":"hunter2"}}"#.to_owned(),
        r#"{"aggregateId":"a","command":{},"return":"hunter2"}"#.to_owned(),
        r#"{"aggregateId":"a","command":{},"metadata":{"timestamp":"hunter2"}}"#.to_owned(),
    ] {
        let answer = till.plain.ask(&command_subject("add-item"), body.clone()).await;
        assert_eq!(answer.header("Nats-Service-Error-Code"), "400", "{body}");
        assert!(!format!("{answer:?}").contains("hunter2"), "{answer:?}");
    }
}
