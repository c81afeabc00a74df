//! The demo: one script, played with a server or without, that ends with nothing left behind.

mod asking;
mod closing;
mod play;
mod refusing;
mod script;
mod stage;
mod watching;
mod world;
mod writing;

use std::io;
use std::time::Duration;

use opentelemetry::trace::FutureExt as _;
use tokio::time::Instant;

use self::play::Play;
use self::stage::Stage;
use self::world::World;
use crate::complaint::Complaint;
use crate::output::Output;
use crate::signals;

/// How long the script may take; it usually takes well under a second.
const PLAYED_WITHIN: Duration = Duration::from_secs(30);

/// How the demo is played.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    /// Without any server.
    pub(crate) in_process: bool,
    /// As one trace.
    pub(crate) telemetry: bool,
}

/// Plays the demo; a step that does not come out as it should is the complaint.
pub(crate) async fn run(way: Way, output: &mut Output) -> Result<(), Complaint> {
    let began = Instant::now();
    let stop = signals::stop_requested().map_err(|error| Complaint::new("signals cannot be caught", &error))?;
    tokio::pin!(stop);
    let mut stage = Stage::new(output);
    introduction(&mut stage)?;
    // Whatever was started by then is ended by being dropped.
    let world = tokio::select! {
        world = set_up(way) => world?,
        signal = &mut stop => return Err(Complaint::Stopped(signal)),
    };
    let played = tokio::select! {
        played = tokio::time::timeout(PLAYED_WITHIN, play(&world, &mut stage).with_context(world.trace())) => {
            played.unwrap_or_else(|_| Err(stage.wrong("an end within 30 seconds", "none")))
        }
        signal = &mut stop => Err(Complaint::Stopped(signal)),
    };
    world.close().await;
    played?;
    farewell(&mut stage, began.elapsed(), way.in_process)?;
    Ok(())
}

async fn set_up(way: Way) -> Result<World, Complaint> {
    match way.in_process {
        true => World::in_process(),
        false => World::with_server(way.telemetry).await,
    }
}

async fn play(world: &World, stage: &mut Stage<'_>) -> Result<(), Complaint> {
    world.introduce(stage)?;
    let receipts = world.receipts().with(|calls| calls.timeout(Duration::from_secs(5)));
    let feed = receipts.live().await.map_err(|error| Complaint::new("the live feed", &error))?;
    stage.tell("client", "generated from the same description as the service; it follows the live events")?;
    script::play(&mut Play { stage, world, receipts, feed, requests: 0 }).await
}

fn introduction(stage: &mut Stage<'_>) -> io::Result<()> {
    stage.heading("Receipts: a demo of Headwater")?;
    stage.blank()?;
    stage.say("A service keeps receipts. It stores what happened to each of them: its events, one after the other.")?;
    stage.say("What a receipt is now is what its events add up to; its revision is how many there are.")?;
    stage.say("Lines with $ are the same call from a shell. There, sample-receipts is short for")?;
    stage.say("cargo run -p sample-receipts --")?;
    stage.blank()
}

fn farewell(stage: &mut Stage<'_>, took: Duration, in_process: bool) -> io::Result<()> {
    let left = if in_process { "nothing is left behind" } else { "the services are drained, the server is gone" };
    stage.blank()?;
    stage.say(format_args!("Every step came out as it should, in {:.2} s; {left}.", took.as_secs_f64()))?;
    stage.blank()?;
    stage.heading("Try next")?;
    let width = NEXT.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    for (command, what) in NEXT {
        stage.say(format_args!("{command:<width$}  {what}"))?;
    }
    Ok(())
}

/// What to try when the demo has made one curious.
const NEXT: [(&str, &str); 8] = [
    ("cargo run -p sample-receipts -- nats-server --port 4222", "a server that stays"),
    ("cargo run -p sample-receipts -- serve --instances 2", "the service on it"),
    ("cargo run -p sample-receipts -- client watch", "its events as they happen"),
    ("cargo run -p sample-receipts -- client add-item order-1 --name Coffee --price 5.99", "a call"),
    ("cargo run -p sample-receipts -- client get order-1 --json", "another"),
    ("cargo run -p sample-receipts -- client discover", "who is there"),
    ("nats req receipts.query.receipt.get '{\"aggregateId\": \"order-1\"}'", "any NATS client will do"),
    ("nats sub 'receipts.events.>'", "for the events too"),
];

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::arguments::Arguments;

    #[test]
    fn what_to_try_next_can_be_tried() {
        let ours = NEXT.iter().filter_map(|(command, _)| command.strip_prefix("cargo run -p sample-receipts -- "));
        let parsed: Vec<_> = ours
            .map(|line| Arguments::try_parse_from(format!("sample-receipts {line}").split_whitespace()))
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(parsed.len(), 6);
    }
}
