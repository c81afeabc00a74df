//! Any stream: replicas, limits, and whether anything is in it.

use headwater_nats_messaging::topology::LEASE_STREAM;
use serde_json::Value;

use super::super::facts::{Facts, Stream};
use super::super::finding::{Finding, Severity, fullness};
use crate::backup::api::StreamInfo;

pub(super) fn judge(facts: &Facts, stream: &Stream, findings: &mut Vec<Finding>) {
    let info = &stream.info;
    // A lease that is lost is taken again: the stream that holds it is empty as a rule, and on one server.
    if info.name() == LEASE_STREAM {
        return;
    }
    replicas(facts, info, findings);
    full(info, findings);
    lost(info, findings);
    let (messages, last) = (number(info, "messages"), number(info, "last_seq"));
    if messages == 0 {
        let reason = match last {
            0 => "nothing was ever stored in it".to_owned(),
            last => format!("it is empty; {last} messages were stored and are gone"),
        };
        findings
            .push(Finding::info("stream-empty", info.name(), reason).mend(format!("nats stream info {}", info.name())));
    }
    let nobody = stream.consumers.as_ref().is_ok_and(Vec::is_empty);
    if nobody && text(info, "retention") == "interest" {
        let reason = "it keeps only what somebody is interested in, and has no consumers: what is published is dropped";
        findings.push(
            Finding::warning("no-interest", info.name(), reason).mend(format!("nats consumer add {}", info.name())),
        );
    }
}

fn text<'a>(info: &'a StreamInfo, field: &str) -> &'a str {
    info.config.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn number(info: &StreamInfo, field: &str) -> u64 {
    info.state.get(field).and_then(Value::as_u64).unwrap_or(0)
}

fn replicas(facts: &Facts, info: &StreamInfo, findings: &mut Vec<Finding>) {
    let name = info.name();
    let count = info.config.get("num_replicas").and_then(Value::as_u64).unwrap_or(1);
    let clustered = facts.server.as_ref().is_some_and(|server| server.cluster.is_some());
    let edit = format!("nats stream edit {name} --replicas 3");
    if clustered && count == 1 {
        let reason = "it is on one server of a cluster, and is not there while that one is down";
        findings.push(Finding::warning("replicas", name, reason).mend(edit));
    } else if count.is_multiple_of(2) {
        let reason = format!("with {count} replicas it survives no more failures than with {}", count - 1);
        findings.push(Finding::info("replicas", name, reason).mend(edit));
    }
    let Some(cluster) = info.cluster.as_ref().filter(|_| count > 1) else { return };
    if cluster["leader"].as_str().is_none_or(str::is_empty) {
        let reason = "it has no leader: nothing can be stored";
        findings.push(Finding::severe("no-leader", name, reason).mend("nats server report jetstream"));
    }
    for peer in cluster["replicas"].as_array().into_iter().flatten() {
        let peer_name = peer["name"].as_str().unwrap_or("a replica");
        let (offline, current) = (peer["offline"] == Value::Bool(true), peer["current"] != Value::Bool(false));
        let finding = match (offline, current) {
            (true, _) => Finding::warning("replica-offline", name, format!("its replica on {peer_name} is offline")),
            (false, false) => {
                let lag = peer["lag"].as_u64().unwrap_or(0);
                Finding::warning(
                    "replica-behind",
                    name,
                    format!("its replica on {peer_name} is {lag} operations behind"),
                )
            }
            (false, true) => continue,
        };
        findings.push(finding.mend("nats server report jetstream"));
    }
}

fn full(info: &StreamInfo, findings: &mut Vec<Finding>) {
    let limit = |field: &str| info.config.get(field).and_then(Value::as_u64).filter(|limit| *limit > 0);
    // One that drops its oldest messages is meant to be full.
    if text(info, "discard") != "new" {
        return;
    }
    for (field, used, flag) in
        [("max_bytes", number(info, "bytes"), "max-bytes"), ("max_msgs", number(info, "messages"), "max-msgs")]
    {
        let Some(limit) = limit(field) else { continue };
        let Some((severity, percent)) = fullness(used, limit) else { continue };
        let then = if severity == Severity::Severe { "is about to refuse" } else { "will refuse" };
        let reason = format!("it is {percent} % full ({used} of `{field}` {limit}) and {then} what is published");
        let mend = format!("nats stream edit {} --{flag} {}", info.name(), limit.saturating_mul(2));
        findings.push(Finding::new(severity, "stream-full", info.name(), reason).mend(mend));
    }
}

fn lost(info: &StreamInfo, findings: &mut Vec<Finding>) {
    let lost = info.state.get("lost").and_then(|lost| lost["msgs"].as_array()).map_or(0, Vec::len);
    if lost > 0 {
        let reason = format!("the server says that it has lost {lost} messages of it");
        let mend = format!("headwater restore FILE --stream {} --replace --yes", info.name());
        findings.push(Finding::severe("messages-lost", info.name(), reason).mend(mend));
    }
}
