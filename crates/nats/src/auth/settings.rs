//! How callers prove who they are.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::connect::HumanDuration;

/// Bearer tokens: `Authorization: Bearer {JWT}`.
///
/// A token must have an `exp`, a user, and what else is asked for here; `nbf` and `iat` must not lie in the future. What a key
/// is used for follows from the key: a token cannot choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct Jwt {
    /// What tokens are signed with.
    pub(super) key: JwtKey,
    /// The `iss` that a token must have. Any by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) issuer: Option<String>,
    /// A token must be meant for one of these: its `aud`. None by default; then a token with an `aud` is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) audience: Vec<String>,
    /// How far clocks may be apart; 30 s by default, 5 minutes at most.
    #[serde(default = "half_a_minute")]
    pub(super) clock_skew: HumanDuration,
    /// The longest token, in bytes; 4096 by default.
    #[serde(default = "four_kibibytes")]
    pub(super) max_bytes: usize,
    /// The claim with the user; `sub` by default. A name that starts with `/` is a JSON Pointer into the claims.
    #[serde(default = "sub")]
    pub(super) user_claim: String,
    /// The claim with the tenant; `tenant` by default.
    #[serde(default = "tenant")]
    pub(super) tenant_claim: String,
    /// The claim with the roles, a list of texts or one text with spaces between; `roles` by default.
    #[serde(default = "roles")]
    pub(super) roles_claim: String,
    /// How many verified tokens are remembered; 10,000 by default.
    #[serde(default = "ten_thousand")]
    pub(super) remember: usize,
}

/// What tokens are signed with. Files are looked at every second, so that keys can be changed while the service runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum JwtKey {
    /// The keys of a file in the form of a JSON Web Key Set (RFC 7517).
    Jwks {
        /// Where the file is.
        jwks: PathBuf,
    },
    /// One key in a file: the PEM of a public key, or for HS256 the secret itself, of 32 bytes or more.
    File {
        /// Where the file is.
        file: PathBuf,
        /// What the key is used for.
        algorithm: Algorithm,
    },
    /// One key in an environment variable, read once.
    Env {
        /// The variable's name.
        env: String,
        /// What the key is used for.
        algorithm: Algorithm,
    },
}

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC with SHA-256: who can check can also sign.
    #[serde(rename = "HS256")]
    Hs256,
    /// RSA (PKCS #1 v1.5) with SHA-256; at least 2048 bits.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl JwtKey {
    /// The keys of a JWKS file.
    pub fn jwks(path: impl Into<PathBuf>) -> Self {
        Self::Jwks { jwks: path.into() }
    }

    /// The key in a file.
    pub fn file(path: impl Into<PathBuf>, algorithm: Algorithm) -> Self {
        Self::File { file: path.into(), algorithm }
    }

    /// The key in an environment variable.
    pub fn env(name: impl Into<String>, algorithm: Algorithm) -> Self {
        Self::Env { env: name.into(), algorithm }
    }
}

impl Jwt {
    /// Takes tokens signed with this key, from any issuer.
    pub fn new(key: JwtKey) -> Self {
        Self {
            key,
            issuer: None,
            audience: Vec::new(),
            clock_skew: half_a_minute(),
            max_bytes: four_kibibytes(),
            user_claim: sub(),
            tenant_claim: tenant(),
            roles_claim: roles(),
            remember: ten_thousand(),
        }
    }

    /// The `iss` that a token must have.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// A token must be meant for this or another audience named so.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience.push(audience.into());
        self
    }

    /// How far clocks may be apart; 30 s by default, 5 minutes at most.
    pub fn clock_skew(mut self, skew: Duration) -> Self {
        self.clock_skew = skew.into();
        self
    }

    /// The longest token, in bytes; 4096 by default.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The claim with the user; `sub` by default. A name that starts with `/` is a JSON Pointer into the claims.
    pub fn user_claim(mut self, name: impl Into<String>) -> Self {
        self.user_claim = name.into();
        self
    }

    /// The claim with the tenant; `tenant` by default.
    pub fn tenant_claim(mut self, name: impl Into<String>) -> Self {
        self.tenant_claim = name.into();
        self
    }

    /// The claim with the roles, a list of texts or one text with spaces between; `roles` by default.
    pub fn roles_claim(mut self, name: impl Into<String>) -> Self {
        self.roles_claim = name.into();
        self
    }

    /// How many verified tokens are remembered; 10,000 by default.
    pub fn remember(mut self, tokens: usize) -> Self {
        self.remember = tokens;
        self
    }
}

/// Requests signed with an NKey: the headers `Headwater-Nkey`, `-Time`, `-Nonce` and `-Signature`.
///
/// An instance takes a signature once. Another instance may take it again within the window; so a signed command must carry
/// its `commandId` in the signed body, by which the repeat of a command that took effect is recognised and has no second
/// effect. A command that had no effect the first time (it was rejected) is decided anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[must_use]
pub struct Nkeys {
    /// Whose signatures are taken.
    pub(super) allowed: Vec<NkeyUser>,
    /// How far the time of a signature may be from now; 30 s by default, 5 minutes at most.
    pub(super) window: HumanDuration,
    /// How many signatures an instance remembers, so as to take each only once; 262,144 by default. More than that within
    /// twice the window are turned away with 503.
    pub(super) remember: usize,
}

/// A caller that signs its requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct NkeyUser {
    /// Its public NKey.
    pub(super) key: String,
    /// Who it is.
    pub(super) user: String,
    /// Its roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) roles: Vec<String>,
    /// Its tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tenant: Option<String>,
}

impl Default for Nkeys {
    fn default() -> Self {
        Self { allowed: Vec::new(), window: half_a_minute(), remember: 262_144 }
    }
}

impl Nkeys {
    /// Takes this caller's signatures.
    pub fn allow(mut self, user: NkeyUser) -> Self {
        self.allowed.push(user);
        self
    }

    /// How far the time of a signature may be from now; 30 s by default, 5 minutes at most.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window.into();
        self
    }

    /// How many signatures an instance remembers; 262,144 by default.
    pub fn remember(mut self, signatures: usize) -> Self {
        self.remember = signatures;
        self
    }
}

impl NkeyUser {
    /// The caller that has this public NKey.
    pub fn new(key: impl Into<String>, user: impl Into<String>) -> Self {
        Self { key: key.into(), user: user.into(), roles: Vec::new(), tenant: None }
    }

    /// Has a role.
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Belongs to a tenant.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }
}

/// Names and passwords: `Authorization: Basic {base64 of name:password}`.
///
/// The file has a line for each user, `name:hash`, `name:hash:role,role` or `name:hash:role,role:tenant`, the hash an argon2
/// hash in PHC form (`$argon2id$v=19$m=19456,t=2,p=1$…`); empty lines and lines that start with `#` are passed over. It is
/// looked at every second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct Basic {
    /// Where the file is.
    pub(super) file: PathBuf,
    /// For how long a password that was right is not hashed again; 1 minute by default, 1 hour at most.
    #[serde(default = "one_minute")]
    pub(super) remember_for: HumanDuration,
    /// How many passwords are hashed at once, each on a thread of its own; 2 by default. Sixteen times as many may wait;
    /// above that: 503.
    #[serde(default = "two")]
    pub(super) hashing: usize,
}

impl Basic {
    /// Takes the users of a file.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into(), remember_for: one_minute(), hashing: two() }
    }

    /// For how long a password that was right is not hashed again; 1 minute by default, 1 hour at most.
    pub fn remember_for(mut self, time: Duration) -> Self {
        self.remember_for = time.into();
        self
    }

    /// How many passwords are hashed at once; 2 by default.
    pub fn hashing(mut self, passwords: usize) -> Self {
        self.hashing = passwords;
        self
    }
}

fn half_a_minute() -> HumanDuration {
    HumanDuration::from_secs(30)
}

fn one_minute() -> HumanDuration {
    HumanDuration::from_secs(60)
}

fn four_kibibytes() -> usize {
    4096
}

fn ten_thousand() -> usize {
    10_000
}

fn two() -> usize {
    2
}

fn sub() -> String {
    "sub".to_owned()
}

fn tenant() -> String {
    "tenant".to_owned()
}

fn roles() -> String {
    "roles".to_owned()
}
