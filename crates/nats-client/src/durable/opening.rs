//! The way to the journal: the stream looked at, the consumer found or made, and a line to it.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::MINIMUM_SERVER;
use super::api::{Api, Trouble};
use super::backoff::Backoff;
use super::consumer::{Consumer, ConsumerInfo};
use super::error::ReaderError;
use super::journal;
use super::line::{Line, LineSettings};
use super::settings::Settings;

/// How long a refusal is put up with that no waiting should mend. In a cluster it may come from a server that has not
/// heard of the stream yet, or a leader that has not caught up.
const REFUSED_FOR: Duration = Duration::from_secs(5);

/// How long one wait for the connection takes; then it is looked again whether there is still time.
const ONE_WAIT: Duration = Duration::from_secs(1);

/// How long a reader without events leaves it to the one that has them to make a consumer anew: that one knows better
/// where to go on.
const AFTER_THE_OTHERS: Duration = Duration::from_secs(1);

/// What is known from before.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// When the journal's stream was created.
    pub(super) created: Option<String>,
    /// Everything up to here is done.
    pub(super) done_to: Option<u64>,
    /// What the server called this reader.
    pub(super) pin: Option<String>,
}

/// A way that is open.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) line: Line,
    pub(super) info: ConsumerInfo,
    /// When the journal's stream was created.
    pub(super) created: String,
    /// The durable had been there and had to be made anew.
    pub(super) recreated: bool,
}

/// Opens the way, trying as often as it takes.
pub(super) async fn open(
    consumer: Consumer,
    settings: Settings,
    known: Known,
    limit: Option<Duration>,
    pause: Duration,
) -> Result<Opened, ReaderError> {
    sleep(pause).await;
    let who = format!("the reader `{}`", consumer.name);
    persist(&who, &consumer.stream, limit, || try_open(&consumer, &settings, &known)).await
}

/// Tries again and again while that may help. The time limit is for the first time, when somebody waits for it.
pub(super) async fn persist<T, F>(
    who: &str,
    stream: &str,
    limit: Option<Duration>,
    mut attempt: impl FnMut() -> F,
) -> Result<T, ReaderError>
where
    F: Future<Output = Result<T, Trouble>>,
{
    let start = Instant::now();
    let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));
    let mut refused_since: Option<Instant> = None;
    loop {
        let trouble = match attempt().await {
            Ok(done) => return Ok(done),
            Err(trouble) => trouble,
        };
        let pause = backoff.next_pause();
        let late = limit.is_some_and(|limit| start.elapsed() + pause >= limit);
        let refused = match trouble {
            Trouble::ForGood(error) => return Err(error),
            Trouble::ForNow(error) if late => {
                return Err(ReaderError::unavailable(format!("{who} could not reach the stream {stream}"), error));
            }
            Trouble::ForNow(error) => {
                refused_since = None;
                debug!(who, %error, "waiting for the server");
                sleep(pause).await;
                continue;
            }
            Trouble::Lost(error) => error,
            Trouble::Refused(error) => {
                ReaderError::Refused(format!("{who} cannot read the stream {stream}: {}", error.description))
            }
        };
        if late || refused_since.get_or_insert_with(Instant::now).elapsed() >= REFUSED_FOR {
            return Err(refused);
        }
        debug!(who, error = %refused, "refused, and asking again");
        sleep(pause).await;
    }
}

async fn try_open(consumer: &Consumer, settings: &Settings, known: &Known) -> Result<Opened, Trouble> {
    server(&consumer.api).await?;
    // The journal is looked at after the consumer: it never ends before what was acknowledged by then.
    let found = consumer.info().await?;
    let journal = journal::look(&consumer.api, &consumer.stream).await?;
    let acknowledged = found.as_ref().map_or(0, |found| found.ack_floor.stream_seq);
    let done_to = known.done_to.unwrap_or(0).max(acknowledged);
    journal.check(known.created.as_deref(), done_to).map_err(Trouble::Lost)?;
    let (info, recreated) = match found {
        Some(found) => (consumer.adapt(found).await?, false),
        None => make(consumer, known).await?,
    };
    let line = LineSettings {
        stream: consumer.stream.clone(),
        consumer: consumer.name.to_string(),
        pinned: true,
        batch: settings.max_in_flight.min(500) as u64,
        // Each request tells the server that the reader is there.
        expires: (settings.takeover / 4).min(Duration::from_secs(30)),
    };
    let line = Line::open(&consumer.api, line, known.pin.clone()).await?;
    Ok(Opened { line, info, created: journal.created, recreated })
}

/// Waits for a server, and refuses one that is too old.
pub(super) async fn server(api: &Api) -> Result<(), Trouble> {
    api.connection.ready(ONE_WAIT).await.map_err(|down| Trouble::ForNow(down.into()))?;
    let server = api.connection.require_version(MINIMUM_SERVER);
    server.map(drop).map_err(|error| Trouble::ForGood(ReaderError::Refused(error.to_string())))
}

/// Makes the consumer, anew when it had been there.
async fn make(consumer: &Consumer, known: &Known) -> Result<(ConsumerInfo, bool), Trouble> {
    let had_been_there = known.created.is_some();
    if had_been_there && known.pin.is_none() {
        sleep(AFTER_THE_OTHERS).await;
    }
    let made = consumer.create(known.done_to.filter(|_| had_been_there)).await?;
    let Some(made) = made else {
        return Err(Trouble::ForNow("another reader of this name made the consumer at the same time".into()));
    };
    if had_been_there {
        warn!(
            reader = %consumer.name, stream = consumer.stream, after = known.done_to,
            "the consumer had vanished and was made anew where the reader was"
        );
    }
    Ok((made, had_been_there))
}
