//! The lock file beside a crate's sources, for the test that keeps it.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use super::{Compatibility, SchemaLock};
use crate::AggregateType;

/// Set to `1`, it makes [`assert_compatible`] write the lock file instead of complaining that it is not up
/// to date.
pub const UPDATE_LOCK: &str = "HEADWATER_UPDATE_LOCK";

/// For a test: checks these aggregate types against a committed lock file, and that the file holds all they
/// promise. A relative path starts at the folder of the crate under test (`CARGO_MANIFEST_DIR`).
///
/// With `HEADWATER_UPDATE_LOCK=1` the file is written when it is not there or not up to date; what is not
/// compatible is never written over. [`Compatibility::Off`] checks nothing, and writes all the same.
///
/// # Panics
/// With all problems and what to do about each, when something is not compatible, when the file is not
/// there or not up to date, or when it cannot be read or written.
#[track_caller]
pub fn assert_compatible(file: impl AsRef<Path>, types: &[AggregateType], compatibility: Compatibility) {
    let file = match env::var_os("CARGO_MANIFEST_DIR") {
        Some(folder) => PathBuf::from(folder).join(file),
        None => file.as_ref().to_owned(),
    };
    let is_updating = env::var_os(UPDATE_LOCK).is_some_and(|value| !value.is_empty() && value != "0");
    if let Err(complaint) = settle(&file, types, compatibility, is_updating) {
        panic!("{}: {complaint}", file.display());
    }
}

fn settle(file: &Path, types: &[AggregateType], compatibility: Compatibility, is_updating: bool) -> Result<(), String> {
    let lock = match fs::read_to_string(file) {
        Ok(text) => SchemaLock::from_json(&text).map_err(|error| with_source(&error))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match (is_updating, compatibility) {
                (true, _) => write(file, &SchemaLock::of(types)),
                (false, Compatibility::Off) => Ok(()),
                (false, _) => Err(format!("there is no lock file yet; {}", update("write it"))),
            };
        }
        Err(error) => return Err(format!("the lock file cannot be read: {error}")),
    };
    lock.check(types, compatibility).map_err(|incompatible| {
        format!(
            "{incompatible}\nWhat was never released, or is given up on purpose, can be taken out of the lock file."
        )
    })?;
    let unlocked = lock.unlocked(types);
    match (unlocked.is_empty(), is_updating, compatibility) {
        (true, ..) | (false, false, Compatibility::Off) => Ok(()),
        (false, true, _) => write(file, &lock.updated(types)),
        (false, false, _) => Err(format!(
            "the code is compatible, and promises what the lock file does not hold yet; {}:\n- {}",
            update("add it"),
            unlocked.join("\n- ")
        )),
    }
}

fn update(verb: &str) -> String {
    format!("run this test with {UPDATE_LOCK}=1 to {verb}, and commit the file")
}

fn write(file: &Path, lock: &SchemaLock) -> Result<(), String> {
    fs::write(file, lock.to_json()).map_err(|error| format!("the lock file cannot be written: {error}"))
}

fn with_source(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) if !error.to_string().contains(&source.to_string()) => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}
