//! A program that goes on until it is asked to stop.

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

use super::WITHIN;

/// A program that goes on until it is asked to stop.
pub(crate) struct Running {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let stderr = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        Self { child, stdout, stderr }
    }

    /// The next line on standard output.
    pub(crate) async fn line(&mut self) -> String {
        let line = timeout(WITHIN, self.stdout.next_line()).await.expect("a line comes").expect("it is text");
        line.expect("the program does not end yet")
    }

    /// The next line on standard error.
    pub(crate) async fn note(&mut self) -> String {
        let line = timeout(WITHIN, self.stderr.next_line()).await.expect("a line comes").expect("it is text");
        line.expect("the program does not end yet")
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(id.expect("it is running"), Signal::INT).expect("it takes signals");
    }

    /// The exit status, and what is left on standard output and standard error.
    pub(crate) async fn end(mut self) -> (Option<i32>, String, String) {
        let (mut rest, mut errors) = (String::new(), String::new());
        let ending = async {
            let (mut stdout, mut stderr) = (self.stdout.into_inner(), self.stderr.into_inner());
            let _ = tokio::join!(stdout.read_to_string(&mut rest), stderr.read_to_string(&mut errors));
            self.child.wait().await.expect("it can be waited for").code()
        };
        let status = timeout(WITHIN, ending).await.expect("the program ends");
        (status, rest, errors)
    }
}
