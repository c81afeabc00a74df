//! A collector of traces and metrics that takes everything and keeps nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::Fallible;

const TAKEN: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";

/// It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Sink {
    url: String,
    requests: Arc<AtomicU64>,
    _task: JoinSet<()>,
}

impl Sink {
    pub(crate) async fn start() -> Fallible<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let requests = Arc::new(AtomicU64::new(0));
        let mut task = JoinSet::new();
        task.spawn({
            let requests = Arc::clone(&requests);
            async move {
                let mut connections = JoinSet::new();
                while let Ok((connection, _)) = listener.accept().await {
                    let requests = Arc::clone(&requests);
                    // Whoever leaves in the middle is gone.
                    connections.spawn(async move { _ = take(connection, &requests).await });
                    while connections.try_join_next().is_some() {}
                }
            }
        });
        Ok(Self { url, requests, _task: task })
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// How many requests have come.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

async fn take(connection: TcpStream, requests: &AtomicU64) -> Fallible<()> {
    let mut connection = BufReader::new(connection);
    loop {
        let mut length = 0;
        let mut lines = 0;
        loop {
            let mut line = String::new();
            if connection.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() && lines > 0 {
                break;
            }
            lines += 1;
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body).await?;
        requests.fetch_add(1, Ordering::Relaxed);
        connection.write_all(TAKEN).await?;
    }
}
