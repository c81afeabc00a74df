//! Ends the server when this process dies without dropping anything: killed, aborted, or leaving a `static` behind.
//!
//! A small shell waits on a pipe that only we hold open. When we are gone, for whatever reason, the pipe closes; the
//! shell then kills the server and removes its folder. (The system could send the signal itself, but asking for that
//! between fork and exec is unsafe, and on Linux it also fires when the *thread* that started the server ends.)

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Each line names the process to guard; an empty line names none. The end of the input is our death.
const SCRIPT: &str = r#"
pid=
while read -r line; do pid=$line; done
if [ -n "$pid" ]; then
  kill -9 "$pid"
  tries=0
  while kill -0 "$pid" && [ "$tries" -lt 40 ]; do sleep 0.05; tries=$((tries + 1)); done
fi
rm -rf -- "$1"
"#;

#[derive(Debug)]
pub(super) struct Watchdog {
    shell: Option<Child>,
}

impl Watchdog {
    /// Starts the shell; without one there is no watchdog, and a killed test run may leave a server behind.
    pub(super) fn start(home: &Path) -> Self {
        if cfg!(not(unix)) {
            return Self { shell: None };
        }
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "headwater-watchdog"]).arg(home);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own, so that Ctrl-C does not end it together with us.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let shell = command.spawn().inspect_err(|error| tracing::debug!(%error, "no watchdog for nats-server")).ok();
        Self { shell }
    }

    /// From now on the process `pid` ends with us.
    pub(super) fn guard(&mut self, pid: u32) {
        self.tell(&format!("{pid}\n"));
    }

    /// The guarded process is gone; its id may soon belong to somebody else.
    pub(super) fn release(&mut self) {
        self.tell("\n");
    }

    fn tell(&mut self, line: &str) {
        if let Some(stdin) = self.shell.as_mut().and_then(|shell| shell.stdin.as_mut()) {
            // A shell that is gone cannot be told; the server's own drop does not depend on it.
            let _ = stdin.write_all(line.as_bytes());
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some(shell) = &mut self.shell {
            let _ = shell.kill();
            let _ = shell.wait();
        }
    }
}
