//! Certificates, keys and credentials for one test, in files.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair as CertificateKey};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with an authority's certificate, and with those of a server and of a client that it signed.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        let files = Self(tempfile::tempdir().expect("a folder can be made"));
        let authority = CertificateKey::generate().expect("a key can be made");
        let mut params = CertificateParams::new(Vec::new()).expect("no names are fine");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        files.write("ca.pem", &params.self_signed(&authority).expect("it can be signed").pem());
        let issuer = Issuer::new(params, authority);
        for (name, alternative) in [("server", "127.0.0.1"), ("client", "till.example")] {
            let key = CertificateKey::generate().expect("a key can be made");
            let params = CertificateParams::new(vec![alternative.to_owned()]).expect("it is a name");
            files.write(&format!("{name}.pem"), &params.signed_by(&key, &issuer).expect("it can be signed").pem());
            files.write(&format!("{name}.key"), &key.serialize_pem());
        }
        files
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("the folder can be written to");
        path
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        Path::new(self.0.path()).join(name)
    }

    /// The path as part of a command line.
    pub(crate) fn shown(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The server's block; `more` are further lines in it.
    pub(crate) fn tls(&self, more: &str) -> String {
        let [cert, key, ca] = ["server.pem", "server.key", "ca.pem"].map(|name| self.shown(name));
        format!("tls {{ cert_file: \"{cert}\", key_file: \"{key}\", ca_file: \"{ca}\", {more} }}\n")
    }
}

/// An operator with one account, as `nsc` would make them.
pub(crate) struct Operator {
    pub(crate) config: String,
    account: KeyPair,
}

impl Operator {
    pub(crate) fn new() -> Self {
        let (operator, account) = (KeyPair::new_operator(), KeyPair::new_account());
        let operator_jwt = jwt(&operator, &operator, &json!({ "type": "operator", "version": 2 }));
        let limits = json!({ "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
            "conn": -1, "leaf": -1 });
        let account_jwt = jwt(&operator, &account, &json!({ "type": "account", "version": 2, "limits": limits }));
        let preload = format!("resolver_preload {{ {}: {account_jwt} }}", account.public_key());
        Self { config: format!("operator: {operator_jwt}\nresolver: MEMORY\n{preload}\n"), account }
    }

    /// A credentials file's text for a new user.
    pub(crate) fn credentials(&self) -> String {
        let key = KeyPair::new_user();
        let claims =
            json!({ "type": "user", "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1 });
        let (jwt, seed) = (jwt(&self.account, &key, &claims), key.seed().expect("it has a seed"));
        format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
    }
}

fn jwt(issuer: &KeyPair, subject: &KeyPair, nats: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = encode(&json!({ "typ": "JWT", "alg": "ed25519-nkey" }));
    let claims = encode(&json!({ "jti": "TEST", "iat": 1_700_000_000, "name": "test",
        "iss": issuer.public_key(), "sub": subject.public_key(), "nats": nats }));
    let signed = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).expect("it has a private half"));
    format!("{signed}.{signature}")
}
