//! Loopback ports for servers that must keep theirs over a restart.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ranges from which Linux (32768 up) and macOS (49152 up) serve port 0 and outgoing connections. A port
/// from those ranges may be taken by anyone while its server is down, even by the client that tries to reconnect.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port nobody listens on just now.
///
/// A process never gets the same port twice in a row: it walks the range from a random start, so that processes
/// side by side seldom meet. When they do, the later server fails to bind and its start tries other ports.
pub(crate) fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT.get_or_init(|| AtomicU16::new(rand::random_range(0..COUNT)));
    for _ in 0..COUNT {
        let port = FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    // Every port of the range is taken: let the server ask the system for one and report what comes of it.
    0
}
