//! Which commands an aggregate has carried out, and where in its history.

use std::collections::HashMap;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{CommandId, RecordedEvent, Revision};

/// How many commands a snapshot remembers, the newest; about 24 bytes each.
const KEPT_IN_SNAPSHOT: usize = 1024;

/// How far a caller's clock may be ahead of ours before the time in its command ids means nothing.
const CLOCK_SKEW: TimeDelta = TimeDelta::hours(1);

/// At which revision each command id first shows in the history. It holds hashes: a hit says
/// where to look, and the stored event says whether it was the same command.
#[derive(Default)]
pub(super) struct CommandIndex {
    seen: HashMap<CommandKey, Seen>,
    /// What came before is not known; it was left out of the snapshot.
    forgotten: Option<Forgotten>,
}

/// The end of the part of a history whose commands are not in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Forgotten {
    /// The last revision of that part.
    pub(super) until: Revision,
    /// The time of the first event after it, or earlier.
    before: DateTime<Utc>,
}

/// Where a command id was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// The revision of the command's first event.
    pub(super) first: Revision,
    /// When it was carried out.
    time: DateTime<Utc>,
    /// What the command was, when it was carried out here; a history does not tell.
    pub(super) fingerprint: Option<Fingerprint>,
}

/// What the index knows a command id by: a hash of it. It is in stored snapshots, so it must be the same in every
/// release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct CommandKey(u64);

impl CommandKey {
    pub(super) fn of(command: &CommandId) -> Self {
        let digest = Sha256::digest(command.as_str().as_bytes());
        Self(u64::from_be_bytes(digest[..8].try_into().expect("SHA-256 has 32 bytes")))
    }
}

/// A hash of a command's name and payload: two commands with one id and different fingerprints are
/// not the same command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of a command. The order of a payload's members does not matter.
    pub(super) fn of(command: &str, payload: &Value) -> Self {
        let mut hasher = DefaultHasher::new();
        command.hash(&mut hasher);
        payload.hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl CommandIndex {
    /// Where `command` may have been carried out, as far as the index goes.
    pub(super) fn seen(&self, command: CommandKey) -> Option<Seen> {
        self.seen.get(&command).copied()
    }

    /// The part of the history that has to be read to be sure that `command`, which the index does
    /// not have, is new. None when there is no such part, or when the command's id is a UUIDv7
    /// made well after it.
    pub(super) fn doubtful(&self, command: &CommandId) -> Option<Forgotten> {
        let forgotten = self.forgotten?;
        let made = Uuid::parse_str(command.as_str()).ok().and_then(|id| id.get_timestamp()).map(|made| made.to_unix());
        let made = made.and_then(|(seconds, nanos)| DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos));
        made.is_none_or(|made| made - CLOCK_SKEW <= forgotten.before).then_some(forgotten)
    }

    pub(super) fn note(
        &mut self,
        command: CommandKey,
        first: Revision,
        time: DateTime<Utc>,
        fingerprint: Option<Fingerprint>,
    ) {
        self.seen.entry(command).or_insert(Seen { first, time, fingerprint });
    }

    /// Takes in the part that was forgotten.
    pub(super) fn remember(&mut self, events: &[RecordedEvent]) {
        let Some(forgotten) = self.forgotten else { return };
        for event in events.iter().filter(|event| event.revision <= forgotten.until) {
            let entry = self.seen.entry(CommandKey::of(&event.event.metadata.command_id));
            let earlier = Seen { first: event.revision, time: event.event.time, fingerprint: None };
            entry.and_modify(|seen| seen.first = seen.first.min(event.revision)).or_insert(earlier);
        }
        self.forgotten = None;
    }

    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    /// The newest commands as text, and what that leaves out.
    pub(super) fn written(&self) -> (String, Option<Forgotten>) {
        let mut newest: Vec<_> = self.seen.iter().map(|(key, seen)| (seen.first, seen.time, key.0)).collect();
        newest.sort_unstable_by_key(|(first, ..)| std::cmp::Reverse(*first));
        let mut forgotten = self.forgotten;
        if let Some((first, ..)) = newest.get(KEPT_IN_SNAPSHOT) {
            let kept = &newest[..KEPT_IN_SNAPSHOT];
            let before = kept.iter().map(|(_, time, _)| *time).min().unwrap_or(DateTime::UNIX_EPOCH);
            // A command's later events lie between its first and the next command's, so nothing of it is kept by half.
            let until = kept.last().map_or(*first, |(oldest, ..)| Revision::new(oldest.get().saturating_sub(1)));
            forgotten = Some(Forgotten { until, before });
            newest.truncate(KEPT_IN_SNAPSHOT);
        }
        let mut text = String::with_capacity(newest.len() * 40);
        for (first, time, hash) in newest {
            // Writing to a String cannot fail.
            let _ = write!(text, "{hash:x}:{first}:{},", time.timestamp_micros());
        }
        (text, forgotten)
    }

    /// The index that [`written`](Self::written) wrote; none when the text is not one.
    pub(super) fn read(text: &str, forgotten: Option<Forgotten>) -> Option<Self> {
        let mut seen = HashMap::new();
        for entry in text.split_terminator(',') {
            let mut parts = entry.split(':');
            let hash = u64::from_str_radix(parts.next()?, 16).ok()?;
            let first = parts.next()?.parse().ok()?;
            let time = DateTime::from_timestamp_micros(parts.next()?.parse().ok()?)?;
            seen.insert(CommandKey(hash), Seen { first, time, fingerprint: None });
        }
        Some(Self { seen, forgotten })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(command: &str) -> CommandKey {
        CommandKey::of(&CommandId::new(command).unwrap())
    }

    fn index(commands: u64) -> CommandIndex {
        let mut index = CommandIndex::default();
        for number in 1..=commands {
            let time = DateTime::from_timestamp(1_000_000 + number as i64, 0).unwrap();
            index.note(key(&format!("c{number}")), Revision::new(number), time, None);
        }
        index
    }

    #[test]
    fn an_index_survives_being_written_and_read() {
        let (text, forgotten) = index(100).written();
        assert_eq!(forgotten, None);
        let read = CommandIndex::read(&text, forgotten).unwrap();
        assert_eq!(read.len(), 100);
        assert_eq!(read.seen(key("c7")).unwrap().first, Revision::new(7));
        assert!(read.doubtful(&CommandId::new("unheard-of").unwrap()).is_none());
        assert!(CommandIndex::read("x:1:2,", None).is_none());
    }

    #[test]
    fn what_a_snapshot_leaves_out_is_doubtful_but_for_ids_made_well_after_it() {
        let (text, forgotten) = index(3000).written();
        let forgotten = forgotten.unwrap();
        assert_eq!(forgotten.until, Revision::new(3000 - KEPT_IN_SNAPSHOT as u64));
        let read = CommandIndex::read(&text, Some(forgotten)).unwrap();
        assert!(read.seen(key("c3000")).is_some());
        assert!(read.seen(key("c1")).is_none());
        assert_eq!(read.doubtful(&CommandId::new("c1").unwrap()), Some(forgotten));
        assert_eq!(read.doubtful(&CommandId::generate()), None);
    }
}
