//! Putting one stream back: its archive goes to the server in chunks, a few on their way at a time.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;
use headwater_nats::connect::Interrupted;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::api::{self, Api, ApiProblem, StreamInfo};
use super::format::{Object, StreamContents};
use crate::complaint::Complaint;
use crate::output::Progress;

/// How many chunks may be on their way.
const ON_THEIR_WAY: usize = 8;

/// How long the server may take to build the stream from its archive when it has all of it.
const TO_BUILD: Duration = Duration::from_secs(600);

/// How long it may take until the part of a cluster that we talk to has heard who takes the parts.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);

/// How long the reason may take when the server has stopped taking parts.
const REASON_WITHIN: Duration = Duration::from_secs(2);

/// Changes to the configuration that a stream is put back with.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) replicas: Option<u8>,
    pub(crate) cluster: Option<String>,
    pub(crate) tags: Vec<String>,
}

#[derive(Deserialize)]
struct Begun {
    deliver_subject: String,
}

/// Sends the stream to the server, and tells what the server has made of it.
pub(crate) async fn put_back(
    api: &Api,
    file: &Path,
    stream: &StreamContents,
    changes: &Changes,
    idle: Duration,
    progress: &Progress,
) -> Result<StreamInfo, Complaint> {
    let name = &stream.header.name;
    let doing = format!("the stream {name} cannot be restored");
    let fail = |problem: &ApiProblem| problem.complaint(&doing);
    let request = json!({ "config": changes.on(stream.header.config.clone()), "state": stream.header.state });
    let Begun { deliver_subject } =
        api.ask(&format!("STREAM.RESTORE.{name}"), &request).await.map_err(|problem| fail(&problem))?;
    let mut sending = Sending::start(api, deliver_subject, idle).await.map_err(|problem| fail(&problem))?;
    let read = |error| Complaint::because(&doing, &error);
    let mut data = stream.open(file).map_err(read)?;
    let most = api.connection.client().max_payload().max(1024);
    while let Some(chunk) = data.next().map_err(read)? {
        let chunk = Bytes::from(chunk);
        for start in (0..chunk.len()).step_by(most) {
            let piece = chunk.slice(start..chunk.len().min(start + most));
            progress.advance(piece.len() as u64);
            sending.send(piece).await.map_err(|problem| fail(&problem))?;
        }
    }
    sending.finish().await.map_err(|problem| fail(&problem))
}

impl Changes {
    /// The configuration with these changes.
    fn on(&self, mut config: Object) -> Object {
        if let Some(replicas) = self.replicas {
            config.insert("num_replicas".to_owned(), json!(replicas));
        }
        if self.cluster.is_some() || !self.tags.is_empty() {
            let mut placement = config.get("placement").filter(|value| value.is_object()).cloned().unwrap_or(json!({}));
            if let Some(cluster) = &self.cluster {
                placement["cluster"] = json!(cluster);
            }
            if !self.tags.is_empty() {
                placement["tags"] = json!(self.tags);
            }
            config.insert("placement".to_owned(), placement);
        }
        config
    }
}

/// Chunks under way to the server, each answered when the server has it.
struct Sending<'a> {
    api: &'a Api,
    to: String,
    inbox: String,
    answers: Subscriber,
    under_way: VecDeque<u64>,
    next: u64,
    idle: Duration,
}

impl<'a> Sending<'a> {
    async fn start(api: &'a Api, to: String, idle: Duration) -> Result<Self, ApiProblem> {
        let client = api.connection.client();
        let inbox = client.new_inbox();
        let answers = client.subscribe(format!("{inbox}.*")).await;
        let answers = answers.map_err(|error| ApiProblem::NoAnswer(error.to_string()))?;
        Ok(Self { api, to, inbox, answers, under_way: VecDeque::new(), next: 1, idle })
    }

    async fn send(&mut self, chunk: Bytes) -> Result<(), ApiProblem> {
        if self.next == 1 {
            return self.begin(chunk).await;
        }
        while self.under_way.len() >= ON_THEIR_WAY {
            self.taken(self.idle).await?;
        }
        self.publish(chunk).await
    }

    /// Sends the first part, again as long as nobody is there for it: the server that takes the parts of a cluster need not be the
    /// one that we talk to, which hears of it a moment later.
    async fn begin(&mut self, chunk: Bytes) -> Result<(), ApiProblem> {
        let known_by = Instant::now() + KNOWN_WITHIN;
        loop {
            self.publish(chunk.clone()).await?;
            let answer = self.arrival(self.idle).await?.ok_or_else(|| late(self.idle))?;
            if !is_nobodys(&answer) {
                return refusal(&self.read(&answer)?);
            }
            if Instant::now() >= known_by {
                return Err(given_up());
            }
            self.under_way.clear();
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Says that this was all, and waits until the stream is there.
    async fn finish(mut self) -> Result<StreamInfo, ApiProblem> {
        while !self.under_way.is_empty() {
            self.taken(self.idle).await?;
        }
        self.publish(Bytes::new()).await?;
        let answer = self.answer(TO_BUILD).await?;
        api::read(&answer)
    }

    async fn publish(&mut self, chunk: Bytes) -> Result<(), ApiProblem> {
        let client = self.api.connection.client();
        let reply = format!("{}.{}", self.inbox, self.next);
        let publish = client.publish_with_reply(self.to.clone(), reply, chunk);
        match timeout(self.idle, self.api.connection.guard_to(&self.to, publish)).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Err(Interrupted::Forbidden { subject, .. })) => {
                return Err(ApiProblem::Forbidden { subject });
            }
            _ => return Err(ApiProblem::NoAnswer("a part could not be sent".to_owned())),
        }
        self.under_way.push_back(self.next);
        self.next += 1;
        Ok(())
    }

    /// Waits for the answer to the oldest chunk.
    async fn taken(&mut self, limit: Duration) -> Result<(), ApiProblem> {
        refusal(&self.answer(limit).await?)
    }

    /// The next answer. One with a body ends the restore, whichever part it is to: the stream, or why there is none.
    async fn answer(&mut self, limit: Duration) -> Result<Bytes, ApiProblem> {
        let (mut limit, mut gone) = (limit, false);
        loop {
            match self.arrival(limit).await? {
                // Nobody takes parts any more. Why may still be on its way.
                Some(answer) if is_nobodys(&answer) => (limit, gone) = (REASON_WITHIN, true),
                Some(answer) => return self.read(&answer),
                None if gone => return Err(given_up()),
                None => return Err(late(limit)),
            }
        }
    }

    /// What comes to the inbox; none when nothing does in time.
    async fn arrival(&mut self, limit: Duration) -> Result<Option<Message>, ApiProblem> {
        let next = self.api.connection.guard_to(&self.to, self.answers.next());
        match timeout(limit, next).await {
            Ok(Ok(Some(answer))) => Ok(Some(answer)),
            Ok(Err(Interrupted::Forbidden { subject, .. })) => Err(ApiProblem::Forbidden { subject }),
            Ok(Ok(None) | Err(_)) => Err(ApiProblem::NoAnswer("the connection to the server was lost".to_owned())),
            Err(_) => Ok(None),
        }
    }

    fn read(&mut self, answer: &Message) -> Result<Bytes, ApiProblem> {
        if !answer.payload.is_empty() {
            return Ok(answer.payload.clone());
        }
        let number = answer.subject.rsplit('.').next().and_then(|number| number.parse().ok());
        match self.under_way.pop_front() == number {
            true => Ok(answer.payload.clone()),
            false => Err(ApiProblem::NoAnswer("an answer came out of its turn".to_owned())),
        }
    }
}

fn is_nobodys(answer: &Message) -> bool {
    answer.status.is_some_and(|status| status.as_u16() == 503)
}

/// What is wrong with a part. The server says nothing in its answer unless something is.
fn refusal(answer: &Bytes) -> Result<(), ApiProblem> {
    if answer.is_empty() {
        return Ok(());
    }
    // Too large for the server, or its disk is full: it answers as it would at the end.
    match api::read::<Value>(answer) {
        Err(refused @ ApiProblem::Refused { .. }) => Err(refused),
        _ => Err(ApiProblem::NoAnswer(String::from_utf8_lossy(answer).into_owned())),
    }
}

fn given_up() -> ApiProblem {
    ApiProblem::NoAnswer("the server has given the restore up".to_owned())
}

fn late(limit: Duration) -> ApiProblem {
    ApiProblem::NoAnswer(format!("the server did not answer within {limit:?}"))
}
