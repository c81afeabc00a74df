//! The fields of a consumer.

use super::{ANY, Change, Field, Kind};

const DELIVER: Kind = Kind::Choice(&[
    ("all", "all"),
    ("last", "last"),
    ("new", "new"),
    ("last-per-subject", "last_per_subject"),
    ("from-sequence", "by_start_sequence"),
    ("from-time", "by_start_time"),
]);
const ACK: Kind =
    Kind::Choice(&[("explicit", "explicit"), ("none", "none"), ("all", "all"), ("flow-control", "flow_control")]);
const REPLAY: Kind = Kind::Choice(&[("instant", "instant"), ("original", "original")]);
const PRIORITY: Kind = Kind::Choice(&[
    ("none", "none"),
    ("overflow", "overflow"),
    ("pinned-client", "pinned_client"),
    ("prioritized", "prioritized"),
]);

/// The fields of a consumer, in the order in which they are written. `filter_subjects` stands for the server's
/// `filter_subject` too.
pub(crate) const CONSUMER: &[Field] = &[
    Field::new("description", "description", Kind::Text, "What it is for."),
    Field::new("filter", "filter_subjects", Kind::Subjects, "The subjects it reads; all of the stream's by default."),
    Field::new("deliver", "deliver_policy", DELIVER, "Where it begins.").word("all").change(Change::Replace),
    Field::new(
        "start_sequence",
        "opt_start_seq",
        Kind::Count(1, ANY),
        "The place where it begins; `deliver` needs not be said then.",
    )
    .change(Change::Replace),
    Field::new(
        "start_time",
        "opt_start_time",
        Kind::Moment,
        "The moment from which it begins; `deliver` needs not be said then.",
    )
    .change(Change::Replace),
    Field::new("ack", "ack_policy", ACK, "How messages are acknowledged.").word("explicit").change(Change::Replace),
    Field::new(
        "ack_wait",
        "ack_wait",
        Kind::Time,
        "How long a message may be handled before it is delivered again. 30 s by default.",
    ),
    Field::new("max_deliver", "max_deliver", Kind::Count(1, ANY), "How often a message is delivered at the most."),
    Field::new(
        "backoff",
        "backoff",
        Kind::Times,
        "How long until a message is delivered again, each time; instead of `ack_wait`.",
    ),
    Field::new(
        "max_ack_pending",
        "max_ack_pending",
        Kind::Count(1, ANY),
        "How many messages may be delivered and not acknowledged. 1000 by default.",
    ),
    Field::new("replay", "replay_policy", REPLAY, "As fast as possible, or at the pace at which messages were stored.")
        .word("instant")
        .change(Change::Replace),
    Field::new("max_waiting", "max_waiting", Kind::Count(1, ANY), "Pull: how many requests may wait. 512 by default.")
        .change(Change::Replace),
    Field::new("max_batch", "max_batch", Kind::Count(0, ANY), "Pull: how many messages one request may ask for."),
    Field::new("max_expires", "max_expires", Kind::Time, "Pull: how long a request may wait at the most."),
    Field::new("max_bytes", "max_bytes", Kind::Size, "Pull: how many bytes one request may ask for."),
    Field::new("priority_policy", "priority_policy", PRIORITY, "Pull: which of several groups of readers comes first.")
        .word("none"),
    Field::new("priority_groups", "priority_groups", Kind::Texts, "Pull: those groups."),
    Field::new(
        "priority_timeout",
        "priority_timeout",
        Kind::Time,
        "Pull: how long a pinned reader may be silent. 2 minutes by default.",
    ),
    Field::new("deliver_subject", "deliver_subject", Kind::Text, "Push: the subject to which messages are sent.")
        .change(Change::OnlyValue),
    Field::new("deliver_group", "deliver_group", Kind::Text, "Push: the queue group that shares them."),
    Field::new("flow_control", "flow_control", Kind::Flag, "Push: the server waits for slow readers.")
        .change(Change::Replace),
    Field::new("heartbeat", "idle_heartbeat", Kind::Time, "Push: how often a server with nothing to send says so.")
        .change(Change::Replace),
    Field::new("rate_limit", "rate_limit_bps", Kind::Count(0, ANY), "Push: bits in a second."),
    Field::new("headers_only", "headers_only", Kind::Flag, "Only headers, not bodies."),
    Field::new(
        "inactive_threshold",
        "inactive_threshold",
        Kind::Time,
        "It goes when nobody has read it for so long; it stays by default.",
    ),
    Field::new(
        "replicas",
        "num_replicas",
        Kind::Count(1, 5),
        "On how many servers its state is kept; as its stream by default.",
    ),
    Field::new("memory_storage", "mem_storage", Kind::Flag, "Its state is kept in memory only.")
        .change(Change::Replace),
    Field::new("sample", "sample_freq", Kind::Percent, "Of how many acknowledgements, in percent, the server tells."),
    Field::new("metadata", "metadata", Kind::Metadata, "Notes of one's own, by name."),
];
