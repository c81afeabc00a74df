//! Runs the program as a person would: with arguments, and what it prints and its exit status to look at.

#![allow(dead_code, reason = "each test file uses a part of this")]

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

/// Far more than anything here takes.
pub(crate) const WITHIN: Duration = Duration::from_secs(20);

/// The program, apart from the settings of whoever runs the tests.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sample-receipts"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    for (variable, _) in std::env::vars_os() {
        let is_connection =
            variable.to_str().is_some_and(|name| name.starts_with("NATS_") && name != "NATS_SERVER_BIN");
        if is_connection || variable == "RUST_LOG" {
            command.env_remove(variable);
        }
    }
    // No context of the nats tool either.
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command
}

/// Runs the program to its end.
pub(crate) async fn run(arguments: &[&str]) -> Ended {
    finish(program(arguments)).await
}

/// Runs a command to its end.
pub(crate) async fn finish(mut command: Command) -> Ended {
    let output = timeout(WITHIN, command.output()).await.expect("the program ends").expect("the program starts");
    Ended::new(&output)
}

/// Runs the program with `input` on its standard input.
pub(crate) async fn run_with_input(arguments: &[&str], input: &str) -> Ended {
    let mut child = program(arguments).stdin(Stdio::piped()).spawn().expect("the program starts");
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

    /// Standard error, of a program that ended with this status.
    #[track_caller]
    pub(crate) fn refused(self, status: i32) -> String {
        assert_eq!(self.status, Some(status), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        self.stderr
    }
}

/// A program that goes on until it is asked to stop.
pub(crate) struct Running {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: ChildStderr,
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::spawn(program(arguments))
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let stderr = child.stderr.take().expect("it is piped");
        Self { child, stdout, stderr }
    }

    /// The next line on standard output.
    pub(crate) async fn line(&mut self) -> String {
        match timeout(WITHIN, self.stdout.next_line()).await.expect("a line comes").expect("it is text") {
            Some(line) => line,
            None => panic!("the program ended: {}", self.errors().await),
        }
    }

    /// The next line on standard error.
    pub(crate) async fn error_line(&mut self) -> String {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let byte = timeout(WITHIN, self.stderr.read_u8()).await.expect("a line comes");
            line.push(byte.expect("the program tells something before it ends"));
        }
        String::from_utf8(line).expect("the program writes UTF-8").trim_end().to_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(id.expect("it is running"), signal).expect("it takes signals");
    }

    /// The exit status, and what is left on standard error.
    pub(crate) async fn end(mut self) -> (Option<i32>, String) {
        let errors = self.errors().await;
        let status = timeout(WITHIN, self.child.wait()).await.expect("the program ends").expect("it can be waited for");
        (status.code(), errors)
    }

    async fn errors(&mut self) -> String {
        let mut errors = String::new();
        let read = timeout(WITHIN, self.stderr.read_to_string(&mut errors)).await;
        read.expect("the program ends").expect("the program writes UTF-8");
        errors
    }
}

/// A service on `url`, taking requests.
pub(crate) async fn serve(url: &str, more: &[&str]) -> Running {
    let mut service = Running::start(&[&["serve", "--nats-url", url], more].concat());
    let ready = service.line().await;
    assert!(ready.starts_with("ready: receipts "), "{ready}");
    service
}

/// A call of the client, whose arguments are parted by spaces.
pub(crate) async fn client(url: &str, call: &str) -> Ended {
    let arguments: Vec<_> = ["client", "--nats-url", url].into_iter().chain(call.split_whitespace()).collect();
    run(&arguments).await
}

/// What a folder holds.
pub(crate) fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    entries.map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned()).collect()
}
