//! What a call brought, for people and as JSON.

use std::io;

use headwater::client::{Entity, Executed, QueryAnswer, TypedEvent};
use sample_receipts::domain::{Receipt, ReceiptEvent, ReceiptSummary};
use serde_json::{Value, json};

use super::Reason;
use crate::complaint::Complaint;
use crate::output::{Output, Style};
use crate::show;

/// Writes what calls brought, as text or as JSON.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) output: &'a mut Output,
    pub(super) json: bool,
}

impl Report<'_> {
    /// Why a call brought nothing, in the same form.
    pub(super) fn complain(&self, reason: impl Into<Reason>) -> Complaint {
        reason.into().into_complaint(self.json)
    }

    /// A command that took effect.
    pub(super) fn executed(&mut self, executed: &Executed<Receipt>) -> io::Result<()> {
        if self.json {
            return self.output.line(json!({
                "aggregate": aggregate(&executed.state.id),
                "revision": executed.revision,
                "sequence": executed.sequence,
                "events": executed.events,
                "state": executed.state,
                "commandId": executed.command_id,
                "replayed": executed.replayed,
            }));
        }
        let events: Vec<_> = executed.events.iter().map(|event| event.name.as_str()).collect();
        let done = self.output.styled(Style::Good, "done");
        let again = if executed.replayed { " (answered from the first attempt)" } else { "" };
        self.output.line(format_args!("{done}: {}, revision {}{again}", events.join(", "), executed.revision))?;
        self.output.lines("", show::receipt(&executed.state))
    }

    /// A receipt as it is, or was.
    pub(super) fn entity(&mut self, entity: &Entity<Receipt>) -> io::Result<()> {
        if self.json {
            return self.output.line(json!({
                "aggregate": aggregate(entity.id.id()),
                "revision": entity.revision,
                "sequence": entity.sequence,
                "state": entity.state,
            }));
        }
        self.output.lines("", show::receipt(&entity.state))?;
        self.output.line(format_args!("revision {}", entity.revision))
    }

    /// The answer of the query `summary`.
    pub(super) fn summary(&mut self, answer: &QueryAnswer<ReceiptSummary>) -> io::Result<()> {
        match self.json {
            true => self.output.line(json!({ "revision": answer.revision, "answer": answer.answer })),
            false => self.output.line(show::summary(&answer.answer)),
        }
    }

    /// A line for an event. `whose` is shown where events of several receipts come by.
    pub(super) fn event(&mut self, event: &TypedEvent<ReceiptEvent>, whose: bool) -> io::Result<()> {
        if self.json {
            return self.output.line(recorded(event));
        }
        let time = event.recorded.event.time.format("%Y-%m-%d %H:%M:%S");
        let whose = if whose { format!("{}  ", show::plain(event.recorded.aggregate.id())) } else { String::new() };
        self.output.line(format_args!("{time}  {whose}{}", show::recorded(event)))
    }
}

/// An event as JSON, its data as it is stored.
pub(super) fn recorded(event: &TypedEvent<ReceiptEvent>) -> Value {
    let recorded = &event.recorded;
    // Data in another codec than JSON stays unsaid here; the stored event is where to look.
    let data = serde_json::from_slice::<Value>(&recorded.event.data).unwrap_or_default();
    json!({
        "aggregate": aggregate(recorded.aggregate.id()),
        "revision": recorded.revision,
        "sequence": recorded.sequence,
        "id": recorded.event.id,
        "type": recorded.event.name,
        "schemaVersion": recorded.event.schema_version,
        "time": recorded.event.time,
        "metadata": *recorded.event.metadata,
        "data": data,
    })
}

fn aggregate(id: &str) -> Value {
    json!({ "type": "receipt", "id": id })
}
