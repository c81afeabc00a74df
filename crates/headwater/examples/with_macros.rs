//! An account, with the macros. `by_hand.rs` is the same account without them; the test `examples`
//! holds the two together.

use headwater::dispatch::Dispatcher;
use headwater::store::MemoryStore;
use headwater::{AggregateId, Command, Event, Query, Rejection, aggregate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is known of an account.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Account {
    owner: String,
    balance: u64,
}

/// Brings money.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Deposit {
    amount: u64,
}

/// Takes money.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Withdraw {
    amount: u64,
}

/// Asks whether there is enough.
#[derive(Debug, Query, Serialize, Deserialize, JsonSchema)]
#[query(answer = bool)]
pub(crate) struct CanAfford {
    amount: u64,
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

#[derive(Debug, Clone, Event)]
pub(crate) enum AccountEvent {
    Deposited(Deposited),
    Withdrawn(Withdrawn),
}

#[derive(Debug, Clone, PartialEq, thiserror::Error, Rejection)]
pub(crate) enum AccountRejection {
    /// There is less in the account than is asked for.
    #[error("{missing} is missing")]
    NotEnough {
        /// How much less.
        missing: u64,
    },
}

#[aggregate(
    type = "account",
    event = AccountEvent,
    rejection = AccountRejection,
    client = pub(crate) AccountClient,
)]
impl Account {
    fn init(id: &AggregateId) -> Self {
        Self { owner: id.id().to_owned(), balance: 0 }
    }

    fn evolve(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Deposited(deposited) => self.balance += deposited.amount,
            AccountEvent::Withdrawn(withdrawn) => self.balance -= withdrawn.amount,
        }
    }

    /// Brings money; none at all is fine and changes nothing.
    #[command]
    fn deposit(&self, command: Deposit) -> Result<Option<Deposited>, AccountRejection> {
        Ok((command.amount > 0).then_some(Deposited { amount: command.amount }))
    }

    /// Takes money, as long as there is enough.
    #[command]
    fn withdraw(&self, command: Withdraw) -> Result<Withdrawn, AccountRejection> {
        if command.amount > self.balance {
            return Err(AccountRejection::NotEnough { missing: command.amount - self.balance });
        }
        Ok(Withdrawn { amount: command.amount })
    }

    /// Whether there is enough.
    #[query]
    fn can_afford(&self, query: CanAfford) -> bool {
        query.amount <= self.balance
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

    let deposited = accounts.deposit("ann", Deposit { amount: 50 }).await?;
    told.push(format!("{} has {}", deposited.state.owner, deposited.state.balance));

    let nothing = accounts.deposit("ann", Deposit { amount: 0 }).await?;
    told.push(format!("{} events, still at revision {}", nothing.events.len(), nothing.revision));

    let refused = accounts.withdraw("ann", Withdraw { amount: 70 }).await.expect_err("there is not enough");
    told.push(format!("refused: {:?}", refused.rejection()));

    let withdrawn = accounts.withdraw("ann", Withdraw { amount: 30 }).expected_revision(1).await?;
    told.push(format!("{} at revision {}", withdrawn.events[0].name, withdrawn.revision));

    let affordable = accounts.can_afford("ann", CanAfford { amount: 21 }).await?;
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
