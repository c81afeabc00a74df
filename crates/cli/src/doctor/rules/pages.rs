//! What the monitoring pages tell.

use std::time::Duration;

use indicatif::HumanBytes;
use serde_json::Value;

use super::super::facts::Facts;
use super::super::finding::{Finding, fullness};
use super::super::monitor::Monitor;

/// From how many bytes on that wait for it a connection is slow.
const MUCH_PENDING: u64 = 1 << 20;

pub(super) fn judge(facts: &Facts, monitor: &Monitor, findings: &mut Vec<Finding>) {
    for (page, read) in [
        ("/healthz", &monitor.health),
        ("/varz", &monitor.server),
        ("/jsz", &monitor.jetstream),
        ("/connz", &monitor.connections),
    ] {
        if let Err(why) = read {
            let finding = Finding::warning("monitor-unreadable", "monitoring", format!("{page} cannot be read: {why}"));
            findings.push(finding.mend("http: 127.0.0.1:8222 in the server's configuration"));
        }
    }
    if let Ok(page) = &monitor.health {
        health(page, findings);
    }
    if let Ok(page) = &monitor.server {
        server(page, findings);
    }
    if let Ok(page) = &monitor.jetstream {
        jetstream(facts, page, findings);
    }
    if let Ok(page) = &monitor.connections {
        connections(page, findings);
    }
}

fn health(page: &Value, findings: &mut Vec<Finding>) {
    if page["status"] == "ok" {
        return;
    }
    let why = page["error"].as_str().or(page["status"].as_str()).unwrap_or("it does not say why");
    findings.push(
        Finding::severe("unhealthy", "server", format!("it calls itself unhealthy: {why}"))
            .mend("nats server check jetstream"),
    );
}

fn server(page: &Value, findings: &mut Vec<Finding>) {
    let number = |field: &str| page[field].as_u64().unwrap_or(0);
    let slow = number("slow_consumers");
    if slow > 0 {
        let reason = format!("{slow} times it has cut off a client that did not read fast enough");
        findings.push(
            Finding::warning("slow-consumers", "server", reason).mend("nats server report connections --sort pending"),
        );
    }
    if let Some((severity, percent)) = fullness(number("connections"), number("max_connections")) {
        let reason = format!("{percent} % of `max_connections` are taken");
        let mend = format!("max_connections: {} in the server's configuration", number("max_connections") * 2);
        findings.push(Finding::new(severity, "connections", "server", reason).mend(mend));
    }
}

fn jetstream(facts: &Facts, page: &Value, findings: &mut Vec<Finding>) {
    if page["disabled"] == Value::Bool(true) {
        return;
    }
    let number = |field: &str| page[field].as_u64().unwrap_or(0);
    let limit = |field: &str| page["config"][field].as_u64().unwrap_or(0);
    for (check, used, limit, setting) in [
        ("server-storage", number("storage").max(number("reserved_storage")), limit("max_storage"), "max_file_store"),
        ("server-memory", number("memory").max(number("reserved_memory")), limit("max_memory"), "max_memory_store"),
    ] {
        if let Some((severity, percent)) = fullness(used, limit) {
            let free = HumanBytes(limit.saturating_sub(used));
            let reason = format!("{percent} % of what JetStream may use is taken or promised; {free} are left");
            findings.push(
                Finding::new(severity, check, "server", reason).mend(format!("raise `{setting}`, or add a disk")),
            );
        }
    }
    sync(facts, &page["config"], findings);
    if let Some(cluster) = page.get("meta_cluster").filter(|cluster| cluster.is_object()) {
        meta(cluster, findings);
    }
}

/// What a loss of power takes with it.
fn sync(facts: &Facts, config: &Value, findings: &mut Vec<Finding>) {
    let Some(interval) = config["sync_interval"].as_u64() else { return };
    if config["sync_always"] == Value::Bool(true) {
        return;
    }
    let streams = facts.streams.as_deref().unwrap_or_default().iter().map(|stream| &stream.info);
    let alone = streams.filter(|info| {
        info.config.get("storage").and_then(Value::as_str) == Some("file")
            && info.config.get("num_replicas").and_then(Value::as_u64).unwrap_or(1) == 1
    });
    let names: Vec<&str> = alone.map(|info| info.name()).collect();
    if names.is_empty() {
        return;
    }
    let interval = Duration::from_nanos(interval);
    let reason = format!(
        "it writes to the disk every {interval:?}: a loss of power takes what was acknowledged since from {}",
        shortened(&names)
    );
    let finding = Finding::warning("sync-interval", "server", reason);
    findings.push(finding.mend("jetstream { sync_interval: always }, or three replicas on machines that fail apart"));
}

/// The first few of many names.
fn shortened(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The servers of the cluster together.
fn meta(cluster: &Value, findings: &mut Vec<Finding>) {
    if cluster["leader"].as_str().is_none_or(str::is_empty) {
        let reason = "the servers have no leader: no stream or consumer can be made";
        findings.push(Finding::severe("no-meta-leader", "cluster", reason).mend("nats server report jetstream"));
    }
    for peer in cluster["replicas"].as_array().into_iter().flatten().filter(|peer| peer["offline"] == Value::Bool(true))
    {
        let reason = format!("{} is offline", peer["name"].as_str().unwrap_or("a server"));
        findings.push(Finding::warning("server-offline", "cluster", reason).mend("nats server report jetstream"));
    }
}

fn connections(page: &Value, findings: &mut Vec<Finding>) {
    for connection in page["connections"].as_array().into_iter().flatten() {
        let pending = connection["pending_bytes"].as_u64().unwrap_or(0);
        if pending >= MUCH_PENDING {
            let name = connection["name"].as_str().filter(|name| !name.is_empty()).unwrap_or("without a name");
            let about = format!("connection {} ({name})", connection["cid"]);
            let reason = format!("{} wait for it: it does not read fast enough", HumanBytes(pending));
            findings.push(
                Finding::warning("slow-connection", about, reason)
                    .mend("nats server report connections --sort pending"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checks(judge: impl FnOnce(&mut Vec<Finding>)) -> Vec<&'static str> {
        let mut findings = Vec::new();
        judge(&mut findings);
        assert!(findings.iter().all(|finding| finding.mend.is_some()));
        findings.iter().map(|finding| finding.check).collect()
    }

    #[test]
    fn a_page_that_tells_of_nothing_bad_is_not_spoken_of() {
        assert!(checks(|findings| health(&json!({ "status": "ok" }), findings)).is_empty());
        assert!(checks(|findings| server(&json!({ "connections": 5, "max_connections": 100 }), findings)).is_empty());
        assert!(
            checks(|findings| connections(&json!({ "connections": [{ "pending_bytes": 9 }] }), findings)).is_empty()
        );
        assert!(
            checks(|findings| meta(&json!({ "leader": "n1", "replicas": [{ "offline": false }] }), findings))
                .is_empty()
        );
    }

    #[test]
    fn what_is_bad_on_a_page_has_its_name() {
        let sick = json!({ "status": "unavailable", "error": "JetStream is not current" });
        assert_eq!(checks(|findings| health(&sick, findings)), ["unhealthy"]);
        let busy = json!({ "slow_consumers": 1, "connections": 96, "max_connections": 100 });
        assert_eq!(checks(|findings| server(&busy, findings)), ["slow-consumers", "connections"]);
        let slow = json!({ "connections": [{ "cid": 4, "pending_bytes": 2_000_000 }] });
        assert_eq!(checks(|findings| connections(&slow, findings)), ["slow-connection"]);
        let torn = json!({ "leader": "", "replicas": [{ "name": "n2", "offline": true }] });
        assert_eq!(checks(|findings| meta(&torn, findings)), ["no-meta-leader", "server-offline"]);
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(shortened(&["A", "B"]), "A, B");
        assert_eq!(shortened(&["A", "B", "C", "D", "E", "F", "G"]), "A, B, C, D, E and 2 more");
    }
}
