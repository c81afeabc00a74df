//! What a service's contract holds, and when its fingerprint changes.
#![allow(clippy::unwrap_used, reason = "a panic is how a test reports")]

use crate::wallet;

use headwater_core::schema::PayloadValidator;
use headwater_core::{AggregateType, Contract, Describe, Name};
use serde_json::{Value, json};
use wallet::{Assign, CanWithdraw, Deposit, Wallet, Withdraw, described};

fn contract_of(types: &[AggregateType]) -> Contract {
    Contract::of(&Name::new("wallets").unwrap(), "1.2.3", types)
}

fn contract() -> Contract {
    contract_of(&[described().build().unwrap()])
}

#[test]
fn the_document_has_the_members_of_the_protocol() {
    let contract = contract();
    assert_eq!(contract.part("/service").unwrap(), "wallets");
    assert_eq!(contract.part("/version").unwrap(), "1.2.3");
    assert_eq!(contract.part("/contract").unwrap(), contract.fingerprint());
    let members = |pointer| contract.part(pointer).unwrap().as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(members(""), ["aggregates", "contract", "service", "version"]);
    assert_eq!(members("/aggregates/wallet"), ["commands", "events", "queries", "rejections", "result", "state"]);
    assert_eq!(members("/aggregates/wallet/commands"), ["assign", "deposit", "withdraw"]);
    assert_eq!(members("/aggregates/wallet/commands/deposit"), ["events", "rejections", "request"]);
    assert_eq!(members("/aggregates/wallet/events"), ["assigned", "deposited", "withdrawn"]);
    assert_eq!(members("/aggregates/wallet/events/deposited"), ["data", "version"]);
    assert_eq!(members("/aggregates/wallet/queries"), ["can-withdraw", "get", "history"]);
    assert_eq!(members("/aggregates/wallet/queries/get"), ["request", "response"]);
    assert_eq!(members("/aggregates/wallet/rejections"), ["already-owned", "insufficient-funds"]);
    assert_eq!(contract.part("/aggregates/wallet/commands/withdraw/events").unwrap(), &json!(["withdrawn"]));
    assert_eq!(
        contract.part("/aggregates/wallet/commands/withdraw/rejections").unwrap(),
        &json!(["already-owned", "insufficient-funds"])
    );
    assert_eq!(contract.part("/aggregates/wallet/events/deposited/version").unwrap(), 3);
    assert_eq!(serde_json::to_value(&contract).unwrap(), *contract.document());
}

#[test]
fn a_pointer_to_nothing_finds_nothing() {
    let contract = contract();
    for pointer in ["/", "/aggregates/", "/aggregates/wallet/commands/steal", "aggregates", "/aggregates/wallet~1"] {
        assert!(contract.part(pointer).is_none(), "{pointer}");
    }
}

/// Where the contract keeps a schema.
fn schema_pointers() -> Vec<String> {
    let mut pointers = vec!["/state".to_owned(), "/result".to_owned()];
    pointers.extend(["assign", "deposit", "withdraw"].map(|command| format!("/commands/{command}/request")));
    pointers.extend(["assigned", "deposited", "withdrawn"].map(|event| format!("/events/{event}/data")));
    pointers.extend(["already-owned", "insufficient-funds"].map(|rejection| format!("/rejections/{rejection}")));
    for query in ["get", "history", "can-withdraw"] {
        pointers.extend(["request", "response"].map(|part| format!("/queries/{query}/{part}")));
    }
    pointers.into_iter().map(|pointer| format!("/aggregates/wallet{pointer}")).collect()
}

#[test]
fn every_schema_is_complete_and_says_its_dialect() {
    let contract = contract();
    for pointer in schema_pointers() {
        let schema = contract.part(&pointer).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{pointer}");
        PayloadValidator::new(&pointer, schema).unwrap();
    }
}

fn assert_fits(pointer: &str, good: &[Value], bad: &[Value]) {
    let contract = contract();
    let schema = contract.part(&format!("/aggregates/wallet{pointer}")).unwrap();
    let validator = PayloadValidator::new(pointer, schema).unwrap();
    for good in good {
        validator.check(good).unwrap_or_else(|violations| panic!("{pointer}: {good}: {violations:?}"));
    }
    for bad in bad {
        assert!(validator.check(bad).is_err(), "{pointer} takes {bad}");
    }
}

#[test]
fn bodies_of_requests_fit_their_schemas_and_wrong_ones_do_not() {
    assert_fits("/commands/deposit/request", &[json!({ "amount": 1 })], &[json!({ "amount": 0 }), json!({}), json!(1)]);
    let metadata = json!({ "commandId": "c-1", "userId": "u", "timestamp": "2026-11-20T12:00:00Z", "more": 1 });
    assert_fits(
        "/queries/get/request",
        &[
            json!({ "aggregateId": "a.b *>" }),
            json!({ "aggregateId": "🧾", "atRevision": 3, "minRevision": 0, "metadata": metadata }),
            json!({ "aggregateId": "a", "atTime": "2026-11-20T12:00:00.123456Z", "unknown": [] }),
        ],
        &[
            json!({}),
            json!({ "aggregateId": "" }),
            json!({ "aggregateId": "two\nlines" }),
            json!({ "aggregateId": "x".repeat(129) }),
            json!({ "aggregateId": "a", "atRevision": -1 }),
            json!({ "aggregateId": "a", "atTime": "yesterday" }),
            json!({ "aggregateId": "a", "metadata": { "userId": "x".repeat(257) } }),
        ],
    );
    assert_fits(
        "/queries/history/request",
        &[json!({ "aggregateId": "a" }), json!({ "aggregateId": "a", "afterRevision": 3, "limit": 10 })],
        &[json!({ "aggregateId": "a", "limit": 0 }), json!({ "afterRevision": 3 })],
    );
    assert_fits(
        "/queries/can-withdraw/request",
        &[
            json!({ "aggregateId": "a", "query": { "amount": 5 }, "minRevision": 2 }),
            json!({ "aggregateId": "a", "query": { "amount": 5, "then": { "amount": 6, "then": { "amount": 7 } } } }),
        ],
        &[
            json!({ "aggregateId": "a" }),
            json!({ "aggregateId": "a", "query": { "amount": "5" } }),
            // The reference to itself leads to the query's schema and not to that of the body around it.
            json!({ "aggregateId": "a", "query": { "amount": 5, "then": { "amount": 6, "then": { "amount": "7" } } } }),
            json!({ "aggregateId": "a", "query": { "amount": 5, "then": { "aggregateId": "a", "query": {} } } }),
        ],
    );
}

#[test]
fn results_fit_their_schemas_and_wrong_ones_do_not() {
    let aggregate = json!({ "type": "wallet", "id": "a-1" });
    let state = json!({
        "id": "a-1", "balance": 3, "owner": null,
        "movements": [{ "in": 5 }, { "out": { "amount": 2, "by": "Ann" } }],
    });
    let mut wrong_state = state.clone();
    wrong_state["movements"][1] = json!({ "out": { "amount": -2, "by": "Ann" } });
    let id = "6f1c3d0e-9b52-5f5a-8a77-2d41c0be11d3";

    let done = |state: &Value| {
        let event = json!({ "id": id, "type": "deposited", "revision": 1 });
        json!({ "aggregate": aggregate, "revision": 1, "sequence": 7, "events": [event], "state": state })
    };
    let mut without_state = done(&state);
    without_state.as_object_mut().unwrap().remove("state");
    assert_fits("/result", &[done(&state), without_state], &[done(&wrong_state), json!({ "aggregate": aggregate })]);

    let entity = |state: &Value| json!({ "aggregate": aggregate, "revision": 2, "sequence": 9, "state": state });
    let mut of_another_type = entity(&state);
    of_another_type["aggregate"]["type"] = json!("receipt");
    assert_fits("/queries/get/response", &[entity(&state)], &[entity(&wrong_state), of_another_type]);

    let event = json!({
        "specversion": "1.0", "id": id, "source": "/wallets", "type": "opened", "subject": "a-1",
        "time": "2026-11-20T12:00:00.123456Z", "datacontenttype": "application/json", "aggregatetype": "wallet",
        "revision": 1, "schemaversion": 1, "sequence": 7, "commandid": "c-1", "data": { "owner": "Ann" },
    });
    let mut unnamed = event.clone();
    unnamed.as_object_mut().unwrap().remove("type");
    let page = |event: &Value| json!({ "aggregate": aggregate, "revision": 2, "events": [event], "next": null });
    assert_fits("/queries/history/response", &[page(&event)], &[page(&unnamed), json!({ "events": [] })]);

    let answer = |answer| json!({ "aggregate": aggregate, "revision": 2, "sequence": 9, "answer": answer });
    assert_fits(
        "/queries/can-withdraw/response",
        &[answer(json!({ "allowed": true }))],
        &[answer(json!({ "allowed": "yes" }))],
    );
}

#[test]
fn the_fingerprint_is_the_same_each_time_and_in_whatever_order_things_are_listed() {
    let reordered = Describe::<Wallet>::new()
        .query::<CanWithdraw>()
        .command::<Assign>()
        .command::<Withdraw>()
        .command::<Deposit>()
        .build()
        .unwrap();
    assert_eq!(contract().fingerprint(), contract().fingerprint());
    assert_eq!(contract_of(&[reordered]).fingerprint(), contract().fingerprint());
}

#[test]
fn the_fingerprint_does_not_depend_on_name_and_version_of_the_service() {
    let other = Contract::of(&Name::new("other").unwrap(), "2.0.0", &[described().build().unwrap()]);
    assert_eq!(other.fingerprint(), contract().fingerprint());
    assert_ne!(other, contract());
}

#[test]
fn the_fingerprint_changes_with_what_a_service_can_be_asked() {
    let fewer = Describe::<Wallet>::new().command::<Deposit>().build().unwrap();
    let without_query =
        Describe::<Wallet>::new().command::<Deposit>().command::<Withdraw>().command::<Assign>().build().unwrap();
    let fingerprints = [
        contract().fingerprint().to_owned(),
        contract_of(&[fewer]).fingerprint().to_owned(),
        contract_of(&[without_query]).fingerprint().to_owned(),
        contract_of(&[]).fingerprint().to_owned(),
    ];
    for (place, one) in fingerprints.iter().enumerate() {
        assert!(!fingerprints[..place].contains(one), "{fingerprints:?}");
        assert!(one.len() == 64 && one.bytes().all(|digit| digit.is_ascii_hexdigit()), "{one}");
    }
}

#[test]
fn the_fingerprint_changes_with_a_schema() {
    use headwater_core::{Aggregate, AggregateId, Command, CommandContext, Decide};
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    /// The wallet again, with one member of one command widened.
    #[derive(Clone, Serialize, Deserialize, JsonSchema)]
    #[serde(transparent)]
    #[schemars(with = "Wallet")]
    struct Wider(Wallet);

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[schemars(rename = "Deposit")]
    struct WiderDeposit {
        #[schemars(range(min = 0))]
        amount: u64,
    }

    impl Command for WiderDeposit {
        const NAME: &'static str = "deposit";
    }

    impl Aggregate for Wider {
        const TYPE: &'static str = "wallet";
        type Event = wallet::WalletEvent;
        type Rejection = wallet::WalletRejection;

        fn init(id: &AggregateId) -> Self {
            Self(Wallet::init(id))
        }

        fn evolve(&mut self, event: &wallet::WalletEvent) {
            self.0.evolve(event);
        }
    }

    impl Decide<Deposit> for Wider {
        fn decide(
            &self,
            command: Deposit,
            context: &CommandContext,
        ) -> Result<Vec<wallet::WalletEvent>, wallet::WalletRejection> {
            self.0.decide(command, context)
        }
    }

    impl Decide<WiderDeposit> for Wider {
        fn decide(
            &self,
            command: WiderDeposit,
            context: &CommandContext,
        ) -> Result<Vec<wallet::WalletEvent>, wallet::WalletRejection> {
            self.0.decide(Deposit { amount: command.amount }, context)
        }
    }

    let narrow = contract_of(&[Describe::<Wider>::new().command::<Deposit>().build().unwrap()]);
    let wide = contract_of(&[Describe::<Wider>::new().command::<WiderDeposit>().build().unwrap()]);
    let without_request = |contract: &Contract| {
        let mut document = contract.document().clone();
        let minimum = document.pointer_mut("/aggregates/wallet/commands/deposit/request/properties/amount/minimum");
        *minimum.unwrap() = Value::Null;
        document["contract"] = Value::Null;
        document
    };
    assert_eq!(without_request(&narrow), without_request(&wide), "nothing else differs");
    assert_ne!(narrow.fingerprint(), wide.fingerprint());
}
