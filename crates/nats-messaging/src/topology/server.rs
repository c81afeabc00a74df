//! What the server has, and what is asked of it. Configurations are passed on as JSON, so that what this version does not
//! know is neither lost nor changed.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::HeaderMap;
use headwater_nats::connect::{Connection, Interrupted};
use serde_json::{Value, json};

use crate::BoxError;

use super::error::TopologyError;
use super::form::Config;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a question is asked again that nobody answered, as while a leader is elected.
const ASKED_AGAIN: u32 = 5;
/// So many pages of a list are read at the most; a page has 256 entries.
const PAGES: usize = 1_000;

const STREAM_NOT_FOUND: u64 = 10_059;
const CONSUMER_NOT_FOUND: u64 = 10_014;
const STREAM_NAME_IN_USE: u64 = 10_058;
const CONSUMER_NAME_IN_USE: u64 = 10_148;
const CONSUMER_DOES_NOT_EXIST: u64 = 10_149;

/// A stream on the server.
#[derive(Debug, Clone)]
pub(super) struct LiveStream {
    pub(super) config: Config,
    pub(super) messages: u64,
    pub(super) consumers: u64,
}

/// A consumer on the server, by its configuration.
pub(super) type LiveConsumers = BTreeMap<String, Config>;

/// What became of a request that somebody else may have been faster with.
#[derive(Debug)]
pub(super) enum Asked {
    /// It is done: this is the configuration now.
    Done(Config),
    /// What is there is not what was assumed: look again.
    Otherwise,
}

#[derive(Debug, Clone)]
pub(super) struct Server<'a> {
    connection: &'a Connection,
    prefix: String,
}

impl<'a> Server<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Self { connection, prefix: connection.jetstream_prefix() }
    }

    /// Whether the server is in a cluster; none when that is not known.
    pub(super) fn is_clustered(&self) -> Option<bool> {
        self.connection.server_info().map(|info| info.cluster.is_some())
    }

    pub(super) async fn streams(&self) -> Result<BTreeMap<String, LiveStream>, TopologyError> {
        let entries = self.pages("STREAM.LIST", "streams", "list the streams").await?;
        Ok(entries.iter().filter_map(|entry| Some((name_of(entry)?, live_stream(entry)))).collect())
    }

    pub(super) async fn consumers(&self, stream: &str) -> Result<LiveConsumers, TopologyError> {
        let doing = format!("list the consumers of stream {stream}");
        let entries = match self.pages(&format!("CONSUMER.LIST.{stream}"), "consumers", &doing).await {
            Err(TopologyError::Server { code: STREAM_NOT_FOUND, .. }) => Vec::new(),
            entries => entries?,
        };
        Ok(entries.iter().filter_map(|entry| Some((entry["name"].as_str()?.to_owned(), config_of(entry)))).collect())
    }

    pub(super) async fn stream(&self, name: &str) -> Result<Option<LiveStream>, TopologyError> {
        let doing = format!("describe stream {name}");
        match self.ask(&format!("STREAM.INFO.{name}"), &Value::Null, &doing).await {
            Ok(answer) => Ok(Some(live_stream(&answer))),
            Err(TopologyError::Server { code: STREAM_NOT_FOUND, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn consumer(&self, stream: &str, name: &str) -> Result<Option<Config>, TopologyError> {
        let doing = format!("describe consumer {name} of stream {stream}");
        match self.ask(&format!("CONSUMER.INFO.{stream}.{name}"), &Value::Null, &doing).await {
            Ok(answer) => Ok(Some(config_of(&answer))),
            Err(TopologyError::Server { code: CONSUMER_NOT_FOUND | STREAM_NOT_FOUND, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn create_stream(&self, name: &str, config: Config) -> Result<Asked, TopologyError> {
        let doing = format!("create stream {name}");
        asked(self.ask_once(&format!("STREAM.CREATE.{name}"), &named(config, name), &doing).await, STREAM_NAME_IN_USE)
    }

    pub(super) async fn update_stream(&self, name: &str, config: Config) -> Result<Asked, TopologyError> {
        let doing = format!("update stream {name}");
        asked(self.ask_once(&format!("STREAM.UPDATE.{name}"), &named(config, name), &doing).await, STREAM_NOT_FOUND)
    }

    pub(super) async fn create_consumer(&self, at: (&str, &str), config: Config) -> Result<Asked, TopologyError> {
        self.make_consumer(at, config, "create", CONSUMER_NAME_IN_USE).await
    }

    pub(super) async fn update_consumer(&self, at: (&str, &str), config: Config) -> Result<Asked, TopologyError> {
        self.make_consumer(at, config, "update", CONSUMER_DOES_NOT_EXIST).await
    }

    async fn make_consumer(
        &self,
        (stream, name): (&str, &str),
        config: Config,
        action: &str,
        otherwise: u64,
    ) -> Result<Asked, TopologyError> {
        let mut config = named(config, name);
        config["durable_name"] = json!(name);
        let request = json!({ "stream_name": stream, "config": config, "action": action });
        let doing = format!("{action} consumer {name} of stream {stream}");
        asked(self.ask_once(&format!("CONSUMER.CREATE.{stream}.{name}"), &request, &doing).await, otherwise)
    }

    /// Whether there was such a stream.
    pub(super) async fn delete_stream(&self, name: &str) -> Result<bool, TopologyError> {
        let doing = format!("delete stream {name}");
        gone(self.ask_once(&format!("STREAM.DELETE.{name}"), &Value::Null, &doing).await)
    }

    /// Whether there was such a consumer.
    pub(super) async fn delete_consumer(&self, stream: &str, name: &str) -> Result<bool, TopologyError> {
        let doing = format!("delete consumer {name} of stream {stream}");
        gone(self.ask_once(&format!("CONSUMER.DELETE.{stream}.{name}"), &Value::Null, &doing).await)
    }

    pub(super) async fn delete_message(&self, stream: &str, sequence: u64) -> Result<(), TopologyError> {
        let doing = format!("delete a message of stream {stream}");
        let request = json!({ "seq": sequence, "no_erase": true });
        self.ask_once(&format!("STREAM.MSG.DELETE.{stream}"), &request, &doing).await.map(drop)
    }

    /// All entries of a list. One that has no leader now is waited for a little.
    async fn pages(&self, subject: &str, list: &str, doing: &str) -> Result<Vec<Value>, TopologyError> {
        let mut attempt = 0;
        loop {
            match self.pages_once(subject, list, doing).await {
                Err(error) if error.is_retryable() && attempt < ASKED_AGAIN => pause(attempt).await,
                entries => return entries,
            }
            attempt += 1;
        }
    }

    async fn pages_once(&self, subject: &str, list: &str, doing: &str) -> Result<Vec<Value>, TopologyError> {
        let mut entries = Vec::new();
        for _ in 0..PAGES {
            let answer = self.ask_once(subject, &json!({ "offset": entries.len() }), doing).await?;
            if answer.get("missing").and_then(Value::as_array).is_some_and(|missing| !missing.is_empty()) {
                let reason = "some have no leader now, and cannot be read";
                return Err(TopologyError::Unavailable { doing: doing.to_owned(), source: reason.into() });
            }
            let page = answer.get(list).and_then(Value::as_array).cloned().unwrap_or_default();
            let total = answer["total"].as_u64().unwrap_or_default();
            let is_last = page.is_empty() || (entries.len() + page.len()) as u64 >= total;
            entries.extend(page);
            if is_last {
                break;
            }
        }
        Ok(entries)
    }

    /// Asks what changes nothing, again if need be.
    async fn ask(&self, subject: &str, body: &Value, doing: &str) -> Result<Value, TopologyError> {
        let mut attempt = 0;
        loop {
            match self.ask_once(subject, body, doing).await {
                Err(error) if error.is_retryable() && attempt < ASKED_AGAIN => pause(attempt).await,
                answer => return answer,
            }
            attempt += 1;
        }
    }

    async fn ask_once(&self, subject: &str, body: &Value, doing: &str) -> Result<Value, TopologyError> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = async_nats::Request::new().payload(body.into());
        self.request(format!("{}.{subject}", self.prefix), request, doing).await
    }

    /// Stores an empty message, and answers with what the stream says.
    pub(super) async fn publish(&self, subject: &str, headers: HeaderMap, doing: &str) -> Result<Value, TopologyError> {
        self.request(subject.to_owned(), async_nats::Request::new().headers(headers), doing).await
    }

    async fn request(
        &self,
        subject: String,
        request: async_nats::Request,
        doing: &str,
    ) -> Result<Value, TopologyError> {
        let unavailable = |source: BoxError| TopologyError::Unavailable { doing: doing.to_owned(), source };
        let client = self.connection.client();
        let sent = client.send_request(subject.clone(), request.timeout(Some(PATIENCE)));
        let answer = match self.connection.guard_to(&subject, sent).await {
            Ok(answer) => answer.map_err(|error| unavailable(error.into()))?,
            Err(error @ Interrupted::Forbidden { .. }) => {
                return Err(TopologyError::Server { doing: doing.to_owned(), code: 0, reason: error.to_string() });
            }
            Err(error) => return Err(unavailable(error.into())),
        };
        let answer: Value = serde_json::from_slice(&answer.payload).map_err(|error| unavailable(error.into()))?;
        match answer.get("error") {
            None => Ok(answer),
            // 503: no leader, or JetStream is not there at this moment.
            Some(error) if error["code"] == 503 => {
                Err(unavailable(error["description"].as_str().unwrap_or("unavailable").into()))
            }
            Some(error) => Err(TopologyError::Server {
                doing: doing.to_owned(),
                code: error["err_code"].as_u64().unwrap_or_default(),
                reason: error["description"].as_str().unwrap_or_default().to_owned(),
            }),
        }
    }
}

/// Waits a little, longer every time, and never as long as somebody else who began at the same moment.
pub(super) async fn pause(attempt: u32) {
    let longest = 50 * 2_u64.pow(attempt.min(5));
    let milliseconds = rand::random_range(longest / 2..=longest);
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

fn named(mut config: Config, name: &str) -> Value {
    config.insert("name".to_owned(), json!(name));
    Value::Object(config)
}

fn asked(answer: Result<Value, TopologyError>, otherwise: u64) -> Result<Asked, TopologyError> {
    match answer {
        Ok(answer) => Ok(Asked::Done(config_of(&answer))),
        // A stream that is not there may be on its way: somebody replaces it.
        Err(TopologyError::Server { code, .. }) if code == otherwise || code == STREAM_NOT_FOUND => {
            Ok(Asked::Otherwise)
        }
        Err(error) => Err(error),
    }
}

fn gone(answer: Result<Value, TopologyError>) -> Result<bool, TopologyError> {
    match answer {
        Ok(_) => Ok(true),
        Err(TopologyError::Server { code: STREAM_NOT_FOUND | CONSUMER_NOT_FOUND, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn config_of(answer: &Value) -> Config {
    answer.get("config").and_then(Value::as_object).cloned().unwrap_or_default()
}

fn name_of(answer: &Value) -> Option<String> {
    answer["config"]["name"].as_str().map(str::to_owned)
}

fn live_stream(answer: &Value) -> LiveStream {
    let count = |name: &str| answer["state"][name].as_u64().unwrap_or_default();
    LiveStream { config: config_of(answer), messages: count("messages"), consumers: count("consumer_count") }
}
