//! Being asked to stop.

use std::future::Future;
use std::io;

/// Which signal asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// What `kill`, containers and service managers send.
    Terminate,
}

impl Signal {
    /// What a shell reports for a program that ended on this signal.
    pub(crate) const fn exit_status(self) -> u8 {
        match self {
            Self::Interrupt => 128 + 2,
            Self::Terminate => 128 + 15,
        }
    }
}

/// Catches signals from the moment this is called; the future tells the first that comes.
///
/// # Errors
/// When the system does not let signals be caught.
#[cfg(unix)]
pub(crate) fn stop_requested() -> io::Result<impl Future<Output = Signal>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => Signal::Interrupt,
            _ = terminate.recv() => Signal::Terminate,
        }
    })
}

/// Catches Ctrl-C; the future tells when it comes.
///
/// # Errors
/// Never: what goes wrong is told by the future, which then does not end.
#[cfg(not(unix))]
pub(crate) fn stop_requested() -> io::Result<impl Future<Output = Signal>> {
    Ok(async {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Interrupt,
            Err(_) => std::future::pending().await,
        }
    })
}
