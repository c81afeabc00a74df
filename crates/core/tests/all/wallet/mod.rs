//! A small aggregate, written by hand: a wallet that money is paid into and out of.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::sync::Arc;

use headwater_core::{
    Aggregate, AggregateId, Answer, Command, CommandContext, Decide, DecodeError, Describe, Described, Event,
    EventType, IntoEvents, Query, Rejection, RejectionType, UpcastEvent, Upcasters,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Wallet {
    pub id: String,
    pub balance: u64,
    pub owner: Option<String>,
    pub movements: Vec<Movement>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Movement {
    In(u64),
    Out { amount: u64, by: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deposit {
    #[schemars(range(min = 1))]
    pub amount: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Withdraw {
    #[schemars(range(min = 1))]
    pub amount: u64,
    pub by: String,
}

/// Hands the wallet to another owner, who gets its balance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Assign {
    pub owner: String,
}

impl Command for Deposit {
    const NAME: &'static str = "deposit";
}

impl Command for Withdraw {
    const NAME: &'static str = "withdraw";
}

impl Command for Assign {
    const NAME: &'static str = "assign";
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum WalletEvent {
    Withdrawn { amount: u64, by: String },
    Deposited { amount: u64, currency: String },
    Assigned { owner: String },
}

/// What the events' data looks like, one by one.
#[derive(Serialize, Deserialize, JsonSchema)]
struct WithdrawnData {
    amount: u64,
    by: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct DepositedData {
    amount: u64,
    currency: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct AssignedData {
    owner: String,
}

impl Event for WalletEvent {
    fn types() -> Vec<EventType> {
        vec![
            EventType { name: "deposited", schema_version: 3, schema: |g| g.subschema_for::<DepositedData>() },
            EventType { name: "withdrawn", schema_version: 1, schema: |g| g.subschema_for::<WithdrawnData>() },
            EventType { name: "assigned", schema_version: 1, schema: |g| g.subschema_for::<AssignedData>() },
        ]
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Deposited { .. } => "deposited",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Assigned { .. } => "assigned",
        }
    }

    fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    fn decode(name: &str, data: &[u8]) -> Result<Self, DecodeError> {
        let wrong = |source| DecodeError::Data { name: name.to_owned(), source };
        match name {
            "deposited" => serde_json::from_slice(data)
                .map(|DepositedData { amount, currency }| Self::Deposited { amount, currency })
                .map_err(wrong),
            "withdrawn" => serde_json::from_slice(data)
                .map(|WithdrawnData { amount, by }| Self::Withdrawn { amount, by })
                .map_err(wrong),
            "assigned" => {
                serde_json::from_slice(data).map(|AssignedData { owner }| Self::Assigned { owner }).map_err(wrong)
            }
            _ => Err(DecodeError::UnknownEvent { name: name.to_owned() }),
        }
    }

    /// The wallet's past: amounts were once texts, then had no currency; a transfer was one event of its own and an
    /// opened wallet was worth an event with a first deposit in it; looking at the balance was recorded.
    fn upcasters() -> Upcasters {
        Upcasters::new()
            .rewrite("deposited", 1, |data| {
                let amount = data["amount"].as_str().and_then(|text| text.parse::<u64>().ok());
                amount.map(|amount| json!({ "amount": amount })).ok_or_else(|| "`amount` is no number".to_owned())
            })
            .rewrite("deposited", 2, |mut data| {
                data["currency"] = json!("EUR");
                Ok(data)
            })
            .split("opened", 1, |data| {
                let mut events = vec![UpcastEvent {
                    name: "assigned".to_owned(),
                    version: 1,
                    data: json!({ "owner": data["owner"] }),
                }];
                if !data["deposit"].is_null() {
                    events.push(UpcastEvent {
                        name: "deposited".to_owned(),
                        // Written in the days of version 2, and brought further by its rule.
                        version: 2,
                        data: json!({ "amount": data["deposit"] }),
                    });
                }
                Ok(events)
            })
            .discard("balance-viewed", 1)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WalletRejection {
    #[error("only {balance} are left")]
    InsufficientFunds { balance: u64 },
    #[error("the wallet belongs to {owner} already")]
    AlreadyOwned { owner: String },
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct InsufficientFunds {
    balance: u64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct AlreadyOwned {
    owner: String,
}

impl Rejection for WalletRejection {
    fn types() -> Vec<RejectionType> {
        vec![
            RejectionType { name: "insufficient-funds", schema: |g| g.subschema_for::<InsufficientFunds>() },
            RejectionType { name: "already-owned", schema: |g| g.subschema_for::<AlreadyOwned>() },
        ]
    }

    fn name(&self) -> &'static str {
        match self {
            Self::InsufficientFunds { .. } => "insufficient-funds",
            Self::AlreadyOwned { .. } => "already-owned",
        }
    }

    fn members(&self) -> Map<String, Value> {
        let members = match self {
            Self::InsufficientFunds { balance } => json!({ "balance": balance }),
            Self::AlreadyOwned { owner } => json!({ "owner": owner }),
        };
        members.as_object().cloned().unwrap_or_default()
    }

    fn from_parts(name: &str, members: &Map<String, Value>) -> Option<Self> {
        let members = Value::Object(members.clone());
        match name {
            "insufficient-funds" => serde_json::from_value(members)
                .ok()
                .map(|InsufficientFunds { balance }| Self::InsufficientFunds { balance }),
            "already-owned" => {
                serde_json::from_value(members).ok().map(|AlreadyOwned { owner }| Self::AlreadyOwned { owner })
            }
            _ => None,
        }
    }
}

impl Aggregate for Wallet {
    const TYPE: &'static str = "wallet";
    type Event = WalletEvent;
    type Rejection = WalletRejection;

    fn init(id: &AggregateId) -> Self {
        Self { id: id.id().to_owned(), balance: 0, owner: None, movements: Vec::new() }
    }

    fn evolve(&mut self, event: &WalletEvent) {
        match event {
            WalletEvent::Deposited { amount, .. } => {
                self.balance += amount;
                self.movements.push(Movement::In(*amount));
            }
            WalletEvent::Withdrawn { amount, by } => {
                self.balance -= amount;
                self.movements.push(Movement::Out { amount: *amount, by: by.clone() });
            }
            WalletEvent::Assigned { owner } => self.owner = Some(owner.clone()),
        }
    }
}

impl Decide<Deposit> for Wallet {
    fn decide(&self, command: Deposit, _: &CommandContext) -> Result<Vec<WalletEvent>, WalletRejection> {
        Ok(vec![deposited(command.amount)])
    }

    fn event_names() -> Vec<&'static str> {
        vec!["deposited"]
    }
}

impl Decide<Withdraw> for Wallet {
    fn decide(&self, command: Withdraw, _: &CommandContext) -> Result<Vec<WalletEvent>, WalletRejection> {
        if command.amount > self.balance {
            return Err(WalletRejection::InsufficientFunds { balance: self.balance });
        }
        Ok(vec![withdrawn(command.amount, &command.by)])
    }

    fn event_names() -> Vec<&'static str> {
        vec!["withdrawn"]
    }
}

impl Decide<Assign> for Wallet {
    fn decide(&self, command: Assign, context: &CommandContext) -> Result<Vec<WalletEvent>, WalletRejection> {
        match &self.owner {
            Some(owner) if *owner == command.owner => Ok(Vec::new()),
            Some(owner) if context.metadata.user_id.as_ref() != Some(owner) => {
                Err(WalletRejection::AlreadyOwned { owner: owner.clone() })
            }
            _ if self.balance == 0 => Ok(vec![assigned(&command.owner)]),
            _ => Ok(vec![withdrawn(self.balance, &command.owner), assigned(&command.owner)]),
        }
    }
}

/// Whether this much can be withdrawn, and then more.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CanWithdraw {
    pub amount: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<Box<Self>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Allowed {
    pub allowed: bool,
}

impl Query for CanWithdraw {
    const NAME: &'static str = "can-withdraw";
    type Answer = Allowed;
}

impl Answer<CanWithdraw> for Wallet {
    fn answer(&self, query: CanWithdraw) -> Allowed {
        let amounts = std::iter::successors(Some(&query), |query| query.then.as_deref()).map(|query| query.amount);
        Allowed { allowed: amounts.sum::<u64>() <= self.balance }
    }
}

pub fn described() -> Describe<Wallet> {
    Describe::<Wallet>::new().command::<Deposit>().command::<Withdraw>().command::<Assign>().query::<CanWithdraw>()
}

pub fn deposited(amount: u64) -> WalletEvent {
    WalletEvent::Deposited { amount, currency: "EUR".to_owned() }
}

pub fn withdrawn(amount: u64, by: &str) -> WalletEvent {
    WalletEvent::Withdrawn { amount, by: by.to_owned() }
}

pub fn assigned(owner: &str) -> WalletEvent {
    WalletEvent::Assigned { owner: owner.to_owned() }
}

impl IntoEvents<Self> for WalletEvent {
    fn into_events(self) -> Vec<Self> {
        vec![self]
    }

    fn event_names() -> Vec<&'static str> {
        vec!["deposited", "withdrawn", "assigned"]
    }
}

impl Described for Wallet {
    type Env = ();

    fn describe(_: Arc<()>) -> Describe<Self> {
        described()
    }
}
