//! What is in a snapshot, and when one is believed.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::entity::Entity;
use super::index::{CommandIndex, Forgotten};
use crate::store::Head;
use crate::{AggregateType, Revision, Sequence};

/// A snapshot as it is stored.
#[derive(Serialize, Deserialize)]
struct Written<'a> {
    /// The version of this form itself.
    form: u32,
    /// Which shape and code folded the state.
    fingerprint: std::borrow::Cow<'a, str>,
    revision: Revision,
    recent: Vec<Sequence>,
    commands: std::borrow::Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    forgotten: Option<Forgotten>,
    #[serde(borrow)]
    state: &'a RawValue,
}

const FORM: u32 = 1;

/// Hex digits before the JSON: a snapshot with a flipped bit must not pass for a state.
const CHECKSUM: usize = 16;

/// The entity as a snapshot; none when its state cannot be written.
pub(super) fn write(described: &AggregateType, entity: &Entity) -> Option<Bytes> {
    let state = String::from_utf8(entity.state.to_json().ok()?).ok()?;
    let state = RawValue::from_string(state).ok()?;
    let (commands, forgotten) = entity.commands.written();
    let written = Written {
        form: FORM,
        fingerprint: described.fingerprint().into(),
        revision: entity.revision(),
        recent: entity.head.recent().to_vec(),
        commands: commands.into(),
        forgotten,
        state: &state,
    };
    let mut bytes = vec![0; CHECKSUM];
    serde_json::to_writer(&mut bytes, &written).ok()?;
    let checksum = checksum(&bytes[CHECKSUM..]);
    bytes[..CHECKSUM].copy_from_slice(checksum.as_bytes());
    Some(Bytes::from(bytes))
}

fn checksum(json: &[u8]) -> String {
    Sha256::digest(json)[..CHECKSUM / 2].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The entity in a snapshot. None when another shape or code folded it, when it cannot be read,
/// or when it does not stand on the journal's history, whose head is `journal`: it is thrown away
/// then and the journal is read instead.
pub(super) fn read(described: &AggregateType, snapshot: &[u8], journal: &Head) -> Option<Entity> {
    let (sum, json) = snapshot.split_at_checked(CHECKSUM)?;
    if sum != checksum(json).as_bytes() {
        return None;
    }
    let written: Written<'_> = serde_json::from_slice(json).ok()?;
    if written.form != FORM || written.fingerprint != described.fingerprint() {
        return None;
    }
    let head = Head::new(written.revision, written.recent);
    if !stands_on(&head, journal) {
        return None;
    }
    let state = described.read_state(written.state.get()).ok()?;
    let commands = CommandIndex::read(&written.commands, written.forgotten)?;
    Some(Entity::restored(state, head, commands, written.state.get().len()))
}

/// Whether `head` is an earlier moment of the history that ends at `journal`, as far as the two
/// can tell: a restored or recreated journal has other sequences.
fn stands_on(head: &Head, journal: &Head) -> bool {
    let Some(behind) = journal.revision().get().checked_sub(head.revision().get()) else { return false };
    if head.revision() == Revision::ZERO || head.sequence() > journal.sequence() {
        return false;
    }
    let then = usize::try_from(behind).ok().and_then(|behind| journal.recent().get(behind));
    then.is_none_or(|then| *then == head.sequence())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(revision: u64, newest_first: &[u64]) -> Head {
        Head::new(Revision::new(revision), newest_first.iter().copied().map(Sequence::new).collect())
    }

    #[test]
    fn a_snapshot_stands_on_its_own_history_and_no_other() {
        let journal = head(5, &[50, 40, 30, 20, 10]);
        assert!(stands_on(&head(5, &[50, 40]), &journal));
        assert!(stands_on(&head(3, &[30, 20, 10]), &journal));
        assert!(!stands_on(&head(3, &[31, 20, 10]), &journal), "another event stands there");
        assert!(!stands_on(&head(6, &[60]), &journal), "it is ahead");
        assert!(!stands_on(&head(5, &[51]), &journal));
        assert!(!stands_on(&Head::EMPTY, &journal));
        assert!(stands_on(&head(2, &[9]), &head(100, &[900])), "too far back to tell");
        assert!(!stands_on(&head(2, &[901]), &head(100, &[900])));
    }
}
