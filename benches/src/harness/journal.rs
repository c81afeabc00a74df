//! The journal of one run: made before it, checked and deleted after it.
//!
//! Both programs of a comparison write to streams that this file makes, so they differ in nothing but their names.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::consumer::push::OrderedConfig;
use futures_util::StreamExt;
use headwater::Name;
use headwater::nats::connect::{Connection, NatsConfig};
use headwater::nats::subject::Subjects;
use headwater::store::{JetStreamStore, StoreConfig};
use serde::Deserialize;
use uuid::Uuid;

use super::world::World;
use crate::Fallible;

/// How long the journal may be silent while it is read.
const SILENCE: Duration = Duration::from_secs(10);

/// The commands that were acknowledged, and how many events each must have left.
#[derive(Debug, Default)]
pub(crate) struct Promised {
    commands: HashMap<Uuid, u32>,
    events: u64,
}

impl Promised {
    pub(crate) fn add(&mut self, command: Uuid, events: u32) {
        self.commands.insert(command, events);
        self.events += u64::from(events);
    }
}

/// Makes the journal's stream as the service would.
pub(crate) async fn prepare(world: &World, service: &str) -> Fallible<()> {
    let connection = Connection::connect(&NatsConfig::new(&world.url()).name("journal")).await?;
    let config = StoreConfig::new(Name::new(service.to_owned())?).replicas(world.replicas());
    JetStreamStore::open(connection.clone(), config).await?;
    connection.close().await;
    Ok(())
}

/// The members of a stored event that are looked at.
#[derive(Deserialize)]
struct Body<'a> {
    subject: &'a str,
    revision: u64,
    commandid: Uuid,
    previous: Option<&'a str>,
}

/// What has been read of one aggregate.
#[derive(Default)]
struct Ending {
    revision: u64,
    sequence: u64,
}

/// Checks that the journal holds what was acknowledged, whole and once, and nothing else: every command with its number
/// of events, and every aggregate's revisions without a gap, each naming the one before it.
pub(crate) async fn verify(client: &Client, service: &str, mut promised: Promised) -> Fallible<()> {
    let stream = stream_of(service)?;
    let stream = async_nats::jetstream::new(client.clone()).get_stream(stream).await?;
    let stored = stream.cached_info().state.messages;
    let expected = promised.events;
    if stored != expected {
        return Err(format!("the journal holds {stored} events after {expected} were acknowledged").into());
    }
    let config = OrderedConfig { deliver_subject: client.new_inbox(), ..OrderedConfig::default() };
    let mut messages = stream.create_consumer(config).await?.messages().await?;
    let mut endings: HashMap<String, Ending> = HashMap::new();
    for _ in 0..stored {
        let message = tokio::time::timeout(SILENCE, messages.next()).await.map_err(|_| "the journal stopped short")?;
        let message = message.ok_or("the journal ended early")??;
        let sequence = message.info()?.stream_sequence;
        let body: Body<'_> = serde_json::from_slice(&message.payload)?;
        let ending = endings.entry(body.subject.to_owned()).or_default();
        follows(&body, ending, sequence).map_err(|what| format!("{} at sequence {sequence}: {what}", body.subject))?;
        *ending = Ending { revision: body.revision, sequence };
        match promised.commands.get_mut(&body.commandid) {
            Some(left) if *left > 0 => *left -= 1,
            _ => return Err(format!("the event at sequence {sequence} is of no command, or doubled").into()),
        }
    }
    // As many events as promised, and none too many for its command: so none is missing.
    Ok(())
}

fn follows(body: &Body<'_>, ending: &Ending, sequence: u64) -> Result<(), String> {
    let (found, before) = (body.revision, ending.revision);
    if found != before + 1 {
        return Err(format!("revision {found} follows {before}"));
    }
    let newest = body.previous.and_then(|previous| previous.split(',').next());
    let named = match newest {
        None => 0,
        Some(newest) => match newest.strip_prefix('-') {
            Some(back) => sequence.saturating_sub(back.parse().map_err(|_| "`previous` is not a number")?),
            None => newest.parse().map_err(|_| "`previous` is not a number")?,
        },
    };
    if named == ending.sequence {
        Ok(())
    } else {
        Err(format!("`previous` names {named}, and the event before is at {}", ending.sequence))
    }
}

/// Deletes the journal, so that the next run starts on an empty server.
pub(crate) async fn delete(client: &Client, service: &str) -> Fallible<()> {
    async_nats::jetstream::new(client.clone()).delete_stream(stream_of(service)?).await?;
    Ok(())
}

/// The name of a service's journal stream.
pub(crate) fn stream_of(service: &str) -> Fallible<String> {
    Ok(Subjects::new(Name::new(service.to_owned())?).journal_stream())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(revision: u64, previous: Option<&str>) -> Body<'_> {
        Body { subject: "r-1", revision, commandid: Uuid::nil(), previous }
    }

    #[test]
    fn an_event_follows_the_one_it_names() {
        let third = Ending { revision: 3, sequence: 41 };
        assert_eq!(follows(&body(1, None), &Ending::default(), 7), Ok(()));
        assert_eq!(follows(&body(4, Some("41,7")), &third, 50), Ok(()));
        assert_eq!(follows(&body(4, Some("-2,7")), &third, 43), Ok(()));
    }

    #[test]
    fn a_gap_a_repeat_and_a_wrong_predecessor_are_noticed() {
        let third = Ending { revision: 3, sequence: 41 };
        assert!(follows(&body(5, Some("41")), &third, 50).is_err());
        assert!(follows(&body(3, Some("41")), &third, 50).is_err());
        assert!(follows(&body(4, Some("40")), &third, 50).is_err());
        assert!(follows(&body(4, None), &third, 50).is_err());
    }
}
