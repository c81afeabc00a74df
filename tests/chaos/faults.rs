//! The bad things that happen: a server and two instances of the service as processes, killed and frozen in an order
//! made of a seed.

use std::time::Duration;

use headwater_testkit::NatsServer;
use headwater_tests::{Program, Site};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tokio::time::sleep;

use crate::record::Record;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sample-receipts-under-test");

/// How soon commands are acknowledged again after a fault, also on a machine that is busy otherwise.
const BACK_WITHIN: Duration = Duration::from_secs(45);

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    KillInstance,
    KillBothInstances,
    FreezeInstance,
    KillServer,
    FreezeServer,
    KillServerAndInstance,
    FreezeServerKillInstance,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::KillInstance,
        Self::KillBothInstances,
        Self::FreezeInstance,
        Self::KillServer,
        Self::FreezeServer,
        Self::KillServerAndInstance,
        Self::FreezeServerKillInstance,
    ];
}

/// What bad things are done to.
pub(crate) struct Scene<'a> {
    site: &'a Site,
    instances: [Program; 2],
    random: StdRng,
}

impl<'a> Scene<'a> {
    /// Two instances that take requests.
    pub(crate) async fn set(site: &'a Site, random: StdRng) -> Self {
        let url = site.url();
        Self { site, instances: [Program::serve(PROGRAM, &url).await, Program::serve(PROGRAM, &url).await], random }
    }

    /// Bad things of every kind, each kind once before any comes again, for so long at least; in between, commands
    /// are acknowledged.
    ///
    /// # Errors
    /// When they are not, or an instance has ended by itself.
    pub(crate) async fn play(&mut self, record: &Record, at_least: Duration) -> Result<(), String> {
        while record.elapsed() < at_least {
            let mut kinds = Kind::ALL;
            kinds.shuffle(&mut self.random);
            for kind in kinds {
                // More than can have been under way when the last fault was over.
                let more = self.random.random_range(30..70);
                record.progress(more, BACK_WITHIN).await.map_err(|late| late.to_string())?;
                self.wait(0..200).await;
                self.all_run()?;
                let from = record.now();
                self.cause(kind).await?;
                record.fault(from, &format!("{kind:?}"));
            }
        }
        record.progress(20, BACK_WITHIN).await.map_err(|late| late.to_string())?;
        self.all_run()
    }

    async fn cause(&mut self, kind: Kind) -> Result<(), String> {
        let which = self.random.random_range(0..2);
        match kind {
            Kind::KillInstance => {
                self.instances[which].kill_now();
                self.wait(0..400).await;
                self.replace(which).await;
            }
            Kind::KillBothInstances => {
                self.instances[which].kill_now();
                self.wait(0..30).await;
                self.instances[1 - which].kill_now();
                self.wait(0..200).await;
                self.replace(which).await;
                self.replace(1 - which).await;
            }
            Kind::FreezeInstance => {
                self.instances[which].pause();
                self.wait(50..1500).await;
                self.instances[which].resume();
            }
            Kind::KillServer => {
                self.server().kill();
                self.wait(0..500).await;
                self.restart_server().await?;
            }
            Kind::FreezeServer => {
                self.freeze_server()?;
                self.wait(50..1500).await;
                self.thaw_server()?;
            }
            Kind::KillServerAndInstance => {
                self.server().kill();
                self.wait(0..100).await;
                self.instances[which].kill_now();
                self.restart_server().await?;
                self.wait(0..200).await;
                self.replace(which).await;
            }
            Kind::FreezeServerKillInstance => {
                self.freeze_server()?;
                self.wait(0..300).await;
                self.instances[which].kill_now();
                self.wait(0..300).await;
                self.thaw_server()?;
                self.replace(which).await;
            }
        }
        Ok(())
    }

    /// A time of its own, so that the next thing happens in the middle of anything.
    async fn wait(&mut self, millis: std::ops::Range<u64>) {
        sleep(Duration::from_millis(self.random.random_range(millis))).await;
    }

    async fn replace(&mut self, which: usize) {
        self.instances[which] = Program::serve(PROGRAM, &self.site.url()).await;
    }

    fn server(&self) -> &NatsServer {
        self.site.server()
    }

    async fn restart_server(&self) -> Result<(), String> {
        self.server().restart().await.map_err(|error| format!("the server did not come back: {error}"))
    }

    fn freeze_server(&self) -> Result<(), String> {
        self.server().pause().map_err(|error| format!("the server cannot be frozen: {error}"))
    }

    fn thaw_server(&self) -> Result<(), String> {
        self.server().resume().map_err(|error| format!("the server cannot go on: {error}"))
    }

    /// Nobody ended who was not killed.
    fn all_run(&mut self) -> Result<(), String> {
        let ended = self.instances.iter_mut().find_map(Program::has_ended);
        ended.map_or(Ok(()), |ended| Err(format!("an instance ended by itself: {} {}", ended.status, ended.errors)))
    }
}
