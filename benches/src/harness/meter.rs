//! Processor time: of the program under test, of the servers, of the callers, and of everybody else on the machine.

use std::fs;
use std::time::Duration;

use tokio::time::Instant;

use crate::Fallible;

/// Reads how much processor time has been used so far.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    programs: Vec<u32>,
    servers: Vec<u32>,
}

/// The clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    at: Instant,
    spent: Spent,
}

/// Processor time, user and system together. `/proc` counts it in ticks of a hundredth of a second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Spent {
    pub(crate) programs: Duration,
    pub(crate) servers: Duration,
    pub(crate) callers: Duration,
    /// Everything else that ran on the machine.
    pub(crate) others: Duration,
}

impl Meter {
    pub(crate) fn new(programs: Vec<u32>, servers: Vec<u32>) -> Self {
        Self { programs, servers }
    }

    pub(crate) fn mark(&self) -> Fallible<Mark> {
        let programs = all(&self.programs)?;
        let servers = all(&self.servers)?;
        let callers = of_process("self")?;
        let others = of_machine()?.saturating_sub(programs + servers + callers);
        Ok(Mark { at: Instant::now(), spent: Spent { programs, servers, callers, others } })
    }
}

impl Mark {
    pub(crate) fn at(&self) -> Instant {
        self.at
    }

    /// What was spent from then until this mark.
    pub(crate) fn since(&self, then: &Self) -> Spent {
        let (now, then) = (self.spent, then.spent);
        Spent {
            programs: now.programs.saturating_sub(then.programs),
            servers: now.servers.saturating_sub(then.servers),
            callers: now.callers.saturating_sub(then.callers),
            others: now.others.saturating_sub(then.others),
        }
    }
}

fn all(pids: &[u32]) -> Fallible<Duration> {
    pids.iter().map(|pid| of_process(&pid.to_string())).sum()
}

fn of_process(pid: &str) -> Fallible<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    process_ticks(&stat).map(time).ok_or_else(|| format!("/proc/{pid}/stat has an unknown form").into())
}

/// How much processor time the machine has spent since it was started.
pub(super) fn of_machine() -> Fallible<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    machine_ticks(&stat).map(time).ok_or_else(|| "/proc/stat has an unknown form".into())
}

fn time(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// The resident memory of a process, in bytes.
pub(crate) fn resident(pid: u32) -> Fallible<u64> {
    memory(pid, "VmRSS:")
}

/// The most resident memory that a process ever had, in bytes.
pub(crate) fn most_resident(pid: u32) -> Fallible<u64> {
    memory(pid, "VmHWM:")
}

fn memory(pid: u32, field: &str) -> Fallible<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().next()?.parse().ok());
    kilobytes.map(|kilobytes: u64| kilobytes * 1024).ok_or_else(|| format!("/proc/{pid}/status has no {field}").into())
}

/// Fields 14 and 15, counted behind the name, which may hold spaces.
fn process_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    Some(times.next()?.ok()? + times.next()?.ok()?)
}

/// All but the fourth and fifth time, in which the processors had nothing to do, and the last two, which are counted in
/// the first two as well.
fn machine_ticks(stat: &str) -> Option<u64> {
    let times: Option<Vec<u64>> =
        stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().map(|time| time.parse().ok()).collect();
    let busy = times?.into_iter().take(8).enumerate().filter(|(place, _)| !matches!(place, 3 | 4));
    Some(busy.map(|(_, time)| time).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_whose_name_holds_brackets_and_spaces_is_read() {
        let stat = "42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 700 30 0 0 20 0 4";
        assert_eq!(process_ticks(stat), Some(730));
        assert_eq!(process_ticks("42 (short) S 1"), None);
    }

    #[test]
    fn idle_time_and_waiting_for_disks_are_not_work() {
        assert_eq!(machine_ticks("cpu  100 1 20 9000 500 2 3 4 50 60\ncpu0 1"), Some(130));
    }

    #[test]
    fn this_process_and_this_machine_can_be_read() {
        let meter = Meter::new(vec![std::process::id()], Vec::new());
        let first = meter.mark().unwrap();
        let spent = meter.mark().unwrap().since(&first);
        assert!(spent.programs < Duration::from_secs(60) && spent.servers.is_zero());
        let now = resident(std::process::id()).unwrap();
        assert!(now > 100_000 && most_resident(std::process::id()).unwrap() >= now);
    }
}
