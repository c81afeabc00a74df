//! Keys, and tokens signed with them.
#![allow(dead_code, unreachable_pub, reason = "every test file uses its own part of this")]

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use headwater_nats_service::auth::{Algorithm, Auth, Jwt, JwtKey, Rule};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Caller, Reply, body, headers};

/// A key made for these tests; it opens nothing.
pub const RSA: &str = include_str!("../../fixtures/not-secret-rsa-2048.pem");
pub const RSA_PUBLIC: &str = include_str!("../../fixtures/not-secret-rsa-2048.pub.pem");
pub const WEAK_RSA_PUBLIC: &str = include_str!("../../fixtures/not-secret-rsa-1024.pub.pem");

/// What tokens are signed with.
pub struct Key {
    pub signing: jsonwebtoken::Algorithm,
    pub private: EncodingKey,
    /// The text of the file by which they are checked.
    pub public: String,
    pub id: Option<String>,
}

impl Key {
    pub fn secret() -> Self {
        let secret = URL_SAFE_NO_PAD.encode(nkeys::KeyPair::new_user().seed().unwrap());
        Self::of(jsonwebtoken::Algorithm::HS256, EncodingKey::from_secret(secret.as_bytes()), secret)
    }

    pub fn rsa() -> Self {
        let private = EncodingKey::from_rsa_pem(RSA.as_bytes()).unwrap();
        Self::of(jsonwebtoken::Algorithm::RS256, private, RSA_PUBLIC.to_owned())
    }

    pub fn p256() -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let private = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
        Self::of(jsonwebtoken::Algorithm::ES256, private, pair.public_key_pem())
    }

    pub fn ed25519() -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let private = EncodingKey::from_ed_der(&pair.serialize_der());
        Self::of(jsonwebtoken::Algorithm::EdDSA, private, pair.public_key_pem())
    }

    fn of(signing: jsonwebtoken::Algorithm, private: EncodingKey, public: String) -> Self {
        Self { signing, private, public, id: None }
    }

    /// A key for HS256, as it stands in a JWKS.
    pub fn in_jwks(&self, id: &str) -> Value {
        json!({ "kty": "oct", "kid": id, "alg": "HS256", "k": URL_SAFE_NO_PAD.encode(&self.public) })
    }

    pub fn named(self, id: &str) -> Self {
        Self { id: Some(id.to_owned()), ..self }
    }

    pub fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: self.id.clone(), ..Header::new(self.signing) };
        encode(&header, claims, &self.private).unwrap()
    }

    /// A good token of a clerk's.
    pub fn token(&self) -> String {
        self.sign(&claims())
    }

    pub fn algorithm(&self) -> Algorithm {
        match self.signing {
            jsonwebtoken::Algorithm::HS256 => Algorithm::Hs256,
            jsonwebtoken::Algorithm::RS256 => Algorithm::Rs256,
            jsonwebtoken::Algorithm::ES256 => Algorithm::Es256,
            _ => Algorithm::EdDsa,
        }
    }
}

/// The claims of a clerk.
pub fn claims() -> Value {
    let now = Utc::now().timestamp();
    json!({ "sub": "mia", "iss": "https://id.test", "aud": "tallies", "exp": now + 600, "iat": now, "roles": ["clerk"], "tenant": "north" })
}

/// The claims of a clerk, but for one.
pub fn but(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

pub fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// A folder with files, gone at the end of the test.
pub struct Files(TempDir);

impl Files {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Takes tokens signed with `key`, as these tests use them.
pub fn jwt(key: JwtKey) -> Jwt {
    Jwt::new(key).issuer("https://id.test").audience("tallies")
}

/// Clerks may add and get.
pub fn clerks(auth: Auth) -> Auth {
    auth.roles(["clerk", "auditor"])
        .rule(Rule::allow().commands(["tally.add"]).queries(["tally.get"]).role("clerk"))
        .rule(Rule::allow().queries(["*"]).role("auditor"))
}

impl Caller {
    /// Adds one to a tally, with this `Authorization`.
    pub async fn add(&self, id: &str, authorization: &str) -> Reply {
        let headers = headers([("Authorization", authorization)]);
        self.ask_with("tallies.command.tally.add", headers, body(id, &json!({ "amount": 1 }))).await
    }

    pub async fn get_with(&self, id: &str, authorization: &str) -> Reply {
        let body = json!({ "aggregateId": id }).to_string();
        self.ask_with("tallies.query.tally.get", headers([("Authorization", authorization)]), body).await
    }
}

pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}
