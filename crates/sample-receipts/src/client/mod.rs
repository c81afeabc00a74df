//! The client: each call the service answers, from the command line.

pub(crate) mod discover;
mod input;
mod reason;
mod report;
mod watch;

use std::num::NonZeroUsize;

use headwater::Revision;
use headwater::client::CommandCall;
use sample_receipts::domain::{AddItem, AddItems, Finalize, Receipt, ReceiptClient, RemoveItem, Summary, Void};
use serde_json::json;

use self::reason::Reason;
use self::report::{Report, recorded};
use crate::arguments::{ClientAction, ClientArguments, CommandOptions, ReadOptions};
use crate::complaint::Complaint;
use crate::connect;
use crate::output::Output;

/// Makes one call and writes what it brought.
pub(crate) async fn run(arguments: ClientArguments, output: &mut Output) -> Result<(), Complaint> {
    let ClientArguments { nats, caller, json, timeout, action } = arguments;
    // A file that cannot be read is found out before anybody is bothered.
    let call = Call::of(action)?;
    let client = connect::client(&nats, &caller).await?;
    let report = &mut Report { output, json };
    let receipts = ReceiptClient::new(client.clone()).with(|calls| calls.timeout(timeout));
    match call {
        Call::Command(command) => command.send(&receipts, report).await,
        Call::Get(id, options) => get(&receipts, id, options, report).await,
        Call::Summary(id) => {
            let answer = receipts.summary(id, Summary {}).await.map_err(|error| report.complain(error))?;
            Ok(report.summary(&answer)?)
        }
        Call::History { id, after, limit } => history(&receipts, &id, after, limit, report).await,
        Call::Watch(watch) => watch.run(&receipts, report).await,
        Call::Discover { expect } => discover::run(&client, expect.map(NonZeroUsize::get), timeout, report).await,
    }
}

/// What is to be done, with everything it takes.
enum Call {
    Command(Box<CommandLine>),
    Get(String, ReadOptions),
    Summary(String),
    History { id: String, after: Revision, limit: Option<NonZeroUsize> },
    Watch(watch::Watch),
    Discover { expect: Option<NonZeroUsize> },
}

/// A command for a receipt.
struct CommandLine {
    id: String,
    payload: Payload,
    options: CommandOptions,
}

enum Payload {
    AddItem(AddItem),
    AddItems(AddItems),
    RemoveItem(RemoveItem),
    Finalize,
    Void(Void),
}

impl Call {
    fn of(action: ClientAction) -> Result<Self, Complaint> {
        let command = |id, payload, options| Self::Command(Box::new(CommandLine { id, payload, options }));
        Ok(match action {
            ClientAction::AddItem { id, name, price, quantity, options } => {
                command(id, Payload::AddItem(AddItem { name, price, quantity }), options)
            }
            ClientAction::AddItems { id, items, file, options } => {
                let items = file.map_or(Ok(AddItems { items }), |file| input::read(&file))?;
                command(id, Payload::AddItems(items), options)
            }
            ClientAction::RemoveItem { id, name, options } => {
                command(id, Payload::RemoveItem(RemoveItem { name }), options)
            }
            ClientAction::Finalize { id, options } => command(id, Payload::Finalize, options),
            ClientAction::Void { id, reason, options } => command(id, Payload::Void(Void { reason }), options),
            ClientAction::Get { id, options } => Self::Get(id, options),
            ClientAction::Summary { id } => Self::Summary(id),
            ClientAction::History { id, after, limit } => Self::History { id, after, limit },
            ClientAction::Watch { id, events, count } => Self::Watch(watch::Watch { id, events, count }),
            ClientAction::Discover { expect } => Self::Discover { expect },
        })
    }
}

impl CommandLine {
    async fn send(self, receipts: &ReceiptClient, report: &mut Report<'_>) -> Result<(), Complaint> {
        let Self { id, payload, options } = self;
        let call = match payload {
            Payload::AddItem(command) => receipts.add_item(id, command),
            Payload::AddItems(command) => receipts.add_items(id, command),
            Payload::RemoveItem(command) => receipts.remove_item(id, command),
            Payload::Finalize => receipts.finalize(id, Finalize {}),
            Payload::Void(command) => receipts.void(id, command),
        };
        let executed = options.on(call).await.map_err(|error| report.complain(error))?;
        Ok(report.executed(&executed)?)
    }
}

impl CommandOptions {
    fn on(self, mut call: CommandCall<Receipt>) -> CommandCall<Receipt> {
        if let Some(expected) = self.expected_revision {
            call = call.expected_revision(expected);
        }
        if let Some(command_id) = self.command_id {
            call = call.command_id(command_id);
        }
        call
    }
}

async fn get(
    receipts: &ReceiptClient,
    id: String,
    options: ReadOptions,
    report: &mut Report<'_>,
) -> Result<(), Complaint> {
    let mut call = receipts.get(id);
    if let Some(revision) = options.at_revision {
        call = call.at_revision(revision);
    }
    if let Some(time) = options.at_time {
        call = call.at_time(time);
    }
    if let Some(revision) = options.min_revision {
        call = call.min_revision(revision);
    }
    let entity = call.await.map_err(|error| report.complain(error))?;
    Ok(report.entity(&entity)?)
}

/// Lists events page by page, so that a long history is shown while it is read.
async fn history(
    receipts: &ReceiptClient,
    id: &str,
    after: Revision,
    limit: Option<NonZeroUsize>,
    report: &mut Report<'_>,
) -> Result<(), Complaint> {
    let mut next = Some(after);
    let mut revision = Revision::ZERO;
    let mut listed = Vec::new();
    let mut left = limit.map_or(usize::MAX, NonZeroUsize::get);
    while let Some(after) = next.filter(|_| left > 0) {
        let mut call = receipts.history(id).after(after);
        if limit.is_some() {
            call = call.limit(left);
        }
        let page = call.await.map_err(|error| report.complain(error))?;
        left = left.saturating_sub(page.events.len());
        (next, revision) = (page.next, page.revision);
        for event in &page.events {
            match report.json {
                true => listed.push(recorded(event)),
                false => report.event(event, false)?,
            }
        }
    }
    match (report.json, next) {
        (true, next) => {
            report.output.line(json!({ "revision": revision, "events": listed, "next": next }))?;
        }
        (false, Some(next)) => report.output.line(format_args!("more: --after {next}"))?,
        (false, None) => {}
    }
    Ok(())
}
