//! Keys on their way out of parking.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::listing::Selection;
use super::parking::{Parked, Parking};
use super::{DeadLetters, LetterError};

/// The first pause between two looks at whether a message was handled.
const FIRST_LOOK: Duration = Duration::from_millis(5);

/// The longest one.
const LONGEST_LOOK: Duration = Duration::from_millis(250);

/// How many letters of a key are looked for at once; when these have had their turn, the next ones are looked for.
const AT_ONCE: usize = 32_768;

/// How long the letter of the message that all others wait behind is waited for, where it is missing: the process that parked the
/// key may have ended before it stored the letter, and the message comes again.
const FIRST_ONE_WITHIN: Duration = Duration::from_secs(60);

/// How releasing a key ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Release {
    /// All its messages were redriven and handled, and it is not parked any more, or was not in the first place.
    Released {
        /// How many were redriven.
        redriven: u64,
    },
    /// One of them died again. It and all behind it are dead letters, and the key is still parked.
    DiedAgain {
        /// How many were redriven, this one included.
        redriven: u64,
    },
    /// The time was up. The key is still parked; whoever releases it next goes on where this ended.
    CutShort {
        /// How many were redriven.
        redriven: u64,
    },
}

impl DeadLetters {
    /// Redrives all dead letters of a parked key in their order, each when the one before was handled, until there are none
    /// left; then the key is not parked any more. It needs a processor at work: that is who handles them.
    ///
    /// Messages of the key that come in the meantime go to the dead letters as well and have their turn. Where they come faster
    /// than they are handled one at a time, this ends when its time is up. When the letter of the message that the others wait
    /// behind is missing, it is waited for, a minute at most: the process that gave it up may have ended just then.
    ///
    /// # Errors
    ///
    /// When something cannot be reached, or the next message's [body was left out](super::LeftOut) and is gone. It may be done
    /// again, and at several places at once.
    pub async fn release(
        &self,
        stream: &str,
        consumer: &str,
        key: &str,
        within: Duration,
    ) -> Result<Release, LetterError> {
        let deadline = Instant::now() + within;
        let Some(parking) = &self.parking else { return Ok(Release::Released { redriven: 0 }) };
        let all = Selection::of(stream, consumer).key(key).limit(usize::MAX);
        let first_one_until = (Instant::now() + FIRST_ONE_WITHIN).min(deadline);
        let mut redriven = 0;
        let mut waiting = VecDeque::new();
        loop {
            let Some((parked, revision)) = parking.look(stream, consumer, key).await? else {
                return Ok(Release::Released { redriven });
            };
            match parked.under_way() {
                Waiting::Handled => {}
                Waiting::DiedAgain if redriven > 0 => return Ok(Release::DiedAgain { redriven }),
                Waiting::DiedAgain => {}
                Waiting::NotYet => match self.wait(parking, &parked, deadline).await? {
                    Waiting::Handled => continue,
                    Waiting::DiedAgain => return Ok(Release::DiedAgain { redriven }),
                    Waiting::NotYet => return Ok(Release::CutShort { redriven }),
                },
            }
            if waiting.is_empty() {
                waiting = self.first_places(&all, AT_ONCE).await?.into();
            }
            // What was looked at before the list was empty is what must not have changed.
            let Some(first) = waiting.pop_front() else {
                if parking.end(&parked, revision).await? {
                    return Ok(Release::Released { redriven });
                }
                continue;
            };
            if Instant::now() >= deadline {
                return Ok(Release::CutShort { redriven });
            }
            let is_missing = parked.redriven == 0 && first.origin > parked.behind;
            if is_missing && Instant::now() < first_one_until {
                waiting.clear();
                sleep(LONGEST_LOOK).await;
                continue;
            }
            let Some(letter) = self.at(&all, first.place).await? else { continue };
            let whole = self.whole(letter.letter).await?;
            let published = self.publish(whole.again(false)).await?;
            let sequence = published.sequence;
            // Noted before the letter is gone, so that whoever goes on after a crash waits for it.
            parking.change((stream, consumer, key), |parked| parked.redriven = parked.redriven.max(sequence)).await?;
            self.archive.remove(self.stream.to_string(), letter.place).await?;
            redriven += 1;
        }
    }

    /// Waits for what becomes of the message that is under way.
    async fn wait(&self, parking: &Parking, parked: &Parked, deadline: Instant) -> Result<Waiting, LetterError> {
        let mut pause = FIRST_LOOK;
        loop {
            let state = match parking.look(&parked.stream, &parked.consumer, &parked.key).await? {
                None => Waiting::Handled,
                Some((parked, _)) => parked.under_way(),
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if state != Waiting::NotYet || left.is_zero() {
                return Ok(state);
            }
            sleep(pause.min(left)).await;
            pause = (pause * 2).min(LONGEST_LOOK);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Handled,
    DiedAgain,
    NotYet,
}

impl Parked {
    fn under_way(&self) -> Waiting {
        if self.redriven > self.handled.max(self.died) {
            Waiting::NotYet
        } else if self.redriven > self.handled {
            Waiting::DiedAgain
        } else {
            Waiting::Handled
        }
    }
}
