//! The states of a circuit, without clock, lock or task: it is told the time.

use std::time::Duration;

use super::settings::CircuitBreaker;
use super::window::{Outcome, Tally, Window};

/// The longest time after which more trials are let through when those under way have settled nothing.
const ROUND: Duration = Duration::from_secs(1);

/// A circuit. Times are since some moment before all of them.
#[derive(Debug)]
pub(super) struct Machine {
    rules: Rules,
    window: Window,
    phase: Phase,
    /// Grows with every change of the phase. A call counts only in the phase in which it began.
    epoch: u64,
}

#[derive(Debug, Clone, Copy)]
struct Rules {
    failure_rate: f64,
    slow_rate: f64,
    min_calls: u32,
    open: Duration,
    jitter: f64,
    trials: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Phase {
    Closed,
    /// Nothing is asked until then.
    Open {
        until: Duration,
    },
    /// So many were let through in the round that ends then, and so many calls have ended how.
    HalfOpen {
        admitted: u32,
        round_ends: Duration,
        tally: Tally,
    },
}

/// A call that was let through, and in which phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pass(u64);

/// A change of the phase, for the log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Change {
    /// It opened, because these calls went so.
    Opened(Tally),
    /// It closed.
    Closed,
}

impl Machine {
    pub(super) fn new(settings: &CircuitBreaker) -> Self {
        let number = |number: i64| u32::try_from(number).unwrap_or(1).max(1);
        let rules = Rules {
            failure_rate: settings.failure_rate,
            slow_rate: settings.slow_rate,
            min_calls: number(settings.min_calls),
            open: settings.open.get(),
            jitter: settings.jitter,
            trials: number(settings.trial_calls),
        };
        Self { rules, window: Window::new(settings.window), phase: Phase::Closed, epoch: 0 }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Lets something through, or says how long until the next try. When the time of being open has passed, this makes it
    /// half open.
    pub(super) fn enter(&mut self, now: Duration) -> Result<Pass, Duration> {
        if let Phase::Open { until } = self.phase
            && now >= until
        {
            let round_ends = now + self.round();
            self.turn(Phase::HalfOpen { admitted: 0, round_ends, tally: Tally::default() });
        }
        let (trials, round) = (self.rules.trials, self.round());
        match &mut self.phase {
            Phase::Closed => Ok(self.pass()),
            Phase::Open { until } => Err(*until - now),
            Phase::HalfOpen { admitted, round_ends, .. } => {
                if now >= *round_ends {
                    (*admitted, *round_ends) = (0, now + round);
                }
                if *admitted >= trials {
                    return Err(*round_ends - now);
                }
                *admitted += 1;
                Ok(self.pass())
            }
        }
    }

    /// For a call by somebody who was let in already and needs no leave.
    pub(super) fn pass(&self) -> Pass {
        Pass(self.epoch)
    }

    /// Takes in how a call went. `random` is from 0 to 1 and used only when the circuit opens.
    pub(super) fn end(&mut self, pass: Pass, outcome: Outcome, now: Duration, random: f64) -> Option<Change> {
        if pass.0 != self.epoch {
            return None;
        }
        let trials = self.rules.trials;
        match &mut self.phase {
            Phase::Open { .. } => None,
            // Somebody else may try in its place.
            Phase::HalfOpen { admitted, .. } if outcome == Outcome::Neither => {
                *admitted = admitted.saturating_sub(1);
                None
            }
            Phase::Closed if outcome == Outcome::Neither => None,
            Phase::Closed => {
                self.window.add(outcome, now);
                let tally = self.window.tally(now);
                let enough = tally.total() >= self.rules.min_calls;
                (enough && self.is_too_much(tally, tally.total())).then(|| self.open(tally, now, random))
            }
            Phase::HalfOpen { tally, .. } => {
                tally.add(outcome);
                let tally = *tally;
                if self.is_too_much(tally, trials) {
                    Some(self.open(tally, now, random))
                } else if tally.total() >= trials {
                    self.window.clear();
                    self.turn(Phase::Closed);
                    Some(Change::Closed)
                } else {
                    None
                }
            }
        }
    }

    /// How the calls went that count now: the trials when half open.
    pub(super) fn tally(&mut self, now: Duration) -> Tally {
        match self.phase {
            Phase::Closed => self.window.tally(now),
            Phase::Open { .. } => Tally::default(),
            Phase::HalfOpen { tally, .. } => tally,
        }
    }

    /// Until when nobody is let through, as far as is known now. None when whoever comes may have to be counted.
    pub(super) fn shut_until(&self) -> Option<Duration> {
        match self.phase {
            Phase::Closed => None,
            Phase::Open { until } => Some(until),
            Phase::HalfOpen { admitted, round_ends, .. } => (admitted >= self.rules.trials).then_some(round_ends),
        }
    }

    /// Whether these calls, of so many, are reason to open.
    fn is_too_much(&self, tally: Tally, total: u32) -> bool {
        let (failed, slow) = tally.rates(total);
        (tally.failed > 0 && failed >= self.rules.failure_rate) || (tally.slow > 0 && slow >= self.rules.slow_rate)
    }

    fn open(&mut self, tally: Tally, now: Duration, random: f64) -> Change {
        let time = self.rules.open.mul_f64(1.0 + self.rules.jitter.clamp(0.0, 1.0) * random.clamp(0.0, 1.0));
        self.turn(Phase::Open { until: now + time });
        self.window.clear();
        Change::Opened(tally)
    }

    fn turn(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch += 1;
    }

    fn round(&self) -> Duration {
        self.rules.open.min(ROUND)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::settings::Window as WindowSetting;
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Opens when two of four calls fail or three are slow, for a second; two trials.
    fn settings() -> CircuitBreaker {
        CircuitBreaker::default()
            .failure_rate(0.5)
            .slow_rate(0.75)
            .window(WindowSetting::Calls(4))
            .min_calls(4)
            .open(1000 * MS)
            .trial_calls(2)
    }

    fn call(machine: &mut Machine, outcome: Outcome, now: Duration) -> Option<Change> {
        let pass = machine.enter(now).expect("calls go through");
        machine.end(pass, outcome, now, 0.0)
    }

    fn opened(settings: &CircuitBreaker) -> Machine {
        let mut machine = Machine::new(settings);
        for _ in 0..3 {
            assert_eq!(call(&mut machine, Outcome::Failed, Duration::ZERO), None);
        }
        assert!(matches!(call(&mut machine, Outcome::Failed, Duration::ZERO), Some(Change::Opened(_))));
        machine
    }

    #[test]
    fn it_opens_at_the_rate_of_failures_and_not_before_there_were_enough_calls() {
        let mut machine = Machine::new(&settings());
        for outcome in [Outcome::Failed, Outcome::Failed, Outcome::Good] {
            assert_eq!(call(&mut machine, outcome, Duration::ZERO), None);
        }
        // The fourth call went well, and yet half of the last four failed.
        let change = call(&mut machine, Outcome::Good, Duration::ZERO);
        assert_eq!(change, Some(Change::Opened(Tally { good: 2, slow: 0, failed: 2 })));
        assert_eq!(machine.enter(Duration::ZERO), Err(1000 * MS));
        assert_eq!(machine.enter(999 * MS), Err(MS));
    }

    #[test]
    fn it_opens_at_the_rate_of_slow_calls() {
        let mut machine = Machine::new(&settings());
        for outcome in [Outcome::Good, Outcome::Slow, Outcome::Good, Outcome::Slow] {
            assert_eq!(call(&mut machine, outcome, Duration::ZERO), None, "{machine:?}");
        }
        assert!(call(&mut machine, Outcome::Slow, Duration::ZERO).is_some(), "three of the last four were slow");
    }

    #[test]
    fn calls_that_were_given_up_count_as_nothing() {
        let mut machine = Machine::new(&settings());
        for _ in 0..100 {
            assert_eq!(call(&mut machine, Outcome::Neither, Duration::ZERO), None);
        }
        assert_eq!(machine.tally(Duration::ZERO), Tally::default());
    }

    #[test]
    fn after_its_time_so_many_trials_go_through_and_close_it_when_they_go_well() {
        let mut machine = opened(&settings());
        let first = machine.enter(1000 * MS).unwrap();
        let second = machine.enter(1000 * MS).unwrap();
        assert_eq!(machine.enter(1000 * MS), Err(1000 * MS));
        assert_eq!(machine.end(first, Outcome::Good, 1001 * MS, 0.0), None);
        assert!(machine.enter(1001 * MS).is_err(), "one of the trials is still under way");
        assert_eq!(machine.end(second, Outcome::Good, 1002 * MS, 0.0), Some(Change::Closed));
        assert_eq!(machine.phase(), Phase::Closed);
        assert_eq!(call(&mut machine, Outcome::Failed, 1003 * MS), None, "it begins to count anew");
    }

    #[test]
    fn a_trial_that_fails_opens_it_again() {
        let mut machine = opened(&settings());
        let first = machine.enter(1500 * MS).unwrap();
        let second = machine.enter(1500 * MS).unwrap();
        assert!(matches!(machine.end(first, Outcome::Failed, 1600 * MS, 0.0), Some(Change::Opened(_))));
        assert_eq!(machine.phase(), Phase::Open { until: 2600 * MS });
        assert_eq!(machine.end(second, Outcome::Good, 1700 * MS, 0.0), None, "it came too late to matter");
        assert_eq!(machine.enter(1700 * MS), Err(900 * MS));
    }

    #[test]
    fn a_trial_that_is_given_up_leaves_its_place_to_another() {
        let mut machine = opened(&settings());
        let trials = [1, 2].map(|_| machine.enter(1000 * MS).unwrap());
        assert!(machine.enter(1000 * MS).is_err());
        assert_eq!(machine.end(trials[0], Outcome::Neither, 1001 * MS, 0.0), None);
        assert!(machine.enter(1001 * MS).is_ok());
        assert!(machine.enter(1001 * MS).is_err());
    }

    #[test]
    fn trials_that_never_end_do_not_keep_it_half_open_for_ever() {
        let mut machine = opened(&settings());
        for _ in 0..2 {
            machine.enter(1000 * MS).unwrap();
        }
        assert_eq!(machine.enter(1500 * MS), Err(500 * MS));
        assert!(machine.enter(2000 * MS).is_ok());
    }

    #[test]
    fn calls_of_an_earlier_phase_do_not_count() {
        let mut machine = Machine::new(&settings());
        let late = machine.enter(Duration::ZERO).unwrap();
        for _ in 0..4 {
            call(&mut machine, Outcome::Failed, Duration::ZERO);
        }
        assert!(machine.enter(1000 * MS).is_ok());
        assert_eq!(machine.end(late, Outcome::Failed, 1001 * MS, 0.0), None);
        assert!(matches!(machine.phase(), Phase::HalfOpen { tally, .. } if tally == Tally::default()));
    }

    #[test]
    fn jitter_only_lengthens_the_time_and_is_off_by_default() {
        for (jitter, random, until) in [(0.0, 1.0, 1000), (0.5, 0.0, 1000), (0.5, 1.0, 1500)] {
            let mut machine = Machine::new(&settings().jitter(jitter).min_calls(1));
            let pass = machine.enter(Duration::ZERO).unwrap();
            machine.end(pass, Outcome::Failed, Duration::ZERO, random);
            assert_eq!(machine.phase(), Phase::Open { until: until * MS });
        }
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            4 => Just(Outcome::Good),
            2 => Just(Outcome::Failed),
            1 => Just(Outcome::Slow),
            1 => Just(Outcome::Neither)
        ]
    }

    proptest! {
        /// Whatever happens: it never lets anything through while open, never more trials at once than it may, says the
        /// truth about when the next try is, and opens only for calls that went wrong.
        #[test]
        fn it_keeps_its_promises(
            steps in proptest::collection::vec((0_u64..400, proptest::bool::ANY, outcome(), 0_usize..8), 1..400),
            by_time in proptest::bool::ANY,
        ) {
            let window = if by_time { WindowSetting::of_time(2000 * MS) } else { WindowSetting::Calls(4) };
            let mut machine = Machine::new(&settings().window(window));
            let mut running: Vec<Pass> = Vec::new();
            let mut now = Duration::ZERO;
            for (pause, begins, outcome, which) in steps {
                now += Duration::from_millis(pause);
                if begins {
                    let before = machine.phase();
                    let shut = machine.shut_until().filter(|until| *until > now);
                    match machine.enter(now) {
                        Ok(pass) => {
                            prop_assert_eq!(shut, None);
                            running.push(pass);
                        }
                        Err(wait) => {
                            prop_assert!(wait > Duration::ZERO && wait <= 1000 * MS);
                            prop_assert!(before != Phase::Closed);
                            prop_assert_eq!(shut, Some(now + wait));
                        }
                    }
                    if let Phase::HalfOpen { admitted, tally, .. } = machine.phase() {
                        prop_assert!(admitted <= 2 && tally.total() < 2);
                    }
                } else if !running.is_empty() {
                    let pass = running.swap_remove(which % running.len());
                    match machine.end(pass, outcome, now, 0.3) {
                        Some(Change::Opened(tally)) => {
                            prop_assert!(tally.failed + tally.slow > 0);
                            prop_assert_eq!(machine.phase(), Phase::Open { until: now + 1000 * MS });
                        }
                        Some(Change::Closed) => prop_assert!(outcome != Outcome::Neither),
                        None => {}
                    }
                }
            }
            // It always comes back once things go well.
            for _ in 0..4 {
                now += 1000 * MS;
                while let (Ok(pass), Phase::Open { .. } | Phase::HalfOpen { .. }) = (machine.enter(now), machine.phase()) {
                    machine.end(pass, Outcome::Good, now, 0.3);
                }
            }
            prop_assert_eq!(machine.phase(), Phase::Closed);
        }
    }
}
