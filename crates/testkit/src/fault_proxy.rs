//! A TCP proxy in front of a server that misbehaves when told to: it freezes, delays, cuts, refuses, and loses
//! messages on their way back, an acknowledgement for instance.

mod pipe;
mod rules;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};

pub use rules::Direction;

use crate::ports::free_port;
use rules::{Loss, Rules};

/// Connections at a time; more are closed at once.
const MOST_CONNECTIONS: usize = 256;

/// Orders to the proxy's task that are not yet carried out.
const MOST_ORDERS: usize = 16;

/// How long connecting to the server behind may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How often binding is tried when somebody else took the chosen port.
const PORT_ATTEMPTS: usize = 5;

/// A running proxy. It passes everything until told otherwise, and every order holds for connections there are and
/// connections to come.
///
/// It runs on the runtime that started it, and ends with all its connections when dropped.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use headwater_testkit::{FaultProxy, RawClient, TestServer};
///
/// let server = TestServer::start().await;
/// let proxy = FaultProxy::start(server.address()).await?;
/// let mut client = RawClient::connect(proxy.address()).await?;
/// client.ping().await?;
/// proxy.cut().await;
/// assert!(client.ping().await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    rules: Arc<Rules>,
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
}

/// What only the task that owns the listener and the connections can do. Each is answered when it is done.
#[derive(Debug)]
enum Order {
    Cut(oneshot::Sender<()>),
    Refuse(oneshot::Sender<()>),
    Accept(oneshot::Sender<io::Result<()>>),
    Count(oneshot::Sender<usize>),
    Stop(oneshot::Sender<()>),
}

impl FaultProxy {
    /// Starts a proxy to `server` on a free loopback port.
    ///
    /// # Errors
    ///
    /// When no port can be listened on. Whether the server is there shows with the first connection only.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = bind_somewhere().await?;
        let address = listener.local_addr()?;
        let rules = Arc::new(Rules::default());
        let (orders, received) = mpsc::channel(MOST_ORDERS);
        let owner =
            Owner { address, server, listener: Some(listener), connections: JoinSet::new(), rules: rules.clone() };
        Ok(Self { address, rules, orders, task: tokio::spawn(owner.run(received)) })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for clients, `nats://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Stops forwarding in both directions and keeps the connections: a network that swallows everything. New
    /// connections are made and hear nothing. Nothing is lost: [`pass`](Self::pass) delivers what piled up.
    pub fn freeze(&self) {
        self.rules.change(|flow| flow.frozen = true);
    }

    /// Forwards again, without delays and losses, what was held back included. It does not end a
    /// [`refuse`](Self::refuse).
    pub fn pass(&self) {
        self.rules.set_loss(Loss::None);
        self.rules.change(|flow| *flow = rules::Flow::default());
    }

    /// Delivers what comes from now on this much later, in order, in one direction. Zero ends it.
    pub fn delay(&self, direction: Direction, delay: Duration) {
        self.rules.change(|flow| match direction {
            Direction::ToServer => flow.to_server = delay,
            Direction::ToClient => flow.to_client = delay,
        });
    }

    /// Loses the next `count` messages from the server to its clients, whole ones, counted over all connections.
    /// The rest of the protocol passes, so the connections stay healthy.
    ///
    /// A connection that turned to TLS cannot be read: it loses everything the server sends in pieces as they come.
    pub fn lose_next(&self, count: usize) {
        self.rules.set_loss(Loss::Next(count));
    }

    /// Loses every message from the server to its clients for this long; as [`lose_next`](Self::lose_next)
    /// otherwise.
    pub fn lose_for(&self, time: Duration) {
        self.rules.set_loss(Loss::Until(Instant::now() + time));
    }

    /// Loses the messages from the server to its clients that `is_lost` picks; as [`lose_next`](Self::lose_next)
    /// otherwise. It is handed the whole frame, from `MSG` or `HMSG` to the last byte of the body.
    pub fn lose_where(&self, is_lost: impl FnMut(&[u8]) -> bool + Send + 'static) {
        self.rules.set_loss(Loss::Where(Box::new(is_lost)));
    }

    /// Ends losses; delays and freezing stay as they are.
    pub fn lose_nothing(&self) {
        self.rules.set_loss(Loss::None);
    }

    /// How many messages were lost so far. A test that lost an acknowledgement waits for this to grow.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.rules.lost()
    }

    /// Closes all connections there are; returns when they are closed. New ones are accepted.
    pub async fn cut(&self) {
        self.order(Order::Cut).await;
    }

    /// Refuses new connections, as if the server were down; those there are stay.
    pub async fn refuse(&self) {
        self.order(Order::Refuse).await;
    }

    /// Accepts connections again after [`refuse`](Self::refuse), on the same port.
    ///
    /// # Errors
    ///
    /// When somebody else listens on the port now.
    pub async fn accept(&self) -> io::Result<()> {
        self.order(Order::Accept).await.unwrap_or(Ok(()))
    }

    /// How many connections there are.
    pub async fn connections(&self) -> usize {
        self.order(Order::Count).await.unwrap_or(0)
    }

    /// Closes everything and returns when it is closed. Dropping does the same without waiting.
    pub async fn stop(self) {
        self.order(Order::Stop).await;
    }

    /// `None` when the task is gone, which happens only together with its runtime.
    async fn order<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
        let (done, answer) = oneshot::channel();
        self.orders.send(order(done)).await.ok()?;
        answer.await.ok()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The task that owns the listener and the connections; when it ends, so do they.
struct Owner {
    address: SocketAddr,
    server: SocketAddr,
    listener: Option<TcpListener>,
    connections: JoinSet<()>,
    rules: Arc<Rules>,
}

impl Owner {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Stop(done)) => {
                        self.listener = None;
                        self.connections.shutdown().await;
                        let _ = done.send(());
                        return;
                    }
                    Some(order) => self.carry_out(order).await,
                    None => return,
                },
                Ok((client, _)) = accept(self.listener.as_ref()) => self.connect(client),
                Some(_) = self.connections.join_next() => {}
            }
        }
    }

    /// An order whose giver has gone away is carried out all the same.
    async fn carry_out(&mut self, order: Order) {
        match order {
            Order::Cut(done) => {
                self.connections.shutdown().await;
                let _ = done.send(());
            }
            Order::Refuse(done) => {
                self.listener = None;
                let _ = done.send(());
            }
            Order::Accept(done) => {
                let _ = done.send(self.listen_again().await);
            }
            Order::Count(answer) => {
                while self.connections.try_join_next().is_some() {}
                let _ = answer.send(self.connections.len());
            }
            Order::Stop(done) => drop(done),
        }
    }

    async fn listen_again(&mut self) -> io::Result<()> {
        if self.listener.is_none() {
            self.listener = Some(TcpListener::bind(self.address).await?);
        }
        Ok(())
    }

    fn connect(&mut self, client: TcpStream) {
        if self.connections.len() >= MOST_CONNECTIONS {
            tracing::warn!(limit = MOST_CONNECTIONS, "the proxy closes a connection beyond its limit");
            return;
        }
        let (server, rules) = (self.server, self.rules.clone());
        self.connections.spawn(async move {
            match timeout(CONNECT_WITHIN, TcpStream::connect(server)).await {
                Ok(Ok(server)) => pipe::run(client, server, &rules).await,
                // The client sees its connection closed, as it would without a proxy in between.
                Ok(Err(error)) => tracing::debug!(%error, "the server behind the proxy cannot be reached"),
                Err(_) => tracing::debug!("the server behind the proxy does not answer"),
            }
        });
    }
}

/// Never, while connections are refused.
async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn bind_somewhere() -> io::Result<TcpListener> {
    let mut attempt = 1;
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).await {
            Err(_) if attempt < PORT_ATTEMPTS => attempt += 1,
            outcome => return outcome,
        }
    }
}
