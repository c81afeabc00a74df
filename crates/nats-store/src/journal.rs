//! What all parts of the store share: the way to the journal, its subjects, settings and counters.

use std::sync::Arc;

use headwater_core::AggregateId;
use headwater_nats::subject::Subjects;
use tokio::sync::Semaphore;

use crate::api::Api;
use crate::config::StoreConfig;
use crate::group::Group;
use crate::stats::Counters;

/// Atomic batches under way at once. The server takes 50 for each stream, from all instances together, and commits
/// them one after the other.
const MOST_BATCHES: usize = 16;

/// The journal of one service.
pub(crate) struct Journal {
    pub(crate) api: Api,
    pub(crate) subjects: Subjects,
    pub(crate) config: StoreConfig,
    pub(crate) stream: String,
    pub(crate) counters: Counters,
    /// `…DIRECT.GET.{stream}`: any replica answers.
    pub(crate) direct_get: String,
    /// `…STREAM.MSG.GET.{stream}`: the leader answers.
    pub(crate) leader_get: String,
    /// Room for look-ups.
    pub(crate) lookups: Semaphore,
    /// Room for atomic batches.
    pub(crate) batches: Semaphore,
    /// Appends that share a batch.
    pub(crate) group: Group,
}

impl Journal {
    /// The journal, with its committing task. The stream has `replicas` replicas.
    pub(crate) fn new(api: Api, subjects: Subjects, config: StoreConfig, replicas: u64) -> Arc<Self> {
        let stream = subjects.journal_stream();
        let (group, waiting) = Group::new(config.commit, replicas > 1);
        let journal = Arc::new(Self {
            group,
            direct_get: api.subject(&format!("DIRECT.GET.{stream}")),
            leader_get: api.subject(&format!("STREAM.MSG.GET.{stream}")),
            lookups: Semaphore::new(config.read_concurrency),
            batches: Semaphore::new(MOST_BATCHES),
            counters: Counters::default(),
            api,
            subjects,
            config,
            stream,
        });
        // It ends when the journal does: the way to it is in there.
        tokio::spawn(waiting.commit(Arc::downgrade(&journal)));
        journal
    }

    /// The last event of this aggregate.
    pub(crate) fn last_of(&self, aggregate: &AggregateId) -> Which {
        Which::Last(self.subjects.journal_of(aggregate))
    }
}

/// Names one stored message.
#[derive(Debug, Clone)]
pub(crate) enum Which {
    /// The one at this stream sequence.
    At(u64),
    /// The last one that a subject filter matches.
    Last(String),
}

impl Which {
    /// As JetStream's API wants it. Subjects hold nothing that JSON would escape: ids are percent-encoded.
    pub(crate) fn to_json(&self) -> String {
        match self {
            Self::At(sequence) => format!(r#"{{"seq":{sequence}}}"#),
            Self::Last(filter) => format!(r#"{{"last_by_subj":"{filter}"}}"#),
        }
    }
}
