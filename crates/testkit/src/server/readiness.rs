//! When a server may be called started.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::config::Settings;
use super::process::ServerProcess;
use super::{StartError, log};
use crate::http;

/// The first look comes soon, since a start takes some 40 ms; later ones come more slowly.
const FIRST_WAIT: Duration = Duration::from_millis(2);
const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// One monitoring page may take this long before it is asked for again.
const PAGE_WITHIN: Duration = Duration::from_secs(2);

/// Enough to hold the reason and the lines that led to it.
const LOG_LINES_IN_ERRORS: usize = 30;

/// Removes ports files of earlier starts, which a killed server leaves behind.
pub(super) fn forget_earlier_starts(home: &Path) {
    for file in ports_files(home) {
        let _ = fs::remove_file(file);
    }
}

/// Waits until clients can connect and, if it is on, JetStream has recovered its store.
///
/// The server writes the ports file when its listeners accept, and it starts to listen after JetStream has
/// recovered; the health page then confirms that JetStream is on.
pub(super) async fn wait(process: &ServerProcess, settings: &Settings, home: &Path) -> Result<(), StartError> {
    let started = Instant::now();
    let mut pause = FIRST_WAIT;
    loop {
        if let Some(status) = process.ended() {
            return Err(StartError::Ended { status, log: log::tail(home, LOG_LINES_IN_ERRORS) });
        }
        let missing = match still_missing(settings, home).await {
            None => return Ok(()),
            Some(missing) => missing,
        };
        if started.elapsed() >= settings.ready_within {
            return Err(StartError::NotReady {
                waited: settings.ready_within,
                missing,
                log: log::tail(home, LOG_LINES_IN_ERRORS),
            });
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_WAIT);
    }
}

async fn still_missing(settings: &Settings, home: &Path) -> Option<String> {
    if ports_files(home).is_empty() {
        return Some("it does not listen yet".to_owned());
    }
    let page = if settings.jetstream { "/healthz?js-enabled-only=true" } else { "/healthz?js-server-only=true" };
    match http::get(settings.monitor_port, page, PAGE_WITHIN).await {
        Ok((200, _)) => None,
        Ok((status, body)) => Some(format!("its health page says {status} {}", body.trim())),
        Err(error) => Some(format!("its health page does not answer ({error})")),
    }
}

fn ports_files(home: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(home) else {
        return Vec::new();
    };
    let is_ports = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "ports");
    entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_ports).collect()
}
