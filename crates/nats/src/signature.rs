//! Requests signed with an NKey: what is signed, how it travels, and how it is checked.
//!
//! The four headers [`NKEY`](crate::header::NKEY), [`TIME`](crate::header::TIME), [`NONCE`](crate::header::NONCE) and
//! [`SIGNATURE`](crate::header::SIGNATURE) travel with the request. Signed are five lines, joined by `\n`:
//!
//! ```text
//! headwater-request-1
//! {subject}
//! {SHA-256 of the body, lower-case hex}
//! {Headwater-Time}
//! {Headwater-Nonce}
//! ```
//!
//! ```
//! use chrono::Utc;
//! use headwater_nats::signature::{PublicKey, Signer};
//!
//! let signer = Signer::generate();
//! let [_, time, nonce, signature] = signer.sign("receipts.query.receipt.get", b"{}", Utc::now());
//! let key = PublicKey::new(&signer.public_key())?;
//! assert!(key.verifies("receipts.query.receipt.get", b"{}", &time, &nonce, &signature));
//! assert!(!key.verifies("receipts.query.receipt.get", b"[]", &time, &nonce, &signature));
//! # Ok::<(), headwater_nats::signature::BadKey>(())
//! ```

use std::fmt;
use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use nkeys::KeyPair;
use sha2::{Digest, Sha256};

use crate::header;

/// The first line of what is signed. No other program signs such a text, so a signature made for something else is never one
/// of a request.
const PURPOSE: &str = "headwater-request-1";

/// Why a text is no key. It never shows the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadKey {
    /// It is not a public NKey.
    #[error("is not a public NKey (a user's has 56 characters and starts with U)")]
    Public,
    /// It is not the seed of an NKey.
    #[error("is not the seed of an NKey (a user's has 58 characters and starts with SU)")]
    Seed,
    /// The file with the seed cannot be read.
    #[error("the file with the seed cannot be read: {0}")]
    File(std::io::ErrorKind),
}

/// Signs requests. It holds a secret; its `Debug` shows the public key only.
pub struct Signer {
    key: KeyPair,
}

impl Signer {
    /// Signs with the key that has this seed.
    ///
    /// # Errors
    /// [`BadKey::Seed`] when it is none.
    pub fn from_seed(seed: &str) -> Result<Self, BadKey> {
        KeyPair::from_seed(seed.trim()).map(|key| Self { key }).map_err(|_| BadKey::Seed)
    }

    /// Signs with the key whose seed is in a file: alone, among comments, or in a NATS credentials file.
    ///
    /// # Errors
    /// [`BadKey::File`] when the file cannot be read, [`BadKey::Seed`] when there is no seed in it.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, BadKey> {
        let text = std::fs::read_to_string(path).map_err(|error| BadKey::File(error.kind()))?;
        let seed = text.lines().map(str::trim).find(|line| line.len() == 58 && line.starts_with('S'));
        Self::from_seed(seed.ok_or(BadKey::Seed)?)
    }

    /// Signs with a new user's key.
    #[must_use]
    pub fn generate() -> Self {
        Self { key: KeyPair::new_user() }
    }

    /// The public half of the key: what a service is told to expect.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.key.public_key()
    }

    /// The values of the four headers, in the order of [`SIGNED`](crate::header::SIGNED), of a request sent at `now`.
    /// Each call makes a new nonce, since a service takes one only once.
    #[must_use]
    pub fn sign(&self, subject: &str, body: &[u8], now: DateTime<Utc>) -> [String; 4] {
        let (time, nonce) = (header::format_time(now), uuid::Uuid::new_v4().simple().to_string());
        let signature = self.key.sign(text(subject, body, &time, &nonce).as_bytes());
        let signature = signature.expect("a signer has the private half of its key");
        [self.public_key(), time, nonce, URL_SAFE_NO_PAD.encode(signature)]
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("public_key", &self.public_key()).finish_non_exhaustive()
    }
}

/// The public half of a key, by which signatures are checked.
pub struct PublicKey {
    key: KeyPair,
}

impl PublicKey {
    /// The key that is written like this.
    ///
    /// # Errors
    /// [`BadKey::Public`] when it is none.
    pub fn new(text: &str) -> Result<Self, BadKey> {
        KeyPair::from_public_key(text).map(|key| Self { key }).map_err(|_| BadKey::Public)
    }

    /// Whether the private half of this key signed a request to `subject` with this body, time and nonce.
    #[must_use]
    pub fn verifies(&self, subject: &str, body: &[u8], time: &str, nonce: &str, signature: &str) -> bool {
        // A signature has 64 bytes; what is longer is not worth decoding.
        if signature.len() > 88 {
            return false;
        }
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        self.key.verify(text(subject, body, time, nonce).as_bytes(), &signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.key.public_key())
    }
}

fn text(subject: &str, body: &[u8], time: &str, nonce: &str) -> String {
    let mut text = String::with_capacity(PURPOSE.len() + subject.len() + 64 + time.len() + nonce.len() + 4);
    let _ = write!(text, "{PURPOSE}\n{subject}\n");
    for byte in Sha256::digest(body) {
        let _ = write!(text, "{byte:02x}");
    }
    let _ = write!(text, "\n{time}\n{nonce}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: &str = "receipts.command.receipt.add-item";
    const BODY: &[u8] = br#"{"aggregateId": "order-1"}"#;

    #[test]
    fn what_is_signed_is_the_protocols_text() {
        let lines = text(SUBJECT, b"", "2026-11-20T12:00:00.000000Z", "n-1");
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(lines, format!("headwater-request-1\n{SUBJECT}\n{empty}\n2026-11-20T12:00:00.000000Z\nn-1"));
    }

    #[test]
    fn a_signature_holds_for_what_was_signed_and_for_nothing_else() {
        let signer = Signer::generate();
        let [key, time, nonce, signature] = signer.sign(SUBJECT, BODY, Utc::now());
        let key = PublicKey::new(&key).unwrap();
        assert!(key.verifies(SUBJECT, BODY, &time, &nonce, &signature));
        let stranger = PublicKey::new(&Signer::generate().public_key()).unwrap();
        assert!(!stranger.verifies(SUBJECT, BODY, &time, &nonce, &signature));
        assert!(!key.verifies("receipts.command.receipt.void", BODY, &time, &nonce, &signature));
        assert!(!key.verifies(SUBJECT, b"{}", &time, &nonce, &signature));
        assert!(!key.verifies(SUBJECT, BODY, "2026-11-20T12:00:00.000000Z", &nonce, &signature));
        assert!(!key.verifies(SUBJECT, BODY, &time, "another", &signature));
        for rubbish in ["", "!", "AAAA", &signature[1..], &"A".repeat(10_000)] {
            assert!(!key.verifies(SUBJECT, BODY, &time, &nonce, rubbish), "{rubbish:.20}");
        }
    }

    #[test]
    fn every_signature_has_a_nonce_of_its_own() {
        let (signer, now) = (Signer::generate(), Utc::now());
        assert_ne!(signer.sign(SUBJECT, BODY, now)[2], signer.sign(SUBJECT, BODY, now)[2]);
    }

    #[test]
    fn a_seed_is_read_from_text_and_file_and_never_shown() {
        let seed = KeyPair::new_user().seed().unwrap();
        let signer = Signer::from_seed(&format!(" {seed}\n")).unwrap();
        assert!(!format!("{signer:?}").contains(&seed));
        assert!(format!("{signer:?}").contains(&signer.public_key()));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("till.nk");
        std::fs::write(&path, format!("# the till\n-----BEGIN USER NKEY SEED-----\n{seed}\n")).unwrap();
        assert_eq!(Signer::from_file(&path).unwrap().public_key(), signer.public_key());
        std::fs::write(&path, "nothing").unwrap();
        assert_eq!(Signer::from_file(&path).unwrap_err(), BadKey::Seed);
        assert!(matches!(Signer::from_file(folder.path().join("none")), Err(BadKey::File(_))));
        for bad in ["", "SU", &seed[1..], &signer.public_key()] {
            let refused = Signer::from_seed(bad).unwrap_err();
            assert_eq!(refused, BadKey::Seed);
        }
        assert_eq!(PublicKey::new(&seed).unwrap_err(), BadKey::Public);
    }
}
