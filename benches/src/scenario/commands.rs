//! One run of commands against one program: a fresh journal, callers, a check of what is stored.

use futures_util::future::try_join_all;

use crate::Fallible;
use crate::arguments::Effort;
use crate::child::{ByHand, Features, Loading, Ours, Role, TOKEN};
use crate::harness::journal::{self, Promised};
use crate::harness::load;
use crate::harness::machine::load_average;
use crate::harness::pairs::alternate;
use crate::harness::process::Program;
use crate::harness::reading::Reading;
use crate::harness::world::World;
use crate::receipts::{Commands, Script};
use crate::report::{self, Bar, Case, Contender};

/// The programs, in the order of their runs.
const HEADWATER: &str = "headwater";
/// With every feature on.
const EVERYTHING: &str = "every feature";
const BY_HAND: &str = "by hand";
/// By hand, and commands on one receipt wait for each other within a process.
const BY_HAND_IN_TURN: &str = "by hand, in turn";

/// How many receipts the callers have together, so that they are all in memory and none is asked twice at once.
const RECEIPTS: usize = 1024;

/// What is compared, whatever the number of calls in flight.
#[derive(Debug, Clone)]
pub(super) struct Contest {
    pub(super) scenario: &'static str,
    pub(super) script: Script,
    pub(super) receipts: Receipts,
    /// How many processes of a program share the requests.
    pub(super) instances: usize,
    /// The service with these against the service without, instead of anything by hand.
    pub(super) features: Option<Features>,
}

/// Whose receipts they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receipts {
    /// Every caller has some of its own.
    Distinct,
    /// All callers have the same one. By hand, commands race, and whoever comes too late reads on and decides again; or
    /// else they wait for each other, which helps as long as there is one process.
    OneForAll,
}

impl Receipts {
    fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Distinct => &[HEADWATER, BY_HAND],
            Self::OneForAll => &[HEADWATER, BY_HAND, BY_HAND_IN_TURN],
        }
    }
}

impl Contest {
    /// Commands on distinct receipts, to one process.
    pub(super) const fn new(scenario: &'static str, script: Script) -> Self {
        Self { scenario, script, receipts: Receipts::Distinct, instances: 1, features: None }
    }

    /// One-event commands to one process with every feature, and to one without.
    pub(super) fn with_features(features: Features) -> Self {
        Self { features: Some(features), ..Self::new("features", Script::OneEvent) }
    }

    fn programs(&self) -> &'static [&'static str] {
        match self.features {
            Some(_) => &[EVERYTHING, HEADWATER],
            None => self.receipts.programs(),
        }
    }

    /// One case: both programs in turn, with so many calls in flight.
    pub(super) async fn case(
        &self,
        world: &World,
        effort: &Effort,
        in_flight: usize,
        bar: Option<Bar>,
    ) -> Fallible<Case> {
        let load_average = load_average();
        let case = self.name(in_flight);
        let (mut runs, programs) = (0, self.programs());
        let readings = alternate(effort.pairs, programs, async |round, program| {
            runs += 1;
            let reading = self
                .run(world, effort, program, runs, in_flight)
                .await
                .map_err(|error| format!("{case}, {program}: {error}"))?;
            report::tell(&format!(
                "  {case}, round {}: {program} {:.0}/s, p50 {:.0} µs, p99 {:.0} µs",
                round + 1,
                reading.per_second,
                reading.p50,
                reading.p99,
            ));
            Ok(reading)
        });
        let contenders = Contender::all(programs, readings.await?);
        let (scenario, server, note) = (self.scenario, world.version(), singled_out(&contenders));
        Ok(Case { scenario, case, unit: "commands", server, load_average, contenders, bar, note })
    }

    fn name(&self, in_flight: usize) -> String {
        match self.script {
            Script::Mixed(of_ten) => format!("{of_ten} of 10 two-event, {in_flight} in flight"),
            Script::OneEvent | Script::Adding | Script::TwoEvents => format!("{in_flight} in flight"),
        }
    }

    async fn run(
        &self,
        world: &World,
        effort: &Effort,
        program: &str,
        number: usize,
        in_flight: usize,
    ) -> Fallible<Reading> {
        let service = format!("receipts-{number}");
        journal::prepare(world, &service).await?;
        let role = self.role(world, &world.url_for(&service).await?, program, &service);
        let running = try_join_all((0..self.instances).map(|_| Program::start(&role))).await?;
        let meter = world.meter(running.iter().map(Program::pid).collect());
        let each = (RECEIPTS / in_flight).max(1);
        let callers = (0..in_flight).map(|caller| match self.receipts {
            Receipts::Distinct if self.features.is_some() => {
                Commands::own(&service, caller, each, self.script).with_token(TOKEN)
            }
            Receipts::Distinct => Commands::own(&service, caller, each, self.script),
            Receipts::OneForAll => Commands::shared(&service, self.script),
        });
        let first_calls = if self.receipts == Receipts::Distinct { each } else { 1 };
        let callers = load::prime(world.client(), callers.collect(), first_calls).await?;
        let (callers, reading) = load::run(world.client(), callers, effort, &meter).await?;
        try_join_all(running.into_iter().map(Program::stop)).await?;
        let mut promised = Promised::default();
        callers.iter().for_each(|caller| caller.promise(&mut promised));
        journal::verify(world.client(), &service, promised).await?;
        journal::delete(world.client(), &service).await?;
        Ok(reading)
    }

    fn role(&self, world: &World, url: &str, program: &str, service: &str) -> Role {
        let (url, service) = (url.to_owned(), service.to_owned());
        if program == HEADWATER || program == EVERYTHING {
            return Role::Ours(Ours {
                url,
                service,
                replicas: world.replicas(),
                cache: true,
                staleness: 0,
                snapshots: false,
                in_flight: None,
                features: self.features.clone().filter(|_| program == EVERYTHING),
            });
        }
        let in_turn = self.receipts == Receipts::Distinct || program == BY_HAND_IN_TURN;
        Role::ByHand(ByHand { url, service, loading: Loading::DirectGet, cache: true, in_turn })
    }
}

/// The 99th percentiles of one-event commands in a mix.
fn singled_out(contenders: &[Contender]) -> Option<String> {
    let figure = |contender: &Contender| {
        contender.readings.first()?.singled_out_p99?;
        let p99 = contender.median(|reading| reading.singled_out_p99.unwrap_or_default());
        Some(format!("{} {:.1} ms", contender.name, p99 / 1000.0))
    };
    let figures: Option<Vec<String>> = contenders.iter().map(figure).collect();
    Some(format!("p99 of the one-event commands alone: {}", figures?.join(", ")))
}
