//! A place to run in: a server, and on it an account of the test's own.
//!
//! The tests of one file share a server, and each has an account of it to itself: its subjects, its streams, its
//! services. So they run side by side, with the names a user would use, and none sees another.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use headwater::Name;
use headwater::client::{NatsClient, NatsClientBuilder};
use headwater::nats::connect::{Connection, NatsConfig};
use headwater_testkit::{FaultProxy, NatsCluster, NatsServer, RawClient, TestServer};
use sample_receipts::SERVICE;
use sample_receipts::domain::ReceiptClient;
use tokio::sync::OnceCell;

use crate::{Instance, Journal, Plain, Starting, show};

/// More than any file has tests.
const ACCOUNTS: usize = 240;

/// Lines of the server's log that a failed test shows.
const LOG_LINES: usize = 40;

static SHARED: OnceCell<TestServer> = OnceCell::const_new();
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A server, and on it an account of the test's own.
#[derive(Debug)]
pub struct Site {
    server: Server,
    /// User and password, which are the same; none where everybody is let in.
    user: Option<String>,
}

#[derive(Debug)]
enum Server {
    Shared(&'static TestServer),
    Own(Box<TestServer>),
    Cluster(Box<NatsCluster>),
}

impl Site {
    /// An account of its own on the server that the tests of the file share.
    pub async fn open() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(number < ACCOUNTS, "the shared server has {ACCOUNTS} accounts, and all are taken");
        let server = SHARED.get_or_init(|| TestServer::with(|server| server.config(&accounts()))).await;
        Self { server: Server::Shared(server), user: Some(format!("u{number}")) }
    }

    /// A server of its own, for tests that kill it.
    pub async fn alone() -> Self {
        Self::on(TestServer::start().await)
    }

    /// This server, which lets everybody in.
    #[must_use]
    pub fn on(server: TestServer) -> Self {
        Self { server: Server::Own(Box::new(server)), user: None }
    }

    /// A cluster, which lets everybody in. Connections know all its nodes.
    #[must_use]
    pub fn on_cluster(cluster: NatsCluster) -> Self {
        Self { server: Server::Cluster(Box::new(cluster)), user: None }
    }

    /// The same place for somebody who signs in as `user`, with the name for a password.
    #[must_use]
    pub fn signed_in(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    /// The server; of a cluster, one of them.
    #[must_use]
    pub fn server(&self) -> &NatsServer {
        match &self.server {
            Server::Shared(server) => server,
            Server::Own(server) => server,
            Server::Cluster(cluster) => cluster.node(0),
        }
    }

    /// The node of the cluster that is called so.
    #[must_use]
    pub fn node(&self, name: &str) -> &NatsServer {
        let Server::Cluster(cluster) = &self.server else { panic!("this is no cluster") };
        cluster.nodes().iter().find(|node| node.name() == name).unwrap()
    }

    /// The URL, with credentials where they are needed; of a cluster, all of them with commas between.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.server {
            Server::Cluster(cluster) => cluster.urls().join(","),
            Server::Shared(_) | Server::Own(_) => self.url_by(self.server().address()),
        }
    }

    /// The same at another address, such as a proxy's.
    #[must_use]
    pub fn url_by(&self, address: SocketAddr) -> String {
        match &self.user {
            Some(user) => format!("nats://{user}:{user}@{address}"),
            None => format!("nats://{address}"),
        }
    }

    /// Settings of a connection. It connects again soon, so that tests need not wait.
    #[must_use]
    pub fn config(&self) -> NatsConfig {
        config(&self.url())
    }

    /// Settings of a connection through a proxy.
    #[must_use]
    pub fn config_by(&self, proxy: &FaultProxy) -> NatsConfig {
        config(&self.url_by(proxy.address()))
    }

    /// A proxy in front of the server.
    pub async fn proxy(&self) -> FaultProxy {
        FaultProxy::start(self.server().address()).await.unwrap()
    }

    /// One instance of the receipts service with its defaults.
    pub async fn instance(&self) -> Instance {
        self.starting().start().await
    }

    /// An instance to be described first.
    pub fn starting(&self) -> Starting<'_> {
        Starting::new(self)
    }

    /// A connection without any code of the toolkit.
    pub async fn client(&self) -> async_nats::Client {
        let options = match &self.user {
            Some(user) => async_nats::ConnectOptions::with_user_and_password(user.clone(), user.clone()),
            None => async_nats::ConnectOptions::new(),
        };
        let addresses = match &self.server {
            Server::Cluster(cluster) => cluster.urls(),
            Server::Shared(_) | Server::Own(_) => vec![self.server().url()],
        };
        options.connect(addresses).await.unwrap()
    }

    /// A caller that sends plain NATS requests.
    pub async fn plain(&self) -> Plain {
        Plain::new(self.client().await)
    }

    /// A connection over which any bytes can be sent.
    pub async fn raw(&self) -> RawClient {
        let address = self.server().address();
        let connected = match &self.user {
            Some(user) => RawClient::connect_as(address, user, user).await,
            None => RawClient::connect(address).await,
        };
        connected.unwrap()
    }

    /// What is stored.
    pub async fn journal(&self) -> Journal {
        Journal::new(self.client().await)
    }

    /// The typed client with its defaults.
    pub async fn receipts(&self) -> ReceiptClient {
        self.receipts_with(|client| client).await
    }

    /// The typed client with settings of one's own.
    pub async fn receipts_with(&self, set: impl FnOnce(NatsClientBuilder) -> NatsClientBuilder) -> ReceiptClient {
        ReceiptClient::new(client(&self.config(), set).await)
    }

    /// The typed client through a proxy.
    pub async fn receipts_by(
        &self,
        proxy: &FaultProxy,
        set: impl FnOnce(NatsClientBuilder) -> NatsClientBuilder,
    ) -> ReceiptClient {
        ReceiptClient::new(client(&self.config_by(proxy), set).await)
    }
}

impl Drop for Site {
    /// A server of one's own shows its log by itself; the shared one outlives the test.
    fn drop(&mut self) {
        if let Server::Shared(server) = &self.server
            && std::thread::panicking()
        {
            let (user, tail) = (self.user.as_deref().unwrap_or_default(), server.log_tail(LOG_LINES));
            show(&format!("the log of the shared server, where this test was {user}"), &tail);
        }
    }
}

/// Settings for a connection that is back soon after it was lost.
fn config(url: &str) -> NatsConfig {
    let mut config = NatsConfig::new(url).name("test");
    config.reconnect.initial = Duration::from_millis(20).into();
    config.reconnect.max = Duration::from_millis(200).into();
    config
}

async fn client(config: &NatsConfig, set: impl FnOnce(NatsClientBuilder) -> NatsClientBuilder) -> NatsClient {
    let connection = Connection::connect(config).await.unwrap();
    set(NatsClient::builder(connection, Name::new(SERVICE).unwrap())).build().unwrap()
}

fn accounts() -> String {
    let account =
        |number| format!("  A{number} {{ jetstream: enabled, users: [{{ user: u{number}, password: u{number} }}] }}\n");
    format!("accounts {{\n{}}}\n", (0..ACCOUNTS).map(account).collect::<String>())
}
