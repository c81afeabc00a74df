//! Messages on their way back to where they came from.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::listing::Selection;
use super::release::Release;
use super::{DeadLetter, DeadLetters, LetterError};

/// What became of the letters that were to be redriven.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedriveReport {
    /// Letters that were published again and are no dead letters any more.
    pub redriven: u64,
    /// Of those, how many the stream had already, from a run before that did not come to its end.
    pub repeated: u64,
    /// Letters of parked keys, by key. They go back in order and one at a time, each when the one before is handled: by
    /// [`DeadLetters::release`], whatever their selection.
    pub parked: HashMap<String, u64>,
    /// Whether the time was up before all were redriven.
    pub is_cut_short: bool,
}

impl DeadLetters {
    /// Publishes the messages of these letters again at the subjects they came by, in the order they had in their stream, and
    /// takes the letters away. `for_all`: other consumers than the one that failed are to handle them once more, too.
    ///
    /// Letters of keys that are parked stay, and are counted: [`release`](Self::release) is for them.
    ///
    /// It may be done again after it failed, or at several places at once: what was published and not taken away is
    /// recognised by its id, within the duplicate window of its stream.
    ///
    /// # Errors
    ///
    /// At the first message that is not taken, or whose [body was left out](super::LeftOut) and is gone; what comes after it
    /// stays where it is.
    pub async fn redrive(
        &self,
        selection: &Selection,
        for_all: bool,
        within: Duration,
    ) -> Result<RedriveReport, LetterError> {
        let deadline = Instant::now() + within;
        let mut report = RedriveReport::default();
        let Ok(places) = timeout_at(deadline, self.places(selection)).await else {
            return Ok(RedriveReport { is_cut_short: true, ..report });
        };
        for place in places? {
            if Instant::now() >= deadline {
                report.is_cut_short = true;
                break;
            }
            let Some(letter) = self.at(selection, place.place).await? else { continue };
            if let Some(key) = self.parked_key_of(&letter).await? {
                *report.parked.entry(key).or_default() += 1;
                continue;
            }
            let whole = self.whole(letter.letter).await?;
            let published = self.publish(whole.again(for_all)).await?;
            self.archive.remove(self.stream.to_string(), letter.place).await?;
            report.redriven += 1;
            report.repeated += u64::from(published.duplicate);
        }
        Ok(report)
    }

    /// [Redrives](Self::redrive) these letters, and [releases](Self::release) the parked keys among them.
    ///
    /// # Errors
    ///
    /// As those two.
    pub async fn redrive_and_release(
        &self,
        selection: &Selection,
        within: Duration,
    ) -> Result<(RedriveReport, HashMap<String, Release>), LetterError> {
        let deadline = Instant::now() + within;
        let report = self.redrive(selection, false, within).await?;
        let mut releases = HashMap::new();
        for key in report.parked.keys() {
            let left = deadline.saturating_duration_since(Instant::now());
            let release = self.release(&selection.stream, &selection.consumer, key, left).await?;
            releases.insert(key.clone(), release);
        }
        Ok((report, releases))
    }

    async fn parked_key_of(&self, found: &DeadLetter) -> Result<Option<String>, LetterError> {
        let letter = &found.letter;
        let Some(key) = &letter.key else { return Ok(None) };
        Ok(self.parked(&letter.stream, &letter.consumer, key).await?.map(|_| key.clone()))
    }
}
