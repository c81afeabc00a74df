//! Which keys are parked. It is known in one place, a bucket that all processes share, and changed only by those who have seen
//! its latest state: whoever parks a message there and whoever releases the key cannot miss each other.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::letter::Letter;
use super::{DeadLetters, LetterError};
use crate::bucket::{Bucket, BucketError, digest};

/// How often a change is tried that somebody else is faster at each time.
const TRIES: usize = 100;

#[derive(Debug, Clone)]
pub(super) struct Parking {
    bucket: Arc<dyn Bucket>,
}

/// What is known of a parked key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parked {
    pub(super) stream: String,
    pub(super) consumer: String,
    pub(super) key: String,
    /// The first place of the message that the others wait behind.
    pub(super) behind: u64,
    /// Grows with each message that was put behind it.
    pub(super) waiting: u64,
    /// The place of the message that was redriven last.
    pub(super) redriven: u64,
    /// The place up to which redriven messages were handled.
    pub(super) handled: u64,
    /// The place up to which redriven messages have died again.
    pub(super) died: u64,
}

impl Parking {
    pub(super) fn new(bucket: Arc<dyn Bucket>) -> Self {
        Self { bucket }
    }

    pub(super) async fn look(
        &self,
        stream: &str,
        consumer: &str,
        key: &str,
    ) -> Result<Option<(Parked, u64)>, BucketError> {
        let Some(entry) = self.bucket.get(place(stream, consumer, key)).await? else { return Ok(None) };
        match serde_json::from_slice(&entry.value) {
            Ok(parked) => Ok(Some((parked, entry.revision))),
            Err(error) => Err(BucketError::Refused(format!("what it holds of a parked key cannot be read: {error}"))),
        }
    }

    /// Changes what is known of a parked key; false when it is not parked.
    pub(super) async fn change(
        &self,
        (stream, consumer, key): (&str, &str, &str),
        change: impl Fn(&mut Parked),
    ) -> Result<bool, BucketError> {
        for _ in 0..TRIES {
            let Some((mut parked, revision)) = self.look(stream, consumer, key).await? else { return Ok(false) };
            change(&mut parked);
            match self.bucket.update(place(stream, consumer, key), to_json(&parked), revision).await {
                Ok(_) => return Ok(true),
                Err(BucketError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(BucketError::Unavailable(format!("others were faster {TRIES} times").into()))
    }

    async fn begin(&self, parked: &Parked) -> Result<bool, BucketError> {
        let place = place(&parked.stream, &parked.consumer, &parked.key);
        match self.bucket.create(place, to_json(parked)).await {
            Ok(_) => Ok(true),
            Err(BucketError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The key is parked no more; false when something about it has changed since it was looked at.
    pub(super) async fn end(&self, parked: &Parked, revision: u64) -> Result<bool, BucketError> {
        let place = place(&parked.stream, &parked.consumer, &parked.key);
        match self.bucket.delete(place, revision).await {
            Ok(()) => Ok(true),
            Err(BucketError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl DeadLetters {
    /// Parks the key of a message that is about to go to the dead letters, when that was asked for, so that nothing of its key
    /// is begun any more.
    pub(crate) async fn park_key_of(&self, letter: &Letter) -> Result<(), LetterError> {
        if let Some((parking, parked)) = self.parking_of(letter) {
            // Where it is parked already, this one waits for its turn like the others.
            parking.begin(&parked).await?;
        }
        Ok(())
    }

    /// Notes with a key that the letter of one of its messages is stored, so that whoever releases the key at that moment sees
    /// it or is refused; where the key was released before that, it is parked again. Of one that was redriven it is noted that
    /// it has died again: the next release begins with it.
    pub(crate) async fn note_letter(&self, letter: &Letter) -> Result<(), LetterError> {
        let Some((parking, parked)) = self.parking_of(letter) else { return Ok(()) };
        let died = if letter.redriven > 0 { letter.sequence } else { 0 };
        let known = (parked.stream.as_str(), parked.consumer.as_str(), parked.key.as_str());
        let note = |parked: &mut Parked| {
            parked.waiting += 1;
            parked.died = parked.died.max(died);
        };
        for _ in 0..TRIES {
            if parking.change(known, note).await? || parking.begin(&parked).await? {
                return Ok(());
            }
        }
        Err(BucketError::Unavailable(format!("others were faster {TRIES} times").into()).into())
    }

    fn parking_of(&self, letter: &Letter) -> Option<(&Parking, Parked)> {
        let parked = Parked {
            stream: letter.stream.clone(),
            consumer: letter.consumer.clone(),
            key: letter.key.clone()?,
            behind: letter.origin,
            ..Parked::default()
        };
        Some((self.parking.as_ref()?, parked))
    }

    /// The first place of the message that a key waits behind; none when the key is not parked.
    ///
    /// # Errors
    ///
    /// When the bucket cannot be asked.
    pub async fn parked(&self, stream: &str, consumer: &str, key: &str) -> Result<Option<u64>, LetterError> {
        let Some(parking) = &self.parking else { return Ok(None) };
        Ok(parking.look(stream, consumer, key).await?.map(|(parked, _)| parked.behind))
    }

    /// Puts a message behind the dead one of its key. False when the key was released in between: then the message has to be
    /// handled, and is not among the dead letters.
    ///
    /// First it is stored, then that is noted with the key. Whoever releases the key finds it stored, or cannot release the key
    /// because of the note; or the key is released, and there is nothing to note it with.
    pub(crate) async fn keep_parked(&self, letter: &Letter) -> Result<bool, LetterError> {
        let (Some(parking), Some(key)) = (&self.parking, &letter.key) else { return Ok(false) };
        let stored = self.keep(letter).await?;
        let known = (letter.stream.as_str(), letter.consumer.as_str(), key.as_str());
        if parking.change(known, |parked| parked.waiting += 1).await? {
            return Ok(true);
        }
        // Where it is not there any more, it was redriven already.
        Ok(!self.archive.remove(self.stream.to_string(), stored.sequence).await?)
    }

    /// Notes that a redriven message was handled, for whoever waits for that to redrive the next one.
    pub(crate) async fn redriven_handled(
        &self,
        stream: &str,
        consumer: &str,
        key: &str,
        sequence: u64,
    ) -> Result<(), LetterError> {
        if let Some(parking) = &self.parking {
            parking.change((stream, consumer, key), |parked| parked.handled = parked.handled.max(sequence)).await?;
        }
        Ok(())
    }
}

fn place(stream: &str, consumer: &str, key: &str) -> String {
    digest("parked", &[stream, consumer, key])
}

fn to_json(parked: &Parked) -> bytes::Bytes {
    serde_json::to_vec(parked).expect("a struct of texts and numbers can always be written").into()
}
