//! Bearer tokens.

use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm as Signing, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::keys::Keys;
use super::reason::Reason;
use super::remembered::{Fingerprint, Remembered};
use super::verifier::When;
use super::watched::{Reloads, Watched};
use super::{Caller, Jwt, JwtKey, claims};

/// Checks bearer tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    settings: Jwt,
    keys: Arc<Watched<Keys>>,
    remembered: Remembered,
}

impl Tokens {
    /// Reads the keys. The error names the setting, its value and what is wrong.
    pub(super) fn open(settings: Jwt, counts: &Arc<Reloads>) -> Result<Self, (&'static str, String, String)> {
        // Without this the library would choose by its features, and panic where somebody else has switched on both of its
        // kinds of cryptography. Whoever has installed one before us keeps it.
        let _ = jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER.install_default();
        let keys = match &settings.key {
            JwtKey::Jwks { jwks } => Watched::open(jwks, Box::new(Keys::of_jwks), counts)
                .map_err(|problem| ("auth.jwt.key.jwks", jwks.display().to_string(), problem))?,
            JwtKey::File { file, algorithm } => {
                let algorithm = *algorithm;
                Watched::open(file, Box::new(move |text| Keys::of_text(text, algorithm)), counts)
                    .map_err(|problem| ("auth.jwt.key.file", file.display().to_string(), problem))?
            }
            JwtKey::Env { env, algorithm } => {
                let wrong = |problem| ("auth.jwt.key.env", env.clone(), problem);
                let text = std::env::var(env).map_err(|_| wrong("is not set to a text".to_owned()))?;
                Watched::fixed(Keys::of_text(text.as_bytes(), *algorithm).map_err(wrong)?)
            }
        };
        let remembered = Remembered::new(settings.remember);
        Ok(Self { settings, keys: Arc::new(keys), remembered })
    }

    /// The file of the keys, if they are in one.
    pub(super) fn file(&self) -> Option<Arc<Watched<Keys>>> {
        (!matches!(self.settings.key, JwtKey::Env { .. })).then(|| Arc::clone(&self.keys))
    }

    /// Who a token belongs to, and whether it was good at that time.
    pub(super) fn check(&self, token: &str, when: When) -> Result<Arc<Caller>, Reason> {
        if token.len() > self.settings.max_bytes {
            return Err(Reason::Oversized);
        }
        let Some(now) = when.time() else {
            let (_, keys) = self.keys.current();
            return claims::caller(&self.settings, self.verify(token, &keys, when)?).map(Arc::new);
        };
        let (fingerprint, now) = (Fingerprint::of(&[token.as_bytes()]), now.timestamp());
        if let Some(caller) = self.remembered.get(&fingerprint, self.keys.generation(), now) {
            return Ok(caller);
        }
        let (generation, keys) = self.keys.current();
        let claims = self.verify(token, &keys, when)?;
        if time(&claims, "iat").is_some_and(|made| made > now.saturating_add(self.skew())) {
            return Err(Reason::NotYetValid);
        }
        let until = time(&claims, "exp").ok_or(Reason::Malformed)?.saturating_add(self.skew());
        if when != When::Now {
            if until < now {
                return Err(Reason::Expired);
            }
            self.had_begun(&claims, now)?;
        }
        let since = [time(&claims, "iat"), time(&claims, "nbf")].into_iter().flatten().max();
        let since = since.map_or(i64::MIN, |since| since.saturating_sub(self.skew()));
        let caller = Arc::new(claims::caller(&self.settings, claims)?);
        self.remembered.put(fingerprint, &caller, generation, since..until);
        Ok(caller)
    }

    /// Whether the time from which the token is good had come at `now`.
    fn had_begun(&self, claims: &Map<String, Value>, now: i64) -> Result<(), Reason> {
        match (claims.get("nbf"), time(claims, "nbf")) {
            (None | Some(Value::Null), _) => Ok(()),
            (Some(_), Some(begins)) if begins <= now.saturating_add(self.skew()) => Ok(()),
            (Some(_), Some(_)) => Err(Reason::NotYetValid),
            (Some(_), None) => Err(Reason::Malformed),
        }
    }

    fn verify(&self, token: &str, keys: &Keys, when: When) -> Result<Map<String, Value>, Reason> {
        let header = decode_header(token).map_err(|_| Reason::Malformed)?;
        // What a token calls critical has to be understood, and nothing of the kind is.
        if header.crit.is_some() {
            return Err(Reason::Malformed);
        }
        if !keys.have(header.alg) {
            return Err(Reason::WrongAlgorithm);
        }
        for key in keys.fitting(header.alg, header.kid.as_deref()) {
            match decode(token, &key.decoding, &self.validation(key.signing, when)) {
                Ok(token) => return Ok(token.claims),
                Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {}
                Err(error) => return Err(reason(error.kind())),
            }
        }
        Err(Reason::WrongKey)
    }

    fn validation(&self, signing: Signing, when: When) -> Validation {
        let settings = &self.settings;
        let mut validation = Validation::new(signing);
        validation.leeway = self.skew().unsigned_abs();
        // The library knows no time but the present one.
        let is_now = when == When::Now;
        (validation.validate_exp, validation.validate_nbf) = (is_now, is_now);
        let mut required = vec!["exp"];
        if let Some(issuer) = &settings.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        if !settings.audience.is_empty() {
            validation.set_audience(&settings.audience);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        validation
    }

    /// How far clocks may be apart, in seconds.
    fn skew(&self) -> i64 {
        i64::try_from(self.settings.clock_skew.get().as_secs()).unwrap_or(i64::MAX)
    }
}

/// A time among the claims, in seconds since 1970.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a time beyond what can be counted is as good as the last that can"
)]
fn time(claims: &Map<String, Value>, name: &str) -> Option<i64> {
    let claim = claims.get(name)?;
    claim.as_i64().or_else(|| claim.as_f64().map(|seconds| seconds as i64))
}

fn reason(kind: &ErrorKind) -> Reason {
    match kind {
        ErrorKind::ExpiredSignature => Reason::Expired,
        ErrorKind::ImmatureSignature => Reason::NotYetValid,
        ErrorKind::InvalidIssuer => Reason::WrongIssuer,
        ErrorKind::InvalidAudience => Reason::WrongAudience,
        ErrorKind::MissingRequiredClaim(claim) if claim == "iss" => Reason::WrongIssuer,
        ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => Reason::WrongAudience,
        ErrorKind::InvalidAlgorithm => Reason::WrongAlgorithm,
        _ => Reason::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use super::super::Algorithm;
    use super::*;

    const SECRET: &[u8] = b"not a secret: thirty-two bytes and more";

    fn tokens() -> (tempfile::TempDir, Tokens) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, SECRET).unwrap();
        let settings = Jwt::new(JwtKey::file(file, Algorithm::Hs256)).issuer("https://id.example");
        let tokens = Tokens::open(settings, &Arc::default()).unwrap();
        (folder, tokens)
    }

    /// A token that is good from `begins` to `ends`.
    fn token(begins: &Value, ends: DateTime<Utc>) -> String {
        let claims = json!({ "sub": "mia", "iss": "https://id.example", "nbf": begins, "exp": ends.timestamp() });
        encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET)).unwrap()
    }

    #[test]
    fn a_token_is_judged_by_the_time_that_matters() {
        let ((_folder, tokens), now) = (tokens(), Utc::now());
        let minutes = TimeDelta::minutes;
        let stored = |at: DateTime<Utc>| When::Stored { at, message: 1 };
        // Good for ten minutes, an hour ago.
        let begins = now - minutes(60);
        let old = token(&begins.timestamp().into(), begins + minutes(10));
        let check = |when| tokens.check(&old, when).map(|caller| caller.user().to_owned());
        for _ in 0..2 {
            assert_eq!(check(When::Now), Err(Reason::Expired));
            assert_eq!(check(stored(begins + minutes(12))), Err(Reason::Expired));
            assert_eq!(check(stored(begins - minutes(2))), Err(Reason::NotYetValid));
            assert_eq!(check(When::Ever).as_deref(), Ok("mia"));
        }
        assert_eq!(check(stored(begins + minutes(9))).as_deref(), Ok("mia"));
        assert_eq!(check(stored(begins - minutes(2))), Err(Reason::NotYetValid), "remembered, and not for that time");
        assert_eq!(check(stored(begins + minutes(9))).as_deref(), Ok("mia"));
        assert_eq!(check(When::Now), Err(Reason::Expired), "remembered, and expired all the same");
        for (rubbish, expected) in [(json!("soon"), Err(Reason::Malformed)), (json!(null), Ok("mia".to_owned()))] {
            let odd = token(&rubbish, now + minutes(1));
            let caller = tokens.check(&odd, stored(now));
            assert_eq!(caller.map(|caller| caller.user().to_owned()), expected, "{rubbish}");
        }
    }

    #[test]
    fn whatever_the_time_a_token_has_to_be_good_otherwise() {
        let ((_folder, tokens), ends) = (tokens(), Utc::now() - TimeDelta::days(1));
        let other = EncodingKey::from_secret(b"another secret of thirty-two bytes and more");
        for (claims, key, why) in [
            (json!({ "sub": "mia", "iss": "https://id.example", "exp": ends.timestamp() }), &other, Reason::WrongKey),
            (json!({ "sub": "mia", "iss": "eve", "exp": 1 }), &EncodingKey::from_secret(SECRET), Reason::WrongIssuer),
            (
                json!({ "sub": "mia", "iss": "https://id.example" }),
                &EncodingKey::from_secret(SECRET),
                Reason::Malformed,
            ),
        ] {
            let token = encode(&Header::default(), &claims, key).unwrap();
            assert_eq!(tokens.check(&token, When::Ever).map(drop), Err(why), "{claims}");
        }
    }
}
