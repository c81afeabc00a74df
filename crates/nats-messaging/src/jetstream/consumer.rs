//! The durable consumer on the server: made, or brought in line with how it is described.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::SecondsFormat;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tracing::info;

use super::OPEN_WITHIN;
use super::api::{ApiError, Trouble, code, nanoseconds, persist};
use super::replies::Replies;
use crate::consume::{ConsumeError, ConsumerConfig, ConsumerInfo, Deliver, Replay};

/// A consumer's configuration as the server has it.
type Fields = Map<String, Value>;

/// What the server says of a consumer.
#[derive(Debug, Deserialize)]
struct Found {
    #[serde(default)]
    config: Fields,
    #[serde(default)]
    ack_floor: Floor,
    #[serde(default)]
    num_pending: u64,
    #[serde(default)]
    num_ack_pending: u64,
    #[serde(default)]
    num_redelivered: u64,
}

#[derive(Debug, Default, Deserialize)]
struct Floor {
    #[serde(default)]
    stream_seq: u64,
}

/// Fields that follow the description also when the consumer exists. All others that it has stay as they are.
const ADAPTED: [&str; 7] = [
    "ack_wait",
    "max_ack_pending",
    "max_deliver",
    "backoff",
    "inactive_threshold",
    "filter_subject",
    "filter_subjects",
];

/// Makes the consumer, or brings it in line, and tries again for a while where that may help.
pub(super) async fn ensure(replies: &Replies, config: &ConsumerConfig) -> Result<(), ConsumeError> {
    let ensured = persist(Instant::now() + OPEN_WITHIN, || try_ensure(replies, config)).await;
    ensured.map_err(|trouble| match trouble {
        Trouble::Refused(ApiError { err_code: code::STREAM_NOT_FOUND, .. }) => {
            ConsumeError::NoStream { stream: config.stream.clone() }
        }
        Trouble::Refused(error) => config.refused(error.to_string()),
        Trouble::ForGood(reason) => config.refused(reason),
        Trouble::ForNow(source) => unavailable(&config.stream, &config.durable, source),
    })
}

/// What the server says of a consumer; none when it is not there, or its stream is not.
pub(super) async fn info(replies: &Replies, stream: &str, durable: &str) -> Result<Option<ConsumerInfo>, Trouble> {
    Ok(found(replies, stream, durable).await?.map(|found| ConsumerInfo {
        pending: found.num_pending,
        ack_pending: found.num_ack_pending,
        redelivered: found.num_redelivered,
        ack_floor: found.ack_floor.stream_seq,
    }))
}

pub(super) fn unavailable(stream: &str, consumer: &str, source: crate::BoxError) -> ConsumeError {
    ConsumeError::Unavailable { stream: stream.to_owned(), consumer: consumer.to_owned(), source }
}

async fn found(replies: &Replies, stream: &str, durable: &str) -> Result<Option<Found>, Trouble> {
    match replies.ask(&format!("CONSUMER.INFO.{stream}.{durable}"), None).await {
        Ok(found) => Ok(Some(found)),
        Err(Trouble::Refused(ApiError { err_code: code::CONSUMER_NOT_FOUND, .. })) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

async fn try_ensure(replies: &Replies, config: &ConsumerConfig) -> Result<(), Trouble> {
    let wanted = fields(config);
    let Some(found) = found(replies, &config.stream, &config.durable).await? else {
        return match send(replies, config, &wanted, "create").await {
            // Somebody else was faster; what it made is looked at the next time.
            Err(Trouble::Refused(error))
                if matches!(error.err_code, code::CONSUMER_EXISTS | code::CONSUMER_NAME_TAKEN) =>
            {
                Err(Trouble::ForNow(error.into()))
            }
            made => made,
        };
    };
    if let Some(unfit) = unfit(&found.config, config) {
        return Err(Trouble::ForGood(unfit));
    }
    let different: Vec<&str> = ADAPTED.into_iter().filter(|field| differs(&found.config, &wanted, field)).collect();
    if different.is_empty() {
        return Ok(());
    }
    let mut adapted = found.config;
    for field in ADAPTED {
        match wanted.get(field) {
            Some(value) => adapted.insert(field.to_owned(), value.clone()),
            None => adapted.remove(field),
        };
    }
    info!(stream = config.stream, consumer = config.durable, changed = ?different, "the consumer is brought in line");
    send(replies, config, &adapted, "update").await
}

async fn send(replies: &Replies, config: &ConsumerConfig, fields: &Fields, action: &str) -> Result<(), Trouble> {
    let mut rest = format!("CONSUMER.CREATE.{}.{}", config.stream, config.durable);
    // With the filter in the subject a user can be held to it by permissions.
    if let Some(Value::String(only)) = fields.get("filter_subject") {
        rest = format!("{rest}.{only}");
    }
    let request = json!({ "stream_name": config.stream, "config": fields, "action": action });
    replies.ask::<Value>(&rest, Some(&request)).await.map(drop)
}

/// The consumer as the server wants it described.
fn fields(config: &ConsumerConfig) -> Fields {
    let mut fields = Fields::new();
    let mut set = |field: &str, value: Value| drop(fields.insert(field.to_owned(), value));
    set("name", json!(config.durable));
    set("durable_name", json!(config.durable));
    set("ack_policy", json!("explicit"));
    set("replay_policy", json!(replay(config.replay)));
    // The server takes the first wait of a backoff for it.
    set("ack_wait", json!(nanoseconds(config.backoff.first().copied().unwrap_or(config.ack_wait))));
    set("max_ack_pending", json!(config.max_ack_pending));
    set("max_deliver", config.max_deliver.map_or(json!(-1), |most| json!(most)));
    if !config.backoff.is_empty() {
        set("backoff", config.backoff.iter().map(|wait| nanoseconds(*wait)).collect());
    }
    if let Some(threshold) = config.inactive_threshold {
        set("inactive_threshold", json!(nanoseconds(threshold)));
    }
    match config.filter_subjects.as_slice() {
        // The server wants to be told that it is each of all subjects.
        [] if config.deliver == Deliver::LastPerSubject => set("filter_subject", json!(">")),
        [] => {}
        [only] => set("filter_subject", json!(only)),
        several => set("filter_subjects", json!(several)),
    }
    set("deliver_policy", json!(deliver(config.deliver)));
    match config.deliver {
        Deliver::FromSequence(sequence) => set("opt_start_seq", json!(sequence)),
        Deliver::FromTime(time) => set("opt_start_time", json!(time.to_rfc3339_opts(SecondsFormat::Nanos, true))),
        Deliver::All | Deliver::Last | Deliver::LastPerSubject | Deliver::New => {}
    }
    fields
}

fn deliver(deliver: Deliver) -> &'static str {
    match deliver {
        Deliver::All => "all",
        Deliver::Last => "last",
        Deliver::LastPerSubject => "last_per_subject",
        Deliver::New => "new",
        Deliver::FromSequence(_) => "by_start_sequence",
        Deliver::FromTime(_) => "by_start_time",
    }
}

fn replay(replay: Replay) -> &'static str {
    match replay {
        Replay::Instant => "instant",
        Replay::Original => "original",
    }
}

/// What of a consumer that exists is not as described and cannot be changed. Where it began makes no difference.
fn unfit(found: &Fields, config: &ConsumerConfig) -> Option<String> {
    let text =
        |field: &str, absent: &'static str| found.get(field).and_then(Value::as_str).unwrap_or(absent).to_owned();
    let fixed = [
        ("replay", text("replay_policy", "instant"), replay(config.replay)),
        ("ack_policy", text("ack_policy", "none"), "explicit"),
        ("deliver_subject", text("deliver_subject", ""), ""),
    ];
    let unfit = fixed.into_iter().find(|(_, found, wanted)| found != wanted);
    unfit.map(|(setting, found, wanted)| format!("{setting}: it is `{found}` and cannot be changed to `{wanted}`"))
}

fn differs(found: &Fields, wanted: &Fields, field: &str) -> bool {
    let value = |fields: &Fields| match fields.get(field) {
        // The server leaves out what is 0 or empty.
        Some(Value::Array(values)) if field == "filter_subjects" => {
            let ordered: BTreeSet<String> = values.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            json!(ordered)
        }
        None if matches!(field, "backoff" | "filter_subjects") => json!([]),
        None if field == "filter_subject" => json!(""),
        None => json!(0),
        Some(value) => value.clone(),
    };
    value(found) != value(wanted)
}

/// How long a request for messages stays with the server, and how often it says that it is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pulling {
    pub(super) expires: Duration,
    pub(super) heartbeat: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echoed(config: &ConsumerConfig) -> Fields {
        fields(config)
    }

    #[test]
    fn a_consumer_that_is_as_described_is_left_alone() {
        let config = ConsumerConfig::new("S", "c").filter("a").filter("b");
        let (found, wanted) = (echoed(&config), fields(&config));
        assert_eq!(unfit(&found, &config), None);
        assert!(ADAPTED.iter().all(|field| !differs(&found, &wanted, field)));
        let other_order = fields(&ConsumerConfig::new("S", "c").filter("b").filter("a"));
        assert!(!differs(&found, &other_order, "filter_subjects"));
    }

    #[test]
    fn what_cannot_be_changed_is_named() {
        let config = ConsumerConfig::new("S", "c");
        let other = ConsumerConfig { replay: Replay::Original, ..config.clone() };
        assert!(unfit(&echoed(&config), &other).unwrap().starts_with("replay"));
        let mut pushed = echoed(&config);
        pushed.insert("deliver_subject".to_owned(), json!("push.here"));
        assert!(unfit(&pushed, &config).unwrap().starts_with("deliver_subject"));
        let later = ConsumerConfig { deliver: Deliver::FromSequence(7), ..config.clone() };
        assert_eq!(unfit(&echoed(&config), &later), None, "where it began makes no difference");
    }

    #[test]
    fn what_was_changed_is_seen() {
        let config = ConsumerConfig::new("S", "c").filter("a");
        let found = echoed(&config);
        let changed = |other: &ConsumerConfig| {
            let wanted = fields(other);
            ADAPTED.into_iter().filter(|field| differs(&found, &wanted, field)).collect::<Vec<_>>()
        };
        let waits = vec![Duration::from_secs(1), Duration::from_secs(5)];
        assert_eq!(changed(&ConsumerConfig { backoff: waits, ..config.clone() }), ["ack_wait", "backoff"]);
        assert_eq!(changed(&config.clone().filter("b")), ["filter_subject", "filter_subjects"]);
        assert_eq!(changed(&ConsumerConfig { max_deliver: 3.try_into().ok(), ..config }), ["max_deliver"]);
    }
}
