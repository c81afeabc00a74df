//! An account, without any macro of Headwater's: the traits and the client written out, as a person
//! would. `with_macros.rs` is the same account with them; the test `examples` holds the two together.

use std::ops::Deref;
use std::sync::Arc;

use headwater::client::{AggregateClient, CommandCall, IntoTransport, QueryCall};
use headwater::dispatch::Dispatcher;
use headwater::store::MemoryStore;
use headwater::{
    Aggregate, AggregateId, Answer, Command, CommandContext, Decide, DecodeError, Describe, Described, Event,
    EventType, Query, Rejection, RejectionType,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What is known of an account.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Account {
    owner: String,
    balance: u64,
}

/// Brings money.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Deposit {
    amount: u64,
}

impl Command for Deposit {
    const NAME: &'static str = "deposit";
}

/// Takes money.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Withdraw {
    amount: u64,
}

impl Command for Withdraw {
    const NAME: &'static str = "withdraw";
}

/// Asks whether there is enough.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct CanAfford {
    amount: u64,
}

impl Query for CanAfford {
    const NAME: &'static str = "can-afford";
    type Answer = bool;
}

/// Money came.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Deposited {
    amount: u64,
}

/// Money went.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Withdrawn {
    amount: u64,
}

#[derive(Debug, Clone)]
pub(crate) enum AccountEvent {
    Deposited(Deposited),
    Withdrawn(Withdrawn),
}

// These names are in the journal for ever. They are typed here and do not follow the Rust names.
impl Event for AccountEvent {
    fn types() -> Vec<EventType> {
        vec![
            EventType { name: "deposited", schema_version: 1, schema: Deposited::json_schema },
            EventType { name: "withdrawn", schema_version: 1, schema: Withdrawn::json_schema },
        ]
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Deposited(_) => "deposited",
            Self::Withdrawn(_) => "withdrawn",
        }
    }

    fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        match self {
            Self::Deposited(data) => serde_json::to_vec(data),
            Self::Withdrawn(data) => serde_json::to_vec(data),
        }
    }

    fn decode(name: &str, data: &[u8]) -> Result<Self, DecodeError> {
        let decoded = match name {
            "deposited" => serde_json::from_slice(data).map(Self::Deposited),
            "withdrawn" => serde_json::from_slice(data).map(Self::Withdrawn),
            _ => return Err(DecodeError::UnknownEvent { name: name.to_owned() }),
        };
        decoded.map_err(|source| DecodeError::Data { name: name.to_owned(), source })
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum AccountRejection {
    #[error("{missing} is missing")]
    NotEnough { missing: u64 },
}

/// There is less in the account than is asked for.
#[derive(Serialize, Deserialize, JsonSchema)]
struct NotEnough {
    /// How much less.
    missing: u64,
}

impl Rejection for AccountRejection {
    fn types() -> Vec<RejectionType> {
        vec![RejectionType { name: "not-enough", schema: NotEnough::json_schema }]
    }

    fn name(&self) -> &'static str {
        match self {
            Self::NotEnough { .. } => "not-enough",
        }
    }

    fn members(&self) -> Map<String, Value> {
        match self {
            Self::NotEnough { missing } => [("missing".to_owned(), (*missing).into())].into_iter().collect(),
        }
    }

    fn from_parts(name: &str, members: &Map<String, Value>) -> Option<Self> {
        match name {
            "not-enough" => {
                let NotEnough { missing } = NotEnough::deserialize(members).ok()?;
                Some(Self::NotEnough { missing })
            }
            _ => None,
        }
    }
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Event = AccountEvent;
    type Rejection = AccountRejection;

    fn init(id: &AggregateId) -> Self {
        Self { owner: id.id().to_owned(), balance: 0 }
    }

    fn evolve(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Deposited(deposited) => self.balance += deposited.amount,
            AccountEvent::Withdrawn(withdrawn) => self.balance -= withdrawn.amount,
        }
    }
}

impl Decide<Deposit> for Account {
    fn decide(&self, command: Deposit, _: &CommandContext) -> Result<Vec<AccountEvent>, AccountRejection> {
        if command.amount == 0 {
            return Ok(Vec::new());
        }
        Ok(vec![AccountEvent::Deposited(Deposited { amount: command.amount })])
    }

    fn event_names() -> Vec<&'static str> {
        vec!["deposited"]
    }
}

impl Decide<Withdraw> for Account {
    fn decide(&self, command: Withdraw, _: &CommandContext) -> Result<Vec<AccountEvent>, AccountRejection> {
        if command.amount > self.balance {
            return Err(AccountRejection::NotEnough { missing: command.amount - self.balance });
        }
        Ok(vec![AccountEvent::Withdrawn(Withdrawn { amount: command.amount })])
    }

    fn event_names() -> Vec<&'static str> {
        vec!["withdrawn"]
    }
}

impl Answer<CanAfford> for Account {
    fn answer(&self, query: CanAfford) -> bool {
        query.amount <= self.balance
    }
}

impl Described for Account {
    type Env = ();

    fn describe(_: Arc<()>) -> Describe<Self> {
        Describe::new().command::<Deposit>().command::<Withdraw>().query::<CanAfford>()
    }
}

/// Calls to accounts: what `AggregateClient` can do, with the account's own commands and queries.
#[derive(Clone, Debug)]
pub(crate) struct AccountClient {
    aggregate: AggregateClient<Account>,
}

impl AccountClient {
    /// A client over `transport`: a dispatcher, or a client of a NATS service.
    pub(crate) fn new(transport: impl IntoTransport) -> Self {
        Self { aggregate: AggregateClient::new(transport) }
    }

    /// Brings money; none at all is fine and changes nothing.
    pub(crate) fn deposit(&self, id: impl Into<String>, command: &Deposit) -> CommandCall<Account> {
        self.aggregate.command(id, command)
    }

    /// Takes money, as long as there is enough.
    pub(crate) fn withdraw(&self, id: impl Into<String>, command: &Withdraw) -> CommandCall<Account> {
        self.aggregate.command(id, command)
    }

    /// Whether there is enough.
    pub(crate) fn can_afford(&self, id: impl Into<String>, query: &CanAfford) -> QueryCall<Account, CanAfford> {
        self.aggregate.query(id, query)
    }
}

impl Deref for AccountClient {
    type Target = AggregateClient<Account>;

    fn deref(&self) -> &Self::Target {
        &self.aggregate
    }
}

/// A dispatcher that keeps accounts in memory.
pub(crate) fn dispatcher() -> Dispatcher {
    let builder = Dispatcher::builder(MemoryStore::new()).aggregate::<Account>();
    builder.build().expect("the aggregate describes itself well")
}

/// Does some business with Ann's account, and tells it line by line.
pub(crate) async fn play(accounts: &AccountClient) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut told = Vec::new();

    let deposited = accounts.deposit("ann", &Deposit { amount: 50 }).await?;
    told.push(format!("{} has {}", deposited.state.owner, deposited.state.balance));

    let nothing = accounts.deposit("ann", &Deposit { amount: 0 }).await?;
    told.push(format!("{} events, still at revision {}", nothing.events.len(), nothing.revision));

    let refused = accounts.withdraw("ann", &Withdraw { amount: 70 }).await.expect_err("there is not enough");
    told.push(format!("refused: {:?}", refused.rejection()));

    let withdrawn = accounts.withdraw("ann", &Withdraw { amount: 30 }).expected_revision(1).await?;
    told.push(format!("{} at revision {}", withdrawn.events[0].name, withdrawn.revision));

    let affordable = accounts.can_afford("ann", &CanAfford { amount: 21 }).await?;
    told.push(format!("21 more: {}", affordable.answer));

    for event in accounts.history("ann").await?.events {
        told.push(format!("{}: {:?}", event.recorded.revision, event.event()));
    }
    Ok(told)
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example tells what it does")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    for line in play(&AccountClient::new(dispatcher())).await? {
        println!("{line}");
    }
    Ok(())
}
