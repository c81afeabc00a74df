//! What the steps of the demo share: the client, the stage, and the ways a call can be expected to end.

use headwater::client::{CommandCall, ExecuteError, Executed, LiveFeed};
use headwater::{CommandId, Revision};
use sample_receipts::domain::{Receipt, ReceiptClient, ReceiptEvent, ReceiptRejection};

use super::stage::Stage;
use super::world::World;
use crate::complaint::Complaint;
use crate::show;

/// The receipt that the demo is about.
pub(super) const ORDER: &str = "order-1001";

/// Everything a step works with.
pub(super) struct Play<'a, 'o> {
    pub(super) stage: &'a mut Stage<'o>,
    pub(super) world: &'a World,
    pub(super) receipts: ReceiptClient,
    pub(super) feed: LiveFeed<ReceiptEvent>,
    /// How many requests were sent.
    pub(super) requests: u64,
}

/// What a command is expected to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) events: Vec<&'static str>,
    pub(super) revision: u64,
    pub(super) total: &'static str,
}

impl Effect {
    pub(super) fn new(events: impl Into<Vec<&'static str>>, revision: u64, total: &'static str) -> Self {
        Self { events: events.into(), revision, total }
    }
}

impl Play<'_, '_> {
    /// Sends a command that has to take this effect, and tells it.
    pub(super) async fn command(
        &mut self,
        call: CommandCall<Receipt>,
        effect: &Effect,
    ) -> Result<Executed<Receipt>, Complaint> {
        self.requests += 1;
        let executed = match call.await {
            Ok(executed) => executed,
            Err(error) => return Err(self.stage.wrong(&format!("{effect:?}"), &error.to_string())),
        };
        let events: Vec<_> = executed.events.iter().map(|event| event.name.as_str()).collect();
        self.stage.check("the events", &events, &effect.events)?;
        self.stage.check("revision", &executed.revision, &Revision::new(effect.revision))?;
        self.stage.check("the total", &executed.state.total.to_string().as_str(), &effect.total)?;
        self.stage.done(format_args!("{}, revision {}", listed(&events), executed.revision))?;
        self.stage.tell("receipt", show::standing(&executed.state))?;
        Ok(executed)
    }

    /// Sends a command that has to be refused, and hands over why.
    pub(super) async fn refusal(
        &mut self,
        call: CommandCall<Receipt>,
        expected: &str,
    ) -> Result<ExecuteError<ReceiptRejection>, Complaint> {
        self.requests += 1;
        match call.await {
            Err(error) => Ok(error),
            Ok(executed) => Err(self.stage.wrong(expected, &format!("revision {}", executed.revision))),
        }
    }
}

/// A command id as a till might make it.
pub(super) fn command_id() -> CommandId {
    CommandId::new("till-7-0042").expect("it is short and plain")
}

/// `item-added`, `3 × item-added`, `item-added, item-removed`.
fn listed(events: &[&str]) -> String {
    let groups = events.chunk_by(PartialEq::eq).map(|group| match group {
        [event] => (*event).to_owned(),
        group => format!("{} × {}", group.len(), group[0]),
    });
    groups.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn equal_events_are_counted() {
        assert_eq!(listed(&["item-added"]), "item-added");
        assert_eq!(listed(&["item-added", "item-added", "item-removed"]), "2 × item-added, item-removed");
    }
}
