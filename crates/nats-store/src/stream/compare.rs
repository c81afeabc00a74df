//! A stream that exists, compared with what the journal needs.

use std::fmt;

use headwater_nats::subject::Subjects;
use serde_json::{Value, json};

use super::StreamConfig;
use super::settings::{nanoseconds, placement};
use crate::config::{Manage, StoreConfig};

/// One field of a stream that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Drift {
    pub(crate) field: &'static str,
    pub(crate) found: String,
    pub(crate) wanted: String,
    severity: Severity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    /// Events could be lost, changed, reordered or doubled.
    Harmful,
    /// Less durable than the settings ask for, which an update can mend.
    TooWeak,
    /// Only different.
    Harmless,
}

impl Drift {
    /// Whether the store must not be opened on such a stream.
    pub(crate) fn breaks_guarantees(&self, manage: Manage) -> bool {
        match self.severity {
            Severity::Harmful => true,
            Severity::TooWeak => manage != Manage::Update,
            Severity::Harmless => false,
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, found, wanted, .. } = self;
        write!(f, "`{field}` is {found} and must be {wanted}")
    }
}

/// Everything about the stream that differs from what it has to be, or from the settings. What the server adds on
/// its own (`metadata` under `_nats`, defaults written out) is not looked at.
pub(crate) fn compare(found: &StreamConfig, subjects: &Subjects, config: &StoreConfig) -> Vec<Drift> {
    let mut drifts = Vec::new();
    guarantees(found, subjects, &mut drifts);
    settings(found, config, &mut drifts);
    drifts
}

/// Fields without which the journal could lose, change, reorder or double events.
fn guarantees(found: &StreamConfig, subjects: &Subjects, drifts: &mut Vec<Drift>) {
    let fields = [
        ("subjects", json!([subjects.journal_all()]), json!([])),
        ("retention", json!("limits"), json!("limits")),
        ("storage", json!("file"), json!("file")),
        ("discard", json!("new"), json!("old")),
        ("max_age", json!(0), json!(0)),
        ("max_msgs_per_subject", json!(-1), json!(-1)),
        ("allow_direct", json!(true), json!(false)),
        ("allow_atomic", json!(true), json!(false)),
        ("deny_delete", json!(true), json!(false)),
        ("deny_purge", json!(true), json!(false)),
        ("sealed", json!(false), json!(false)),
        ("no_ack", json!(false), json!(false)),
        ("allow_rollup_hdrs", json!(false), json!(false)),
        ("allow_msg_ttl", json!(false), json!(false)),
        ("subject_delete_marker_ttl", json!(0), json!(0)),
        ("allow_msg_counter", json!(false), json!(false)),
        ("allow_msg_schedules", json!(false), json!(false)),
        ("persist_mode", json!("default"), json!("default")),
        ("mirror", Value::Null, Value::Null),
        ("sources", json!([]), json!([])),
        ("subject_transform", Value::Null, Value::Null),
    ];
    for (field, wanted, absent) in fields {
        let value = found.get(field).filter(|value| !value.is_null()).unwrap_or(&absent);
        if !same(field, value, &wanted) {
            drifts.push(drift(field, value, &wanted, Severity::Harmful));
        }
    }
    let republish = json!({ "src": subjects.republish_source(), "dest": subjects.republish_destination() });
    let value = found.get("republish").unwrap_or(&Value::Null);
    let headers_only = value["headers_only"].as_bool().unwrap_or(false);
    if value["src"] != republish["src"] || value["dest"] != republish["dest"] || headers_only {
        drifts.push(drift("republish", value, &republish, Severity::Harmful));
    }
}

/// Fields that the settings may choose.
fn settings(found: &StreamConfig, config: &StoreConfig, drifts: &mut Vec<Drift>) {
    let replicas = found.get("num_replicas").and_then(Value::as_u64).unwrap_or(1);
    // More of them do no harm, and are never taken away.
    if replicas < u64::from(config.replicas) {
        drifts.push(drift("num_replicas", &json!(replicas), &json!(config.replicas), Severity::TooWeak));
    }
    let numbers = [
        ("max_bytes", config.max_bytes, json!(-1)),
        ("max_msgs", config.max_msgs, json!(-1)),
        ("duplicate_window", Some(nanoseconds(config)), json!(0)),
    ];
    for (field, wanted, absent) in numbers {
        let value = found.get(field).unwrap_or(&absent);
        if let Some(wanted) = wanted.map(Value::from).filter(|wanted| wanted != value) {
            drifts.push(drift(field, value, &wanted, Severity::Harmless));
        }
    }
    if let Some(wanted) = placement(config) {
        let value = found.get("placement").unwrap_or(&Value::Null);
        let tags = |placement: &Value| placement["tags"].as_array().cloned().unwrap_or_default();
        if value["cluster"] != wanted["cluster"] || tags(value) != tags(&wanted) {
            drifts.push(drift("placement", value, &wanted, Severity::Harmless));
        }
    }
}

/// The server writes "no limit for each subject" in two ways.
fn same(field: &str, found: &Value, wanted: &Value) -> bool {
    found == wanted || (field == "max_msgs_per_subject" && found.as_i64().is_some_and(|limit| limit <= 0))
}

fn drift(field: &'static str, found: &Value, wanted: &Value, severity: Severity) -> Drift {
    let text = |value: &Value| if value.is_null() { "absent".to_owned() } else { value.to_string() };
    Drift { field, found: text(found), wanted: text(wanted), severity }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use headwater_core::Name;

    use super::super::settings::wanted;
    use super::*;
    use crate::config::Placement;

    fn fixture() -> (Subjects, StoreConfig, StreamConfig) {
        let service = Name::new("receipts").unwrap();
        let (subjects, config) = (Subjects::new(service.clone()), StoreConfig::new(service));
        let found = wanted(&subjects, &config);
        (subjects, config, found)
    }

    #[test]
    fn what_is_created_has_nothing_to_complain_about() {
        let (subjects, config, mut found) = fixture();
        assert_eq!(compare(&found, &subjects, &config), []);
        found.insert("metadata".into(), json!({ "_nats.level": "5", "_nats.ver": "2.15.1" }));
        found.insert("mirror".into(), Value::Null);
        found.insert("max_msgs_per_subject".into(), json!(0));
        found.insert("compression".into(), json!("s2"));
        assert_eq!(compare(&found, &subjects, &config), []);
    }

    #[test]
    fn each_field_that_breaks_a_guarantee_is_refused_alone() {
        for (field, value) in [
            ("subjects", json!(["receipts.journal.>", "other"])),
            ("subjects", json!([])),
            ("retention", json!("interest")),
            ("retention", json!("workqueue")),
            ("storage", json!("memory")),
            ("discard", json!("old")),
            ("max_age", json!(1_000_000_000)),
            ("max_msgs_per_subject", json!(10)),
            ("allow_direct", json!(false)),
            ("allow_atomic", json!(false)),
            ("deny_delete", json!(false)),
            ("deny_purge", json!(false)),
            ("sealed", json!(true)),
            ("no_ack", json!(true)),
            ("allow_rollup_hdrs", json!(true)),
            ("allow_msg_ttl", json!(true)),
            ("subject_delete_marker_ttl", json!(1_000_000_000)),
            ("allow_msg_counter", json!(true)),
            ("allow_msg_schedules", json!(true)),
            ("persist_mode", json!("async")),
            ("mirror", json!({ "name": "OTHER" })),
            ("sources", json!([{ "name": "OTHER" }])),
            ("subject_transform", json!({ "src": "a", "dest": "b" })),
            ("republish", json!({ "src": "receipts.journal.>", "dest": "live.>" })),
            ("republish", Value::Null),
        ] {
            let (subjects, config, mut found) = fixture();
            found.insert(field.into(), value.clone());
            let drifts = compare(&found, &subjects, &config);
            let [drift] = &drifts[..] else { panic!("{field}: {drifts:?}") };
            assert_eq!(drift.field, field);
            for manage in [Manage::Create, Manage::Verify, Manage::Update] {
                assert!(drift.breaks_guarantees(manage), "{drift}");
            }
        }
    }

    #[test]
    fn a_field_the_server_dropped_is_refused_too() {
        for field in ["allow_atomic", "allow_direct", "deny_delete", "deny_purge", "republish", "discard", "subjects"] {
            let (subjects, config, mut found) = fixture();
            found.remove(field);
            let drifts = compare(&found, &subjects, &config);
            assert!(drifts.iter().any(|drift| drift.field == field), "{field}: {drifts:?}");
        }
    }

    #[test]
    fn limits_replicas_and_placement_may_differ_and_be_updated() {
        let (subjects, config, found) = fixture();
        let config = config
            .max_bytes(1 << 30)
            .max_msgs(5)
            .duplicate_window(Duration::from_secs(60))
            .placement(Placement { cluster: Some("east".into()), tags: vec!["ssd".into()] });
        let drifts = compare(&found, &subjects, &config);
        let fields: Vec<_> = drifts.iter().map(|drift| drift.field).collect();
        assert_eq!(fields, ["max_bytes", "max_msgs", "duplicate_window", "placement"]);
        assert!(drifts.iter().all(|drift| !drift.breaks_guarantees(Manage::Create)));
        let updated = super::super::settings::updated(found, &config);
        assert_eq!(compare(&updated, &subjects, &config), []);
    }

    #[test]
    fn fewer_replicas_than_asked_for_are_refused_unless_they_may_be_updated() {
        let (subjects, config, found) = fixture();
        let drifts = compare(&found, &subjects, &config.clone().replicas(3));
        assert_eq!(drifts[0].to_string(), "`num_replicas` is 1 and must be 3");
        assert!(drifts[0].breaks_guarantees(Manage::Create) && !drifts[0].breaks_guarantees(Manage::Update));
        let mut more = found;
        more.insert("num_replicas".into(), json!(3));
        assert_eq!(compare(&more, &subjects, &config), []);
        assert_eq!(super::super::settings::updated(more, &config)["num_replicas"], json!(3));
    }
}
