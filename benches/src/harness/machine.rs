//! The machine that figures come from; without it they mean nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::meter;
use crate::Fallible;

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) file_system: String,
    pub(crate) optimised: bool,
}

impl Machine {
    /// This one; `folder` is where the servers will store.
    pub(crate) fn this(folder: &Path) -> Self {
        let processor = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        });
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned());
        Self {
            processor: processor.unwrap_or_else(|| "unknown processor".to_owned()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: kernel.unwrap_or_else(|_| "unknown".to_owned()),
            file_system: file_system(folder).unwrap_or_else(|| "unknown file system".to_owned()),
            optimised: !cfg!(debug_assertions),
        }
    }
}

/// How many processes wanted to run in the last minute, on average.
pub(crate) fn load_average() -> f64 {
    let first = |text: String| text.split_whitespace().next()?.parse().ok();
    fs::read_to_string("/proc/loadavg").ok().and_then(first).unwrap_or(f64::NAN)
}

/// How long the machine must have nothing to do to count as quiet.
const QUIET_FOR: Duration = Duration::from_millis(500);

/// How much it may do in that time all the same, in processor time.
const QUIET: Duration = Duration::from_millis(75);

/// Waits until nothing much runs, while nobody calls the programs under test, but at the most for `patience`.
pub(crate) async fn until_quiet(patience: Duration) -> Fallible<()> {
    let limit = Instant::now() + patience;
    while Instant::now() < limit {
        let before = meter::of_machine()?;
        tokio::time::sleep(QUIET_FOR).await;
        if meter::of_machine()?.saturating_sub(before) < QUIET {
            break;
        }
    }
    Ok(())
}

/// Where the servers store: what was asked for, or the first usual place that is on a disk.
pub(crate) fn folder_on_disk(asked: Option<&Path>) -> Fallible<PathBuf> {
    if let Some(asked) = asked {
        return Ok(fs::canonicalize(asked)?);
    }
    let places = [std::env::temp_dir(), PathBuf::from("/var/tmp"), std::env::current_dir()?];
    let on_disk = |place: &PathBuf| {
        file_system(place).is_none_or(|kind| !matches!(kind.as_str(), "tmpfs" | "ramfs")) && writable(place)
    };
    places.into_iter().find(on_disk).ok_or_else(|| "no folder on a disk was found; name one with --dir".into())
}

fn writable(folder: &Path) -> bool {
    tempfile::tempdir_in(folder).is_ok()
}

/// The kind of file system that `folder` is on.
fn file_system(folder: &Path) -> Option<String> {
    let folder = fs::canonicalize(folder).ok()?;
    kind_of(&fs::read_to_string("/proc/self/mounts").ok()?, &folder)
}

/// The kind of the longest mount point that leads to `folder`; of equally long ones the last is on top.
fn kind_of(mounts: &str, folder: &Path) -> Option<String> {
    let mount = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (point, kind) = (fields.next()?.replace("\\040", " "), fields.next()?.to_owned());
        folder.starts_with(&point).then_some((point.len(), kind))
    };
    mounts.lines().filter_map(mount).max_by_key(|(length, _)| *length).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_is_that_of_the_nearest_mount_point() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/vdb /tmp/on\\040disk xfs rw 0 0\n";
        let kind = |folder: &str| kind_of(mounts, Path::new(folder));
        assert_eq!(kind("/var/tmp").as_deref(), Some("ext4"));
        assert_eq!(kind("/tmp/x").as_deref(), Some("tmpfs"));
        assert_eq!(kind("/tmp/on disk/x").as_deref(), Some("xfs"));
        assert_eq!(kind("/tmpfolder").as_deref(), Some("ext4"));
    }

    #[test]
    fn this_machine_can_be_described() {
        let folder = folder_on_disk(None).unwrap();
        let machine = Machine::this(&folder);
        assert!(machine.cores > 0 && machine.file_system != "tmpfs", "{machine:?}");
        assert!(load_average() >= 0.0);
    }
}
