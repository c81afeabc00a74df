//! What the service promises to its callers and its own future: the schema lock.

use std::path::Path;
use std::{fs, io};

use headwater::evolution::{Compatibility, SchemaLock};
use headwater::{AggregateType, Described as _};
use sample_receipts::domain::Receipt;

use crate::arguments::SchemaLockArguments;
use crate::complaint::Complaint;
use crate::output::Output;

/// What released versions promised.
const RELEASED: &str = include_str!("../schema.lock.json");

/// The lock of released versions, to start with.
pub(crate) fn released() -> Result<SchemaLock, Complaint> {
    SchemaLock::from_json(RELEASED).map_err(|error| Complaint::new("schema.lock.json", &error))
}

/// Prints the lock, checks this program against a file, or brings the file up to date.
pub(crate) fn run(arguments: &SchemaLockArguments, output: &mut Output) -> Result<(), Complaint> {
    let SchemaLockArguments { check, write, compatibility } = arguments;
    let receipt = Receipt::describe(().into()).build();
    let types = [receipt.map_err(|error| Complaint::new("the receipt is not described well", &error))?];
    match (check, write) {
        (Some(file), _) => {
            up_to_date(file, &types, *compatibility)?;
            output.line(format_args!(
                "{} holds all that is promised, and it is kept ({compatibility})",
                file.display()
            ))?;
        }
        (None, Some(file)) => {
            bring_up_to_date(file, &types, *compatibility)?;
            output.line(format_args!("{} is up to date", file.display()))?;
        }
        (None, None) => output.lines("", SchemaLock::of(&types).to_json().lines())?,
    }
    Ok(())
}

fn up_to_date(file: &Path, types: &[AggregateType], compatibility: Compatibility) -> Result<(), Complaint> {
    let lock = read(file)?.ok_or_else(|| complaint(file, "there is no such file; --write makes it"))?;
    lock.check(types, compatibility).map_err(|broken| complaint(file, broken))?;
    match lock.unlocked(types) {
        unlocked if unlocked.is_empty() => Ok(()),
        unlocked => Err(complaint(file, format!("not in it yet; --write adds it:\n- {}", unlocked.join("\n- ")))),
    }
}

fn bring_up_to_date(file: &Path, types: &[AggregateType], compatibility: Compatibility) -> Result<(), Complaint> {
    let lock = read(file)?.unwrap_or_default();
    lock.check(types, compatibility).map_err(|broken| complaint(file, broken))?;
    fs::write(file, lock.updated(types).to_json()).map_err(|error| complaint(file, error))
}

/// The lock in the file; none when the file is not there.
fn read(file: &Path) -> Result<Option<SchemaLock>, Complaint> {
    match fs::read_to_string(file) {
        Ok(text) => {
            SchemaLock::from_json(&text).map(Some).map_err(|error| Complaint::new(&file.display().to_string(), &error))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(complaint(file, error)),
    }
}

fn complaint(file: &Path, what: impl std::fmt::Display) -> Complaint {
    Complaint::Failed(format!("{}: {what}", file.display()))
}
