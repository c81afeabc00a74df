//! Where a delivered message stands: what JetStream says in the subject it wants the verdict on.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::consume::DeliveryContext;

/// What the subject of a delivery tells.
///
/// It is `$JS.ACK.{stream}.{consumer}.{deliveries}.{sequence}.{delivery}.{time}.{pending}`, with `{domain}.{account}` before
/// the stream and a token after the rest in its newer form. None when JetStream did not deliver the message.
pub(super) fn context(reply: &str, stream: &Arc<str>, consumer: &Arc<str>) -> Option<DeliveryContext> {
    let mut tokens = [""; 12];
    let mut count = 0;
    for token in reply.split('.') {
        *tokens.get_mut(count)? = token;
        count += 1;
    }
    let numbers = match (&tokens[..2], count) {
        (["$JS", "ACK"], 9) => &tokens[4..9],
        (["$JS", "ACK"], 11 | 12) => &tokens[6..11],
        _ => return None,
    };
    let number = |at: usize| numbers[at].parse::<u64>().ok();
    Some(DeliveryContext {
        stream: Arc::clone(stream),
        consumer: Arc::clone(consumer),
        deliveries: number(0)?,
        sequence: number(1)?,
        timestamp: time(numbers[3].parse().ok()?),
        pending: number(4)?,
    })
}

fn time(nanoseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reply: &str) -> Option<DeliveryContext> {
        context(reply, &"ORDERS".into(), &"mailer".into())
    }

    #[test]
    fn both_forms_of_the_subject_are_read() {
        let numbers = "2.41.17.1795250962770112473.5";
        for reply in [
            format!("$JS.ACK.ORDERS.mailer.{numbers}"),
            format!("$JS.ACK.hub.ACCHASH.ORDERS.mailer.{numbers}.tok"),
            format!("$JS.ACK._.ACCHASH.ORDERS.mailer.{numbers}"),
        ] {
            let context = read(&reply).unwrap();
            assert_eq!((context.deliveries, context.sequence, context.pending), (2, 41, 5), "{reply}");
            assert_eq!(context.timestamp.timestamp_nanos_opt(), Some(1795250962770112473));
        }
    }

    #[test]
    fn what_jetstream_did_not_deliver_has_no_place() {
        for reply in ["", "_INBOX.x", "$JS.ACK.S.c.1.2.3", "$JS.ACK.S.c.1.x.3.4.5", "$JS.ACK.a.b.c.d.e.f.g.h.i.j.k.l"] {
            assert!(read(reply).is_none(), "{reply:?}");
        }
    }
}
