//! A small aggregate written by hand, and a store that can be made to misbehave.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses its part")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use headwater_core::store::{
    Append, AppendError, Appended, EventFilter, EventStore, EventStream, Freshness, Head, History, MemoryStore,
    ReadError, ReadOptions, StartFrom, StoreError,
};
use headwater_core::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Account {
    pub balance: u64,
    pub entries: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum AccountEvent {
    Deposited(u64),
    Withdrawn(u64),
    /// Its evolve step panics: the domain has a bug.
    Cursed,
}

impl Event for AccountEvent {
    fn types() -> Vec<EventType> {
        ["deposited", "withdrawn", "cursed"]
            .map(|name| EventType { name, schema_version: 1, schema: |generator| generator.subschema_for::<u64>() })
            .to_vec()
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Deposited(_) => "deposited",
            Self::Withdrawn(_) => "withdrawn",
            Self::Cursed => "cursed",
        }
    }

    fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        match self {
            Self::Deposited(amount) | Self::Withdrawn(amount) => serde_json::to_vec(amount),
            Self::Cursed => Ok(b"0".to_vec()),
        }
    }

    fn decode(name: &str, data: &[u8]) -> Result<Self, DecodeError> {
        let amount =
            serde_json::from_slice(data).map_err(|source| DecodeError::Data { name: name.to_owned(), source })?;
        match name {
            "deposited" => Ok(Self::Deposited(amount)),
            "withdrawn" => Ok(Self::Withdrawn(amount)),
            "cursed" => Ok(Self::Cursed),
            _ => Err(DecodeError::UnknownEvent { name: name.to_owned() }),
        }
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AccountRejection {
    #[error("only {balance} is there")]
    Overdrawn { balance: u64 },
}

impl Rejection for AccountRejection {
    fn types() -> Vec<RejectionType> {
        vec![RejectionType { name: "overdrawn", schema: |generator| generator.subschema_for::<Map<String, Value>>() }]
    }

    fn name(&self) -> &'static str {
        "overdrawn"
    }

    fn members(&self) -> Map<String, Value> {
        let Self::Overdrawn { balance } = self;
        Map::from_iter([("balance".to_owned(), (*balance).into())])
    }

    fn from_parts(name: &str, members: &Map<String, Value>) -> Option<Self> {
        let balance = members.get("balance")?.as_u64()?;
        (name == "overdrawn").then_some(Self::Overdrawn { balance })
    }
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Event = AccountEvent;
    type Rejection = AccountRejection;

    fn init(_: &AggregateId) -> Self {
        Self { balance: 0, entries: 0 }
    }

    fn evolve(&mut self, event: &AccountEvent) {
        self.entries += 1;
        match event {
            AccountEvent::Deposited(amount) => self.balance += amount,
            AccountEvent::Withdrawn(amount) => self.balance -= amount,
            AccountEvent::Cursed => panic!("a bug in evolve"),
        }
    }
}

macro_rules! command {
    ($type:ident, $name:literal { $($field:ident: $of:ty),* }) => {
        #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $type { $(pub $field: $of),* }
        impl Command for $type {
            const NAME: &'static str = $name;
        }
    };
}

command!(Deposit, "deposit" { amount: u64 });
command!(DepositTwice, "deposit-twice" { amount: u64 });
command!(Withdraw, "withdraw" { amount: u64 });
command!(Nothing, "nothing" {});
command!(Panic, "panic" {});
command!(Curse, "curse" {});
command!(DepositQuoted, "deposit-quoted" { currency: String });

type Decided = Result<Vec<AccountEvent>, AccountRejection>;

impl Decide<Deposit> for Account {
    fn decide(&self, command: Deposit, _: &CommandContext) -> Decided {
        Ok(vec![AccountEvent::Deposited(command.amount)])
    }
}

impl Decide<DepositTwice> for Account {
    fn decide(&self, command: DepositTwice, _: &CommandContext) -> Decided {
        Ok(vec![AccountEvent::Deposited(command.amount), AccountEvent::Deposited(command.amount)])
    }
}

impl Decide<Withdraw> for Account {
    fn decide(&self, command: Withdraw, _: &CommandContext) -> Decided {
        if command.amount > self.balance {
            return Err(AccountRejection::Overdrawn { balance: self.balance });
        }
        Ok(vec![AccountEvent::Withdrawn(command.amount)])
    }
}

impl Decide<Nothing> for Account {
    fn decide(&self, _: Nothing, _: &CommandContext) -> Decided {
        Ok(Vec::new())
    }
}

impl Decide<Panic> for Account {
    fn decide(&self, _: Panic, _: &CommandContext) -> Decided {
        panic!("a bug in decide")
    }
}

impl Decide<Curse> for Account {
    fn decide(&self, _: Curse, _: &CommandContext) -> Decided {
        Ok(vec![AccountEvent::Cursed])
    }
}

/// What `deposit-quoted` asks outside.
#[derive(Debug, Default)]
pub struct Quotes {
    pub delay: Duration,
    pub down: bool,
}

impl Handle<DepositQuoted, Quotes> for Account {
    async fn handle(
        &self,
        command: DepositQuoted,
        _: &CommandContext,
        quotes: &Quotes,
    ) -> Result<Vec<AccountEvent>, HandleError<AccountRejection>> {
        tokio::time::sleep(quotes.delay).await;
        if quotes.down {
            return Err(HandleError::unavailable("quotes", "connection refused"));
        }
        Ok(vec![AccountEvent::Deposited(command.currency.len() as u64)])
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct CanPay {
    pub amount: u64,
}

impl Query for CanPay {
    const NAME: &'static str = "can-pay";
    type Answer = bool;
}

impl Answer<CanPay> for Account {
    fn answer(&self, query: CanPay) -> bool {
        self.balance >= query.amount
    }
}

impl Described for Account {
    type Env = Quotes;

    fn describe(quotes: Arc<Quotes>) -> Describe<Self> {
        Describe::new()
            .command::<Deposit>()
            .command::<DepositTwice>()
            .command::<Withdraw>()
            .command::<Nothing>()
            .command::<Panic>()
            .command::<Curse>()
            .handled_command::<DepositQuoted, Quotes>(quotes)
            .query::<CanPay>()
    }
}

/// What the store is to do wrong with an append.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// It stores the events, and the acknowledgement is lost for good.
    StoredButUnknown,
    /// It stores nothing and says that it cannot tell.
    LostAndUnknown,
    /// It is down.
    Unavailable,
    /// It takes this long.
    Slow(Duration),
}

/// A [`MemoryStore`] that does what it is told with its next appends.
#[derive(Debug, Clone, Default)]
pub struct FaultyStore {
    pub inner: MemoryStore,
    /// Whether it wants the events of commands that wait together in one append.
    pub joint: bool,
    faults: Arc<Mutex<VecDeque<Fault>>>,
}

impl FaultyStore {
    pub fn next_append(&self, fault: Fault) {
        self.faults.lock().unwrap().push_back(fault);
    }
}

#[async_trait]
impl EventStore for FaultyStore {
    fn name(&self) -> &'static str {
        "faulty"
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let fault = self.faults.lock().unwrap().pop_front();
        let aggregate = append.aggregate.clone();
        let unknown =
            |aggregate| AppendError::OutcomeUnknown { aggregate, source: StoreError::new("no acknowledgement") };
        match fault {
            None => self.inner.append(append).await,
            Some(Fault::Slow(delay)) => {
                tokio::time::sleep(delay).await;
                self.inner.append(append).await
            }
            Some(Fault::StoredButUnknown) => {
                self.inner.append(append).await?;
                Err(unknown(aggregate))
            }
            Some(Fault::LostAndUnknown) => Err(unknown(aggregate)),
            Some(Fault::Unavailable) => {
                Err(AppendError::Unavailable { aggregate, source: StoreError::new("the server is down") })
            }
        }
    }

    fn prefers_one_append(&self, waiting: usize) -> bool {
        self.joint && waiting > 1
    }

    async fn read(&self, aggregate: &AggregateId, read: ReadOptions) -> Result<History, ReadError> {
        self.inner.read(aggregate, read).await
    }

    async fn head(&self, aggregate: &AggregateId, freshness: Freshness) -> Result<Head, ReadError> {
        self.inner.head(aggregate, freshness).await
    }

    async fn subscribe(&self, filter: EventFilter, from: StartFrom) -> Result<EventStream, ReadError> {
        self.inner.subscribe(filter, from).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.inner.check().await
    }
}
