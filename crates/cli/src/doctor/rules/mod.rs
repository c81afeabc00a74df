//! From facts to findings.

mod account;
mod consumers;
mod journals;
mod pages;
mod permits;
mod server;
mod streams;

use headwater_core::Name;
use headwater_nats::subject::Subjects;

use super::facts::Facts;
use super::finding::Finding;
use crate::permissions::rights::{Place, Rights, Role};

/// What a user of this role needs.
pub(super) fn rights(role: Role, service: &Name, place: &Place, durables: &[Name]) -> Rights {
    match role {
        Role::Service => Rights::service(service, place, true),
        Role::Client => Rights::client(service, place),
        Role::Reader => Rights::reader(service, place, durables),
        Role::Projector => Rights::projector(service, place, durables, &[]),
        Role::Admin => Rights::admin(service, place, &[]),
        Role::Discovery => Rights::discovery(Some(service), place),
    }
}

/// Everything that is found.
pub(super) fn judge(facts: &Facts, service: Option<&Name>, only: &[String], needed: Option<&Rights>) -> Vec<Finding> {
    let mut findings = Vec::new();
    server::judge(facts, &mut findings);
    account::judge(facts, &mut findings);
    permits::judge(facts, needed, &mut findings);
    if let Some(monitor) = &facts.monitor {
        pages::judge(facts, monitor, &mut findings);
    }
    for stream in facts.streams.as_deref().unwrap_or_default() {
        streams::judge(facts, stream, &mut findings);
        journals::judge(stream, &mut findings);
        for consumer in stream.consumers.as_deref().unwrap_or_default() {
            consumers::judge(facts.now, stream.info.name(), consumer, &mut findings);
        }
    }
    missing(facts, service, only, &mut findings);
    findings
}

/// Streams that were named, or that the service has to have, and that are not there.
fn missing(facts: &Facts, service: Option<&Name>, only: &[String], findings: &mut Vec<Finding>) {
    let Ok(streams) = &facts.streams else { return };
    let is_there = |name: &str| streams.iter().any(|stream| stream.info.name() == name);
    if let Some(service) = service.filter(|_| only.is_empty()) {
        let journal = Subjects::new(service.clone()).journal_stream();
        if !is_there(&journal) {
            let reason = format!("the journal of {service} is not there");
            let finding = Finding::severe("journal-missing", journal, reason);
            findings.push(finding.mend("start the service with `manage = \"create\"`, or `headwater restore FILE`"));
        }
    }
    for name in only.iter().filter(|name| !is_there(name)) {
        findings.push(Finding::severe("stream-missing", name, "there is no such stream").mend("nats stream ls --all"));
    }
}
