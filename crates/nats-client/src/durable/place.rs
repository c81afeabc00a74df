//! Where a delivered message stands: what JetStream says in the subject it wants the acknowledgement on.

use async_nats::{Message, Subject};

/// One delivery of one stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Where the message stands in the journal.
    pub(super) sequence: u64,
    /// The number of this delivery among all of the consumer's.
    pub(super) delivery: u64,
    /// How often the message was delivered, this time included.
    pub(super) times: u64,
    /// How many messages the consumer had not delivered yet.
    pub(super) pending: u64,
    /// Where to acknowledge it.
    pub(super) reply: Subject,
}

impl Place {
    /// None when JetStream did not deliver the message.
    ///
    /// The subject is `$JS.ACK.{stream}.{consumer}.{times}.{sequence}.{delivery}.{time}.{pending}`, with
    /// `{domain}.{account}` before the stream and a token after the rest in its newer form.
    pub(super) fn of(message: &Message) -> Option<Self> {
        let reply = message.reply.as_ref()?;
        let tokens: Vec<&str> = reply.split('.').collect();
        let numbers = match tokens.as_slice() {
            ["$JS", "ACK", _, _, numbers @ ..] if numbers.len() == 5 => numbers,
            ["$JS", "ACK", _, _, _, _, numbers @ ..] if numbers.len() >= 5 => numbers,
            _ => return None,
        };
        let number = |at: usize| numbers[at].parse().ok();
        Some(Self {
            times: number(0)?,
            sequence: number(1)?,
            delivery: number(2)?,
            pending: number(4)?,
            reply: reply.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn place(reply: Option<&str>) -> Option<Place> {
        Place::of(&Message {
            subject: "receipts.journal.receipt.a.noted".into(),
            reply: reply.map(Into::into),
            payload: Bytes::new(),
            headers: None,
            status: None,
            description: None,
            length: 0,
        })
    }

    #[test]
    fn both_forms_of_the_subject_are_read() {
        let numbers = "2.41.17.1795250962770112473.5";
        for reply in [
            format!("$JS.ACK.RECEIPTS_JOURNAL.mailer.{numbers}"),
            format!("$JS.ACK.hub.ACCHASH.RECEIPTS_JOURNAL.mailer.{numbers}.tok"),
            format!("$JS.ACK._.ACCHASH.RECEIPTS_JOURNAL.mailer.{numbers}"),
        ] {
            let place = place(Some(&reply)).unwrap();
            assert_eq!((place.times, place.sequence, place.delivery, place.pending), (2, 41, 17, 5));
            assert_eq!(place.reply.as_str(), reply);
        }
    }

    #[test]
    fn what_jetstream_did_not_deliver_has_no_place() {
        for reply in [None, Some("_INBOX.x"), Some("$JS.ACK.S.c.1.2.3"), Some("$JS.ACK.S.c.1.x.3.4.5"), Some("")] {
            assert_eq!(place(reply), None, "{reply:?}");
        }
    }
}
