//! The keys that tokens are signed with. What a key is used for follows from the key, never from a token.

use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm as Signing, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::Algorithm;

/// The most keys of a set. A token that names none of them is tried with each that fits.
const MOST_KEYS: usize = 32;

/// The shortest secret, in bytes: as long as the hash (RFC 7518).
const SHORTEST_SECRET: usize = 32;

/// The shortest RSA modulus, in bytes: 2048 bits (RFC 7518).
const SHORTEST_MODULUS: usize = 256;

/// The keys there are.
pub(super) struct Keys(Vec<Key>);

/// A key, and what it is used for.
pub(super) struct Key {
    id: Option<String>,
    pub(super) signing: Signing,
    pub(super) decoding: DecodingKey,
}

impl Keys {
    /// The one key in a text. The error shows nothing of it.
    pub(super) fn of_text(text: &[u8], algorithm: Algorithm) -> Result<Self, String> {
        let is_pem = text.trim_ascii_start().starts_with(b"-----BEGIN");
        let (signing, decoding) = match algorithm {
            // The public key of somebody who signs in another way is no secret.
            Algorithm::Hs256 if is_pem => return Err("is a PEM, which is no secret for HS256".to_owned()),
            Algorithm::Hs256 => (Signing::HS256, secret(text.trim_ascii())?),
            _ if text.windows(11).any(|part| part == b"PRIVATE KEY") => {
                return Err("holds a private key; only its public half belongs here".to_owned());
            }
            Algorithm::Rs256 => (Signing::RS256, pem(DecodingKey::from_rsa_pem(text), "RSA")?),
            Algorithm::Es256 => (Signing::ES256, pem(DecodingKey::from_ec_pem(text), "P-256")?),
            Algorithm::EdDsa => (Signing::EdDSA, pem(DecodingKey::from_ed_pem(text), "Ed25519")?),
        };
        check(signing, &decoding)?;
        Ok(Self(vec![Key { id: None, signing, decoding }]))
    }

    /// The keys of a JSON Web Key Set that can be used here; others are passed over. The error shows nothing of them.
    pub(super) fn of_jwks(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(text)
            .map_err(|error| format!("is not a JWKS (line {}, column {})", error.line(), error.column()))?;
        let keys: Vec<Key> =
            set.keys.into_iter().filter_map(|key| of_jwk(&serde_json::from_value(key).ok()?)).collect();
        match keys.len() {
            0 => Err("holds no key for HS256, RS256, ES256 or EdDSA that can be used".to_owned()),
            1..=MOST_KEYS => Ok(Self(keys)),
            more => Err(format!("holds {more} keys, at most {MOST_KEYS} are allowed")),
        }
    }

    /// Whether any key is used in this way.
    pub(super) fn have(&self, signing: Signing) -> bool {
        self.0.iter().any(|key| key.signing == signing)
    }

    /// The keys that may have signed a token which says so about itself.
    pub(super) fn fitting<'a>(&'a self, signing: Signing, id: Option<&'a str>) -> impl Iterator<Item = &'a Key> {
        self.0.iter().filter(move |key| {
            let named = match (&key.id, id) {
                (Some(own), Some(id)) => own == id,
                _ => true,
            };
            named && key.signing == signing
        })
    }
}

fn of_jwk(jwk: &Jwk) -> Option<Key> {
    let signing = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Signing::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Signing::ES256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Signing::EdDSA,
        AlgorithmParameters::OctetKey(_) => Signing::HS256,
        _ => return None,
    };
    let common = &jwk.common;
    let same = |algorithm: &jsonwebtoken::jwk::KeyAlgorithm| algorithm.to_string() == format!("{signing:?}");
    let meant = common.key_algorithm.as_ref().is_none_or(same)
        && common.public_key_use.as_ref().is_none_or(|meant| *meant == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|meant| meant.contains(&KeyOperations::Verify));
    let decoding = DecodingKey::from_jwk(jwk).ok().filter(|_| meant)?;
    check(signing, &decoding).ok()?;
    Some(Key { id: common.key_id.clone(), signing, decoding })
}

fn secret(text: &[u8]) -> Result<DecodingKey, String> {
    if text.len() < SHORTEST_SECRET {
        return Err(format!("is a secret of less than {SHORTEST_SECRET} bytes, too short for HS256"));
    }
    Ok(DecodingKey::from_secret(text))
}

fn pem(key: jsonwebtoken::errors::Result<DecodingKey>, what: &str) -> Result<DecodingKey, String> {
    key.map_err(|_| format!("is not the PEM of a public {what} key"))
}

/// Whether the key can be used at all, and is no weaker than it has to be.
fn check(signing: Signing, key: &DecodingKey) -> Result<(), String> {
    use jsonwebtoken::DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
    let (length, least) = match (signing, key.kind()) {
        (Signing::HS256, SecretOrDer(secret)) => (secret.len(), SHORTEST_SECRET),
        (Signing::RS256, RsaModulusExponent { n, .. }) => (n.len(), SHORTEST_MODULUS),
        // The modulus and little else.
        (Signing::RS256, SecretOrDer(der)) => (der.len(), SHORTEST_MODULUS + 1),
        _ => (1, 1),
    };
    if length < least {
        return Err("is a key too short for its algorithm".to_owned());
    }
    (DEFAULT_PROVIDER.verifier_factory)(&signing, key)
        .map(drop)
        .map_err(|_| "is not a key for its algorithm".to_owned())
}

/// How many, and nothing else.
impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}
