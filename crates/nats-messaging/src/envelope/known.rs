//! The names of attributes, as CloudEvents and the flat envelope write them. Those that are not CloudEvents' own are the
//! journal's (`docs/wire-protocol.md`).

pub(super) const ID: &str = "id";
pub(super) const SOURCE: &str = "source";
pub(super) const SPEC_VERSION: &str = "specversion";
pub(super) const TYPE: &str = "type";
pub(super) const SUBJECT: &str = "subject";
pub(super) const TIME: &str = "time";
pub(super) const DATA_CONTENT_TYPE: &str = "datacontenttype";
pub(super) const DATA_SCHEMA: &str = "dataschema";
pub(super) const DATA: &str = "data";
pub(super) const DATA_BASE64: &str = "data_base64";
pub(super) const SCHEMA_VERSION: &str = "schemaversion";
pub(super) const TENANT: &str = "tenantid";
pub(super) const CORRELATION: &str = "correlationid";
pub(super) const CAUSATION: &str = "causationid";
pub(super) const USER: &str = "userid";
pub(super) const TRACEPARENT: &str = "traceparent";
pub(super) const TRACESTATE: &str = "tracestate";

/// What CloudEvents 1.0 is called in `specversion`.
pub(super) const VERSION: &str = "1.0";

/// The optional texts, as CloudEvents and as the metadata of a flat envelope name them.
pub(super) const IN_METADATA: [(&str, &str); 8] = [
    (SUBJECT, "subject"),
    (DATA_SCHEMA, "data_schema"),
    (CORRELATION, "correlation_id"),
    (CAUSATION, "causation_id"),
    (USER, "user_id"),
    (TENANT, "tenant_id"),
    (TRACEPARENT, "traceparent"),
    (TRACESTATE, "tracestate"),
];

/// The members of a flat envelope.
pub(super) mod flat {
    pub(in crate::envelope) const ID: &str = "event_id";
    pub(in crate::envelope) const TYPE: &str = "event_type";
    pub(in crate::envelope) const TIME: &str = "timestamp";
    pub(in crate::envelope) const SOURCE: &str = "source";
    pub(in crate::envelope) const VERSION: &str = "version";
    pub(in crate::envelope) const DATA: &str = "data";
    pub(in crate::envelope) const DATA_BASE64: &str = "data_base64";
    pub(in crate::envelope) const DATA_CONTENT_TYPE: &str = "data_content_type";
    pub(in crate::envelope) const METADATA: &str = "metadata";
}

pub(super) fn is_in_cloud_events(name: &str) -> bool {
    let own = [ID, SOURCE, SPEC_VERSION, TYPE, TIME, DATA_CONTENT_TYPE, DATA, SCHEMA_VERSION];
    own.contains(&name) || IN_METADATA.iter().any(|(known, _)| *known == name)
}

pub(super) fn is_in_flat(name: &str) -> bool {
    let own = [
        flat::ID,
        flat::TYPE,
        flat::TIME,
        flat::SOURCE,
        flat::VERSION,
        flat::DATA,
        flat::DATA_BASE64,
        flat::DATA_CONTENT_TYPE,
        flat::METADATA,
    ];
    own.contains(&name) || IN_METADATA.iter().any(|(_, known)| *known == name)
}
