//! What the doctor looks at, gathered before anything is judged.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, stream};
use headwater_core::Name;
use headwater_nats::connect::ServerInfo;
use headwater_nats::subject::Subjects;
use serde::Deserialize;
use serde_json::Value;

use super::monitor::{Monitor, MonitorUrl};
use crate::backup::api::{Api, ApiProblem, StreamInfo};
use crate::permissions::cover::UserInfo;

/// Lists of consumers asked for at once.
const LISTS_AT_ONCE: usize = 8;

/// Where a user learns about itself.
const USER_INFO: &str = "$SYS.REQ.USER.INFO";

/// Everything the rules look at.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) now: DateTime<Utc>,
    pub(crate) server: Option<ServerInfo>,
    pub(crate) account: Result<Account, ApiProblem>,
    pub(crate) streams: Result<Vec<Stream>, ApiProblem>,
    pub(crate) user: Result<UserInfo, ApiProblem>,
    pub(crate) clock: Option<Clock>,
    pub(crate) monitor: Option<Monitor>,
}

/// JetStream's limits for the account, and what is used of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Account {
    pub(crate) memory: u64,
    pub(crate) storage: u64,
    pub(crate) reserved_memory: u64,
    pub(crate) reserved_storage: u64,
    pub(crate) streams: u64,
    pub(crate) consumers: u64,
    pub(crate) limits: Limits,
    pub(crate) api: ApiState,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Limits {
    pub(crate) max_memory: i64,
    pub(crate) max_storage: i64,
    pub(crate) max_streams: i64,
    pub(crate) max_consumers: i64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ApiState {
    pub(crate) level: u64,
}

/// A stream with its consumers.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) info: StreamInfo,
    pub(crate) consumers: Result<Vec<Consumer>, ApiProblem>,
}

/// A consumer as the server tells of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Consumer {
    pub(crate) name: String,
    pub(crate) created: Option<DateTime<Utc>>,
    pub(crate) config: ConsumerConfig,
    pub(crate) delivered: Activity,
    pub(crate) ack_floor: Activity,
    pub(crate) num_ack_pending: u64,
    pub(crate) num_redelivered: u64,
    pub(crate) num_waiting: u64,
    pub(crate) num_pending: u64,
    pub(crate) paused: bool,
    pub(crate) push_bound: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ConsumerConfig {
    pub(crate) max_ack_pending: i64,
    pub(crate) max_deliver: i64,
    /// Nanoseconds.
    pub(crate) ack_wait: u64,
    pub(crate) deliver_subject: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Activity {
    pub(crate) stream_seq: u64,
    pub(crate) last_active: Option<DateTime<Utc>>,
}

/// The server's clock beside ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    /// How far the server's is ahead, in milliseconds; negative when it is behind.
    pub(crate) ahead: i64,
    /// How wrong that may be: half of what the answer took, in milliseconds.
    pub(crate) uncertain: i64,
}

/// Asks for everything.
pub(crate) async fn gather(api: &Api, service: Option<&Name>, only: &[String], monitor: Option<&MonitorUrl>) -> Facts {
    let (user, clock) = user_info(api).await;
    let account = api.ask("INFO", &Value::Null).await;
    let streams = match streams(api, service, only).await {
        Ok(found) => Ok(with_consumers(api, found).await),
        Err(problem) => Err(problem),
    };
    let monitor = match monitor {
        Some(url) => Some(Monitor::read(url, api.limit()).await),
        None => None,
    };
    let clock = clock.or_else(|| monitor.as_ref().and_then(|monitor| monitor_clock(monitor, api.limit())));
    Facts { now: Utc::now(), server: api.connection.server_info(), account, streams, user, clock, monitor }
}

/// What the server says of the user, and of the time while it says so.
async fn user_info(api: &Api) -> (Result<UserInfo, ApiProblem>, Option<Clock>) {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        server: Server,
        #[serde(default)]
        data: UserInfo,
    }
    #[derive(Default, Deserialize)]
    struct Server {
        time: Option<DateTime<Utc>>,
    }
    let asked = Utc::now();
    let answer = api.request(USER_INFO.to_owned(), Bytes::new(), api.limit()).await;
    let answered = Utc::now();
    let answer = answer.and_then(|answer| {
        serde_json::from_slice::<Answer>(&answer).map_err(|error| ApiProblem::NoAnswer(error.to_string()))
    });
    match answer {
        Ok(Answer { server, data }) => (Ok(data), server.time.map(|time| clock(asked, time, answered))),
        Err(problem) => (Err(problem), None),
    }
}

/// The clocks compared by a question asked and answered at these times of ours.
pub(crate) fn clock(asked: DateTime<Utc>, server: DateTime<Utc>, answered: DateTime<Utc>) -> Clock {
    let half = (answered - asked).num_milliseconds().max(0) / 2;
    let middle = asked + chrono::Duration::milliseconds(half);
    Clock { ahead: (server - middle).num_milliseconds(), uncertain: half + 1 }
}

/// From the time on the monitoring page, which was read just now or up to `limit` ago.
fn monitor_clock(monitor: &Monitor, limit: Duration) -> Option<Clock> {
    let time: DateTime<Utc> = monitor.server.as_ref().ok()?.get("now")?.as_str()?.parse().ok()?;
    let uncertain = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
    Some(Clock { ahead: (time - Utc::now()).num_milliseconds(), uncertain })
}

/// The streams to look at: those named, or all; where they may not be listed, the service's own.
async fn streams(api: &Api, service: Option<&Name>, only: &[String]) -> Result<Vec<StreamInfo>, ApiProblem> {
    let problem = match only.is_empty() {
        true => match api.streams().await {
            Err(problem @ ApiProblem::Forbidden { .. }) => problem,
            listed => return listed,
        },
        false => return by_name(api, only).await,
    };
    match service.map(|service| Subjects::new(service.clone())) {
        Some(subjects) => {
            by_name(api, &[subjects.journal_stream(), format!("KV_{}", subjects.snapshot_bucket())]).await
        }
        None => Err(problem),
    }
}

async fn by_name(api: &Api, names: &[String]) -> Result<Vec<StreamInfo>, ApiProblem> {
    let mut streams = Vec::new();
    for name in names {
        streams.extend(api.stream(name).await?);
    }
    Ok(streams)
}

async fn with_consumers(api: &Api, streams: Vec<StreamInfo>) -> Vec<Stream> {
    let mut streams: Vec<Stream> = stream::iter(streams)
        .map(|info| async move {
            let consumers = api.consumers(info.name()).await;
            Stream { info, consumers }
        })
        .buffer_unordered(LISTS_AT_ONCE)
        .collect()
        .await;
    streams.sort_by(|one, other| one.info.name().cmp(other.info.name()));
    streams
}
