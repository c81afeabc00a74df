//! The description that `#[aggregate(…)]` writes is the one a person would have written.

use std::sync::Arc;

use headwater_core::schema::schema_from;
use headwater_core::{AggregateType, Described};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
struct Deposited {
    amount: u64,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
struct Withdrawn {
    amount: u64,
}

/// What a currency is worth.
struct Rates(pub u64);

mod by_macro {
    use headwater_core::{AggregateId, HandleError};
    use headwater_macros::{Command, Event, Query, Rejection, aggregate};
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::{Deposited, Rates, Withdrawn};

    #[derive(Command, Serialize, Deserialize, JsonSchema)]
    pub(super) struct Deposit {
        amount: u64,
    }

    #[derive(Command, Serialize, Deserialize, JsonSchema)]
    pub(super) struct Withdraw {
        amount: u64,
    }

    #[derive(Command, Serialize, Deserialize, JsonSchema)]
    pub(super) struct Close {}

    #[derive(Command, Serialize, Deserialize, JsonSchema)]
    pub(super) struct Exchange {
        amount: u64,
    }

    #[derive(Query, Serialize, Deserialize, JsonSchema)]
    #[query(name = "afford", answer = bool)]
    pub(super) struct CanAfford {
        amount: u64,
    }

    #[derive(Clone, Event)]
    pub(super) enum AccountEvent {
        Deposited(Deposited),
        #[event(version = 3)]
        Withdrawn(Withdrawn),
        #[event(name = "account-closed")]
        Closed,
    }

    #[derive(Debug, Clone, thiserror::Error, Rejection)]
    pub(super) enum AccountRejection {
        #[error("{missing} is missing")]
        NotEnough { missing: u64 },
        #[error("the account is closed")]
        AccountClosed,
    }

    #[derive(Clone, Serialize, Deserialize, JsonSchema)]
    pub(super) struct Account {
        balance: u64,
        closed: bool,
    }

    #[headwater_macros::aggregate(type = "account", event = AccountEvent, rejection = AccountRejection, env = Rates)]
    impl Account {
        fn init(_: &AggregateId) -> Self {
            Self { balance: 0, closed: false }
        }

        fn evolve(&mut self, event: &AccountEvent) {
            match event {
                AccountEvent::Deposited(deposited) => self.balance += deposited.amount,
                AccountEvent::Withdrawn(withdrawn) => self.balance -= withdrawn.amount,
                AccountEvent::Closed => self.closed = true,
            }
        }

        #[command]
        fn deposit(&self, command: Deposit) -> Result<Deposited, AccountRejection> {
            Ok(Deposited { amount: command.amount })
        }

        #[command]
        fn withdraw(&self, command: Withdraw) -> Result<Option<Withdrawn>, AccountRejection> {
            Ok((command.amount > 0).then_some(Withdrawn { amount: command.amount }))
        }

        // What it can cause is known to the compiler alone, so the contract lists every event.
        #[command]
        fn close(&self, _: Close) -> Result<impl headwater_core::IntoEvents<AccountEvent>, AccountRejection> {
            Ok(AccountEvent::Closed)
        }

        #[command]
        async fn exchange(
            &self,
            command: Exchange,
            env: &Rates,
        ) -> Result<(Withdrawn, Deposited), HandleError<AccountRejection>> {
            let amount = command.amount;
            Ok((Withdrawn { amount }, Deposited { amount: amount * env.0 }))
        }

        #[query]
        fn afford(&self, query: CanAfford) -> bool {
            self.balance >= query.amount
        }
    }

    /// The attribute is called with and without a path.
    #[derive(Clone, Serialize, Deserialize, JsonSchema)]
    pub(super) struct Other {}

    #[aggregate(type = "other", event = AccountEvent)]
    impl Other {
        fn init(_: &AggregateId) -> Self {
            Self {}
        }

        fn evolve(&mut self, _: &AccountEvent) {}

        #[command]
        fn close(&self, _: Close) -> Result<AccountEvent, headwater_core::NeverRejected> {
            Ok(AccountEvent::Closed)
        }
    }
}

mod by_hand {
    use std::sync::Arc;

    use headwater_core::{
        Aggregate, AggregateId, Answer, Command, CommandContext, Decide, DecodeError, Describe, Described, Event,
        EventType, Handle, HandleError, Query, Rejection, RejectionType,
    };
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    use serde_json::{Map, Value};

    use super::{Deposited, Rates, Withdrawn};

    #[derive(Serialize, Deserialize, JsonSchema)]
    pub(super) struct Deposit {
        amount: u64,
    }

    impl Command for Deposit {
        const NAME: &'static str = "deposit";
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    pub(super) struct Withdraw {
        amount: u64,
    }

    impl Command for Withdraw {
        const NAME: &'static str = "withdraw";
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    pub(super) struct Close {}

    impl Command for Close {
        const NAME: &'static str = "close";
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    pub(super) struct Exchange {
        amount: u64,
    }

    impl Command for Exchange {
        const NAME: &'static str = "exchange";
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    pub(super) struct CanAfford {
        amount: u64,
    }

    impl Query for CanAfford {
        const NAME: &'static str = "afford";
        type Answer = bool;
    }

    #[derive(Clone)]
    pub(super) enum AccountEvent {
        Deposited(Deposited),
        Withdrawn(Withdrawn),
        Closed,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct NoData {}

    impl Event for AccountEvent {
        fn types() -> Vec<EventType> {
            vec![
                EventType { name: "deposited", schema_version: 1, schema: Deposited::json_schema },
                EventType { name: "withdrawn", schema_version: 3, schema: Withdrawn::json_schema },
                EventType { name: "account-closed", schema_version: 1, schema: NoData::json_schema },
            ]
        }

        fn name(&self) -> &'static str {
            match self {
                Self::Deposited(_) => "deposited",
                Self::Withdrawn(_) => "withdrawn",
                Self::Closed => "account-closed",
            }
        }

        fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
            match self {
                Self::Deposited(data) => serde_json::to_vec(data),
                Self::Withdrawn(data) => serde_json::to_vec(data),
                Self::Closed => serde_json::to_vec(&NoData {}),
            }
        }

        fn decode(name: &str, data: &[u8]) -> Result<Self, DecodeError> {
            let decoded = match name {
                "deposited" => serde_json::from_slice(data).map(Self::Deposited),
                "withdrawn" => serde_json::from_slice(data).map(Self::Withdrawn),
                "account-closed" => serde_json::from_slice(data).map(|NoData {}| Self::Closed),
                _ => return Err(DecodeError::UnknownEvent { name: name.to_owned() }),
            };
            decoded.map_err(|source| DecodeError::Data { name: name.to_owned(), source })
        }
    }

    #[derive(Debug, Clone, thiserror::Error)]
    pub(super) enum AccountRejection {
        #[error("{missing} is missing")]
        NotEnough { missing: u64 },
        #[error("the account is closed")]
        AccountClosed,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "it stands for the members of a rejection in the contract")]
    struct NotEnough {
        missing: u64,
    }

    impl Rejection for AccountRejection {
        fn types() -> Vec<RejectionType> {
            vec![
                RejectionType { name: "not-enough", schema: NotEnough::json_schema },
                RejectionType { name: "account-closed", schema: NoData::json_schema },
            ]
        }

        fn name(&self) -> &'static str {
            match self {
                Self::NotEnough { .. } => "not-enough",
                Self::AccountClosed => "account-closed",
            }
        }

        fn members(&self) -> Map<String, Value> {
            match self {
                Self::NotEnough { missing } => [("missing".to_owned(), (*missing).into())].into_iter().collect(),
                Self::AccountClosed => Map::new(),
            }
        }

        fn from_parts(name: &str, members: &Map<String, Value>) -> Option<Self> {
            match name {
                "not-enough" => Some(Self::NotEnough { missing: members.get("missing")?.as_u64()? }),
                "account-closed" => Some(Self::AccountClosed),
                _ => None,
            }
        }
    }

    #[derive(Clone, Serialize, Deserialize, JsonSchema)]
    pub(super) struct Account {
        balance: u64,
        closed: bool,
    }

    impl Aggregate for Account {
        const TYPE: &'static str = "account";
        type Event = AccountEvent;
        type Rejection = AccountRejection;

        fn init(_: &AggregateId) -> Self {
            Self { balance: 0, closed: false }
        }

        fn evolve(&mut self, event: &AccountEvent) {
            match event {
                AccountEvent::Deposited(deposited) => self.balance += deposited.amount,
                AccountEvent::Withdrawn(withdrawn) => self.balance -= withdrawn.amount,
                AccountEvent::Closed => self.closed = true,
            }
        }
    }

    impl Decide<Deposit> for Account {
        fn decide(&self, command: Deposit, _: &CommandContext) -> Result<Vec<AccountEvent>, AccountRejection> {
            Ok(vec![AccountEvent::Deposited(Deposited { amount: command.amount })])
        }

        fn event_names() -> Vec<&'static str> {
            vec!["deposited"]
        }
    }

    impl Decide<Withdraw> for Account {
        fn decide(&self, command: Withdraw, _: &CommandContext) -> Result<Vec<AccountEvent>, AccountRejection> {
            Ok(vec![AccountEvent::Withdrawn(Withdrawn { amount: command.amount })])
        }

        fn event_names() -> Vec<&'static str> {
            vec!["withdrawn"]
        }
    }

    impl Decide<Close> for Account {
        fn decide(&self, _: Close, _: &CommandContext) -> Result<Vec<AccountEvent>, AccountRejection> {
            Ok(vec![AccountEvent::Closed])
        }
    }

    impl Handle<Exchange, Rates> for Account {
        async fn handle(
            &self,
            command: Exchange,
            _: &CommandContext,
            env: &Rates,
        ) -> Result<Vec<AccountEvent>, HandleError<AccountRejection>> {
            Ok(vec![
                AccountEvent::Withdrawn(Withdrawn { amount: command.amount }),
                AccountEvent::Deposited(Deposited { amount: command.amount * env.0 }),
            ])
        }

        fn event_names() -> Vec<&'static str> {
            vec!["withdrawn", "deposited"]
        }
    }

    impl Answer<CanAfford> for Account {
        fn answer(&self, query: CanAfford) -> bool {
            self.balance >= query.amount
        }
    }

    impl Described for Account {
        type Env = Rates;

        fn describe(env: Arc<Rates>) -> Describe<Self> {
            Describe::new()
                .command::<Deposit>()
                .command::<Withdraw>()
                .command::<Close>()
                .handled_command::<Exchange, Rates>(env)
                .query::<CanAfford>()
        }
    }
}

fn described<A: Described<Env = Rates>>() -> AggregateType {
    A::describe(Arc::new(Rates(2))).build().expect("the description holds together")
}

#[test]
fn the_macros_description_equals_a_hand_written_one() {
    let (by_macro, by_hand) = (described::<by_macro::Account>(), described::<by_hand::Account>());
    assert_eq!(by_macro.kind(), by_hand.kind());
    assert_eq!(by_macro.state_schema(), by_hand.state_schema());

    let commands = |of: &AggregateType| -> Vec<_> {
        let parts = of.commands().map(|it| (it.name().clone(), it.schema().clone(), it.events().to_vec()));
        parts.collect()
    };
    assert_eq!(commands(&by_macro), commands(&by_hand));
    assert_eq!(commands(&by_macro).len(), 4);

    let queries = |of: &AggregateType| -> Vec<_> {
        let parts = of.queries().map(|it| (it.name().clone(), it.schema().clone(), it.answer_schema().clone()));
        parts.collect()
    };
    assert_eq!(queries(&by_macro), queries(&by_hand));
    assert_eq!(queries(&by_macro).len(), 1);

    let events = |of: &AggregateType| -> Vec<_> {
        of.events().map(|it| (it.name.clone(), it.schema_version, it.schema.clone())).collect()
    };
    assert_eq!(events(&by_macro), events(&by_hand));
    assert_eq!(events(&by_macro).len(), 3);

    let rejections =
        |of: &AggregateType| -> Vec<_> { of.rejections().iter().map(|it| (it.name, schema_from(it.schema))).collect() };
    assert_eq!(rejections(&by_macro), rejections(&by_hand));
    assert_eq!(rejections(&by_macro).len(), 2);
}

#[test]
fn a_command_lists_the_events_of_its_return_type() {
    let account = described::<by_macro::Account>();
    let events = |command: &str| account.command(command).expect("it is there").events().to_vec();
    assert_eq!(events("deposit"), ["deposited"]);
    assert_eq!(events("withdraw"), ["withdrawn"]);
    assert_eq!(events("exchange"), ["withdrawn", "deposited"]);
    assert_eq!(events("close"), ["deposited", "withdrawn", "account-closed"]);
}

#[test]
fn without_a_rejection_the_aggregate_never_says_no() {
    let other = by_macro::Other::describe(Arc::new(())).build().unwrap();
    assert!(other.rejections().is_empty());
    assert_eq!(other.kind().as_str(), "other");
}
