//! The servers of one scenario, with file storage on a disk.

use std::time::Duration;

use async_nats::Client;
use bytes::Bytes;
use futures_util::StreamExt;
use headwater_testkit::{NatsCluster, NatsServer};
use tempfile::TempDir;

use super::meter::{Meter, resident};
use super::{journal, machine};
use crate::Fallible;
use crate::arguments::Effort;

/// How many calls a client buffers; more than are ever in flight.
const CAPACITY: usize = 64 * 1024;

/// How long the server may take to see what was sent.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);

/// When the server syncs its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    /// Every two minutes, which is the server's default.
    Default,
    /// Before every acknowledgement.
    Always,
}

/// One server, and the callers' connection to it. Everything is gone when it is dropped.
#[derive(Debug)]
pub(crate) struct World {
    server: Servers,
    client: Client,
    /// Last, so that the files go after the server.
    _folder: Option<TempDir>,
}

#[derive(Debug)]
enum Servers {
    One(Box<NatsServer>),
    Cluster(NatsCluster),
}

impl World {
    pub(crate) async fn start(effort: &Effort, sync: Sync) -> Fallible<Self> {
        let folder = tempfile::Builder::new()
            .prefix("headwater-benches-")
            .tempdir_in(machine::folder_on_disk(effort.dir.as_deref())?)?;
        let mut server = NatsServer::builder().store_dir(folder.path().join("store"));
        if sync == Sync::Always {
            server = server.jetstream_config("sync_interval: always");
        }
        let server = server.start().await?;
        let client = connect(&server.url()).await?;
        Ok(Self { server: Servers::One(Box::new(server)), client, _folder: Some(folder) })
    }

    /// Three servers; the client is connected to the first. Their files lie in the temporary folder.
    pub(crate) async fn start_cluster() -> Fallible<Self> {
        let cluster = NatsCluster::start().await?;
        let client = connect(&cluster.node(0).url()).await?;
        Ok(Self { server: Servers::Cluster(cluster), client, _folder: None })
    }

    fn nodes(&self) -> &[NatsServer] {
        match &self.server {
            Servers::One(server) => std::slice::from_ref(server),
            Servers::Cluster(cluster) => cluster.nodes(),
        }
    }

    /// Where programs connect to.
    pub(crate) fn url(&self) -> String {
        self.nodes()[0].url()
    }

    /// Where a program of `service` connects to: to the leader of its journal, so that no run has it easier than another.
    pub(crate) async fn url_for(&self, service: &str) -> Fallible<String> {
        let Servers::Cluster(cluster) = &self.server else { return Ok(self.url()) };
        let stream = journal::stream_of(service)?;
        let stream = async_nats::jetstream::new(self.client.clone()).get_stream(stream).await?;
        let leader = stream.cached_info().cluster.as_ref().and_then(|cluster| cluster.leader.as_deref());
        let leader = leader.and_then(|name| cluster.index_of(name)).ok_or("the journal has no leader yet")?;
        Ok(cluster.node(leader).url())
    }

    /// The callers' connection.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The version of the server.
    pub(crate) fn version(&self) -> String {
        self.nodes()[0].version().to_string()
    }

    /// How many replicas a stream is to have here.
    pub(crate) fn replicas(&self) -> u8 {
        if self.nodes().len() > 1 { 3 } else { 1 }
    }

    /// Reads the clocks of these programs and of all servers.
    pub(crate) fn meter(&self, programs: Vec<u32>) -> Meter {
        Meter::new(programs, self.nodes().iter().filter_map(NatsServer::pid).collect())
    }

    /// The resident memory of all servers, in bytes.
    pub(crate) fn servers_resident(&self) -> Fallible<u64> {
        self.nodes().iter().filter_map(NatsServer::pid).map(resident).sum()
    }

    /// Stops the servers and starts them again on the same files, with nothing in their memory.
    pub(crate) async fn restart(&mut self) -> Fallible<()> {
        for server in self.nodes() {
            server.restart().await?;
        }
        self.client = connect(&self.url()).await?;
        Ok(())
    }
}

/// Connects with room for many calls at once.
pub(crate) async fn connect(url: &str) -> Fallible<Client> {
    let options = async_nats::ConnectOptions::new()
        .subscription_capacity(CAPACITY)
        .client_capacity(CAPACITY)
        .connection_timeout(Duration::from_secs(5));
    Ok(options.connect(url).await?)
}

/// Returns when the server has taken everything that was sent before, subscriptions above all. (A flush of the client only
/// empties its own buffer.)
pub(crate) async fn settled(client: &Client) -> Fallible<()> {
    let inbox = client.new_inbox();
    let mut own = client.subscribe(inbox.clone()).await?;
    client.publish(inbox, Bytes::new()).await?;
    let back = tokio::time::timeout(SETTLED_WITHIN, own.next()).await.map_err(|_| "the server does not answer")?;
    back.map(drop).ok_or_else(|| "the connection was closed".into())
}
