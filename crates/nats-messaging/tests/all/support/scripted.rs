//! A port of a test's own: it answers as its script says, and stores messages where the script has ended.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::publish::{Acknowledgement, Publish, PublishError, Published};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// What the port says to one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is stored.
    Stored,
    /// It was stored before.
    Duplicate,
    /// It is stored once the test opens the gate.
    Held,
    /// It cannot be handed over.
    Unsent,
    /// It was handed over and not stored.
    Unavailable,
    /// It was handed over, and nobody knows.
    Unknown,
    /// It was handed over, and nothing is heard of it until its deadline.
    Silence,
    /// No stream takes it.
    NoStream,
    /// It is refused.
    Refused,
}

#[derive(Debug)]
pub struct Scripted {
    script: Mutex<VecDeque<Answer>>,
    sent: Mutex<Vec<Message>>,
    stored: Arc<Mutex<Vec<Message>>>,
    gate: watch::Sender<bool>,
}

impl Scripted {
    pub fn new(script: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        let (script, gate) = (Mutex::new(script.into_iter().collect()), watch::Sender::new(false));
        Arc::new(Self { script, sent: Mutex::default(), stored: Arc::default(), gate })
    }

    /// Every message that was handed over, repeated ones too.
    pub fn sent(&self) -> Vec<Message> {
        self.sent.lock().unwrap().clone()
    }

    /// The messages that the stream has, in its order.
    pub fn stored(&self) -> Vec<Message> {
        self.stored.lock().unwrap().clone()
    }

    pub fn open_the_gate(&self) {
        self.gate.send_replace(true);
    }
}

impl Publish for Scripted {
    fn send(&self, message: Message, deadline: Instant) -> BoxFuture<'_, Result<Acknowledgement, PublishError>> {
        let answer = self.script.lock().unwrap().pop_front().unwrap_or(Answer::Stored);
        self.sent.lock().unwrap().push(message.clone());
        let subject = message.subject.clone();
        let stored = Arc::clone(&self.stored);
        let published = move |duplicate: bool| {
            let mut stored = stored.lock().unwrap();
            if !duplicate {
                stored.push(message);
            }
            Ok(Published { stream: "S".to_owned(), sequence: stored.len() as u64, duplicate })
        };
        let mut gate = self.gate.subscribe();
        let unavailable = PublishError::Unavailable { subject: subject.clone(), source: "down".into() };
        let unknown = PublishError::Unknown { subject: subject.clone(), source: "late".into() };
        let acknowledgement: Acknowledgement = match answer {
            Answer::Unsent => return async { Err(unavailable) }.boxed(),
            Answer::Stored => {
                let published = published(false);
                async { published }.boxed()
            }
            Answer::Duplicate => async move { published(true) }.boxed(),
            Answer::Held => async move {
                gate.wait_for(|open| *open).await.unwrap();
                published(false)
            }
            .boxed(),
            Answer::Unavailable => async { Err(unavailable) }.boxed(),
            Answer::Unknown => async { Err(unknown) }.boxed(),
            Answer::Silence => async move {
                sleep_until(deadline).await;
                Err(unknown)
            }
            .boxed(),
            Answer::NoStream => async { Err(PublishError::NoStream { subject }) }.boxed(),
            Answer::Refused => async { Err(PublishError::Refused { subject, reason: "no".to_owned() }) }.boxed(),
        };
        async { Ok(acknowledgement) }.boxed()
    }
}
