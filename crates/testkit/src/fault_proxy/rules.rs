//! What the proxy does to the bytes that pass, changeable at any time.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// Whether and when bytes are forwarded.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flow {
    pub(super) frozen: bool,
    pub(super) to_server: Duration,
    pub(super) to_client: Duration,
}

/// Whether this frame is to be lost.
pub(super) type Choice = dyn FnMut(&[u8]) -> bool + Send;

/// Which messages from the server do not arrive.
pub(super) enum Loss {
    None,
    Next(usize),
    Until(Instant),
    Where(Box<Choice>),
}

/// Shared by the handle and all connections.
pub(super) struct Rules {
    flow: watch::Sender<Flow>,
    loss: Mutex<Loss>,
    lost: AtomicUsize,
}

impl Default for Rules {
    fn default() -> Self {
        Self { flow: watch::Sender::default(), loss: Mutex::new(Loss::None), lost: AtomicUsize::new(0) }
    }
}

impl Rules {
    pub(super) fn change(&self, change: impl FnOnce(&mut Flow)) {
        self.flow.send_modify(change);
    }

    pub(super) fn delay(&self, direction: Direction) -> Duration {
        let flow = self.flow.borrow();
        match direction {
            Direction::ToServer => flow.to_server,
            Direction::ToClient => flow.to_client,
        }
    }

    pub(super) async fn while_frozen(&self) {
        // Fails only when the sender is gone, and the sender is ours.
        let _ = self.flow.subscribe().wait_for(|flow| !flow.frozen).await;
    }

    pub(super) fn set_loss(&self, loss: Loss) {
        *self.loss.lock().unwrap_or_else(PoisonError::into_inner) = loss;
    }

    /// Whether this message is to be lost; counts it if so.
    pub(super) fn loses(&self, message: &[u8]) -> bool {
        let mut loss = self.loss.lock().unwrap_or_else(PoisonError::into_inner);
        let is_lost = match &mut *loss {
            Loss::None | Loss::Next(0) => false,
            Loss::Next(left) => {
                *left -= 1;
                true
            }
            Loss::Until(end) => Instant::now() < *end,
            Loss::Where(is_lost) => is_lost(message),
        };
        if is_lost {
            self.lost.fetch_add(1, Ordering::SeqCst);
        }
        is_lost
    }

    pub(super) fn lost(&self) -> usize {
        self.lost.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("flow", &*self.flow.borrow()).field("lost", &self.lost()).finish_non_exhaustive()
    }
}
