//! The calls that programs are sent: plain NATS requests, the same for every program.

use async_nats::{HeaderMap, Message, Subject};
use bytes::Bytes;
use sample_receipts::domain::{AddItem, AddItems, RemoveItem};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::harness::fill::Spread;
use crate::harness::journal::Promised;
use crate::harness::load::{Caller, Request};

/// What every line of every receipt is.
pub(crate) fn item() -> AddItem {
    let price = "5.99".parse().expect("a price");
    AddItem { name: "Espresso beans 250 g".to_owned(), price, quantity: 2 }
}

/// Which commands a caller sends, one after the other, to each of its receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    /// Four times one item is added, then all are taken off: one event each, and receipts stay short.
    OneEvent,
    /// One item is added. The replies leave the growing state out.
    Adding,
    /// Two items are added at once. The replies leave the growing state out.
    TwoEvents,
    /// So many commands of ten have two events, the others one. The replies leave the growing state out.
    Mixed(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    AddOne,
    AddTwo,
    RemoveAll,
}

impl Call {
    fn events(self) -> u32 {
        if self == Self::AddTwo { 2 } else { 1 }
    }
}

impl Script {
    fn call(self, round: u32) -> Call {
        match self {
            Self::OneEvent if round % 5 == 4 => Call::RemoveAll,
            Self::OneEvent | Self::Adding => Call::AddOne,
            Self::TwoEvents => Call::AddTwo,
            // Spread over the ten: with 5 of 10 every second one.
            Self::Mixed(of_ten) if (round * of_ten) % 10 < of_ten => Call::AddTwo,
            Self::Mixed(_) => Call::AddOne,
        }
    }

    fn wants_state(self) -> bool {
        self == Self::OneEvent
    }
}

/// The id of a receipt of a caller's own.
fn own_id(caller: usize, number: usize) -> String {
    format!("order-{caller:04}-{number:04}")
}

/// Adds an item to one after the other of the receipts that so many callers have of their own, and leaves the state out of
/// the reply.
pub(crate) fn add_in_turn(
    service: &str,
    callers: usize,
    receipts_each: usize,
    number: u64,
    command_id: Uuid,
) -> Request {
    let place = usize::try_from(number).unwrap_or_default() % (callers * receipts_each);
    let id = own_id(place % callers, place / callers);
    let subject = Subject::from(format!("{service}.command.receipt.add-item"));
    Request { subject, headers: None, body: body(&id, item(), Some("revision"), command_id) }
}

/// Where the calls go.
#[derive(Debug, Clone)]
struct Subjects {
    add_item: Subject,
    add_items: Subject,
    remove_item: Subject,
}

/// Sends commands to receipts, to one after the other and to the first again after the last.
#[derive(Debug)]
pub(crate) struct Commands {
    subjects: Subjects,
    receipts: Vec<Receipt>,
    /// Whether nobody else writes to these receipts, so that each reply's revision is known before.
    alone: bool,
    script: Script,
    step: usize,
    sent: Option<(Uuid, Call)>,
    settled: Option<Call>,
    acknowledged: Vec<(Uuid, u32)>,
    headers: Option<HeaderMap>,
}

#[derive(Debug)]
struct Receipt {
    id: String,
    round: u32,
    revision: u64,
}

impl Commands {
    /// For a caller with `receipts` of its own.
    pub(crate) fn own(service: &str, caller: usize, receipts: usize, script: Script) -> Self {
        Self::to(service, (0..receipts).map(|number| own_id(caller, number)), true, script)
    }

    /// For one of several callers of the same receipt.
    pub(crate) fn shared(service: &str, script: Script) -> Self {
        Self::to(service, ["order-of-all".to_owned()], false, script)
    }

    fn to(service: &str, ids: impl IntoIterator<Item = String>, alone: bool, script: Script) -> Self {
        let subject = |command: &str| Subject::from(format!("{service}.command.receipt.{command}"));
        let (add_item, add_items, remove_item) = (subject("add-item"), subject("add-items"), subject("remove-item"));
        Self {
            subjects: Subjects { add_item, add_items, remove_item },
            receipts: ids.into_iter().map(|id| Receipt { id, round: 0, revision: 0 }).collect(),
            alone,
            script,
            step: 0,
            sent: None,
            settled: None,
            acknowledged: Vec::new(),
            headers: None,
        }
    }

    /// Shows this token with every command.
    pub(crate) fn with_token(mut self, token: &str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("Authorization", format!("Bearer {token}"));
        self.headers = Some(headers);
        self
    }

    /// Adds what was acknowledged to what the journal must hold.
    pub(crate) fn promise(&self, promised: &mut Promised) {
        for (command, events) in &self.acknowledged {
            promised.add(*command, *events);
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CommandBody<'a, C> {
    aggregate_id: &'a str,
    command: C,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#return: Option<&'static str>,
    metadata: CommandMetadata,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CommandMetadata {
    command_id: Uuid,
}

impl Caller for Commands {
    fn request(&mut self) -> Request {
        let receipt = &self.receipts[self.step % self.receipts.len()];
        let call = self.script.call(receipt.round);
        let command_id = Uuid::now_v7();
        self.sent = Some((command_id, call));
        let state = (!self.script.wants_state()).then_some("revision");
        let (subject, body) = match call {
            Call::AddOne => (&self.subjects.add_item, body(&receipt.id, item(), state, command_id)),
            Call::AddTwo => {
                let items = AddItems { items: vec![item(), item()] };
                (&self.subjects.add_items, body(&receipt.id, items, state, command_id))
            }
            Call::RemoveAll => {
                (&self.subjects.remove_item, body(&receipt.id, RemoveItem { name: item().name }, state, command_id))
            }
        };
        Request { subject: subject.clone(), headers: self.headers.clone(), body }
    }

    fn settle(&mut self, reply: &Message) -> Result<(), String> {
        let place = self.step % self.receipts.len();
        self.step += 1;
        let revision = revision(reply)?;
        let (command, call) = self.sent.take().ok_or("a reply to nothing")?;
        self.acknowledged.push((command, call.events()));
        self.settled = Some(call);
        let receipt = &mut self.receipts[place];
        receipt.round += 1;
        let expected = receipt.revision + u64::from(call.events());
        receipt.revision = revision;
        if self.alone && revision != expected {
            return Err(format!("revision {revision} and not {expected} after {call:?}"));
        }
        Ok(())
    }

    /// In a mix, one-event commands.
    fn is_singled_out(&self) -> bool {
        matches!(self.script, Script::Mixed(_)) && self.settled.is_some_and(|call| call.events() == 1)
    }
}

fn body<C: Serialize>(id: &str, command: C, state: Option<&'static str>, command_id: Uuid) -> Bytes {
    let body = CommandBody { aggregate_id: id, command, r#return: state, metadata: CommandMetadata { command_id } };
    serde_json::to_vec(&body).expect("texts and numbers can be written").into()
}

/// Asks for filled receipts, for one after the other in great strides, so that neighbours are never asked for in a row.
#[derive(Debug)]
pub(crate) struct Gets {
    subject: Subject,
    spread: Spread,
    next: usize,
}

/// A prime above every number of receipts, so that strides come by each of them once before any comes twice, also when
/// several callers share the way.
const STRIDE: usize = 2_750_159;

impl Gets {
    /// For the caller at `place` of so many.
    pub(crate) fn new(service: &str, spread: Spread, place: usize, callers: usize) -> Self {
        let subject = Subject::from(format!("{service}.query.receipt.get"));
        Self { subject, spread, next: place * spread.receipts / callers }
    }

    /// Starts elsewhere: at a place of its own for each `round`.
    pub(crate) fn beginning_at(mut self, round: usize) -> Self {
        self.next += round * 7919;
        self
    }
}

impl Caller for Gets {
    fn request(&mut self) -> Request {
        let id = Spread::id(self.next * STRIDE % self.spread.receipts);
        self.next += 1;
        Request { subject: self.subject.clone(), headers: None, body: format!("{{\"aggregateId\":\"{id}\"}}").into() }
    }

    fn settle(&mut self, reply: &Message) -> Result<(), String> {
        let (revision, expected) = (revision(reply)?, self.spread.events_each as u64);
        if revision == expected { Ok(()) } else { Err(format!("revision {revision} of {expected}")) }
    }
}

/// What is looked at in a reply.
#[derive(Deserialize)]
struct Reply {
    success: bool,
    result: Option<ReplyResult>,
    error: Option<ReplyError>,
}

#[derive(Deserialize)]
struct ReplyResult {
    revision: u64,
}

#[derive(Deserialize)]
struct ReplyError {
    code: String,
    message: String,
}

/// The revision in a successful reply.
fn revision(reply: &Message) -> Result<u64, String> {
    let body: Reply =
        serde_json::from_slice(&reply.payload).map_err(|error| format!("the reply is not one: {error}"))?;
    match body {
        Reply { success: true, result: Some(result), .. } => Ok(result.revision),
        Reply { error: Some(ReplyError { code, message }), .. } => Err(format!("{code}: {message}")),
        Reply { .. } => Err("the reply has neither result nor error".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_of_one_event_commands_keeps_receipts_short() {
        let calls: Vec<Call> = (0..5).map(|round| Script::OneEvent.call(round)).collect();
        assert_eq!(calls, [Call::AddOne, Call::AddOne, Call::AddOne, Call::AddOne, Call::RemoveAll]);
    }

    #[test]
    fn a_mix_has_the_share_it_says() {
        for of_ten in [1, 5] {
            let two = (0..1000).filter(|round| Script::Mixed(of_ten).call(*round) == Call::AddTwo).count();
            assert_eq!(two, 100 * of_ten as usize);
        }
    }

    #[test]
    fn every_receipt_is_asked_for_once_before_any_is_asked_for_again() {
        let spread = Spread::of(10_000, 10);
        let mut gets: Vec<Gets> = (0..4).map(|caller| Gets::new("r", spread, caller, 4)).collect();
        let asked = gets.iter_mut().flat_map(|gets| (0..250).map(|_| gets.request().body).collect::<Vec<_>>());
        assert_eq!(asked.collect::<std::collections::HashSet<Bytes>>().len(), 1000);
    }
}
