//! One of the services as a program of its own, as the demo runs it.

use std::collections::VecDeque;
use std::process::Stdio;
use std::time::Duration;

use headwater::messaging::BoxError;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// How long a service may take to begin, to write a line, or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A service at work. It is killed when dropped.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// What it said before it was ready: events may come at once.
    early: VecDeque<String>,
}

impl Service {
    /// Starts it, and waits until it says that it is ready.
    pub(crate) async fn start(name: &str, url: &str) -> Result<Self, BoxError> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([name, "--nats-url", url]).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let output = child.stdout.take().ok_or("a service without output")?;
        let mut service = Self { child, lines: BufReader::new(output).lines(), early: VecDeque::new() };
        let (ready, mut early) = (format!("ready: {name}"), VecDeque::new());
        loop {
            let line = service.line().await?;
            if line == ready {
                service.early = early;
                return Ok(service);
            }
            early.push_back(line);
        }
    }

    /// The next line that it writes.
    pub(crate) async fn line(&mut self) -> Result<String, BoxError> {
        if let Some(line) = self.early.pop_front() {
            return Ok(line);
        }
        let line = timeout(PATIENCE, self.lines.next_line()).await.map_err(|_| "a service has nothing to say")??;
        line.ok_or_else(|| "a service has ended".into())
    }

    /// Ends it as a power cut would.
    pub(crate) async fn kill(mut self) -> Result<(), BoxError> {
        Ok(self.child.kill().await?)
    }

    /// Asks it to finish what it has begun, and waits for it to end.
    pub(crate) async fn stop(mut self) -> Result<(), BoxError> {
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
            kill_process(pid, Signal::TERM)?;
        }
        let status = timeout(PATIENCE, self.child.wait()).await.map_err(|_| "a service does not end")??;
        if status.success() { Ok(()) } else { Err(format!("a service ended with {status}").into()) }
    }
}
