//! A connection that is encrypted and signed in, from the flags of the command to the server and back.

use headwater_testkit::TestServer;
use nkeys::KeyPair;

use crate::support::security::{Files, Operator};
use crate::support::{Ended, run_at};

/// A verb that needs an answer from the server.
const VERB: &str = "doctor --fail-on severe";

async fn with(server: &TestServer, flags: &str) -> Ended {
    run_at(&server.url(), &format!("--timeout 5s {flags} {VERB}")).await
}

/// Whether the server let the command in and answered it.
#[track_caller]
fn is_let_in(ended: Ended) {
    let told = ended.done();
    assert!(told.contains("nats-server 2.") && told.contains("Looked at"), "{told}");
}

#[tokio::test]
async fn tls_with_an_authority_of_ones_own_works_and_without_it_the_way_out_is_told() {
    let files = Files::new();
    let server = TestServer::with(|server| server.config(&files.tls(""))).await;
    is_let_in(with(&server, &format!("--tlsca {}", files.shown("ca.pem"))).await);
    let told = with(&server, "").await.refused(1);
    assert!(told.starts_with("failed: tls: ") && told.contains("--tlsca"), "{told}");
    let told = with(&server, &format!("--tlsca {}", Files::new().shown("ca.pem"))).await;
    assert_eq!(told.status, Some(1), "the file of a folder that is gone: {told:?}");
    let strangers = Files::new();
    let told = with(&server, &format!("--tlsca {}", strangers.shown("ca.pem"))).await.refused(1);
    assert!(told.starts_with("failed: tls: "), "{told}");
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_it() {
    let files = Files::new();
    let server = TestServer::with(|server| server.config(&files.tls("verify: true"))).await;
    let [ca, cert, key] = ["ca.pem", "client.pem", "client.key"].map(|name| files.shown(name));
    is_let_in(with(&server, &format!("--tlsca {ca} --tlscert {cert} --tlskey {key}")).await);
    let told = with(&server, &format!("--tlsca {ca}")).await.refused(1);
    assert!(told.contains("--tlscert"), "{told}");

    let first = TestServer::with(|server| server.config(&files.tls("verify: true, handshake_first: true"))).await;
    is_let_in(with(&first, &format!("--tlsfirst --tlsca {ca} --tlscert {cert} --tlskey {key}")).await);
}

#[tokio::test]
async fn an_nkey_signs_in_over_tls() {
    let (files, key) = (Files::new(), KeyPair::new_user());
    let users = format!("authorization {{ users = [ {{ nkey: {} }} ] }}", key.public_key());
    let server = TestServer::with(|server| server.config(&files.tls("")).config(&users)).await;
    let ca = files.shown("ca.pem");
    files.write("user.nk", &key.seed().unwrap());
    is_let_in(with(&server, &format!("--tlsca {ca} --nkey {}", files.shown("user.nk"))).await);
    files.write("stranger.nk", &KeyPair::new_user().seed().unwrap());
    let told = with(&server, &format!("--tlsca {ca} --nkey {}", files.shown("stranger.nk"))).await.refused(1);
    assert!(told.starts_with("refused: unauthenticated: "), "{told}");
}

#[tokio::test]
async fn credentials_sign_in_over_mutual_tls() {
    let (files, operator) = (Files::new(), Operator::new());
    let server =
        TestServer::with(|server| server.jetstream(false).config(&files.tls("verify: true")).config(&operator.config))
            .await;
    let [ca, cert, key] = ["ca.pem", "client.pem", "client.key"].map(|name| files.shown(name));
    files.write("user.creds", &operator.credentials());
    let tls = format!("--tlsca {ca} --tlscert {cert} --tlskey {key}");
    let verb = "--json doctor --role client --service receipts";
    let told = run_at(&server.url(), &format!("{tls} --creds {} {verb}", files.shown("user.creds"))).await;
    // There is no JetStream here; that the doctor tells so shows that it was let in.
    assert!(told.stdout.contains("no-jetstream"), "{told:?}");
    files.write("stranger.creds", &Operator::new().credentials());
    let told = run_at(&server.url(), &format!("{tls} --creds {} doctor", files.shown("stranger.creds"))).await;
    let told = told.refused(1);
    assert!(told.starts_with("refused: unauthenticated: "), "{told}");
}
