//! Which dead letters there are.

use std::collections::BTreeSet;

use super::letter::Letter;
use super::{DeadLetters, LetterError};
use crate::subject;

/// A dead letter in its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its place among the dead letters.
    pub place: u64,
    /// The letter.
    pub letter: Letter,
}

/// Which dead letters are meant: those of a consumer, and of them those that everything else said here holds for.
///
/// ```
/// use headwater_nats_messaging::dead_letter::Selection;
///
/// let some = Selection::of("ORDERS", "mailer").subject("orders.*.placed").key("7").limit(10);
/// let two = Selection::of("ORDERS", "mailer").sequences([42, 57]);
/// # drop((some, two));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Selection {
    pub(super) stream: String,
    pub(super) consumer: String,
    subject: Option<String>,
    key: Option<String>,
    sequences: Option<BTreeSet<u64>>,
    after: u64,
    limit: usize,
}

impl Selection {
    /// All dead letters of a consumer, 1 000 at most.
    pub fn of(stream: impl Into<String>, consumer: impl Into<String>) -> Self {
        Self {
            stream: stream.into(),
            consumer: consumer.into(),
            subject: None,
            key: None,
            sequences: None,
            after: 0,
            limit: 1_000,
        }
    }

    /// Those whose message came by a subject that this pattern takes.
    pub fn subject(self, pattern: impl Into<String>) -> Self {
        Self { subject: Some(pattern.into()), ..self }
    }

    /// Those of this key.
    pub fn key(self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    /// Those whose message had one of these places in its stream.
    pub fn sequences(self, sequences: impl IntoIterator<Item = u64>) -> Self {
        Self { sequences: Some(sequences.into_iter().collect()), ..self }
    }

    /// Those whose [place](DeadLetter::place) comes after this one: to go on where the last list ended.
    pub fn after(self, place: u64) -> Self {
        Self { after: place, ..self }
    }

    /// So many at most; 1 000 by default.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    fn takes(&self, letter: &Letter) -> bool {
        letter.stream == self.stream
            && letter.consumer == self.consumer
            && self.subject.as_ref().is_none_or(|pattern| subject::matches(pattern, &letter.message.subject))
            && self.key.as_ref().is_none_or(|key| letter.key.as_ref() == Some(key))
            && self.sequences.as_ref().is_none_or(|sequences| sequences.contains(&letter.sequence))
    }
}

impl DeadLetters {
    /// The letters that are meant, in the order in which they were stored.
    ///
    /// # Errors
    ///
    /// When the stream cannot be read.
    pub async fn list(&self, selection: &Selection) -> Result<Vec<DeadLetter>, LetterError> {
        let mut found = Vec::new();
        let mut after = selection.after;
        while found.len() < selection.limit {
            let Some(letter) = self.next(selection, after).await? else { break };
            after = letter.place;
            found.push(letter);
        }
        Ok(found)
    }

    /// The first letter after a place that is meant.
    pub(super) async fn next(&self, selection: &Selection, after: u64) -> Result<Option<DeadLetter>, LetterError> {
        let pattern = self.subject(&selection.stream, &selection.consumer);
        let mut from = after + 1;
        loop {
            let found = self.archive.next(self.stream.to_string(), pattern.clone(), from).await?;
            let Some(found) = found else { return Ok(None) };
            from = found.sequence + 1;
            // Something else at this subject is not ours to touch.
            if let Some(letter) = Letter::of_message(found.message).filter(|letter| selection.takes(letter)) {
                return Ok(Some(DeadLetter { place: found.sequence, letter }));
            }
        }
    }

    /// The places of the letters that are meant, in the order of their messages: by the first place each had in its stream.
    pub(super) async fn places(&self, selection: &Selection) -> Result<Vec<Place>, LetterError> {
        self.first_places(selection, usize::MAX).await
    }

    /// The first of them, so many at most.
    pub(super) async fn first_places(&self, selection: &Selection, most: usize) -> Result<Vec<Place>, LetterError> {
        let (mut places, mut found) = (Vec::new(), 0);
        let mut after = selection.after;
        while found < selection.limit {
            let Some(DeadLetter { place, letter }) = self.next(selection, after).await? else { break };
            after = place;
            found += 1;
            places.push(Place { origin: letter.origin, sequence: letter.sequence, place });
            if places.len() >= most.saturating_mul(2) {
                places.sort_unstable();
                places.truncate(most);
            }
        }
        places.sort_unstable();
        places.truncate(most);
        Ok(places)
    }

    /// The letter at a place, if it is still there.
    pub(super) async fn at(&self, selection: &Selection, place: u64) -> Result<Option<DeadLetter>, LetterError> {
        Ok(self.next(selection, place - 1).await?.filter(|letter| letter.place == place))
    }
}

/// Where a letter is, in the order in which letters are redriven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) origin: u64,
    sequence: u64,
    pub(super) place: u64,
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::super::Cause;
    use super::*;
    use crate::memory::MemoryBroker;
    use crate::message::Message;

    #[tokio::test]
    async fn the_first_places_are_those_of_the_oldest_messages_wherever_their_letters_are() {
        let broker = MemoryBroker::new();
        broker.stream("DEAD", ["dead.>"]).unwrap();
        let letters = DeadLetters::new(broker, "DEAD");
        for (sequence, origin) in (1..).zip([5, 9, 7, 1, 8, 3, 6, 2, 4]) {
            let letter = Letter {
                message: Message::new("a", ""),
                stream: "ORDERS".to_owned(),
                consumer: "mailer".to_owned(),
                sequence,
                origin,
                stored: DateTime::UNIX_EPOCH,
                deliveries: 1,
                cause: Cause::Parked,
                reason: String::new(),
                key: None,
                first_failed: DateTime::UNIX_EPOCH,
                last_failed: DateTime::UNIX_EPOCH,
                redriven: 0,
                left_out: None,
            };
            letters.keep(&letter).await.unwrap();
        }
        let all = Selection::of("ORDERS", "mailer");
        for (most, expected) in [(1, 1), (2, 2), (4, 4), (5, 5), (9, 9), (100, 9)] {
            let origins: Vec<_> =
                letters.first_places(&all, most).await.unwrap().iter().map(|place| place.origin).collect();
            assert_eq!(origins, (1..=expected).collect::<Vec<_>>(), "{most}");
        }
    }
}
