//! The fields of a key-value bucket, which is a stream with a fixed form.

use super::streams::{COMPRESSION, ORIGIN, PLACEMENT, REPUBLISH, STORAGE};
use super::{Change, Field, Kind};

/// The fields of a bucket, in the order in which they are written; on the wire they are those of its stream.
pub(crate) const BUCKET: &[Field] = &[
    Field::new("description", "description", Kind::Text, "What it is for."),
    Field::new("history", "max_msgs_per_subject", Kind::Count(1, 64), "How many values of a key are kept.").number(1),
    Field::new("ttl", "max_age", Kind::Time, "How long a value stays at the most."),
    Field::new("max_bytes", "max_bytes", Kind::Size, "How large the bucket may become."),
    Field::new("max_value_size", "max_msg_size", Kind::Size, "The largest value it takes."),
    Field::new("storage", "storage", STORAGE, "Where values are kept.").word("file").change(Change::Replace),
    Field::new("replicas", "num_replicas", Kind::Count(1, 5), "On how many servers values are kept.").number(1),
    Field::new("compression", "compression", COMPRESSION, "How values are compressed on disk.").word("none"),
    Field::new(
        "limit_markers",
        "subject_delete_marker_ttl",
        Kind::Time,
        "How long it is remembered that a key's time was up; keys may have times of their own then.",
    ),
    Field::new("republish", "republish", REPUBLISH, "What is published again once it is stored."),
    Field::new("mirror", "mirror", Kind::Table(ORIGIN), "The bucket's stream (`KV_NAME`) of which this is a copy.")
        .change(Change::OnlyAway),
    Field::new("sources", "sources", Kind::Tables(ORIGIN), "The streams whose values are kept here too."),
    Field::new("placement", "placement", PLACEMENT, "Where it is to live."),
    Field::new("metadata", "metadata", Kind::Metadata, "Notes of one's own, by name."),
];
