//! Consumers that stand still, and messages they have given up.

use chrono::{DateTime, Utc};

use super::super::facts::Consumer;
use super::super::finding::Finding;

/// After how many seconds without a delivery nobody seems to be there.
const ABSENT_AFTER: i64 = 60;

/// After how many seconds without an acknowledgement something seems stuck, at least.
const STUCK_AFTER: i64 = 300;

pub(super) fn judge(now: DateTime<Utc>, stream: &str, consumer: &Consumer, findings: &mut Vec<Finding>) {
    let about = format!("{stream} > {}", consumer.name);
    let look = format!("nats consumer info {stream} {}", consumer.name);
    let mut found = None;
    if consumer.paused {
        let finding = Finding::info("consumer-paused", &about, "it is paused");
        findings.push(finding.mend(format!("nats consumer resume {stream} {}", consumer.name)));
    } else {
        found = stalled(consumer, &about)
            .or_else(|| absent(now, consumer, &about))
            .or_else(|| stuck(now, consumer, &about));
    }
    findings.extend(found.map(|finding| finding.mend(&look)));
    if let Some(finding) = given_up(consumer, &about) {
        // One behind the acknowledgement floor: the first that was given up is among the next.
        let first = consumer.ack_floor.stream_seq + 1;
        findings.push(finding.mend(format!("nats stream get {stream} {first}")));
    } else if consumer.num_redelivered > 0 {
        let reason = format!("{} messages were delivered more than once", consumer.num_redelivered);
        findings.push(Finding::info("redelivered", about, reason).mend(look));
    }
}

/// As much is out as may be out, and more is waiting.
fn stalled(consumer: &Consumer, about: &str) -> Option<Finding> {
    let limit = u64::try_from(consumer.config.max_ack_pending).ok().filter(|limit| *limit > 0)?;
    (consumer.num_ack_pending >= limit && consumer.num_pending > 0).then(|| {
        let reason = format!(
            "it delivers nothing more: {} messages are out and not acknowledged (max_ack_pending), and {} wait",
            consumer.num_ack_pending, consumer.num_pending
        );
        Finding::severe("consumer-stalled", about, reason)
    })
}

/// Messages wait, and nobody asks for them.
fn absent(now: DateTime<Utc>, consumer: &Consumer, about: &str) -> Option<Finding> {
    let pushed = consumer.config.deliver_subject.is_some();
    let listens = if pushed { consumer.push_bound } else { consumer.num_waiting > 0 };
    let idle = seconds_since(now, consumer.delivered.last_active.or(consumer.created));
    (!listens && consumer.num_pending > 0 && idle >= ABSENT_AFTER).then(|| {
        let waiting = consumer.num_pending;
        let reason = format!("{waiting} messages wait, and nobody has asked for any for {idle} s");
        Finding::warning("consumer-unused", about, reason)
    })
}

/// Messages are out, and none is acknowledged.
fn stuck(now: DateTime<Utc>, consumer: &Consumer, about: &str) -> Option<Finding> {
    let ack_wait = i64::try_from(consumer.config.ack_wait / 1_000_000_000).unwrap_or(i64::MAX);
    let quiet = seconds_since(now, consumer.ack_floor.last_active.or(consumer.delivered.last_active));
    (consumer.num_ack_pending > 0 && quiet >= STUCK_AFTER.max(ack_wait.saturating_mul(3))).then(|| {
        let out = consumer.num_ack_pending;
        let reason = format!("{out} messages are out, and nothing was acknowledged for {quiet} s");
        Finding::warning("consumer-stuck", about, reason)
    })
}

/// Delivered as often as may be, and never acknowledged: they are counted as redelivered and are no longer out.
fn given_up(consumer: &Consumer, about: &str) -> Option<Finding> {
    let given_up = consumer.num_redelivered.saturating_sub(consumer.num_ack_pending);
    (consumer.config.max_deliver > 0 && given_up > 0).then(|| {
        let most = consumer.config.max_deliver;
        let reason = format!(
            "{given_up} messages or more were delivered {most} times (max_deliver) and are not delivered again"
        );
        Finding::warning("max-deliveries", about, reason)
    })
}

fn seconds_since(now: DateTime<Utc>, then: Option<DateTime<Utc>>) -> i64 {
    then.map_or(0, |then| (now - then).num_seconds().max(0))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn checks(consumer: Value) -> Vec<&'static str> {
        let consumer: Consumer = serde_json::from_value(consumer).unwrap();
        let mut findings = Vec::new();
        judge("2026-11-20T12:10:00Z".parse().unwrap(), "ORDERS", &consumer, &mut findings);
        assert!(findings.iter().all(|finding| finding.mend.is_some()));
        findings.iter().map(|finding| finding.check).collect()
    }

    #[test]
    fn a_consumer_that_works_is_not_spoken_of() {
        assert_eq!(
            checks(json!({
                "name": "c", "num_pending": 5, "num_waiting": 1, "num_ack_pending": 3,
                "config": { "max_ack_pending": 1000, "max_deliver": -1 },
                "delivered": { "last_active": "2026-11-20T12:09:59Z" }, "ack_floor": { "last_active": "2026-11-20T12:09:58Z" },
            })),
            [""; 0]
        );
    }

    #[test]
    fn each_way_to_stand_still_has_its_name() {
        let old = "2026-11-20T12:00:00Z";
        let out = json!({ "name": "c", "num_pending": 5, "num_ack_pending": 10, "config": { "max_ack_pending": 10 } });
        assert_eq!(checks(out), ["consumer-stalled"]);
        assert_eq!(checks(json!({ "name": "c", "num_pending": 5, "created": old })), ["consumer-unused"]);
        let pushed = json!({ "name": "c", "num_pending": 5, "created": old, "config": { "deliver_subject": "x" } });
        assert_eq!(checks(pushed), ["consumer-unused"]);
        let stuck = json!({ "name": "c", "num_ack_pending": 1, "num_waiting": 1, "delivered": { "last_active": old } });
        assert_eq!(checks(stuck), ["consumer-stuck"]);
        assert_eq!(
            checks(json!({ "name": "c", "num_pending": 5, "created": old, "paused": true })),
            ["consumer-paused"]
        );
    }

    #[test]
    fn messages_that_were_given_up_are_told_from_those_that_come_again() {
        let consumer = |redelivered, out, most| json!({ "name": "c", "num_redelivered": redelivered, "num_ack_pending": out, "config": { "max_deliver": most } });
        assert_eq!(checks(consumer(5, 2, 3)), ["max-deliveries"]);
        assert_eq!(checks(consumer(2, 2, 3)), ["redelivered"]);
        assert_eq!(checks(consumer(2, 0, -1)), ["redelivered"]);
    }
}
