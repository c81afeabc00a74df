//! What can be asked of the command.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::child::Role;
use crate::scenario::ScenarioName;

/// Measures Headwater beside hand-written programs that do the same work on bare async-nats.
///
/// Everything is started here and stopped again: nats-server with file storage in a temporary folder, the program under
/// test in a process of its own, and the callers in this one. Both programs of a comparison run in turn, several times; a
/// ratio is the median of the pairs. A run in which a call fails, or after which the journal does not hold exactly what
/// was acknowledged, is not reported.
///
/// Build with --release. On a machine that does other work at the same time the figures say little: the last column of
/// the table tells how much that was.
#[derive(Debug, Parser)]
#[command(name = "headwater-benches", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    /// What to measure; by default everything, which takes the better part of an hour (see --list and --quick).
    #[arg(value_enum)]
    scenarios: Vec<ScenarioName>,

    /// How often each program is run in each case.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    pairs: u32,

    /// How many seconds of each run are measured, after a warm-up of a third of that.
    #[arg(long, value_name = "S", default_value_t = 5.0, value_parser = seconds)]
    seconds: f64,

    /// Calls in flight, instead of the scenario's own: for instance 1,16,64.
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=1024))]
    in_flight: Vec<u16>,

    /// Two pairs of one second, no journal above 100 000 events, and a busy machine is no error: to see that all works, not
    /// to quote.
    #[arg(long)]
    quick: bool,

    /// How many seconds to wait, at the most, before each run until the machine does nothing else.
    #[arg(long, value_name = "S", default_value_t = 0)]
    patience: u16,

    /// Also writes everything that was measured to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// The folder for the servers' files. By default the first of the temporary folder, /var/tmp and this folder that is
    /// on a disk: a file system in memory would flatter everybody.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Lists the scenarios and ends.
    #[arg(long)]
    list: bool,

    #[command(subcommand)]
    command: Option<Hidden>,
}

/// How this program starts itself.
#[derive(Debug, Subcommand)]
enum Hidden {
    /// Runs one program under test until standard input ends.
    #[command(hide = true)]
    Child {
        /// Which, and with what, as JSON.
        role: String,
    },
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "is not a number of seconds".to_owned())?;
    if (0.05..=600.0).contains(&seconds) { Ok(seconds) } else { Err("must be 0.05 to 600".to_owned()) }
}

/// How long and how often things are measured.
#[derive(Debug, Clone)]
pub(crate) struct Effort {
    /// How often each program runs in each case.
    pub(crate) pairs: u32,
    /// The time before the measuring, for connections, caches and clocks to settle.
    pub(crate) warm_up: Duration,
    /// The time that is measured.
    pub(crate) measured: Duration,
    /// How long to wait at the most before a run until the machine is quiet.
    pub(crate) patience: Duration,
    /// Whether only to see that all works.
    pub(crate) quick: bool,
    in_flight: Vec<u16>,
    /// Where the servers' files go, if somebody said so.
    pub(crate) dir: Option<PathBuf>,
}

impl Effort {
    /// How many calls to have in flight, where the scenario would have `usual`.
    pub(crate) fn in_flight(&self, usual: &[usize]) -> Vec<usize> {
        if self.in_flight.is_empty() {
            return usual.to_vec();
        }
        self.in_flight.iter().copied().map(usize::from).collect()
    }
}

impl Arguments {
    /// The program to be, when this process is one under test.
    pub(crate) fn role(&self) -> Option<Result<Role, serde_json::Error>> {
        let Some(Hidden::Child { role }) = &self.command else { return None };
        Some(serde_json::from_str(role))
    }

    /// What to measure, each once, in the order of the list.
    pub(crate) fn scenarios(&self) -> Vec<ScenarioName> {
        let asked = |name: &ScenarioName| self.scenarios.is_empty() || self.scenarios.contains(name);
        ScenarioName::all().iter().copied().filter(asked).collect()
    }

    pub(crate) fn only_list(&self) -> bool {
        self.list
    }

    pub(crate) fn json(&self) -> Option<&PathBuf> {
        self.json.as_ref()
    }

    pub(crate) fn effort(&self) -> Effort {
        let (pairs, seconds) =
            if self.quick { (self.pairs.min(2), self.seconds.min(1.0)) } else { (self.pairs, self.seconds) };
        Effort {
            pairs,
            warm_up: Duration::from_secs_f64(seconds / 3.0),
            measured: Duration::from_secs_f64(seconds),
            patience: Duration::from_secs(self.patience.into()),
            quick: self.quick,
            in_flight: self.in_flight.clone(),
            dir: self.dir.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds_together() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn scenarios_come_in_the_order_of_the_list_whatever_the_order_asked() {
        let asked = Arguments::parse_from(["headwater-benches", "cold-load", "one-event", "one-event"]);
        assert_eq!(asked.scenarios(), [ScenarioName::OneEvent, ScenarioName::ColdLoad]);
        assert_eq!(Arguments::parse_from(["headwater-benches"]).scenarios(), ScenarioName::all());
    }

    #[test]
    fn quick_never_takes_longer_than_what_was_asked() {
        let effort = |arguments: &[&str]| Arguments::parse_from(arguments).effort();
        let quick = effort(&["headwater-benches", "--quick"]);
        assert_eq!((quick.pairs, quick.measured), (2, Duration::from_secs(1)));
        let quicker = effort(&["headwater-benches", "--quick", "--pairs", "1", "--seconds", "0.2"]);
        assert_eq!((quicker.pairs, quicker.measured), (1, Duration::from_millis(200)));
    }

    #[test]
    fn a_role_is_read_from_the_hidden_command() {
        let arguments = Arguments::parse_from(["headwater-benches", "child", "{"]);
        assert!(arguments.role().is_some_and(|role| role.is_err()));
        assert!(Arguments::parse_from(["headwater-benches"]).role().is_none());
    }
}
