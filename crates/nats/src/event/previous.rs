//! The `previous` member: where the aggregate's earlier events stand in the journal.

use headwater_core::store::MAX_PREVIOUS;
use headwater_core::{Revision, Sequence};

use super::EventError;

/// The place of an earlier event of the same aggregate, as the writer of the next one knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Previous {
    /// Stored before, at this sequence.
    At(Sequence),
    /// This many messages back in the same batch; its sequence is not known yet.
    Back(u32),
}

/// Newest first, comma-separated, at most [`MAX_PREVIOUS`].
pub(super) fn write(places: &[Previous]) -> String {
    let mut text = String::with_capacity(places.len().min(MAX_PREVIOUS) * 9);
    let mut digits = itoa::Buffer::new();
    for place in places.iter().take(MAX_PREVIOUS) {
        if !text.is_empty() {
            text.push(',');
        }
        match place {
            Previous::At(sequence) => text.push_str(digits.format(sequence.get())),
            Previous::Back(messages) => {
                text.push('-');
                text.push_str(digits.format(*messages));
            }
        }
    }
    text
}

/// The places named by `text`, relative ones counted back from `own`.
///
/// Strict, because a wrong place here would be found only when the history is read: each lies before the one named
/// before it, there are no more than the revision allows, and none is missing where the revision says there must be.
pub(super) fn read(text: Option<&str>, revision: Revision, own: Sequence) -> Result<Vec<Sequence>, EventError> {
    let wrong = |what| EventError::member("previous", what);
    let earlier = usize::try_from(revision.get() - 1).unwrap_or(usize::MAX);
    let Some(text) = text else {
        return if earlier == 0 { Ok(Vec::new()) } else { Err(wrong("is missing")) };
    };
    if earlier == 0 {
        return Err(wrong("stands in the event of revision 1"));
    }
    let mut places = Vec::with_capacity(earlier.min(MAX_PREVIOUS));
    let mut newer = own.get();
    for item in text.split(',') {
        if places.len() == earlier.min(MAX_PREVIOUS) {
            return Err(wrong("names too many events"));
        }
        let place = place(item, own).ok_or_else(|| wrong("holds something that is no sequence"))?;
        if place == 0 || place >= newer {
            return Err(wrong("is not in falling order"));
        }
        newer = place;
        places.push(Sequence::new(place));
    }
    Ok(places)
}

fn place(item: &str, own: Sequence) -> Option<u64> {
    let (digits, relative) = item.strip_prefix('-').map_or((item, false), |digits| (digits, true));
    // `parse` would also take a plus sign.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = digits.parse().ok()?;
    if relative { own.get().checked_sub(number) } else { Some(number) }
}
