//! Letters that are too large for their stream: what is left out of them, and how it is found again.

use tracing::warn;

use super::letter::{Letter, travels};
use super::{DeadLetters, LetterError};
use crate::message::{Headers, Message};
use crate::publish::{PublishError, Published};

/// What a letter lacks of its message, because the whole was too large for the stream of dead letters. The message itself is still
/// in the stream that it is from, for as long as that keeps it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// How large the body is, in bytes. It is left out whenever anything is.
    pub body: u64,
    /// How many of the message's own headers are left out: the largest ones.
    pub headers: u64,
}

impl Letter {
    /// The letter without its body, and then with fewer and fewer of the message's own headers, the largest of which go first.
    pub(super) fn smaller(&self) -> impl Iterator<Item = Self> {
        let mut own: Vec<_> = self.message.headers.iter().filter(|(name, _)| travels(name)).collect();
        own.sort_by_key(|(name, value)| std::cmp::Reverse(name.len() + value.len()));
        let all = own.len();
        let steps = std::iter::successors((all > 0).then_some(1), move |dropped| {
            (*dropped < all).then_some((dropped * 2).min(all))
        });
        std::iter::once(0).chain(steps).map(move |dropped| self.without(&own[..dropped]))
    }

    fn without(&self, dropped: &[(&str, &str)]) -> Self {
        let mut smaller = self.clone();
        let body = std::mem::take(&mut smaller.message.body);
        let earlier = self.left_out.unwrap_or_default();
        let is_kept = |header: &(&str, &str)| !dropped.contains(header);
        smaller.message.headers = self.message.headers.iter().filter(is_kept).collect();
        smaller.left_out = Some(LeftOut {
            body: earlier.body.max(body.len() as u64),
            headers: earlier.headers + dropped.len() as u64,
        });
        smaller
    }

    /// The letter with what the message has that it was made of.
    fn with(mut self, found: Message) -> Self {
        let id = self.message.message_id().map(str::to_owned);
        let own: Headers = found.headers.iter().filter(|(name, _)| travels(name)).collect();
        self.message = Message { headers: own, body: found.body, ..self.message };
        if let Some(id) = id {
            self.message = self.message.id(id);
        }
        self.left_out = None;
        self
    }
}

impl DeadLetters {
    /// Stores a letter that was refused as it is, with as much of it as the stream takes, provided that the rest can be found
    /// again.
    pub(super) async fn keep_in_part(&self, letter: &Letter, refused: PublishError) -> Result<Published, LetterError> {
        if !self.archive.keeps_acknowledged(letter.stream.clone()).await? {
            let (stream, sequence) = (letter.stream.clone(), letter.sequence);
            return Err(LetterError::NothingToLeaveOut { stream, sequence, source: refused });
        }
        for smaller in letter.smaller() {
            match self.store(&smaller).await {
                Err(LetterError::Publish(PublishError::Refused { .. })) => {}
                Err(error) => return Err(error),
                Ok(published) => {
                    let LeftOut { body, headers } = smaller.left_out.unwrap_or_default();
                    warn!(
                        stream = letter.stream, sequence = letter.sequence, body, headers, error = %refused,
                        "a dead letter was kept without its body, which stays in the message's own stream"
                    );
                    return Ok(published);
                }
            }
        }
        Err(refused.into())
    }

    /// The letter with its whole message, which is read from its own stream where something was left out.
    ///
    /// # Errors
    ///
    /// When the message is not there any more, or its stream cannot be read.
    pub async fn whole(&self, letter: Letter) -> Result<Letter, LetterError> {
        let Some(left_out) = letter.left_out else { return Ok(letter) };
        let (stream, subject) = (letter.stream.clone(), letter.message.subject.clone());
        let found = self.archive.next(stream, subject, letter.sequence).await?;
        // In a stream that was deleted and made anew another message has its place.
        let is_it = |found: &crate::archive::Archived| {
            found.sequence == letter.sequence && found.timestamp.timestamp_micros() == letter.stored.timestamp_micros()
        };
        match found.filter(is_it) {
            Some(found) => Ok(letter.with(found.message)),
            None => Err(LetterError::Lost { stream: letter.stream, sequence: letter.sequence, bytes: left_out.body }),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::super::Cause;
    use super::*;

    fn letter(message: Message) -> Letter {
        Letter {
            message,
            stream: "ORDERS".to_owned(),
            consumer: "mailer".to_owned(),
            sequence: 7,
            origin: 7,
            stored: DateTime::UNIX_EPOCH,
            deliveries: 1,
            cause: Cause::Failed,
            reason: String::new(),
            key: None,
            first_failed: DateTime::UNIX_EPOCH,
            last_failed: DateTime::UNIX_EPOCH,
            redriven: 0,
            left_out: None,
        }
    }

    #[test]
    fn the_body_goes_first_and_then_the_largest_headers() {
        let mut message = Message::new("a", "12345");
        for size in 1..=5 {
            message.headers.set(format!("H{size}"), "x".repeat(size));
        }
        let whole = letter(message.id("1"));
        let smaller: Vec<_> = whole.smaller().collect();
        let said: Vec<_> = smaller.iter().map(|letter| letter.left_out.unwrap()).collect();
        let left_out = |headers| LeftOut { body: 5, headers };
        assert_eq!(said, [0, 1, 2, 4, 5].map(left_out));
        let kept = |letter: &Letter| letter.message.headers.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(kept(&smaller[2]), ["H1", "H2", "H3", "Nats-Msg-Id"]);
        assert_eq!(kept(&smaller[4]), ["Nats-Msg-Id"]);
        let read = Letter::of_message(smaller[2].to_message("dead.ORDERS.mailer".to_owned())).unwrap();
        assert_eq!(read, smaller[2]);
        let restored = read.with(whole.message.clone().header("Nats-Rollup", "all"));
        let sorted = |letter: &Letter| {
            let mut headers: Vec<_> =
                letter.message.headers.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            headers.sort();
            (headers, letter.message.body.clone(), letter.left_out)
        };
        assert_eq!(sorted(&restored), sorted(&whole));
    }

    #[test]
    fn a_letter_without_headers_can_only_lose_its_body() {
        assert_eq!(letter(Message::new("a", "1")).smaller().count(), 1);
    }
}
