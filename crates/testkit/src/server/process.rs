//! The child process: one owner, reaped on every way out.
//!
//! It is a plain `std` child and not tokio's, so that a server can be shared by tests that each have their own
//! runtime, and so that dropping it needs no runtime at all.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::log;
use super::watchdog::Watchdog;
use crate::locate::ServerBinary;

/// How often a process that was asked to end is looked at.
const END_POLL: Duration = Duration::from_millis(5);

/// How long a process may take to stop once it is told to.
#[cfg(unix)]
const STOPPED_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct ServerProcess {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    child: Option<Child>,
    /// How the last child ended, if it did by itself.
    status: Option<ExitStatus>,
    watchdog: Watchdog,
}

impl State {
    /// The child, if it has not ended; one that has ended is reaped.
    fn running(&mut self) -> Option<&mut Child> {
        if let Ok(Some(status)) = self.child.as_mut()?.try_wait() {
            self.child = None;
            self.status = Some(status);
            self.watchdog.release();
        }
        self.child.as_mut()
    }
}

impl ServerProcess {
    pub(super) fn new(home: &Path) -> Self {
        Self { state: Mutex::new(State { child: None, status: None, watchdog: Watchdog::start(home) }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is sound after a panic in any of the short sections that hold it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn spawn(
        &self,
        binary: &ServerBinary,
        arguments: &[OsString],
        variables: Vec<(String, OsString)>,
        log: &Path,
    ) -> io::Result<()> {
        let output = log::open(log)?;
        let mut command = Command::new(binary.path());
        command.args(arguments).envs(variables);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        // A group of its own: Ctrl-C in the terminal reaches the program that uses the server, which may want to
        // finish its work with the server still there.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);

        let mut state = self.state();
        let child = command.spawn()?;
        state.watchdog.guard(child.id());
        state.child = Some(child);
        state.status = None;
        Ok(())
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.state().running().map(|child| child.id())
    }

    /// How the process ended, if it did so by itself since it was last spawned.
    pub(super) fn ended(&self) -> Option<ExitStatus> {
        let mut state = self.state();
        state.running();
        state.status
    }

    pub(super) fn kill(&self) {
        let mut state = self.state();
        if let Some(mut child) = state.child.take() {
            // Both can only fail when the process is gone already. A killed process ends at once, a stopped one
            // too, so the wait is short.
            let _ = child.kill();
            let _ = child.wait();
        }
        state.watchdog.release();
    }

    pub(super) async fn stop(&self, within: Duration) {
        if self.ask_to_end().is_err() {
            self.kill();
            return;
        }
        let deadline = Instant::now() + within;
        while self.state().running().is_some() {
            if Instant::now() >= deadline {
                tracing::warn!(?within, "nats-server did not end when asked and is killed");
                self.kill();
                return;
            }
            sleep(END_POLL).await;
        }
    }
}

#[cfg(unix)]
impl ServerProcess {
    fn ask_to_end(&self) -> io::Result<()> {
        use rustix::process::Signal;
        self.signal(Signal::TERM)?;
        // A paused process would never see the first signal.
        self.signal(Signal::CONT)
    }

    /// Returns when all its threads have stopped; the signal alone would leave them time for one more answer.
    pub(super) fn pause(&self) -> io::Result<()> {
        use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};
        self.signal(Signal::STOP)?;
        let pid = self.state().running().map(|child| Pid::from_child(child));
        let pid = pid.ok_or_else(|| io::Error::other("nats-server is not running"))?;
        // The status is left where it is for those who wait for the end.
        let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let until = std::time::Instant::now() + STOPPED_WITHIN;
        while waitid(WaitId::Pid(pid), options)?.is_none() {
            if std::time::Instant::now() >= until {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "nats-server does not stop"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    pub(super) fn resume(&self) -> io::Result<()> {
        self.signal(rustix::process::Signal::CONT)
    }

    fn signal(&self, signal: rustix::process::Signal) -> io::Result<()> {
        let mut state = self.state();
        // The child is ours and not yet reaped, so its id cannot belong to anybody else.
        let child = state.running().ok_or_else(|| io::Error::other("nats-server is not running"))?;
        rustix::process::kill_process(rustix::process::Pid::from_child(child), signal)?;
        Ok(())
    }
}

#[cfg(not(unix))]
impl ServerProcess {
    fn ask_to_end(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn pause(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn resume(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
