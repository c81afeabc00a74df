//! What a message does not say itself is filled in, and it becomes a parcel.

use chrono::{SubsecRound, Utc};
use rand::RngCore;
use tokio::time::Instant;
use uuid::{Builder, Uuid};

use super::core::Core;
use super::parcel::Parcel;
use super::{PublisherError, trace};
use crate::envelope::{Attributes, Envelope, WriteError};
use crate::message::Message;

/// A UUID of version 7. Its random part comes from the thread's own generator, which is seeded by the system and asks it for
/// nothing more: a call of the system for each message would be a good part of what a message costs.
fn new_id() -> String {
    let mut random = [0; 10];
    rand::rng().fill_bytes(&mut random);
    let now = Utc::now().timestamp_millis().unsigned_abs();
    let id = Builder::from_unix_timestamp_millis(now, &random).into_uuid();
    id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).to_owned()
}

impl Core {
    /// Fills in what the message itself does not say.
    pub(super) fn begin(&self, subject: &str, attributes: &mut Attributes, deadline: Instant) -> Parcel {
        let began = Instant::now();
        if attributes.id.is_empty() {
            attributes.id = new_id();
        }
        let parent = trace::current().or_else(|| trace::of(attributes));
        let telemetry = self.telemetry.as_ref();
        let span = telemetry.and_then(|telemetry| telemetry.begin(subject, attributes, parent.as_ref()));
        trace::carry([span.as_ref(), parent.as_ref()], attributes);
        if self.envelope != Envelope::Bare {
            self.complete(subject, attributes);
        }
        let message = Message { subject: self.whole(subject), ..Message::default() };
        Parcel { message, began, deadline, attempts: 0, maybe_stored: false, backoff: None, span }
    }

    /// Fills in what envelopes say.
    fn complete(&self, subject: &str, attributes: &mut Attributes) {
        attributes.source.clone_from(&self.source);
        if attributes.event_type.is_empty() {
            attributes.event_type = subject.to_owned();
        }
        attributes.time.get_or_insert_with(|| Utc::now().trunc_subsecs(6));
        attributes.correlation_id.get_or_insert_with(|| attributes.id.clone());
        if attributes.tenant_id.is_none() {
            attributes.tenant_id.clone_from(&self.tenant);
        }
    }

    fn whole(&self, subject: &str) -> String {
        [&*self.prefix, subject].concat()
    }

    /// Takes the written message in, with the headers of its sender, unless it is too large.
    pub(super) fn fill(
        &self,
        mut parcel: Parcel,
        message: Message,
        headers: Vec<(String, String)>,
    ) -> Result<Parcel, PublisherError> {
        parcel.message = message;
        for (name, value) in headers {
            if parcel.message.headers.get(&name).is_none() {
                parcel.message.headers.append(name, value);
            }
        }
        if self.max_size == usize::MAX || parcel.message.size() <= self.max_size {
            return Ok(parcel);
        }
        let (subject, size) = (parcel.message.subject.clone(), parcel.message.size());
        Err(self.given_up(&parcel, PublisherError::TooLarge { subject, size, limit: self.max_size }))
    }

    /// Reports that it cannot be written.
    pub(super) fn unwritable(
        &self,
        mut parcel: Parcel,
        subject: &str,
        id: String,
        source: WriteError,
    ) -> PublisherError {
        let subject = self.whole(subject);
        parcel.message = Message::new(subject.as_str(), "").id(id);
        self.given_up(&parcel, PublisherError::Write { subject, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_version_7_and_of_now_and_no_two_are_alike() {
        let before = Utc::now().timestamp_millis().unsigned_abs();
        let ids: std::collections::HashSet<String> = (0..10_000).map(|_| new_id()).collect();
        assert_eq!(ids.len(), 10_000);
        for id in ids {
            let id = Uuid::parse_str(&id).unwrap();
            assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
            let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
            let made = seconds * 1000 + u64::from(nanos) / 1_000_000;
            assert!((before..=before + 60_000).contains(&made), "{made} after {before}");
        }
    }
}
