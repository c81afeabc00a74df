//! The receipts program as a process of its own.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::show;

/// How long the program may take to say that it is ready, or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A run of the program. It is killed when dropped, and its log is shown when a test fails.
#[derive(Debug)]
pub struct Program {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    home: TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit status.
    pub status: ExitStatus,
    /// What it wrote to standard error.
    pub errors: String,
}

impl Program {
    /// Starts `binary` with these arguments and nothing of the tests' environment.
    pub fn start<A: AsRef<OsStr>>(binary: &str, arguments: impl IntoIterator<Item = A>) -> Self {
        Self::start_with(binary, arguments, &[])
    }

    /// The same with these variables in its environment.
    pub fn start_with<A: AsRef<OsStr>>(
        binary: &str,
        arguments: impl IntoIterator<Item = A>,
        variables: &[(&str, &str)],
    ) -> Self {
        let home = tempfile::Builder::new().prefix("headwater-program-").tempdir().unwrap();
        let log = std::fs::File::create(home.path().join("log")).unwrap();
        let mut child = Command::new(binary)
            .args(arguments)
            .env_clear()
            .env("HOME", home.path())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, output, home }
    }

    /// Starts a service at `url` and waits until it takes requests.
    pub async fn serve(binary: &str, url: &str) -> Self {
        let mut program = Self::start(binary, ["serve", "--nats-url", url]);
        let line = program.line().await;
        assert!(line.starts_with("ready: "), "{line}");
        program
    }

    /// The next line on standard output.
    pub async fn line(&mut self) -> String {
        let line = timeout(PATIENCE, self.output.next_line()).await.expect("a line in time").unwrap();
        line.unwrap_or_else(|| panic!("the program ended: {}", self.errors()))
    }

    /// Kills it without warning.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// The same, without waiting until it is gone.
    pub fn kill_now(&self) {
        self.signal(Signal::KILL);
    }

    /// Asks it to stop, as a supervisor would.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Freezes it: its connections stay open, and nobody answers.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// How it ended, if it has.
    pub fn has_ended(&mut self) -> Option<Ended> {
        let status = self.child.try_wait().unwrap()?;
        Some(Ended { status, errors: self.errors() })
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).expect("it is running");
        kill_process(pid, signal).unwrap();
    }

    /// Waits until it ends by itself.
    pub async fn ended(mut self) -> Ended {
        let status = timeout(PATIENCE, self.child.wait()).await.expect("the program ends in time").unwrap();
        Ended { status, errors: self.errors() }
    }

    fn log(&self) -> PathBuf {
        self.home.path().join("log")
    }

    fn errors(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log()).unwrap_or_default()).into_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            show("standard error of the program", &self.errors());
        }
    }
}
