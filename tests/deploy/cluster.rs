//! The configuration for three nodes: TLS everywhere, and an account for each service.

use std::path::Path;
use std::time::Duration;

use headwater_testkit::NatsCluster;
use nkeys::KeyPair;
use tempfile::TempDir;

use super::certificates::Certificates;
use super::repository;
use super::run::{Variables, answer, call, serve, stop};

/// A user of the cluster, by NKey.
struct User {
    variable: &'static str,
    key: KeyPair,
}

impl User {
    fn new(variable: &'static str) -> Self {
        Self { variable, key: KeyPair::new_user() }
    }

    /// What the program needs to sign in as this user.
    fn variables(&self, cluster: &NatsCluster, authority: &Path, folder: &Path) -> Variables {
        let seed = folder.join(self.variable);
        std::fs::write(&seed, self.key.seed().unwrap()).unwrap();
        let urls: Vec<_> = cluster.urls().iter().map(|url| url.replace("nats://", "tls://")).collect();
        vec![("NATS_URL", urls.join(",")), ("NATS_CA", path(authority)), ("NATS_NKEY", path(&seed))]
    }
}

fn path(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cluster_keeps_receipts_three_times_and_to_those_of_its_account() {
    let folder = TempDir::new().unwrap();
    let certificates = Certificates::in_folder(folder.path());
    let users = ["NATS_RECEIPTS_NKEY", "NATS_TILL_NKEY", "NATS_ORDERS_NKEY", "NATS_SYSTEM_NKEY"].map(User::new);
    let cluster = start(&certificates, &users).await;
    let [service, till, orders, system] =
        users.each_ref().map(|user| user.variables(&cluster, &certificates.authority(), folder.path()));

    let (instance, _) = serve(&["serve", "--replicas", "3"], &service).await;
    answer("add-item order-1 --name Coffee --price 5.99", &till).await;
    let receipt = answer("get order-1", &till).await;
    assert_eq!(receipt["revision"], 1, "{receipt:#}");
    let instances = answer("discover --expect 1", &till).await;
    assert_eq!(instances.as_array().map(Vec::len), Some(1), "{instances:#}");

    // Nobody else's account has such a service, whether it is asked or looked for.
    for stranger in [&orders, &system] {
        for line in ["get order-1 --timeout 1s", "discover"] {
            let (succeeded, why) = call(line, stranger).await;
            assert!(!succeeded && why.contains("no instance"), "{line}: {why}");
        }
    }
    // Nor is anybody let in without the authority or without a key.
    for missing in ["NATS_CA", "NATS_NKEY"] {
        let without = till.iter().filter(|(name, _)| *name != missing).cloned().collect();
        let (succeeded, why) = call("get order-1 --timeout 1s", &without).await;
        assert!(!succeeded, "{missing}: {why}");
    }

    callers_cannot_write_past_the_service(&cluster, &users, &certificates.authority()).await;
    let history = answer("history order-1", &till).await;
    assert_eq!(history["events"].as_array().map(Vec::len), Some(1), "{history:#}");

    // Of three, any one may go, also the one that the only instance is connected to.
    cluster.node(0).kill();
    let back = async || call("get order-1 --timeout 2s", &till).await.0.then_some(());
    headwater_testkit::wait_until(Duration::from_secs(30), "the service on the nodes that are left", back).await;
    answer("add-item order-1 --name Tea --price 2.50 --expected-revision 1 --timeout 20s", &till).await;
    stop(instance).await;
}

async fn start(certificates: &Certificates<'_>, users: &[User]) -> NatsCluster {
    let (certificate, key) = certificates.node();
    let files = [1, 2, 3].map(|node| repository(&format!("deploy/nats/cluster/node-{node}.conf")));
    let cluster = NatsCluster::builder().config_files(files).each_node(|node| {
        let node = node.variable("NATS_TLS_CERT", certificate).variable("NATS_TLS_KEY", key);
        let node = node.variable("NATS_TLS_CA", certificates.authority());
        users.iter().fold(node, |node, user| node.variable(user.variable, user.key.public_key()))
    });
    cluster.start().await.unwrap()
}

/// What a caller publishes into the journal's subjects goes nowhere; what the service's user does arrives.
async fn callers_cannot_write_past_the_service(cluster: &NatsCluster, users: &[User; 4], authority: &Path) {
    let connect = async |user: &User| {
        let options = async_nats::ConnectOptions::with_nkey(user.key.seed().unwrap());
        options.add_root_certificates(authority.into()).require_tls(true).connect(cluster.urls()).await.unwrap()
    };
    let [service, till] = [connect(&users[0]).await, connect(&users[1]).await];
    let publish = async |client: async_nats::Client| {
        let mut context = async_nats::jetstream::new(client);
        context.set_timeout(Duration::from_millis(500));
        // In the stream's subjects, and in nobody's history.
        context.publish("receipts.journal.other.order-1.noted", "{}".into()).await.unwrap().await.is_ok()
    };
    assert!(!publish(till).await, "a caller wrote into the journal");
    assert!(publish(service).await, "the service's user cannot write, so nothing was shown");
}
