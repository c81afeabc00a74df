//! Where the command connects to, and as whom: flags, variables and contexts.

use headwater_testkit::TestServer;
use serde_json::{Value, json};

use crate::support::{finish, program, run, run_at};

#[tokio::test]
async fn the_server_comes_from_a_flag_a_variable_or_a_context() {
    let server = TestServer::with(|server| server.user_and_password("ann", "s3cret")).await;
    let nobody = "failed: no-responders: ";
    let line = ["services", "ls", "--wait", "300ms"];

    let flags = run_at(&server.url(), "services ls --wait 300ms --user ann --password s3cret").await.refused(1);
    assert!(flags.starts_with(nobody), "{flags}");

    let mut variables = program(&line);
    variables.env("NATS_URL", server.url()).env("NATS_USER", "ann").env("NATS_PASSWORD", "s3cret");
    let variables = finish(variables).await.refused(1);
    assert!(variables.starts_with(nobody), "{variables}");

    let mut mixed = program(&[&["--user", "ann"], &line[..]].concat());
    mixed.env("NATS_URL", server.url()).env("NATS_PASSWORD", "s3cret");
    let mixed = finish(mixed).await.refused(1);
    assert!(mixed.starts_with(nobody), "{mixed}");

    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("nats/context");
    std::fs::create_dir_all(&folder).unwrap();
    let context = json!({ "url": server.url(), "user": "ann", "password": "s3cret" });
    std::fs::write(folder.join("till.json"), context.to_string()).unwrap();
    for arguments in [&["--context", "till"][..], &[]] {
        let mut command = program(&[arguments, &line[..]].concat());
        command.env("XDG_CONFIG_HOME", home.path());
        if arguments.is_empty() {
            command.env("NATS_CONTEXT", "till");
        }
        let told = finish(command).await.refused(1);
        assert!(told.starts_with(nobody), "{told}");
    }
    let mut file =
        program(&["--config", home.path().join("nats.toml").to_str().unwrap(), "services", "ls", "--wait", "300ms"]);
    let toml = format!("[nats]\nservers = ['{}']\nuser = 'ann'\npassword = 's3cret'\n", server.url());
    std::fs::write(home.path().join("nats.toml"), toml).unwrap();
    file.env("NATS_URL", "nats://127.0.0.1:1");
    let file = finish(file).await.refused(1);
    assert!(file.starts_with(nobody), "{file}");
}

#[tokio::test]
async fn who_is_not_let_in_is_told_what_says_who_they_are() {
    let server = TestServer::with(|server| server.user_and_password("ann", "s3cret")).await;
    for flags in ["--user ann --password canary", "--token canary", ""] {
        let told = run_at(&server.url(), &format!("{flags} services ls")).await.refused(1);
        assert!(told.starts_with("refused: unauthenticated: "), "{flags}: {told}");
        assert!(told.contains("--creds") && !told.contains("canary"), "{flags}: {told}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_and_settings_that_are_wrong_are_told_at_once() {
    let told = run(&["--server", "nats://127.0.0.1:1", "services", "ls"]).await.refused(1);
    assert!(told.starts_with("failed: unreachable: ") && told.contains("127.0.0.1:1"), "{told}");
    let told = run(&["--server", "nats://127.0.0.1:1", "--json", "services", "ls"]).await.refused(1);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["error"]["code"], "unreachable");
    let told = run(&["--server", "http://127.0.0.1:1", "services", "ls"]).await.refused(1);
    assert!(told.contains("nats.servers[0]"), "{told}");
    let told = run(&["--context", "nowhere", "services", "ls"]).await.refused(1);
    assert!(told.contains("nowhere"), "{told}");
    let told = run(&["--creds", "/nonexistent/a.creds", "services", "ls"]).await.refused(1);
    assert!(told.contains("/nonexistent/a.creds"), "{told}");
}
