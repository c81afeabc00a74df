//! Requests and replies in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::publish::flaw;
use super::{MemoryBroker, Shared};
use crate::exchange::{Exchange, ListenError, Reply, Request, RequestError, Requests};
use crate::message::Message;
use crate::subject;

/// How many messages one listener may leave lying; further ones pass it by, as a server does with those who are too slow.
const LEFT_LYING: usize = 65_536;

/// All who listen.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    all: BTreeMap<u64, Listener>,
    /// Who of a group has its turn.
    turn: usize,
}

#[derive(Debug)]
struct Listener {
    pattern: String,
    group: Option<String>,
    requests: mpsc::Sender<Request>,
}

impl Listeners {
    /// Whether anybody listens to this subject.
    pub(super) fn listen_to(&self, subject: &str) -> bool {
        self.all.values().any(|listener| subject::matches(&listener.pattern, subject))
    }

    /// Hands a message to all who listen without a group and to one of each group; whether there were any.
    pub(super) fn hand_out(&mut self, message: &Message, reply: Option<&mpsc::Sender<Message>>) -> bool {
        // A group is one whatever the patterns of its members.
        let mut groups: BTreeMap<&str, Vec<&Listener>> = BTreeMap::new();
        let mut targets = Vec::new();
        for listener in self.all.values().filter(|listener| subject::matches(&listener.pattern, &message.subject)) {
            match &listener.group {
                Some(group) => groups.entry(group).or_default().push(listener),
                None => targets.push(listener),
            }
        }
        self.turn = self.turn.wrapping_add(1);
        targets.extend(groups.values().map(|group| group[self.turn % group.len()]));
        for listener in &targets {
            let reply = reply.map(|sender| Box::new(MemoryReply { sender: sender.clone() }) as Box<dyn Reply>);
            // One that is full, or is just going, misses it.
            let _ = listener.requests.try_send(Request { message: message.clone(), reply });
        }
        !targets.is_empty()
    }
}

impl Exchange for MemoryBroker {
    fn request(&self, message: Message, deadline: Instant) -> BoxFuture<'_, Result<Message, RequestError>> {
        self.ask(message, deadline).boxed()
    }

    fn tell(&self, message: Message) -> BoxFuture<'_, Result<(), RequestError>> {
        ready(self.hand_out(&message, None).map(drop)).boxed()
    }

    fn listen(&self, subject: String, group: Option<String>) -> BoxFuture<'_, Result<Requests, ListenError>> {
        ready(self.add_listener(subject, group)).boxed()
    }
}

impl MemoryBroker {
    async fn ask(&self, message: Message, deadline: Instant) -> Result<Message, RequestError> {
        // One sender stays here: when nobody is left who could reply, it is still the deadline that says so.
        let (sender, mut replies) = mpsc::channel(1);
        let subject = message.subject.clone();
        if !self.hand_out(&message, Some(&sender))? {
            return Err(RequestError::NobodyListens { subject });
        }
        match timeout_at(deadline, replies.recv()).await {
            Ok(Some(reply)) => Ok(reply),
            Ok(None) | Err(_) => Err(RequestError::TimedOut { subject }),
        }
    }

    fn hand_out(&self, message: &Message, reply: Option<&mpsc::Sender<Message>>) -> Result<bool, RequestError> {
        match flaw(message) {
            Some(reason) => Err(RequestError::Refused { subject: message.subject.clone(), reason }),
            None => Ok(self.shared.state().listeners.hand_out(message, reply)),
        }
    }

    fn add_listener(&self, subject: String, group: Option<String>) -> Result<Requests, ListenError> {
        if let Some(flaw) = listen_flaw(&subject, group.as_deref()) {
            return Err(ListenError { subject, source: flaw.into() });
        }
        let (requests, receiver) = mpsc::channel(LEFT_LYING);
        let mut state = self.shared.state();
        let id = state.next_id();
        state.listeners.all.insert(id, Listener { pattern: subject, group, requests });
        drop(state);
        let listening = Listening { shared: Arc::clone(&self.shared), id, receiver };
        let shared = Arc::clone(&self.shared);
        let next = async |mut listening: Listening| listening.receiver.recv().await.map(|request| (request, listening));
        // With the listener the sender goes, and what lies there is the rest.
        Ok(Requests::new(stream::unfold(listening, next), move || drop(shared.state().listeners.all.remove(&id))))
    }
}

/// What is wrong with what somebody wants to listen to.
pub(crate) fn listen_flaw(subject: &str, group: Option<&str>) -> Option<&'static str> {
    subject::pattern_flaw(subject).or_else(|| group.and_then(subject::pattern_flaw))
}

/// Somebody who listens, until this is dropped.
struct Listening {
    shared: Arc<Shared>,
    id: u64,
    receiver: mpsc::Receiver<Request>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.shared.state().listeners.all.remove(&self.id);
    }
}

#[derive(Debug)]
struct MemoryReply {
    sender: mpsc::Sender<Message>,
}

impl Reply for MemoryReply {
    fn send(self: Box<Self>, message: Message) -> BoxFuture<'static, Result<(), RequestError>> {
        let message = Message { subject: "_INBOX".to_owned(), ..message };
        let sent = match flaw(&message) {
            Some(reason) => Err(RequestError::Refused { subject: message.subject, reason }),
            None => {
                // Whoever asked may have gone, or have another reply; nobody would tell on a server either.
                let _ = self.sender.try_send(message);
                Ok(())
            }
        };
        ready(sent).boxed()
    }
}
