//! `headwater backup` and `headwater restore`: streams with their consumers, to one file and back.
//!
//! - `format`: the file.
//! - `take`, `put_back`: one stream from the server, and to it.
//! - `compare`: what came back beside what was taken.
//! - `api`: JetStream's API, also for the doctor.

pub(crate) mod api;
mod compare;
mod format;
mod partial;
mod put_back;
pub(crate) mod restore;
mod take;

use std::collections::BTreeSet;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, Utc};
use indicatif::HumanBytes;
use serde::Serialize;

use crate::arguments::some_time;
use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::output::{Progress, Table, counted};
use crate::signals;
use crate::world::World;
use api::{Api, check_stream_name};
use format::{Contents, FileEnd, FileHeader, FileProblem, Writer};
use partial::Partial;
use take::Taken;

/// How much of a file is gathered before it is written.
const BUFFER: usize = 256 << 10;

/// Back up streams with their consumers to a file, or check such a file
///
/// The server makes a snapshot of each stream, one after the other, while services go on writing; each is what the stream
/// was at one moment. The file appears under its name when it is complete. Whoever may read the file may read the messages.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater backup RECEIPTS_JOURNAL KV_RECEIPTS_SNAPSHOTS --to receipts.backup
  headwater backup --all --except CACHE --to /backups/everything.backup
  headwater backup --verify receipts.backup")]
pub(crate) struct Args {
    /// The streams; a key-value bucket's stream is called KV_ and the bucket's name
    #[arg(value_name = "STREAM", required_unless_present_any = ["all", "verify"], conflicts_with_all = ["all", "verify"])]
    streams: Vec<String>,

    /// All streams of the account
    #[arg(long, conflicts_with = "verify")]
    all: bool,

    /// With --all: not this stream; may be given more than once
    #[arg(long, value_name = "STREAM", requires = "all")]
    except: Vec<String>,

    /// The file to write
    #[arg(long, value_name = "FILE", required_unless_present = "verify")]
    to: Option<PathBuf>,

    /// Replace the file if it exists; it stays as it is until the new one is complete
    #[arg(long, requires = "to")]
    force: bool,

    /// Read this file from start to end instead, and check every checksum and count in it; needs no server
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    verify: Option<PathBuf>,

    /// How long the server may send nothing before the backup is given up
    #[arg(long, value_name = "DURATION", value_parser = some_time, default_value = "30s")]
    idle_timeout: Duration,
}

/// What is told of a backup that was made or checked.
#[derive(Debug, Serialize)]
struct Report<'a> {
    file: &'a Path,
    bytes: u64,
    created: &'a str,
    server: &'a str,
    #[serde(rename = "serverVersion")]
    server_version: &'a str,
    streams: &'a [Taken],
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<u64>,
}

pub(crate) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    if let Some(file) = &args.verify {
        return verify(file, world);
    }
    let Some(target) = args.to.clone() else { return Err(Complaint::usage("--to says which file to write")) };
    args.streams.iter().chain(&args.except).try_for_each(|name| check_stream_name(name))?;
    refuse_existing(&target, args.force)?;
    let (connection, limit) = world.connect().await?;
    let api = Api::new(connection, limit);
    let streams = chosen(&args, &api).await?;
    let stop = signals::stop_requested().map_err(|error| Complaint::because("signals cannot be caught", &error))?;
    let started = Instant::now();
    let (header, taken, bytes) = tokio::select! {
        made = make(&api, streams, &target, args.idle_timeout) => made?,
        signal = stop => return Err(Complaint::Stopped(signal)),
    };
    let duration = u64::try_from(started.elapsed().as_millis()).ok();
    tell(world, &Report { bytes, duration, ..report(&target, &header, &taken) })
}

fn refuse_existing(target: &Path, force: bool) -> Result<(), Complaint> {
    match target.try_exists() {
        Ok(true) if !force => Err(Complaint::refused("exists", format!("{} exists", target.display()))
            .note("--force replaces it when the new one is complete.")),
        _ => Ok(()),
    }
}

/// The streams that are meant, each once.
async fn chosen(args: &Args, api: &Api) -> Result<Vec<String>, Complaint> {
    let there = api.stream_names().await.map_err(|problem| problem.complaint("the streams cannot be listed"))?;
    let there: BTreeSet<String> = there.into_iter().collect();
    let missing: Vec<&str> =
        args.streams.iter().chain(&args.except).filter(|name| !there.contains(*name)).map(String::as_str).collect();
    if !missing.is_empty() {
        let list = missing.join(", ");
        return Err(Complaint::refused("stream-not-found", format!("there is no stream called {list}"))
            .detail("streams", missing)
            .note("`nats stream ls --all` lists the streams of the account."));
    }
    let mut streams: Vec<String> = match args.all {
        true => there.into_iter().filter(|name| !args.except.contains(name)).collect(),
        false => args.streams.clone(),
    };
    let mut seen = BTreeSet::new();
    streams.retain(|name| seen.insert(name.clone()));
    match streams.is_empty() {
        true => Err(Complaint::refused("no-streams", "there are no streams to back up")),
        false => Ok(streams),
    }
}

/// Writes the whole file.
async fn make(
    api: &Api,
    streams: Vec<String>,
    target: &Path,
    idle: Duration,
) -> Result<(FileHeader, Vec<Taken>, u64), Complaint> {
    let server = api.connection.server_info();
    let header = FileHeader {
        created: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
        tool: format!("headwater {}", env!("CARGO_PKG_VERSION")),
        server: server.as_ref().map(|server| server.name.clone()).unwrap_or_default(),
        server_version: server.map(|server| server.version.to_string()).unwrap_or_default(),
        streams,
    };
    let written = |error| Complaint::because(&format!("{} cannot be written", target.display()), &error);
    let (partial, file) = Partial::create(target).map_err(written)?;
    let mut writer = Writer::begin(BufWriter::with_capacity(BUFFER, file), &header).map_err(written)?;
    let chunk = take::CHUNK.min(api.connection.client().max_payload());
    let mut taken = Vec::new();
    for (done, name) in header.streams.iter().enumerate() {
        let progress = Progress::spinner_of_bytes(&format!("{name} ({} of {})", done + 1, header.streams.len()));
        taken.push(take::take(api, name, chunk, idle, &mut writer, &progress).await?);
    }
    let bytes = taken.iter().map(|taken: &Taken| taken.archive_bytes).sum();
    let file = writer.finish(&FileEnd { streams: taken.len() as u64, bytes }).map_err(written)?;
    let file = file.into_inner().map_err(|error| written(error.into_error()))?;
    let length = file.metadata().map_err(written)?.len();
    // Syncing may take as long as the disk pleases.
    tokio::task::block_in_place(|| partial.keep(&file)).map_err(written)?;
    Ok((header, taken, length))
}

/// `headwater backup --verify`.
fn verify(file: &Path, world: &World) -> Result<Exit, Complaint> {
    let contents = inspect(file)?;
    let taken: Vec<Taken> = contents.streams.iter().map(Taken::from).collect();
    tell(world, &Report { bytes: contents.length, ..report(file, &contents.header, &taken) })
}

/// Reads a whole backup, with a bar for whoever waits.
fn inspect(file: &Path) -> Result<Contents, Complaint> {
    let length = std::fs::metadata(file).map_err(|error| unfit(file, &error.into()))?.len();
    let progress = Progress::of_bytes(length, "checking the file");
    tokio::task::block_in_place(|| format::inspect(file, |place| progress.set(place)))
        .map_err(|problem| unfit(file, &problem))
}

fn unfit(file: &Path, problem: &FileProblem) -> Complaint {
    let text = format!("{}: {problem}", file.display());
    match problem {
        FileProblem::NotABackup | FileProblem::Version { .. } => Complaint::refused("not-a-backup", text),
        FileProblem::Truncated { at } => Complaint::refused("truncated", text).detail("at", *at),
        FileProblem::Damaged { at } | FileProblem::Unexpected { at, .. } => {
            Complaint::refused("damaged", text).detail("at", *at)
        }
        FileProblem::Unreadable(_) => Complaint::failed("unreadable", text),
    }
}

impl From<&format::StreamContents> for Taken {
    fn from(stream: &format::StreamContents) -> Self {
        Self {
            stream: stream.header.name.clone(),
            counts: stream.header.counts(),
            consumers: stream.header.consumers,
            chunks: stream.end.chunks,
            archive_bytes: stream.end.bytes,
        }
    }
}

fn report<'a>(file: &'a Path, header: &'a FileHeader, streams: &'a [Taken]) -> Report<'a> {
    let FileHeader { created, server, server_version, .. } = header;
    Report { file, bytes: 0, created, server, server_version, streams, duration: None }
}

fn tell(world: &World, report: &Report<'_>) -> Result<Exit, Complaint> {
    if world.is_json() {
        world.output.json(report)?;
        return Ok(Exit::Done);
    }
    world.output.table(&table(report.streams))?;
    let streams = counted(report.streams.len() as u64, "stream");
    let (file, size) = (report.file.display(), HumanBytes(report.bytes));
    world.output.line(format!(
        "{file}: whole; {streams}, {size}, made {} from {} ({})",
        report.created,
        crate::output::plain(report.server),
        crate::output::plain(report.server_version)
    ))?;
    Ok(Exit::Done)
}

fn table(streams: &[Taken]) -> Table {
    let mut table = Table::new(["stream", ">messages", ">first", ">last", ">bytes", ">consumers", ">archive"]);
    for taken in streams {
        let counts = &taken.counts;
        table.row([
            taken.stream.as_str().into(),
            counts.messages.to_string().into(),
            counts.first_seq.to_string().into(),
            counts.last_seq.to_string().into(),
            HumanBytes(counts.bytes).to_string().into(),
            taken.consumers.to_string().into(),
            HumanBytes(taken.archive_bytes).to_string().into(),
        ]);
    }
    table
}
