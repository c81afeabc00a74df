//! The receipts program with given variables: instances of the service, and calls of its client.

use std::process::{Output, Stdio};
use std::time::Duration;

use headwater_tests::Program;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::PROGRAM;

/// Variables for the program.
pub(crate) type Variables = Vec<(&'static str, String)>;

/// Longer than any call takes, also on a machine that is busy otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts an instance of the service; also the line that says it is ready.
pub(crate) async fn serve(arguments: &[&str], variables: &Variables) -> (Program, String) {
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut program = Program::start_with(PROGRAM, arguments, &variables);
    let line = program.line().await;
    assert!(line.starts_with("ready: "), "{line}");
    (program, line)
}

/// Asks the instance to stop, and waits until it has.
pub(crate) async fn stop(program: Program) {
    program.terminate();
    let ended = program.ended().await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.errors);
}

/// A call of the client: whether it succeeded, and what it wrote, one after the other.
pub(crate) async fn call(line: &str, variables: &Variables) -> (bool, String) {
    let arguments = ["client", "--json"].into_iter().chain(line.split(' '));
    let output = run(arguments, variables).await;
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

/// A call that must succeed, and what it brought.
pub(crate) async fn answer(line: &str, variables: &Variables) -> Value {
    let (succeeded, text) = call(line, variables).await;
    assert!(succeeded, "{line}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error}: {text}"))
}

/// Runs the program until it ends.
pub(crate) async fn run<'a>(arguments: impl IntoIterator<Item = &'a str>, variables: &Variables) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env_clear().env("HOME", "/nonexistent").envs(variables.iter().map(|(k, v)| (k, v)));
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    timeout(PATIENCE, running).await.expect("the program ends in time").unwrap()
}
