//! `headwater restore`: a file is checked whole, then each stream is put back and compared with what was taken.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::HumanBytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::api::{Api, ApiProblem, check_stream_name};
use super::format::{Contents, Counts, StreamContents, counts};
use super::put_back::{Changes, put_back};
use super::{compare, inspect};
use crate::arguments::some_time;
use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::output::{Progress, Table, counted, note};
use crate::signals;
use crate::world::World;

/// How long the consumers of a restored stream may take to be there; a replicated one elects a leader for each.
const CONSUMERS_WITHIN: Duration = Duration::from_secs(30);

/// How long a deleted stream may take to be gone.
const DELETED_WITHIN: Duration = Duration::from_secs(10);

const POLL: Duration = Duration::from_millis(200);

/// Restore streams with their consumers from a backup
///
/// The whole file is checked before anything is done. A stream that exists is left alone, unless --replace and --yes say to
/// delete it first. What came back is compared with what was taken: messages, sequences and consumers.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater restore receipts.backup
  headwater restore everything.backup --stream RECEIPTS_JOURNAL --replicas 3
  headwater restore receipts.backup --replace --yes
  headwater restore receipts.backup --dry-run")]
pub(crate) struct Args {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Only this stream of the file; may be given more than once
    #[arg(long, value_name = "STREAM")]
    stream: Vec<String>,

    /// Delete streams that exist and put those of the file in their place; also needs --yes
    #[arg(long)]
    replace: bool,

    /// With --replace: yes, what these streams hold now is to be lost
    #[arg(long, requires = "replace")]
    yes: bool,

    /// Check the file and the server, and stop before anything is changed
    #[arg(long)]
    dry_run: bool,

    /// Keep the streams on so many servers, instead of as many as before
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: Option<u8>,

    /// Keep the streams in this cluster
    #[arg(long, value_name = "CLUSTER")]
    cluster: Option<String>,

    /// Keep the streams on servers with this tag; may be given more than once
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,

    /// How long the server may leave a part unanswered before the restore is given up
    #[arg(long, value_name = "DURATION", value_parser = some_time, default_value = "30s")]
    idle_timeout: Duration,
}

/// What is told of a stream that was restored.
#[derive(Debug, Serialize)]
struct Restored {
    stream: String,
    #[serde(flatten)]
    counts: Counts,
    consumers: u64,
    replaced: bool,
}

pub(crate) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    args.stream.iter().try_for_each(|name| check_stream_name(name))?;
    if args.replace && !args.yes && !args.dry_run {
        return Err(Complaint::usage("--replace deletes streams before it restores them: confirm with --yes"));
    }
    let contents = inspect(&args.file)?;
    let chosen = chosen(&contents, &args.stream)?;
    let (connection, limit) = world.connect().await?;
    let api = Api::new(connection, limit);
    note_older_server(&contents, &api);
    let existing = existing(&api, &chosen).await?;
    if !existing.is_empty() && !args.replace {
        return Err(in_the_way(&existing));
    }
    if args.dry_run {
        return tell_plan(world, &chosen, &existing);
    }
    let stop = signals::stop_requested().map_err(|error| Complaint::because("signals cannot be caught", &error))?;
    let started = Instant::now();
    let restored = tokio::select! {
        restored = restore_all(&api, &args, &chosen, &existing) => restored?,
        signal = stop => return Err(Complaint::Stopped(signal)),
    };
    tell(world, &args.file, &restored, started.elapsed())
}

fn chosen<'a>(contents: &'a Contents, names: &[String]) -> Result<Vec<&'a StreamContents>, Complaint> {
    let streams = &contents.streams;
    if let Some(missing) = names.iter().find(|name| streams.iter().all(|stream| stream.header.name != **name)) {
        let there = contents.header.streams.join(", ");
        return Err(Complaint::refused("stream-not-found", format!("the file holds no stream {missing}"))
            .note(format!("It holds: {there}")));
    }
    let chosen: Vec<_> =
        streams.iter().filter(|stream| names.is_empty() || names.contains(&stream.header.name)).collect();
    // Names reach subjects; a file may come from anywhere.
    chosen.iter().try_for_each(|stream| check_stream_name(&stream.header.name))?;
    Ok(chosen)
}

/// An older server may not understand what a later one has written.
fn note_older_server(contents: &Contents, api: &Api) {
    let parse = |version: &str| version.parse::<semver::Version>().ok();
    let taken = parse(&contents.header.server_version);
    let here = api.connection.server_info().map(|server| server.version);
    if let (Some(taken), Some(here)) = (taken, here)
        && (here.major, here.minor) < (taken.major, taken.minor)
    {
        note(format!("the backup is from a server {taken}, and this one is {here}: it may refuse the archive"));
    }
}

async fn existing(api: &Api, chosen: &[&StreamContents]) -> Result<BTreeSet<String>, Complaint> {
    let mut existing = BTreeSet::new();
    for stream in chosen {
        let name = &stream.header.name;
        let found = api.stream(name).await;
        let found = found.map_err(|problem| problem.complaint(&format!("the stream {name} cannot be looked at")))?;
        if found.is_some() {
            existing.insert(name.clone());
        }
    }
    Ok(existing)
}

fn in_the_way(existing: &BTreeSet<String>) -> Complaint {
    let names: Vec<&str> = existing.iter().map(String::as_str).collect();
    let text = match &names[..] {
        [one] => format!("the stream {one} exists"),
        several => format!("the streams {} exist", several.join(", ")),
    };
    Complaint::refused("exists", text)
        .detail("streams", names)
        .note("Nothing was changed. --stream restores only some; --replace --yes deletes what exists first.")
}

async fn restore_all(
    api: &Api,
    args: &Args,
    chosen: &[&StreamContents],
    existing: &BTreeSet<String>,
) -> Result<Vec<Restored>, Complaint> {
    let changes = Changes { replicas: args.replicas, cluster: args.cluster.clone(), tags: args.tag.clone() };
    let mut done: Vec<Restored> = Vec::new();
    for stream in chosen {
        let name = stream.header.name.clone();
        let replaced = existing.contains(&name);
        let restored = restore_one(api, &args.file, stream, &changes, replaced, args.idle_timeout).await;
        let (counts, consumers) = restored.map_err(|complaint| left_behind(complaint, &done, &name, replaced))?;
        done.push(Restored { stream: name, counts, consumers, replaced });
    }
    Ok(done)
}

/// What somebody must know who has to go on by hand.
fn left_behind(complaint: Complaint, done: &[Restored], name: &str, replaced: bool) -> Complaint {
    let names: Vec<&str> = done.iter().map(|done| done.stream.as_str()).collect();
    let mut complaint = complaint.detail("stream", name).detail("restored", names.clone());
    if !names.is_empty() {
        complaint = complaint.note(format!("Restored before: {}", names.join(", ")));
    }
    match replaced {
        true => complaint
            .note(format!("{name} as it was may have been deleted; the file is whole and can be restored again.")),
        false => complaint,
    }
}

async fn restore_one(
    api: &Api,
    file: &Path,
    stream: &StreamContents,
    changes: &Changes,
    replace: bool,
    idle: Duration,
) -> Result<(Counts, u64), Complaint> {
    let name = &stream.header.name;
    if replace {
        delete(api, name).await?;
    }
    let progress = Progress::of_bytes(stream.end.bytes, name);
    let made = put_back(api, file, stream, changes, idle, &progress).await?;
    let found = counts(&made.state);
    let mut wrong = compare::counts(&stream.header, found);
    let consumers = wait_for_consumers(api, stream).await?;
    wrong.extend(consumers.wrong);
    match wrong.is_empty() {
        true => Ok((found, consumers.count)),
        false => Err(Complaint::failed("incomplete", format!("the stream {name} came back, but {}", wrong.join("; ")))
            .detail("shortcomings", wrong)),
    }
}

/// Deletes a stream and waits until its name is free: in a cluster that takes a moment longer.
async fn delete(api: &Api, name: &str) -> Result<(), Complaint> {
    let doing = format!("the stream {name} cannot be deleted");
    let fail = |problem: &ApiProblem| problem.complaint(&doing);
    api.ask::<Value>(&format!("STREAM.DELETE.{name}"), &Value::Null).await.map_err(|problem| fail(&problem))?;
    let deadline = tokio::time::Instant::now() + DELETED_WITHIN;
    while api.stream(name).await.map_err(|problem| fail(&problem))?.is_some() {
        if tokio::time::Instant::now() >= deadline {
            return Err(Complaint::failed("still-there", format!("{doing}: it is still there")));
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

struct Consumers {
    count: u64,
    wrong: compare::Shortcomings,
}

/// The consumers of a restored stream as soon as nothing is wrong with them, or as they are when the time is up.
async fn wait_for_consumers(api: &Api, stream: &StreamContents) -> Result<Consumers, Complaint> {
    let deadline = tokio::time::Instant::now() + CONSUMERS_WITHIN;
    loop {
        let found = api.consumer_records(&stream.header.name).await;
        let found = found.map_err(|problem| problem.complaint("the restored consumers cannot be listed"))?;
        let wrong = compare::consumers(&stream.consumers, &found);
        if wrong.is_empty() || tokio::time::Instant::now() >= deadline {
            return Ok(Consumers { count: found.len() as u64, wrong });
        }
        tokio::time::sleep(POLL).await;
    }
}

fn tell_plan(world: &World, chosen: &[&StreamContents], existing: &BTreeSet<String>) -> Result<Exit, Complaint> {
    let action = |name: &str| if existing.contains(name) { "replace" } else { "create" };
    if world.is_json() {
        let plan: Vec<Value> = chosen
            .iter()
            .map(|stream| {
                let name = &stream.header.name;
                json!({ "stream": name, "action": action(name), "messages": stream.header.counts().messages })
            })
            .collect();
        world.output.json(&json!({ "dryRun": true, "streams": plan }))?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["stream", "action", ">messages", ">consumers", ">archive"]);
    for stream in chosen {
        let name = stream.header.name.as_str();
        table.row([
            name.into(),
            action(name).into(),
            stream.header.counts().messages.to_string().into(),
            stream.header.consumers.to_string().into(),
            HumanBytes(stream.end.bytes).to_string().into(),
        ]);
    }
    world.output.table(&table)?;
    world.output.line("Nothing was changed.")?;
    Ok(Exit::Done)
}

fn tell(world: &World, file: &Path, restored: &[Restored], took: Duration) -> Result<Exit, Complaint> {
    if world.is_json() {
        let duration = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        world.output.json(&json!({ "file": file, "streams": restored, "duration": duration }))?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["stream", ">messages", ">first", ">last", ">consumers", "replaced"]);
    for Restored { stream, counts, consumers, replaced } in restored {
        table.row([
            stream.as_str().into(),
            counts.messages.to_string().into(),
            counts.first_seq.to_string().into(),
            counts.last_seq.to_string().into(),
            consumers.to_string().into(),
            if *replaced { "yes" } else { "no" }.into(),
        ]);
    }
    world.output.table(&table)?;
    let streams = counted(restored.len() as u64, "stream");
    world.output.line(format!("{}: {streams} restored, and nothing is missing", file.display()))?;
    Ok(Exit::Done)
}
