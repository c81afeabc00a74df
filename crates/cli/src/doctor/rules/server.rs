//! The server itself and its clock.

use headwater_nats_store::MINIMUM_SERVER;

use super::super::facts::{Clock, Facts};
use super::super::finding::Finding;

/// The first server whose batches over several aggregates are trusted.
const SHARED_BATCHES: (u64, u64, u64) = (2, 14, 4);

/// What an event may have by default, with what is stored beside it and some room for replies.
const ROOM_FOR_AN_EVENT: usize = 320 << 10;

/// A difference from which on deadlines and signatures go wrong, and one that makes them useless, in milliseconds.
const SKEW: (i64, i64) = (1_000, 30_000);

pub(super) fn judge(facts: &Facts, findings: &mut Vec<Finding>) {
    let Some(server) = &facts.server else { return };
    let (name, version) = (&server.name, &server.version);
    let about = format!("server {name}");
    let (major, minor, patch) = MINIMUM_SERVER;
    if (version.major, version.minor, version.patch) < MINIMUM_SERVER {
        let needed = format!("{major}.{minor}.{patch}");
        let reason =
            format!("version {version} has no atomic batches with message ids: a journal needs {needed} or newer");
        findings.push(Finding::severe("server-version", &about, reason).mend("replace nats-server by a newer one"));
    } else if (version.major, version.minor, version.patch) < SHARED_BATCHES {
        let reason =
            format!("with version {version} appends of several aggregates do not share batches, which is slower");
        findings.push(Finding::info("server-version", &about, reason).mend("replace nats-server by 2.14.4 or newer"));
    }
    if !server.jetstream && server.cluster.is_none() {
        let finding = Finding::severe("no-jetstream", &about, "JetStream is switched off");
        findings.push(finding.mend("jetstream { store_dir: /var/lib/nats } in the server's configuration"));
    }
    if server.max_payload < ROOM_FOR_AN_EVENT {
        let reason = format!("max_payload is {} bytes, and an event may have 256 KiB", server.max_payload);
        findings.push(
            Finding::warning("max-payload", &about, reason).mend("max_payload: 1MB in the server's configuration"),
        );
    }
    if let Some(clock) = facts.clock {
        skew(&about, clock, findings);
    }
}

fn skew(about: &str, clock: Clock, findings: &mut Vec<Finding>) {
    let certain = clock.ahead.abs() - clock.uncertain;
    let (from, severe_from) = SKEW;
    if certain < from {
        return;
    }
    let side = if clock.ahead > 0 { "ahead of" } else { "behind" };
    let milliseconds = clock.ahead.abs();
    let reason =
        format!("its clock is {milliseconds} ms {side} this machine's: deadlines and signatures are read wrongly");
    let finding = match certain >= severe_from {
        true => Finding::severe("clock-skew", about, reason),
        false => Finding::warning("clock-skew", about, reason),
    };
    findings.push(finding.mend("chronyc tracking (on both machines; one of them has lost its time source)"));
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Severity;
    use super::*;

    #[test]
    fn a_clock_is_blamed_for_what_the_network_did_not_do() {
        let told = |ahead, uncertain| {
            let mut findings = Vec::new();
            skew("server n1", Clock { ahead, uncertain }, &mut findings);
            findings.first().map(|finding| finding.severity)
        };
        assert_eq!(told(900, 1), None);
        assert_eq!(told(2_000, 1_500), None);
        assert_eq!(told(2_000, 5), Some(Severity::Warning));
        assert_eq!(told(-60_000, 5), Some(Severity::Severe));
    }
}
