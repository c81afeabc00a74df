//! A file that may change while the service runs: what was read last stays in use until something better can be read.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::count::Count;

/// How often a file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a look may take before it is complained about; it goes on all the same.
const LOOK_WITHIN: Duration = Duration::from_secs(5);

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Makes something of a file's content; the error says what is wrong, without any of the content.
pub(super) type Parse<T> = Box<dyn Fn(&[u8]) -> Result<T, String> + Send + Sync>;

/// What a file holds.
pub(super) struct Watched<T> {
    path: PathBuf,
    parse: Parse<T>,
    current: RwLock<Arc<T>>,
    /// Grows whenever there is something new.
    generation: AtomicU64,
    last: Mutex<Look>,
    counts: Arc<Reloads>,
}

/// What was found at the last look.
#[derive(Debug)]
struct Look {
    stamp: Option<Stamp>,
    was_usable: bool,
}

/// How often files that changed could be read, and could not.
#[derive(Debug, Default)]
pub(crate) struct Reloads {
    pub(crate) done: Count,
    pub(crate) failed: Count,
}

/// By what a change of the file is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stamp {
    Seen {
        modified: Option<SystemTime>,
        length: u64,
    },
    /// It cannot even be looked at.
    Unseen(ErrorKind),
}

impl<T: Send + Sync + 'static> Watched<T> {
    /// Reads the file for the first time.
    pub(super) fn open(path: &Path, parse: Parse<T>, counts: &Arc<Reloads>) -> Result<Self, String> {
        // Taken before the file is read: a change in between is then seen at the next look.
        let stamp = Stamp::of(path);
        let first = read(path).and_then(|content| parse(&content))?;
        Ok(Self {
            path: path.to_owned(),
            parse,
            current: RwLock::new(Arc::new(first)),
            generation: AtomicU64::new(0),
            last: Mutex::new(Look { stamp: Some(stamp), was_usable: true }),
            counts: Arc::clone(counts),
        })
    }

    /// Something that never changes.
    pub(super) fn fixed(value: T) -> Self {
        Self {
            path: PathBuf::new(),
            parse: Box::new(|_| Err("does not change".to_owned())),
            current: RwLock::new(Arc::new(value)),
            generation: AtomicU64::new(0),
            last: Mutex::new(Look { stamp: None, was_usable: true }),
            counts: Arc::default(),
        }
    }

    /// What was read last, and its generation: taken first, so that whoever remembers something under it forgets rather too
    /// much than too little.
    pub(super) fn current(&self) -> (u64, Arc<T>) {
        let generation = self.generation();
        (generation, Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Looks at the file every second, for ever.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let watched = Arc::clone(&self);
            let mut look = spawn_blocking(move || watched.look());
            if timeout(LOOK_WITHIN, &mut look).await.is_err() {
                tracing::warn!(file = %self.path.display(), "looking at the file takes long");
                let _ = look.await;
            }
        }
    }

    /// Reads the file if it has changed.
    fn look(&self) {
        let stamp = Stamp::of(&self.path);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let has_changed = last.stamp.as_ref() != Some(&stamp);
        if !has_changed && last.was_usable {
            return;
        }
        // A file that could not be used is tried again: it may have been read while it was being written, and clocks of file
        // systems are coarse.
        let read = read(&self.path).and_then(|content| (self.parse)(&content));
        *last = Look { stamp: Some(stamp), was_usable: read.is_ok() };
        match read {
            Ok(new) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
                self.generation.fetch_add(1, Ordering::Release);
                self.counts.done.add(1);
                tracing::info!(file = %self.path.display(), "the file has changed and was read again");
            }
            Err(_) if !has_changed => {}
            Err(problem) => {
                self.counts.failed.add(1);
                tracing::error!(
                    file = %self.path.display(), problem,
                    "the file has changed and cannot be used; what it held before stays in use"
                );
            }
        }
    }
}

impl Stamp {
    fn of(path: &Path) -> Self {
        match std::fs::metadata(path) {
            Ok(metadata) => Self::Seen { modified: metadata.modified().ok(), length: metadata.len() },
            Err(error) => Self::Unseen(error.kind()),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    let file = File::open(path).map_err(|error| format!("cannot be read: {}", error.kind()))?;
    let length = file.take(MAX_BYTES + 1).read_to_end(&mut content);
    match length.map_err(|error| format!("cannot be read: {}", error.kind()))? {
        length if length as u64 > MAX_BYTES => Err(format!("has more than {MAX_BYTES} bytes")),
        _ => Ok(content),
    }
}

/// Without the content.
impl<T> std::fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched")
            .field("path", &self.path)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(content: &[u8]) -> Result<u32, String> {
        let text = std::str::from_utf8(content).map_err(|_| "is not text")?;
        text.trim().parse().map_err(|_| "is not a number".to_owned())
    }

    #[test]
    fn what_was_read_last_stays_until_something_better_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("number");
        let counts = Arc::new(Reloads::default());
        let open = || Watched::open(&path, Box::new(number), &counts);
        assert_eq!(open().unwrap_err(), "cannot be read: entity not found");
        std::fs::write(&path, "x").unwrap();
        assert_eq!(open().unwrap_err(), "is not a number");
        std::fs::write(&path, "1").unwrap();
        let watched = open().unwrap();
        watched.look();
        assert_eq!((watched.current(), counts.done.get()), ((0, Arc::new(1)), 0));

        std::fs::write(&path, "rubbish").unwrap();
        watched.look();
        watched.look();
        assert_eq!((watched.current(), counts.failed.get()), ((0, Arc::new(1)), 1));
        std::fs::remove_file(&path).unwrap();
        watched.look();
        assert_eq!((watched.current(), counts.failed.get()), ((0, Arc::new(1)), 2));
        std::fs::write(&path, vec![b'1'; 1 << 21]).unwrap();
        watched.look();
        assert_eq!((watched.current(), counts.failed.get()), ((0, Arc::new(1)), 3));

        std::fs::write(&path, "22").unwrap();
        watched.look();
        assert_eq!((watched.current(), counts.done.get()), ((1, Arc::new(22)), 1));
    }
}
