//! The fields of a stream.

use super::{ANY, Change, Field, Kind, Unset};

const RETENTION: Kind = Kind::Choice(&[("limits", "limits"), ("interest", "interest"), ("work-queue", "workqueue")]);
pub(super) const STORAGE: Kind = Kind::Choice(&[("file", "file"), ("memory", "memory")]);
pub(super) const COMPRESSION: Kind = Kind::Choice(&[("none", "none"), ("s2", "s2")]);
const DISCARD: Kind = Kind::Choice(&[("old", "old"), ("new", "new")]);
const PERSIST: Kind = Kind::Choice(&[("default", "default"), ("async", "async")]);

pub(super) const REPUBLISH: Kind = Kind::Table(&[
    Field::new("source", "src", Kind::Subject, "Which subjects; all of them by default.").word(">"),
    Field::new(
        "destination",
        "dest",
        Kind::Text,
        "To which subject, with `{{wildcard(1)}}` for what a wildcard stood for.",
    ),
    Field::new("headers_only", "headers_only", Kind::Flag, "Only headers, not bodies."),
]);

const TRANSFORM: &[Field] = &[
    Field::new("source", "src", Kind::Subject, "Which subjects; all of them by default."),
    Field::new("destination", "dest", Kind::Text, "What becomes of them."),
];

const EXTERNAL: &[Field] = &[
    Field::new("api_prefix", "api", Kind::Text, "The prefix of the other account's or domain's JetStream API."),
    Field::new("deliver_prefix", "deliver", Kind::Text, "The prefix under which it delivers."),
];

pub(super) const ORIGIN: &[Field] = &[
    Field::new("stream", "name", Kind::Name, "The stream that is read."),
    Field::new("start_sequence", "opt_start_seq", Kind::Count(0, ANY), "From this place on."),
    Field::new("start_time", "opt_start_time", Kind::Moment, "From this moment on."),
    Field::new("filter", "filter_subject", Kind::Subject, "Only these subjects."),
    Field::new("transforms", "subject_transforms", Kind::Tables(TRANSFORM), "Only these subjects, under others."),
    Field::new("external", "external", Kind::Table(EXTERNAL), "Where the stream is, when it is elsewhere."),
];

pub(super) const PLACEMENT: Kind = Kind::Table(&[
    Field::new("cluster", "cluster", Kind::Text, "The cluster it is to live in."),
    Field::new("tags", "tags", Kind::Texts, "What its servers are to be tagged with."),
]);

const CONSUMER_LIMITS: Kind = Kind::Table(&[
    Field::new(
        "inactive_threshold",
        "inactive_threshold",
        Kind::Time,
        "How long a consumer may go unread at the most.",
    ),
    Field::new("max_ack_pending", "max_ack_pending", Kind::Count(-1, ANY), "What a consumer may have unacknowledged."),
]);

/// The fields of a stream, in the order in which they are written.
pub(crate) const STREAM: &[Field] = &[
    Field::new("description", "description", Kind::Text, "What it is for."),
    Field::new("subjects", "subjects", Kind::Subjects, "The subjects whose messages it stores."),
    Field::new("retention", "retention", RETENTION, "How long messages stay: until limits are reached, until every consumer has acknowledged them, or until one has.").word("limits").change(Change::NotThisWord("workqueue")),
    Field::new("max_age", "max_age", Kind::Time, "How long a message stays at the most."),
    Field::new("max_bytes", "max_bytes", Kind::Size, "How large the stream may become."),
    Field::new("max_messages", "max_msgs", Kind::Count(0, ANY), "How many messages it may have."),
    Field::new("max_messages_per_subject", "max_msgs_per_subject", Kind::Count(0, ANY), "How many it may have of one subject."),
    Field::new("max_message_size", "max_msg_size", Kind::Size, "The largest message it takes, headers included."),
    Field::new("max_consumers", "max_consumers", Kind::Count(0, ANY), "How many consumers it may have."),
    Field::new("storage", "storage", STORAGE, "Where messages are kept.").word("file").change(Change::Replace),
    Field::new("replicas", "num_replicas", Kind::Count(1, 5), "On how many servers messages are kept.").number(1),
    Field::new("discard", "discard", DISCARD, "What a full stream does: drop old messages, or refuse new ones.").word("old"),
    Field::new("discard_new_per_subject", "discard_new_per_subject", Kind::Flag, "With `discard = \"new\"`: a full subject refuses new messages."),
    Field { key: "duplicate_window", wire: "duplicate_window", kind: Kind::Time, unset: Unset::Nothing, change: Change::InPlace, about: "How long message ids are remembered: 2 minutes, or `max_age` when that is less." },
    Field::new("compression", "compression", COMPRESSION, "How messages are compressed on disk.").word("none"),
    Field::new("republish", "republish", REPUBLISH, "What is published again once it is stored."),
    Field::new("subject_transform", "subject_transform", Kind::Table(TRANSFORM), "Under which subjects messages are stored."),
    Field::new("mirror", "mirror", Kind::Table(ORIGIN), "The stream of which this is a copy.").change(Change::OnlyAway),
    Field::new("sources", "sources", Kind::Tables(ORIGIN), "The streams whose messages are stored here too."),
    Field::new("placement", "placement", PLACEMENT, "Where it is to live."),
    Field::new("no_ack", "no_ack", Kind::Flag, "Publishers are not told that a message is stored."),
    Field::new("deny_delete", "deny_delete", Kind::Flag, "Single messages cannot be deleted.").change(Change::NotBack),
    Field::new("deny_purge", "deny_purge", Kind::Flag, "The stream cannot be emptied.").change(Change::NotBack),
    Field::new("allow_rollup", "allow_rollup_hdrs", Kind::Flag, "A message may replace all earlier ones of its subject."),
    Field::new("allow_direct", "allow_direct", Kind::Flag, "Single messages may be read from any replica."),
    Field::new("allow_message_ttl", "allow_msg_ttl", Kind::Flag, "Messages may say how long they stay.").change(Change::NotBack),
    Field::new("subject_delete_marker_ttl", "subject_delete_marker_ttl", Kind::Time, "How long it is remembered that the last message of a subject has gone."),
    Field::new("allow_atomic_publish", "allow_atomic", Kind::Flag, "Several messages may be published as one."),
    Field::new("allow_batched_publish", "allow_batched", Kind::Flag, "Messages may be published in batches (fast ingest)."),
    Field::new("allow_message_schedules", "allow_msg_schedules", Kind::Flag, "Messages may be published for later.").change(Change::NotBack),
    Field::new("allow_message_counter", "allow_msg_counter", Kind::Flag, "Messages are counters.").change(Change::Replace),
    Field::new("persist_mode", "persist_mode", PERSIST, "Whether a message is acknowledged before it is written.").word("default").change(Change::Replace),
    Field::new("first_sequence", "first_seq", Kind::Count(0, ANY), "The number of the first message.").change(Change::Replace),
    Field::new("consumer_limits", "consumer_limits", CONSUMER_LIMITS, "What consumers may ask for, and get when they do not."),
    Field::new("metadata", "metadata", Kind::Metadata, "Notes of one's own, by name."),
];
