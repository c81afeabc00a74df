//! Being asked to stop.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Is done when SIGINT or SIGTERM comes. From here on neither ends the program by itself.
pub(crate) fn stop_requested() -> io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
