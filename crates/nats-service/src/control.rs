//! Questions about the instance itself: NATS discovery, health, statistics and the contract.

use std::sync::Arc;

use async_nats::{Message, Subject};
use bytes::Bytes;
use headwater_nats::reply::Served;
use headwater_nats::subject::{DiscoveryTarget, Subjects, Verb, discovery};
use tokio::time::Instant;

use crate::instance::Instance;
use crate::replies::Reply;

/// Questions of health that may wait for a check at once; more get no answer.
const MOST_WAITING: usize = 64;

/// What is asked about the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Ping,
    Info,
    Stats,
    Health,
    Schema,
}

/// The subjects on which every instance answers.
pub(crate) fn own_subjects<'a>(service: &'a str, id: &'a str) -> impl Iterator<Item = String> + use<'a> {
    let targets = [DiscoveryTarget::All, DiscoveryTarget::Service(service), DiscoveryTarget::Instance { service, id }];
    let subject = |(verb, target)| discovery(verb, target).expect("a service's name and a UUID are plain tokens");
    Verb::ALL.into_iter().flat_map(move |verb| targets.map(|target| (verb, target))).map(subject)
}

/// The subjects on which one instance of the queue group answers.
pub(crate) fn shared_subjects(subjects: &Subjects) -> [String; 4] {
    [subjects.health(), subjects.info(), subjects.stats(), subjects.schema()]
}

impl Instance {
    /// Takes in one question about the instance.
    pub(crate) fn take_question(self: &Arc<Self>, message: &Message) {
        let arrived = Instant::now();
        let Ok(reply) = self.reply_subject(message).cloned() else {
            return self.strays.unasked.add(1);
        };
        let reply_with = |answer: Reply| {
            self.send_now(&reply, &answer);
        };
        match self.question(&message.subject) {
            None => self.strays.foreign.add(1),
            Some(Question::Ping) => reply_with(Reply::result(self.about.ping())),
            Some(Question::Info) => reply_with(Reply::result(self.about.info())),
            Some(Question::Stats) => reply_with(Reply::result(self.stats_answer().to_string())),
            Some(Question::Health) => self.take_health_question(reply),
            Some(Question::Schema) => reply_with(self.schema(message).map_or_else(
                |failure| {
                    let served = Served::now(&self.id).took(arrived.elapsed());
                    Reply::failure(&failure, &served, self.max_reply())
                },
                Reply::result,
            )),
        }
    }

    fn schema(&self, message: &Message) -> Result<Bytes, headwater_core::Failure> {
        self.accepts.check_body(&message.payload)?;
        self.accepts.check_depth(&message.payload)?;
        self.about.schema(&message.payload, self.max_reply())
    }

    /// Health may have to wait for the store, so it gets a task.
    fn take_health_question(self: &Arc<Self>, reply: Subject) {
        if self.questions.len() >= MOST_WAITING {
            return self.strays.unasked.add(1);
        }
        let instance = Arc::clone(self);
        self.questions.spawn(async move {
            let health = serde_json::to_vec(&instance.health().await).expect("health is made of texts");
            instance.send(&reply, &Reply::result(health)).await;
        });
    }

    fn question(&self, subject: &str) -> Option<Question> {
        if let Some(rest) = subject.strip_prefix("$SRV.") {
            let verb = rest.split('.').next()?;
            return match Verb::ALL.into_iter().find(|known| known.as_str() == verb)? {
                Verb::Ping => Some(Question::Ping),
                Verb::Info => Some(Question::Info),
                Verb::Stats => Some(Question::Stats),
            };
        }
        match subject.strip_prefix(self.name().as_str())? {
            ".health" => Some(Question::Health),
            ".info" => Some(Question::Info),
            ".stats" => Some(Question::Stats),
            ".schema" => Some(Question::Schema),
            _ => None,
        }
    }
}
