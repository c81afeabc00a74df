//! One connection through the proxy: two directions, each read at one end and written at the other when it is time.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::rules::{Direction, Rules};
use crate::frames::{Frames, Piece};

/// Pieces on their way in one direction; when they are that many, the sender is made to wait.
const MOST_PIECES: usize = 256;
const READ_BYTES: usize = 16 * 1024;

/// A piece of the stream and when it is due at the other end.
type Timed = (Instant, Bytes);

/// Runs until either side closes; then both are closed, since NATS has no half-open connections.
pub(super) async fn run(client: TcpStream, server: TcpStream, rules: &Rules) {
    // Small frames must not wait for each other in the system's buffers. Fails only on a socket that is gone.
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (up, up_queue) = mpsc::channel(MOST_PIECES);
    let (down, down_queue) = mpsc::channel(MOST_PIECES);
    let ended = tokio::select! {
        ended = async { tokio::try_join!(read_client(from_client, up, rules), write(up_queue, to_server, rules)) } => ended,
        ended = async { tokio::try_join!(read_server(from_server, down, rules), write(down_queue, to_client, rules)) } => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection through the proxy ended");
    }
}

async fn read_client(mut from: OwnedReadHalf, to: mpsc::Sender<Timed>, rules: &Rules) -> io::Result<()> {
    loop {
        rules.while_frozen().await;
        let mut piece = BytesMut::with_capacity(READ_BYTES);
        if from.read_buf(&mut piece).await? == 0 {
            return Ok(());
        }
        let due = Instant::now() + rules.delay(Direction::ToServer);
        if to.send((due, piece.freeze())).await.is_err() {
            return Ok(());
        }
    }
}

async fn read_server(mut from: OwnedReadHalf, to: mpsc::Sender<Timed>, rules: &Rules) -> io::Result<()> {
    let mut frames = Frames::default();
    loop {
        rules.while_frozen().await;
        if from.read_buf(frames.room(READ_BYTES)).await? == 0 {
            return Ok(());
        }
        let due = Instant::now() + rules.delay(Direction::ToClient);
        while let Some(piece) = frames.next() {
            let bytes = match piece {
                Piece::Message(frame) if rules.loses(&frame) => continue,
                Piece::Message(bytes) | Piece::Other(bytes) => bytes,
            };
            if to.send((due, bytes)).await.is_err() {
                return Ok(());
            }
        }
    }
}

async fn write(mut queue: mpsc::Receiver<Timed>, mut to: OwnedWriteHalf, rules: &Rules) -> io::Result<()> {
    while let Some((due, bytes)) = queue.recv().await {
        sleep_until(due).await;
        rules.while_frozen().await;
        to.write_all(&bytes).await?;
    }
    Ok(())
}
