//! Every way of proving who one is and of encrypting, and what is said when it does not work.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headwater_nats::connect::{ConnectError, ConnectErrorKind, Connection, HumanDuration, NatsConfig, TlsConfig};
use headwater_testkit::{FaultProxy, TestServer};
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair as CertificateKey};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::Instant;

async fn lets_in(config: &NatsConfig) {
    let connection = Connection::connect(config).await.unwrap();
    connection.round_trip().await.unwrap();
    connection.close().await;
}

async fn refusal(config: &NatsConfig) -> ConnectError {
    Connection::connect(config).await.map(|connection| connection.status()).expect_err("it was let in")
}

fn says(error: &ConnectError, kind: ConnectErrorKind, words: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    for word in words {
        assert!(text.contains(word), "{text}\n  without: {word}");
    }
    assert!(!text.contains("canary") && !format!("{error:?}").contains("canary"), "{error:?}");
}

/// Files that go with the test.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

#[tokio::test]
async fn a_user_with_a_password_is_let_in_also_by_url() {
    let server = TestServer::with(|builder| builder.user_and_password("ann", "p@ss")).await;
    lets_in(&NatsConfig::new(&server.url()).user_and_password("ann", "p@ss")).await;
    let address = server.address();
    lets_in(&NatsConfig::new(&format!("nats://ann:p%40ss@{address}"))).await;
}

#[tokio::test]
async fn a_token_is_let_in_also_by_url() {
    let server = TestServer::with(|builder| builder.token("t0ken")).await;
    lets_in(&NatsConfig::new(&server.url()).token("t0ken")).await;
    lets_in(&NatsConfig::new(&format!("nats://t0ken@{}", server.address()))).await;
}

#[tokio::test]
async fn wrong_credentials_are_called_that_and_not_shown() {
    let server = TestServer::with(|builder| builder.user_and_password("ann", "right")).await;
    let url = server.url();
    for (config, words) in [
        (
            NatsConfig::new(&url).user_and_password("ann", "canary"),
            "as user \"ann\" with the password of nats.password",
        ),
        (NatsConfig::new(&url).token("canary"), "with nats.token"),
        (NatsConfig::new(&format!("nats://ann:canary@{}", server.address())), "with the credentials in nats.servers"),
        (NatsConfig::new(&url), "no credentials are configured"),
    ] {
        let error = refusal(&config).await;
        says(
            &error,
            ConnectErrorKind::Authentication,
            &[&server.address().to_string(), "authorization violation", words],
        );
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn an_nkey_is_let_in_from_a_setting_and_from_a_file() {
    let key = KeyPair::new_user();
    let users = format!("authorization {{ users = [ {{ nkey: {} }} ] }}", key.public_key());
    let server = TestServer::with(|builder| builder.config(&users)).await;
    let seed = key.seed().unwrap();
    lets_in(&NatsConfig::new(&server.url()).nkey_seed(seed.as_str())).await;

    let files = Files::new();
    let file = files.write("my.nk", &format!("# a comment\n{seed}\n"));
    lets_in(&NatsConfig { nkey_seed_file: Some(file), ..NatsConfig::new(&server.url()) }).await;

    let stranger = KeyPair::new_user().seed().unwrap();
    let error = refusal(&NatsConfig::new(&server.url()).nkey_seed(stranger)).await;
    says(&error, ConnectErrorKind::Authentication, &["authorization violation", "nats.nkey_seed"]);
}

/// An operator with one account, as `nsc` would make them.
struct Operator {
    config: String,
    account: KeyPair,
}

/// What makes a user.
struct User {
    key: KeyPair,
    jwt: String,
}

impl Operator {
    fn new() -> Self {
        let (operator, account) = (KeyPair::new_operator(), KeyPair::new_account());
        let operator_jwt = jwt(&operator, &operator, &json!({ "type": "operator", "version": 2 }));
        let limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1
        });
        let account_jwt = jwt(&operator, &account, &json!({ "type": "account", "version": 2, "limits": limits }));
        let config = format!(
            "operator: {operator_jwt}\nresolver: MEMORY\nresolver_preload {{ {}: {account_jwt} }}",
            account.public_key()
        );
        Self { config, account }
    }

    fn user(&self) -> User {
        let key = KeyPair::new_user();
        let permissions = json!({
            "type": "user", "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1
        });
        let jwt = jwt(&self.account, &key, &permissions);
        User { key, jwt }
    }
}

impl User {
    fn credentials(&self) -> String {
        format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            self.jwt,
            self.key.seed().unwrap()
        )
    }
}

fn jwt(issuer: &KeyPair, subject: &KeyPair, nats: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = encode(&json!({ "typ": "JWT", "alg": "ed25519-nkey" }));
    let claims = encode(&json!({
        "jti": "TEST", "iat": 1_700_000_000, "name": "test",
        "iss": issuer.public_key(), "sub": subject.public_key(), "nats": nats,
    }));
    let signed = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

#[tokio::test]
async fn a_credentials_file_is_let_in_and_so_is_a_jwt_with_its_seed() {
    let operator = Operator::new();
    let user = operator.user();
    let server = TestServer::with(|builder| builder.jetstream(false).config(&operator.config)).await;
    let files = Files::new();
    let file = files.write("my.creds", &user.credentials());
    lets_in(&NatsConfig::new(&server.url()).credentials_file(&file)).await;

    let mut config = NatsConfig::new(&server.url()).nkey_seed(user.key.seed().unwrap());
    config.user_jwt = Some(user.jwt.as_str().into());
    lets_in(&config).await;

    let stranger = files.write("stranger.creds", &Operator::new().user().credentials());
    let error = refusal(&NatsConfig::new(&server.url()).credentials_file(stranger)).await;
    says(&error, ConnectErrorKind::Authentication, &["authorization violation", "nats.credentials_file"]);
}

/// Credentials that are renewed while a program runs must not need a restart of it.
#[tokio::test]
async fn a_renewed_credentials_file_is_used_at_the_next_connect() {
    let operator = Operator::new();
    let (old, new) = (operator.user(), operator.user());
    let server = TestServer::with(|builder| builder.jetstream(false).config(&operator.config)).await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let files = Files::new();
    let file = files.write("my.creds", &old.credentials());
    let connection = Connection::connect(&NatsConfig::new(&proxy.url()).credentials_file(&file)).await.unwrap();
    assert!(signed_in(&server).await.contains(&old.key.public_key()));

    let mut statuses = connection.statuses();
    files.write("my.creds", "half a fi");
    proxy.cut().await;
    let told = statuses.wait_for(|status| status.to_string().contains("my.creds")).await.unwrap().to_string();
    assert!(told.starts_with("disconnected: ") && told.contains("holds no user JWT"), "{told}");

    files.write("my.creds", &new.credentials());
    connection.ready(Duration::from_secs(20)).await.unwrap();
    assert!(signed_in(&server).await.contains(&new.key.public_key()));
}

/// What the server knows of those that are connected.
async fn signed_in(server: &TestServer) -> String {
    server.monitor("/connz?auth=1").await.unwrap()["connections"].to_string()
}

#[tokio::test]
async fn a_broken_credentials_file_is_named_before_anything_is_tried() {
    let files = Files::new();
    for (text, words) in [
        ("", "holds no user JWT"),
        ("-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n", "holds no NKey seed"),
        (
            "-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n\
             -----BEGIN USER NKEY SEED-----\nSUCANARY\n------END USER NKEY SEED------\n",
            "is not the seed of an NKey",
        ),
    ] {
        let file = files.write("broken.creds", text);
        let error = refusal(&NatsConfig::new("nats://127.0.0.1:1").credentials_file(&file)).await;
        says(&error, ConnectErrorKind::Config, &["nats.credentials_file: ", &file.display().to_string(), words]);
        assert!(!error.to_string().contains("CANARY"));
    }
}

#[tokio::test]
async fn an_unreachable_server_is_named_with_the_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = listener.local_addr().unwrap();
    drop(listener);
    let start = Instant::now();
    let urls = format!("nats://ann:canary@{taken},nats://ann:canary@no-such-host.invalid:4333");
    let error = refusal(&NatsConfig::new(&urls)).await;
    says(
        &error,
        ConnectErrorKind::Unreachable,
        &[
            &format!("nats://{taken}: connection refused"),
            "nats://no-such-host.invalid:4333: the host name cannot be resolved",
        ],
    );
    assert!(error.is_retryable());
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_given_up_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", silent.local_addr().unwrap());
    let config = NatsConfig { connect_timeout: Some(HumanDuration::from_millis(200)), ..NatsConfig::new(&url) };
    let start = Instant::now();
    let error = refusal(&config).await;
    says(&error, ConnectErrorKind::Timeout, &[&url, "no answer within 200ms (nats.connect_timeout)"]);
    assert!(error.is_timeout() && error.is_retryable());
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn the_default_server_is_named_as_a_default_and_a_variable_as_the_source() {
    let environment = headwater_nats::connect::Environment::of([("NATS_URL", "nats://127.0.0.1:1")]);
    let error = refusal(&NatsConfig::default().load_with(&environment).unwrap()).await;
    says(&error, ConnectErrorKind::Unreachable, &["nats://127.0.0.1:1: connection refused", "(servers from NATS_URL)"]);
}

#[tokio::test]
async fn one_server_of_several_is_enough() {
    let server = TestServer::start().await;
    for _ in 0..4 {
        lets_in(&NatsConfig::new(&format!("nats://127.0.0.1:1,{},nats://127.0.0.1:2", server.url()))).await;
    }
}

/// An authority and certificates from it, in files.
struct Certificates {
    files: Files,
    ca: PathBuf,
}

impl Certificates {
    fn new() -> Self {
        let files = Files::new();
        let authority = CertificateKey::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = files.write("ca.pem", &params.self_signed(&authority).unwrap().pem());
        let issuer = Issuer::new(params, authority);
        for (name, alternative) in
            [("server", "127.0.0.1"), ("client", "client.example"), ("elsewhere", "other.example")]
        {
            let key = CertificateKey::generate().unwrap();
            let params = CertificateParams::new(vec![alternative.to_owned()]).unwrap();
            files.write(&format!("{name}.pem"), &params.signed_by(&key, &issuer).unwrap().pem());
            files.write(&format!("{name}.key"), &key.serialize_pem());
        }
        Self { files, ca }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.0.path().join(name)
    }

    async fn server(&self, certificate: &str, more: &str) -> TestServer {
        let config = format!(
            "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", {more} }}",
            self.file(&format!("{certificate}.pem")).display(),
            self.file(&format!("{certificate}.key")).display(),
            self.ca.display(),
        );
        TestServer::with(|builder| builder.config(&config)).await
    }

    fn trusting(&self) -> TlsConfig {
        TlsConfig { ca_file: Some(self.ca.clone()), ..TlsConfig::default() }
    }

    fn showing(&self) -> TlsConfig {
        TlsConfig {
            cert_file: Some(self.file("client.pem")),
            key_file: Some(self.file("client.key")),
            ..self.trusting()
        }
    }
}

#[tokio::test]
async fn an_encrypted_connection_is_made_whoever_asks_for_it() {
    let certificates = Certificates::new();
    let server = certificates.server("server", "").await;
    lets_in(&NatsConfig::new(&server.url()).tls(certificates.trusting())).await;
    lets_in(&NatsConfig::new(&format!("tls://{}", server.address())).tls(certificates.trusting())).await;
    let required = TlsConfig { required: Some(true), ..certificates.trusting() };
    lets_in(&NatsConfig::new(&server.url()).tls(required)).await;
}

#[tokio::test]
async fn tls_comes_first_when_both_sides_say_so() {
    let certificates = Certificates::new();
    let server = certificates.server("server", "handshake_first: true").await;
    let first = TlsConfig { first: Some(true), ..certificates.trusting() };
    lets_in(&NatsConfig::new(&server.url()).tls(first)).await;
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_its_lack_is_explained() {
    let certificates = Certificates::new();
    let server = certificates.server("server", "verify: true").await;
    lets_in(&NatsConfig::new(&server.url()).tls(certificates.showing())).await;
    let error = refusal(&NatsConfig::new(&server.url()).tls(certificates.trusting())).await;
    says(&error, ConnectErrorKind::Tls, &["nats.tls.cert_file and nats.tls.key_file"]);
}

#[tokio::test]
async fn each_tls_failure_says_what_to_do() {
    let certificates = Certificates::new();
    let strangers = Certificates::new();
    let server = certificates.server("server", "").await;
    let error = refusal(&NatsConfig::new(&server.url()).tls(strangers.trusting())).await;
    says(&error, ConnectErrorKind::Tls, &[&server.address().to_string(), "nats.tls.ca_file"]);
    says(&refusal(&NatsConfig::new(&server.url())).await, ConnectErrorKind::Tls, &["TLS"]);

    let elsewhere = certificates.server("elsewhere", "").await;
    let error = refusal(&NatsConfig::new(&elsewhere.url()).tls(certificates.trusting())).await;
    says(&error, ConnectErrorKind::Tls, &["certificate not valid for name \"127.0.0.1\""]);

    let plain = TestServer::start().await;
    let required = TlsConfig { required: Some(true), ..certificates.trusting() };
    let config = NatsConfig { connect_timeout: Some(HumanDuration::from_secs(1)), ..NatsConfig::new(&plain.url()) };
    let error = refusal(&config.tls(required)).await;
    says(&error, ConnectErrorKind::Tls, &[&plain.address().to_string()]);
}

#[tokio::test]
async fn a_key_that_is_none_is_named() {
    let certificates = Certificates::new();
    let mut tls = certificates.showing();
    tls.key_file = Some(certificates.ca.clone());
    let error = refusal(&NatsConfig::new("nats://127.0.0.1:1").tls(tls)).await;
    says(&error, ConnectErrorKind::Config, &["nats.tls.key_file: ", "holds no private key in PEM form"]);
}
