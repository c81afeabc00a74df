//! Several servers that form one cluster, with JetStream.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::Value;

use crate::ports::free_port;
use crate::server::{NatsServer, NatsServerBuilder, StartError};
use crate::wait::{NotInTime, try_wait_until};

/// How often a start is tried when somebody else took a chosen port in between.
const PORT_ATTEMPTS: usize = 5;

/// Why a cluster did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// One of its servers did not start.
    #[error("node {node} did not start: {source}")]
    Node {
        /// Which one, counted from 0.
        node: usize,
        /// Why.
        source: StartError,
    },
    /// All servers run, but they did not agree in time.
    #[error("{late}. {state}")]
    NotReady {
        /// What was waited for.
        late: NotInTime,
        /// What each node said last.
        state: String,
    },
}

/// Describes a cluster; [`start`](Self::start) runs it.
#[derive(Debug, Clone)]
#[must_use = "a builder starts nothing until `start` is awaited"]
pub struct NatsClusterBuilder {
    size: usize,
    node: NatsServerBuilder,
    config_files: Vec<PathBuf>,
    ready_within: Duration,
}

impl NatsClusterBuilder {
    /// The number of nodes. Default: 3.
    pub fn size(mut self, size: usize) -> Self {
        self.size = size;
        self
    }

    /// Options for every node, for instance users or `sync_interval`. Names, ports and stores are the cluster's.
    pub fn each_node(mut self, describe: impl FnOnce(NatsServerBuilder) -> NatsServerBuilder) -> Self {
        self.node = describe(self.node);
        self
    }

    /// A configuration file for each node, and so the number of nodes. Each is taken as
    /// [`NatsServerBuilder::config_file`] says; the address and the routes of its `cluster` block are this builder's too.
    /// What the files say else of the cluster holds: its name, TLS between the nodes, limits.
    pub fn config_files<P: Into<PathBuf>>(mut self, files: impl IntoIterator<Item = P>) -> Self {
        self.config_files = files.into_iter().map(Into::into).collect();
        self.size = self.config_files.len();
        self
    }

    /// How long the nodes may take to agree on a leader, once they run. Default: 60 seconds; it usually takes a few.
    pub fn ready_within(mut self, limit: Duration) -> Self {
        self.ready_within = limit;
        self
    }

    /// Starts all nodes at once and waits until they have a meta leader that sees all others up to date.
    ///
    /// # Errors
    ///
    /// When a node does not start, or they do not agree in time. None is left running.
    pub async fn start(self) -> Result<NatsCluster, ClusterError> {
        let mut attempt = 1;
        let nodes = loop {
            match self.start_nodes().await {
                Err(ClusterError::Node { source, .. }) if attempt < PORT_ATTEMPTS && source.is_port_taken() => {
                    attempt += 1;
                }
                outcome => break outcome?,
            }
        };
        let cluster = NatsCluster { nodes, ready_within: self.ready_within };
        cluster.wait_until_ready().await?;
        Ok(cluster)
    }

    async fn start_nodes(&self) -> Result<Vec<NatsServer>, ClusterError> {
        let route_ports: Vec<u16> = (0..self.size).map(|_| free_port()).collect();
        let routes: Vec<String> = route_ports.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let starts = route_ports.iter().enumerate().map(|(node, port)| {
            // All ports are settled here, so that a taken one makes the whole cluster move and not one node.
            let described = self.node.clone().name(format!("node-{node}")).own_store();
            let described = match self.config_files.get(node) {
                Some(file) => described.config_file(file).arguments(options(*port, &routes)),
                None => described.config(&block(*port, &routes)),
            };
            let start = described.port(free_port()).monitor_port(free_port()).start();
            async move { start.await.map_err(|source| ClusterError::Node { node, source }) }
        });
        try_join_all(starts).await
    }
}

/// The cluster in a configuration written here.
fn block(port: u16, routes: &[String]) -> String {
    let routes: Vec<_> = routes.iter().map(|route| format!("\"{route}\"")).collect();
    format!("cluster {{ name: testkit, listen: \"127.0.0.1:{port}\", routes: [{}] }}", routes.join(", "))
}

/// The same on the command line, where it goes before somebody's configuration.
fn options(port: u16, routes: &[String]) -> [String; 4] {
    ["--cluster".into(), format!("nats://127.0.0.1:{port}"), "--routes".into(), routes.join(",")]
}

/// A running cluster. Nodes are killed, paused and restarted through [`node`](Self::node); they keep their ports.
#[derive(Debug)]
pub struct NatsCluster {
    nodes: Vec<NatsServer>,
    ready_within: Duration,
}

impl NatsCluster {
    /// A cluster of three with JetStream.
    ///
    /// # Errors
    ///
    /// See [`NatsClusterBuilder::start`].
    pub async fn start() -> Result<Self, ClusterError> {
        Self::builder().start().await
    }

    /// A cluster to be described first.
    pub fn builder() -> NatsClusterBuilder {
        NatsClusterBuilder {
            size: 3,
            node: NatsServer::builder(),
            config_files: Vec::new(),
            ready_within: Duration::from_secs(60),
        }
    }

    /// The URLs of all nodes, running or not.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(NatsServer::url).collect()
    }

    /// The nodes in order.
    #[must_use]
    pub fn nodes(&self) -> &[NatsServer] {
        &self.nodes
    }

    /// One node, counted from 0.
    ///
    /// # Panics
    ///
    /// When there are not that many.
    #[must_use]
    pub fn node(&self, index: usize) -> &NatsServer {
        &self.nodes[index]
    }

    /// The index of the node that calls itself so, for instance the leader of a stream as stream info names it.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name() == name)
    }

    /// Waits until every *running* node agrees on a meta leader that runs, and that leader sees the other running
    /// nodes up to date. This is how a test goes on after it killed or restarted a node. The index of the leader.
    /// A paused node counts as running: with one there is no agreement.
    ///
    /// # Errors
    ///
    /// When that does not come about within the time set in the builder.
    pub async fn wait_until_ready(&self) -> Result<usize, ClusterError> {
        let what = "a meta leader that sees all running nodes up to date";
        let wait = try_wait_until(self.ready_within, what, async || self.agreed_leader().await.ok());
        match wait.await {
            Ok(leader) => Ok(leader),
            Err(late) => {
                let state = self.agreed_leader().await.err().unwrap_or_else(|| "it came about just now".to_owned());
                Err(ClusterError::NotReady { late, state })
            }
        }
    }

    async fn agreed_leader(&self) -> Result<usize, String> {
        let running = self.nodes.iter().filter(|node| node.is_running());
        let views = try_join_all(running.map(view_of)).await?;
        let leader = agreement(&views)?;
        self.index_of(leader).ok_or_else(|| format!("the leader {leader} is none of ours"))
    }
}

/// How one node sees the group that manages JetStream.
#[derive(Debug)]
struct View {
    node: String,
    leader: Option<String>,
    /// Other nodes that have all this one has; only the leader knows.
    up_to_date: Vec<String>,
}

/// The leader that all name, if it sees all others up to date.
fn agreement(views: &[View]) -> Result<&str, String> {
    let first = views.first().ok_or("no node runs")?;
    let leader = first.leader.as_deref().ok_or_else(|| format!("{} knows no leader", first.node))?;
    if let Some(other) = views.iter().find(|view| view.leader.as_deref() != Some(leader)) {
        return Err(format!("{} names {leader} as leader, {} names {:?}", first.node, other.node, other.leader));
    }
    let leading = views.iter().find(|view| view.node == leader);
    let leading = leading.ok_or_else(|| format!("the leader {leader} does not run"))?;
    match views.iter().find(|view| view.node != leader && !leading.up_to_date.contains(&view.node)) {
        Some(behind) => Err(format!("{leader} does not see {} up to date", behind.node)),
        None => Ok(leader),
    }
}

/// Asks a node, and takes no for an answer when its health page is not content.
async fn view_of(node: &NatsServer) -> Result<View, String> {
    let health = page(node, "/healthz").await?;
    if health["status"] != "ok" {
        return Err(format!("{} says it is not healthy: {}", node.name(), health["error"]));
    }
    let meta = &page(node, "/jsz").await?["meta_cluster"];
    let replicas = meta["replicas"].as_array().map(Vec::as_slice).unwrap_or_default();
    let current = replicas.iter().filter(|replica| replica["current"] == true && replica["offline"] != true);
    Ok(View {
        node: node.name().to_owned(),
        leader: meta["leader"].as_str().filter(|name| !name.is_empty()).map(str::to_owned),
        up_to_date: current.filter_map(|replica| replica["name"].as_str().map(str::to_owned)).collect(),
    })
}

async fn page(node: &NatsServer, path: &str) -> Result<Value, String> {
    node.monitor(path).await.map_err(|error| format!("{} does not answer to {path}: {error}", node.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(node: &str, leader: &str, up_to_date: &[&str]) -> View {
        let leader = (!leader.is_empty()).then(|| leader.to_owned());
        View { node: node.into(), leader, up_to_date: up_to_date.iter().map(|&name| name.to_owned()).collect() }
    }

    #[test]
    fn there_is_agreement_only_when_all_name_a_running_leader_that_sees_them_up_to_date() {
        assert_eq!(agreement(&[view("a", "b", &[]), view("b", "b", &["a"])]), Ok("b"));
        let not_yet = [
            vec![],
            vec![view("a", "", &[])],
            vec![view("a", "b", &[]), view("c", "b", &[])],
            vec![view("a", "a", &["b"]), view("b", "", &[])],
            vec![view("a", "a", &["b"]), view("b", "b", &["a"])],
            vec![view("a", "a", &["b"]), view("b", "a", &[]), view("c", "a", &[])],
        ];
        for views in not_yet {
            assert!(agreement(&views).is_err(), "{views:?}");
        }
    }
}
