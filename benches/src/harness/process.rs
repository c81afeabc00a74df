//! A program under test in a process of its own, so that its processor time can be told from the callers'.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::Fallible;
use crate::child::{READY, Role};

/// How long a program may take to be ready, and to end.
const LIMIT: Duration = Duration::from_secs(30);

/// A running program under test. It ends when its standard input does, so also when this process dies; dropping the
/// value kills it.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    stdin: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    pid: u32,
}

impl Program {
    /// Starts the program and waits until it takes requests.
    pub(crate) async fn start(role: &Role) -> Fallible<Self> {
        let mut program = Self::spawn(role)?;
        match program.line().await? {
            Some(line) if line == READY => Ok(program),
            Some(line) => Err(format!("the program under test said `{line}` and not that it is ready").into()),
            None => Err("the program under test ended before it was ready".into()),
        }
    }

    /// Runs a program that ends by itself, within `limit`, and returns what it says.
    pub(crate) async fn run_to_end(role: &Role, limit: Duration) -> Fallible<Value> {
        Self::spawn(role)?.end(limit).await
    }

    fn spawn(role: &Role) -> Fallible<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("child").arg(serde_json::to_string(role)?);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let (Some(stdin), Some(stdout), Some(pid)) = (child.stdin.take(), child.stdout.take(), child.id()) else {
            return Err("the program under test has no standard input and output".into());
        };
        Ok(Self { child, stdin, output: BufReader::new(stdout).lines(), pid })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Lets the program finish what it has begun, and returns what it says about its run.
    pub(crate) async fn stop(self) -> Fallible<Value> {
        self.end(LIMIT).await
    }

    async fn end(self, limit: Duration) -> Fallible<Value> {
        let Self { mut child, stdin, mut output, .. } = self;
        drop(stdin);
        let last = async {
            let mut last = None;
            while let Some(line) = output.next_line().await? {
                last = Some(line);
            }
            Fallible::Ok((last, child.wait().await?))
        };
        let (last, status) = timeout(limit, last).await.map_err(|_| "the program under test did not end in time")??;
        if !status.success() {
            return Err(format!("the program under test ended with {status}").into());
        }
        Ok(serde_json::from_str(&last.unwrap_or_else(|| "null".to_owned()))?)
    }

    async fn line(&mut self) -> Fallible<Option<String>> {
        Ok(timeout(LIMIT, self.output.next_line())
            .await
            .map_err(|_| "the program under test was not ready in time")??)
    }
}
