//! Requests and messages signed with an NKey.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::nonces::Nonces;
use super::reason::Reason;
use super::{Caller, NkeyUser, Nkeys};
use crate::header;
use crate::signature::PublicKey;

/// How long a nonce may be, in bytes. A shorter one could be met by chance.
const NONCE: std::ops::RangeInclusive<usize> = 16..=64;

/// Checks signatures.
#[derive(Debug)]
pub(super) struct Signatures {
    callers: HashMap<String, (PublicKey, Arc<Caller>)>,
    window: Duration,
    nonces: Nonces,
}

/// What a signed request carries.
#[derive(Clone, Copy)]
pub(super) struct Signed<'a> {
    pub(super) key: &'a str,
    pub(super) time: &'a str,
    pub(super) nonce: &'a str,
    pub(super) signature: &'a str,
}

impl<'a> Signed<'a> {
    /// What these headers carry; none when nothing is signed.
    pub(super) fn of(headers: &dyn Fn(&str) -> Option<&'a str>) -> Option<Result<Self, Reason>> {
        let signature = headers(header::SIGNATURE)?;
        match [header::NKEY, header::TIME, header::NONCE].map(headers) {
            [Some(key), Some(time), Some(nonce)] => Some(Ok(Self { key, time, nonce, signature })),
            _ => Some(Err(Reason::Malformed)),
        }
    }
}

impl Signatures {
    /// Reads the keys. The error says which caller's is none.
    pub(super) fn open(settings: Nkeys) -> Result<Self, Vec<(usize, String, String)>> {
        let (mut callers, mut problems) = (HashMap::new(), Vec::new());
        for (number, NkeyUser { key, user, roles, tenant }) in settings.allowed.into_iter().enumerate() {
            let mut caller = Caller::new(user).signing();
            for role in roles {
                caller = caller.role(role);
            }
            if let Some(tenant) = tenant {
                caller = caller.tenant(tenant);
            }
            match PublicKey::new(&key) {
                // Whoever pastes a seed here must not find it in a log.
                Err(bad) if key.starts_with('S') => problems.push((number, "S…".to_owned(), bad.to_string())),
                Err(bad) => problems.push((number, key, bad.to_string())),
                Ok(_) if callers.contains_key(&key) => problems.push((number, key, "is there twice".to_owned())),
                Ok(public) => _ = callers.insert(key, (public, Arc::new(caller))),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let window = settings.window.get();
        // A signature from the end of the window ahead is good until the end of the window behind it.
        let nonces = Nonces::new(window.saturating_mul(2), settings.remember);
        Ok(Self { callers, window, nonces })
    }

    /// Who signed what was sent to `subject`. A `message` that may come again with its signature is told from others by its
    /// number; without a time its age does not matter, nor how often it comes.
    pub(super) fn check(
        &self,
        signed: Signed<'_>,
        subject: &str,
        body: &[u8],
        now: Option<DateTime<Utc>>,
        message: Option<u64>,
    ) -> Result<Arc<Caller>, Reason> {
        let plain = |nonce: &str| nonce.bytes().all(|byte| byte.is_ascii_graphic());
        if !NONCE.contains(&signed.nonce.len()) || !plain(signed.nonce) {
            return Err(Reason::Malformed);
        }
        let time = DateTime::parse_from_rfc3339(signed.time).map_err(|_| Reason::Malformed)?.to_utc();
        if now.is_some_and(|now| (now - time).to_std().is_ok_and(|age| age > self.window)) {
            return Err(Reason::Expired);
        }
        if now.is_some_and(|now| (time - now).to_std().is_ok_and(|ahead| ahead > self.window)) {
            return Err(Reason::NotYetValid);
        }
        let (key, caller) = self.callers.get(signed.key).ok_or(Reason::WrongKey)?;
        if !key.verifies(subject, body, signed.time, signed.nonce, signed.signature) {
            return Err(Reason::WrongKey);
        }
        // Only what was really signed costs memory.
        if now.is_some() {
            self.nonces.take(mark(signed.key, signed.nonce), message, Instant::now())?;
        }
        Ok(Arc::clone(caller))
    }
}

/// A key and its nonce, as short as they can be told from all others.
fn mark(key: &str, nonce: &str) -> [u8; 16] {
    let hash = Sha256::new().chain_update(key).chain_update([0]).chain_update(nonce).finalize();
    let mut mark = [0; 16];
    mark.copy_from_slice(&hash[..16]);
    mark
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::signature::Signer;

    const SUBJECT: &str = "tallies.command.tally.add";

    fn signatures(signer: &Signer) -> Signatures {
        let till = NkeyUser::new(signer.public_key(), "till-7").role("till").tenant("north");
        Signatures::open(Nkeys::default().allow(till)).unwrap()
    }

    fn check(signatures: &Signatures, headers: &[String; 4], now: DateTime<Utc>) -> Result<Arc<Caller>, Reason> {
        let [key, time, nonce, signature] = headers;
        signatures.check(Signed { key, time, nonce, signature }, SUBJECT, b"{}", Some(now), None)
    }

    #[test]
    fn a_signature_is_taken_once_within_its_window() {
        let (signer, now) = (Signer::generate(), Utc::now());
        let signatures = signatures(&signer);
        let signed = signer.sign(SUBJECT, b"{}", now);
        let till = check(&signatures, &signed, now).unwrap();
        assert_eq!((till.user(), till.tenant_id(), till.has_role("till")), ("till-7", Some("north"), true));
        assert_eq!(check(&signatures, &signed, now), Err(Reason::Replayed));
        let late = signer.sign(SUBJECT, b"{}", now);
        assert_eq!(check(&signatures, &late, now + TimeDelta::seconds(31)), Err(Reason::Expired));
        assert_eq!(check(&signatures, &late, now - TimeDelta::seconds(31)), Err(Reason::NotYetValid));
        assert!(check(&signatures, &late, now + TimeDelta::seconds(29)).is_ok());
    }

    #[test]
    fn a_stranger_and_a_changed_request_are_refused_and_cost_no_memory() {
        let (signer, now) = (Signer::generate(), Utc::now());
        let signatures = signatures(&signer);
        let stranger = Signer::generate().sign(SUBJECT, b"{}", now);
        assert_eq!(check(&signatures, &stranger, now), Err(Reason::WrongKey));
        let other = signer.sign(SUBJECT, b"[]", now);
        assert_eq!(check(&signatures, &other, now), Err(Reason::WrongKey));
        let mut claimed = stranger;
        claimed[0] = signer.public_key();
        assert_eq!(check(&signatures, &claimed, now), Err(Reason::WrongKey));
        for (place, rubbish) in [(1, "yesterday"), (2, "short"), (2, "with a space in it"), (2, &"x".repeat(65))] {
            let mut signed = signer.sign(SUBJECT, b"{}", now);
            signed[place] = rubbish.to_owned();
            assert_eq!(check(&signatures, &signed, now), Err(Reason::Malformed), "{rubbish}");
        }
        let first = signer.sign(SUBJECT, b"{}", now);
        assert!(check(&signatures, &first, now).is_ok());
    }

    #[test]
    fn a_stored_message_is_taken_as_often_as_it_comes_and_a_copy_of_it_is_not() {
        let (signer, now) = (Signer::generate(), Utc::now());
        let signatures = signatures(&signer);
        let [key, time, nonce, signature] = &signer.sign(SUBJECT, b"{}", now);
        let take = |message| {
            signatures.check(Signed { key, time, nonce, signature }, SUBJECT, b"{}", Some(now), message).map(drop)
        };
        assert_eq!((take(Some(7)), take(Some(7))), (Ok(()), Ok(())));
        assert_eq!((take(Some(8)), take(None)), (Err(Reason::Replayed), Err(Reason::Replayed)));
        let signed = Signed { key, time, nonce, signature };
        assert!(signatures.check(signed, SUBJECT, b"{}", None, None).is_ok(), "somebody vouches for it");
        assert_eq!(signatures.check(signed, SUBJECT, b"[]", None, None), Err(Reason::WrongKey));
    }

    #[test]
    fn keys_that_are_none_or_there_twice_are_named_and_seeds_are_not_shown() {
        let signer = Signer::generate();
        let key = signer.public_key();
        let seed = "SUABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let settings = Nkeys::default()
            .allow(NkeyUser::new(&key, "one"))
            .allow(NkeyUser::new(&key, "two"))
            .allow(NkeyUser::new("U123", "three"))
            .allow(NkeyUser::new(seed, "four"));
        let problems = Signatures::open(settings).unwrap_err();
        let places: Vec<_> = problems.iter().map(|(number, value, _)| (*number, value.as_str())).collect();
        assert_eq!(places, [(1, key.as_str()), (2, "U123"), (3, "S…")]);
    }
}
