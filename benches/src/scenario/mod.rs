//! What is compared, one file for each scenario.

mod cluster;
mod cold_load;
mod commands;
mod consume;
mod features;
mod get;
mod hot;
mod lag;
mod memory;
mod mixed;
mod one_event;
mod overload;
mod publish;
mod read;
mod snapshot_load;
mod sync_always;
mod two_event;

use std::process::ExitCode;

use chrono::Utc;
use clap::ValueEnum;

use crate::Fallible;
use crate::arguments::{Arguments, Effort};
use crate::harness::machine::{self, Machine};
use crate::report::{self, Case, Report};

/// Which scenarios there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScenarioName {
    /// One-event commands on distinct receipts, against the same by hand.
    OneEvent,
    /// The state of a receipt in memory, against an echo of the same bytes.
    Get,
    /// The state of a receipt that is not in memory, against reading it by hand.
    ColdLoad,
    /// The same with snapshots, right after a restart of the server, in journals of up to three million events.
    SnapshotLoad,
    /// One-event commands with every feature of a service on, against the same with none.
    Features,
    /// Two-event commands on distinct receipts, against one atomic batch each by hand.
    TwoEvent,
    /// One-event and two-event commands together, against the same by hand.
    Mixed,
    /// One-event commands on a server that syncs before it acknowledges, against the same by hand.
    SyncAlways,
    /// All commands on one receipt, against read, decide, publish and retry by hand.
    Hot,
    /// The same with two processes of each program.
    TwoInstances,
    /// A million events read in order, as the domain's types, against an ordered consumer that counts.
    Read,
    /// The memory that a receipt in memory takes.
    Memory,
    /// One-event commands on a journal with three replicas, against the same by hand.
    Cluster,
    /// Ten times the load that the service sustains, against that load.
    Overload,
    /// Messages published with a window of acknowledgements, against such a loop by hand.
    Publish,
    /// Messages read through a durable consumer and acknowledged one by one, against a bare pull consumer.
    Consume,
    /// The same through a router's handler that takes the payload as its type.
    Process,
    /// The memory of a consumer that lags by a million messages, until it has caught up.
    Lag,
}

impl ScenarioName {
    pub(crate) fn all() -> &'static [Self] {
        Self::value_variants()
    }

    async fn run(self, effort: &Effort) -> Fallible<Vec<Case>> {
        match self {
            Self::OneEvent => one_event::run(effort).await,
            Self::Get => get::run(effort).await,
            Self::ColdLoad => cold_load::run(effort).await,
            Self::SnapshotLoad => snapshot_load::run(effort).await,
            Self::Features => features::run(effort).await,
            Self::TwoEvent => two_event::run(effort).await,
            Self::Mixed => mixed::run(effort).await,
            Self::SyncAlways => sync_always::run(effort).await,
            Self::Hot => hot::one_instance(effort).await,
            Self::TwoInstances => hot::two_instances(effort).await,
            Self::Read => read::run(effort).await,
            Self::Memory => memory::run(effort).await,
            Self::Cluster => cluster::run(effort).await,
            Self::Overload => overload::run(effort).await,
            Self::Publish => publish::run(effort).await,
            Self::Consume => consume::by_subscription(effort).await,
            Self::Process => consume::by_router(effort).await,
            Self::Lag => lag::run(effort).await,
        }
    }

    /// Its name and what it is, for the list.
    fn described(self) -> (String, String) {
        let value = self.to_possible_value();
        let name = value.as_ref().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let help = value.as_ref().and_then(|value| value.get_help()).map(ToString::to_string).unwrap_or_default();
        (name, help)
    }
}

/// Measures what was asked for. A scenario that fails does not keep the others from being measured.
pub(crate) async fn run_all(arguments: &Arguments) -> ExitCode {
    if arguments.only_list() {
        for scenario in ScenarioName::all() {
            let (name, help) = scenario.described();
            report::show(&format!("{name:<14} {help}"));
        }
        return ExitCode::SUCCESS;
    }
    match measure(arguments).await {
        Ok(report) => {
            report.print();
            if report.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            report::complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> Fallible<Report> {
    let effort = arguments.effort();
    let folder = machine::folder_on_disk(effort.dir.as_deref())?;
    let mut report = Report {
        started: Utc::now(),
        machine: Machine::this(&folder),
        pairs: effort.pairs,
        measured_seconds: effort.measured.as_secs_f64(),
        caller: "plain async-nats requests",
        cases: Vec::new(),
        refused: Vec::new(),
    };
    for scenario in arguments.scenarios() {
        let (name, help) = scenario.described();
        report::tell(&format!("{name}: {help} (load average {:.2})", machine::load_average()));
        match scenario.run(&effort).await {
            Ok(cases) => report.cases.extend(cases),
            Err(error) => {
                report::complain(&format!("{name}: {error}"));
                report.refused.push(format!("{name}: {error}"));
            }
        }
        // After each, so that an hour's figures do not go with the last scenario.
        if let Some(file) = arguments.json() {
            report.write_json(file)?;
        }
    }
    Ok(report)
}
