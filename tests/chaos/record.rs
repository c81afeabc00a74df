//! The record of a run while it goes on, shared by the callers and whoever does bad things to the service.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use headwater_testkit::NotInTime;

use crate::history::{Call, Fault, History};

#[derive(Debug)]
pub(crate) struct Record {
    begun: Instant,
    history: Mutex<History>,
    acknowledged: AtomicUsize,
}

impl Record {
    pub(crate) fn begin() -> Self {
        Self { begun: Instant::now(), history: Mutex::default(), acknowledged: AtomicUsize::new(0) }
    }

    /// Microseconds since the beginning.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).expect("a run is shorter than an age")
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(crate) fn call(&self, call: Call) {
        self.acknowledged.fetch_add(usize::from(call.is_done()), Ordering::Relaxed);
        self.history().calls.push(call);
    }

    pub(crate) fn fault(&self, from: u64, what: &str) {
        let fault = Fault { from, until: self.now(), what: what.to_owned() };
        self.history().faults.push(fault);
    }

    /// Waits until so many more commands have been acknowledged.
    pub(crate) async fn progress(&self, more: usize, within: Duration) -> Result<(), NotInTime> {
        let goal = self.acknowledged.load(Ordering::Relaxed) + more;
        let reached = || async move { (self.acknowledged.load(Ordering::Relaxed) >= goal).then_some(()) };
        headwater_testkit::try_wait_until(within, &format!("{more} more acknowledged commands"), reached).await
    }

    /// Everything so far.
    pub(crate) fn so_far(&self) -> History {
        self.history().clone()
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
