//! `headwater events show`: events from the journal, and on as they are stored.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt as _;
use headwater_core::Sequence;
use headwater_core::store::StartFrom;
use headwater_nats::connect::HumanDuration;
use headwater_nats_client::durable::ReaderError;

use super::Printer;
use super::filter::FilterArguments;
use crate::complaint::{Complaint, with_causes};
use crate::exit::Exit;
use crate::signals;
use crate::world::World;

/// Show events from the journal, oldest first
///
/// It ends with the last event that is there now, unless --follow is given. With --json each line is an event as the
/// journal keeps it: a CloudEvent, with its sequence.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater events show receipts
  headwater events show receipts --since 15m --type item-added
  headwater events show receipts --from-sequence 1041 --count 1 --json
  headwater events show receipts --aggregate receipt/order-1 --follow")]
pub(super) struct Args {
    #[command(flatten)]
    filter: FilterArguments,

    /// From this time on: a time such as 2026-11-20T12:00:00Z, or how long ago, such as 15m or 7d
    #[arg(long, value_name = "TIME", value_parser = since, conflicts_with = "from_sequence")]
    since: Option<DateTime<Utc>>,

    /// From this place in the journal on
    #[arg(long, value_name = "SEQUENCE", value_parser = clap::value_parser!(u64).range(1..))]
    from_sequence: Option<u64>,

    /// Go on with the events to come, until Ctrl-C; none is missed
    #[arg(long, short)]
    follow: bool,
}

pub(super) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    let (service, filter) = args.filter.read()?;
    let from = match (args.since, args.from_sequence) {
        (Some(time), _) => StartFrom::Time(time),
        (None, Some(sequence)) => StartFrom::After(Sequence::new(sequence - 1)),
        (None, None) => StartFrom::Beginning,
    };
    let client = world.client(&service, None).await?;
    let mut events = client.follow().filter(filter).start(from);
    if !args.follow {
        events = events.until_now();
    }
    let mut events = events.await.map_err(|error| unread(&error))?;
    // From here on Ctrl-C is an end like any other; until here it ends the program as it does others.
    let stop = signals::stop_requested().map_err(|error| Complaint::because("signals cannot be caught", &error))?;
    tokio::pin!(stop);
    let mut printer = Printer::new(world, service, args.filter.count);
    while !printer.is_done() {
        let event = tokio::select! {
            event = events.next() => event,
            _ = &mut stop => return Ok(Exit::Done),
        };
        match event {
            Some(event) => printer.write(&event.map_err(|error| unread(&error))?)?,
            None => break,
        }
    }
    Ok(Exit::Done)
}

/// Why the journal cannot be read, or not any further.
fn unread(error: &ReaderError) -> Complaint {
    let text = with_causes(error);
    match error {
        ReaderError::Refused(_) => Complaint::refused("refused", text)
            .note("`headwater services ls` lists who is there; the NATS user needs the rights of a reader."),
        ReaderError::Unavailable { .. } => Complaint::failed("unavailable", text),
        ReaderError::HistoryBroken { .. } => Complaint::failed("history-broken", text)
            .note("Everything before it was shown; --from-sequence goes on after it."),
        ReaderError::JournalLost(_) => Complaint::failed("journal-lost", text),
        _ => Complaint::failed("failed", text),
    }
}

/// A time, or how long ago it is.
fn since(text: &str) -> Result<DateTime<Utc>, String> {
    let now = Utc::now();
    let time = match DateTime::parse_from_rfc3339(text) {
        Ok(time) => Some(time.to_utc()),
        Err(_) => {
            let ago = text.parse::<HumanDuration>().ok().and_then(|ago| TimeDelta::from_std(ago.get()).ok());
            ago.and_then(|ago| now.checked_sub_signed(ago))
        }
    };
    match time {
        None => Err("write a time such as 2026-11-20T12:00:00Z, or how long ago it is, such as 15m or 7d".to_owned()),
        Some(time) if time > now => Err("that is in the future".to_owned()),
        Some(time) => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_time_or_how_long_ago_it_is() {
        assert_eq!(since("2026-11-20T12:00:00+01:00").unwrap().to_rfc3339(), "2026-11-20T11:00:00+00:00");
        let then = since("15m").unwrap();
        let ago = (Utc::now() - then).num_minutes();
        assert!((15..=16).contains(&ago), "{ago}");
        for nonsense in ["yesterday", "15", "", "2026-11-20", "2999-01-01T00:00:00Z"] {
            assert!(since(nonsense).is_err(), "{nonsense}");
        }
    }
}
