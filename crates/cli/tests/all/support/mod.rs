//! Runs the program as a person would: with arguments, and what it prints and its exit status to look at.

pub(crate) mod receipts;
pub(crate) mod running;
pub(crate) mod security;

use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

/// Far more than anything here takes.
pub(crate) const WITHIN: Duration = Duration::from_secs(20);

/// The program, apart from the settings of whoever runs the tests.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    for (variable, _) in std::env::vars_os() {
        if variable.to_str().is_some_and(|name| name.starts_with("NATS_") || name.starts_with("HEADWATER_")) {
            command.env_remove(variable);
        }
    }
    // No context of the nats command either.
    command.env("XDG_CONFIG_HOME", "/nonexistent").env_remove("NO_COLOR");
    command
}

/// The program, talking to the server at `url`; `line` is parted by spaces.
pub(crate) fn program_at(url: &str, line: &str) -> Command {
    program(&["--server", url].into_iter().chain(line.split_whitespace()).collect::<Vec<_>>())
}

/// Runs the program to its end.
pub(crate) async fn run(arguments: &[&str]) -> Ended {
    finish(program(arguments)).await
}

/// Runs the program to its end, against the server at `url`; `line` is parted by spaces.
pub(crate) async fn run_at(url: &str, line: &str) -> Ended {
    finish(program_at(url, line)).await
}

/// Runs a command to its end.
pub(crate) async fn finish(mut command: Command) -> Ended {
    let output = timeout(WITHIN, command.output()).await.expect("the program ends").expect("the program starts");
    Ended::new(&output)
}

/// Runs a command to its end with `input` on its standard input.
pub(crate) async fn finish_with_input(mut command: Command, input: &str) -> Ended {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input.as_bytes()).await.expect("the program reads");
    drop(stdin);
    let output =
        timeout(WITHIN, child.wait_with_output()).await.expect("the program ends").expect("it can be waited for");
    Ended::new(&output)
}

/// What the program left: exit status, standard output and standard error.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    fn new(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the program writes UTF-8");
        Self { status: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Standard output, of a program that did what it was asked for.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.status, Some(0), "{self:?}");
        self.stdout
    }

    /// Standard output as JSON, of a program that did what it was asked for.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.done()).expect("it is JSON")
    }

    /// Each line of standard output as JSON, of a program that did what it was asked for.
    #[track_caller]
    pub(crate) fn json_lines(self) -> Vec<Value> {
        self.done().lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect()
    }

    /// Standard error, of a program that ended with this status and printed nothing else.
    #[track_caller]
    pub(crate) fn refused(self, status: i32) -> String {
        assert_eq!(self.status, Some(status), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        self.stderr
    }
}
