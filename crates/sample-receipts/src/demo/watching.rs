//! Steps that look at the service from beside: its live events, and its instances.

use std::time::Duration;

use futures_util::StreamExt as _;
use headwater::client::LiveItem;

use super::play::Play;
use super::world::{INSTANCES, World};
use crate::client::discover;
use crate::complaint::Complaint;
use crate::show;

/// How long an event may take from its commit to the feed.
const FEED_WITHIN: Duration = Duration::from_secs(3);

/// How long the instances may take to answer.
const DISCOVERED_WITHIN: Duration = Duration::from_secs(3);

pub(super) async fn the_feed(play: &mut Play<'_, '_>) -> Result<(), Complaint> {
    play.stage.step("See what the live feed showed meanwhile; it was subscribed before the first step")?;
    play.stage.shell("client watch")?;
    play.world.tell_subject(play.stage, "receipts.events.>")?;
    let seen = tokio::time::timeout(FEED_WITHIN, first_revisions(play, 8)).await;
    let seen = seen.map_err(|_| play.stage.wrong("8 live events", "fewer within 3 seconds"))??;
    play.stage.check("revisions", &seen, &(1..=8).collect())?;
    play.stage.say(format_args!("{}, in the order they were committed.", show::counted(8, "event")))?;
    Ok(())
}

/// Tells events of the feed until there were so many, and gives their revisions.
async fn first_revisions(play: &mut Play<'_, '_>, count: usize) -> Result<Vec<u64>, Complaint> {
    let mut revisions = Vec::with_capacity(count);
    while revisions.len() < count {
        match play.feed.next().await {
            Some(LiveItem::Event(event)) if event.event().is_some() => {
                let recorded = &event.recorded;
                let (time, name) = (recorded.event.time.format("%H:%M:%S%.3f"), &recorded.event.name);
                play.stage.say(format_args!(
                    "{time}  {}  {:>2}  {name}",
                    recorded.aggregate.id(),
                    recorded.revision.get()
                ))?;
                revisions.push(recorded.revision.get());
            }
            other => return Err(play.stage.wrong("a live event", &format!("{other:?}"))),
        }
    }
    Ok(revisions)
}

pub(super) async fn the_instances(play: &mut Play<'_, '_>) -> Result<(), Complaint> {
    play.stage.step("Discover who served these requests")?;
    let World::Nats(nats) = play.world else {
        play.stage
            .say("This process did. With a server there are instances to find; play the demo without --in-process.")?;
        return Ok(());
    };
    play.stage.shell("client discover")?;
    play.world.tell_subject(play.stage, "$SRV.STATS.receipts")?;
    let found = discover::instances(&nats.client, Some(INSTANCES), DISCOVERED_WITHIN).await;
    let found = found.map_err(|error| play.stage.wrong("answers of the instances", &error.to_string()))?;
    play.stage.check("instances", &found.len(), &INSTANCES)?;
    for line in discover::table(&found) {
        play.stage.say(line)?;
    }
    let served: u64 = found.iter().map(discover::requests).sum();
    // A retry counts twice with the instances and once here.
    if served < play.requests {
        let expected = format!("at least {} served", show::counted(play.requests, "request"));
        return Err(play.stage.wrong(&expected, &served.to_string()));
    }
    Ok(())
}
