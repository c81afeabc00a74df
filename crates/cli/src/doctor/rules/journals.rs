//! Streams that are the journal of a service, and whether they keep what a journal promises.

use headwater_core::Name;
use headwater_nats::subject::Subjects;
use headwater_nats_store::{JournalFault, inspect_journal};
use serde_json::Value;

use super::super::facts::Stream;
use super::super::finding::Finding;

/// For how long an append may be sent again by default, in nanoseconds: a repetition must fall into the window.
const RETRIED_FOR: u64 = 10_000_000_000;

/// The window that a journal is made with.
const USUAL_WINDOW: u64 = 120_000_000_000;

pub(super) fn judge(stream: &Stream, findings: &mut Vec<Finding>) {
    let Some(service) = service_of(stream) else { return };
    let name = stream.info.name();
    for JournalFault { field, found, wanted, .. } in inspect_journal(&service, &stream.info.config) {
        let reason = format!("it is the journal of {service}, and its `{field}` is {found} and must be {wanted}");
        findings.push(Finding::severe("journal-unsafe", name, reason).mend(mend(name, field, &service)));
    }
    let window = stream.info.config.get("duplicate_window").and_then(Value::as_u64).unwrap_or(0);
    let seconds = window / 1_000_000_000;
    let mend = format!("nats stream edit {name} --dupe-window 2m");
    if window < RETRIED_FOR {
        let reason =
            format!("its duplicate window is {seconds} s, and appends are repeated for 10 s: they may be stored twice");
        findings.push(Finding::severe("duplicate-window", name, reason).mend(mend));
    } else if window < USUAL_WINDOW {
        let reason =
            format!("its duplicate window is {seconds} s; callers who repeat a command later than that cost a look-up");
        findings.push(Finding::info("duplicate-window", name, reason).mend(mend));
    }
}

/// The service whose journal the stream is, by its name or by its subjects.
fn service_of(stream: &Stream) -> Option<Name> {
    let subjects = stream.info.config.get("subjects").and_then(Value::as_array)?;
    let services = subjects.iter().filter_map(Value::as_str).filter_map(|subject| {
        let service = subject.strip_suffix(".journal.>").or_else(|| subject.strip_suffix(".journal.*.*.*"))?;
        Name::new(service.to_owned()).ok()
    });
    let mut services = services.collect::<Vec<_>>();
    let is_named = |service: &Name| Subjects::new(service.clone()).journal_stream() == stream.info.name();
    match services.iter().position(is_named) {
        Some(at) => Some(services.swap_remove(at)),
        None => services.into_iter().next(),
    }
}

/// What mends a field, where the server lets it be changed.
fn mend(name: &str, field: &str, service: &Name) -> String {
    let subjects = Subjects::new(service.clone());
    let edit = |flags: String| format!("nats stream edit {name} {flags}");
    match field {
        "subjects" => edit(format!("--subjects '{}'", subjects.journal_all())),
        "discard" => edit("--discard new".to_owned()),
        "max_age" => edit("--max-age 0s".to_owned()),
        "max_msgs_per_subject" => edit("--max-msgs-per-subject=-1".to_owned()),
        "allow_direct" => edit("--allow-direct".to_owned()),
        "deny_delete" => edit("--deny-delete".to_owned()),
        "deny_purge" => edit("--deny-purge".to_owned()),
        "allow_rollup_hdrs" => edit("--no-allow-rollup".to_owned()),
        "no_ack" => edit("--ack".to_owned()),
        "subject_transform" => edit("--no-transform".to_owned()),
        "republish" => edit(format!(
            "--republish-source '{}' --republish-destination '{}'",
            subjects.republish_source(),
            subjects.republish_destination()
        )),
        "allow_atomic" => format!("nats stream edit {name} --interactive, and set allow_atomic to true"),
        _ => format!(
            "headwater backup {name} --to {name}.backup, delete the stream, let the service create it, and append the \
             events again: the server does not change `{field}`"
        ),
    }
}
