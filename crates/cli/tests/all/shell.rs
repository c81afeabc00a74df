//! What a shell sees of the command, whatever the verb.

use std::process::Stdio;

use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::support::{WITHIN, program, run};

#[tokio::test]
async fn completions_are_there_for_every_shell() {
    for (shell, word) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef headwater"),
        ("fish", "complete -c headwater"),
        ("elvish", "set edit:"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = run(&["completions", shell]).await.done();
        assert!(script.contains(word), "{shell}: {script}");
        assert!(script.contains("completions"), "{shell} does not know the verbs");
    }
    run(&["completions", "cobol"]).await.refused(2);
}

#[tokio::test]
async fn a_reader_that_leaves_early_is_no_failure() {
    let mut child = program(&["completions", "bash"]).spawn().unwrap();
    drop(child.stdout.take());
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).await.unwrap();
    let status = timeout(WITHIN, child.wait()).await.unwrap().unwrap();
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn bad_usage_is_exit_status_2_and_tells_where_help_is() {
    for line in ["", "nonsense", "completions", "--timeout never completions bash"] {
        let told = run(&line.split_whitespace().collect::<Vec<_>>()).await.refused(2);
        assert!(told.contains("Usage") || told.contains("--help"), "{line}: {told}");
    }
}

#[tokio::test]
async fn help_is_told_without_colours_where_nobody_sees_them() {
    let help = program(&["--help"]).stdin(Stdio::null()).output().await.unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("Examples:") && help.contains("--server"), "{help}");
    assert!(!help.contains('\u{1b}'), "{help}");
}
