//! How a client proves who it is.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use headwater_nats::connect::Secret;
use headwater_nats::header;
use headwater_nats::signature::Signer;

use crate::outgoing::Outgoing;

/// How a client proves who it is to a service with auth on; handed to
/// [`NatsClientBuilder::credentials`](crate::NatsClientBuilder::credentials). Every try of a call gets its own proof. `Debug`
/// shows which kind it is and no secret.
///
/// ```
/// use headwater_nats::signature::Signer;
/// use headwater_nats_client::Credentials;
///
/// let token = Credentials::bearer("eyJhbGciOi…");
/// assert_eq!(format!("{token:?}"), "Credentials(bearer token)");
/// let password = Credentials::basic("mia", "correct horse");
/// assert_eq!(format!("{password:?}"), "Credentials(password of mia)");
/// let signed = Credentials::nkey(Signer::generate());
/// ```
#[derive(Clone)]
pub struct Credentials(Kind);

#[derive(Clone)]
enum Kind {
    /// The whole value of `Authorization`, and what `Debug` says.
    Fixed {
        value: Secret,
        shown: String,
    },
    Asked(Arc<dyn TokenProvider>),
    Signed(Arc<Signer>),
}

/// Hands out bearer tokens that do not last.
#[async_trait]
pub trait TokenProvider: Send + Sync + 'static {
    /// A token that is good now. Asked before every try of every call, within the call's time, so it had better keep a token
    /// until shortly before it expires.
    ///
    /// # Errors
    /// Why there is none; the call then fails as `NotSent` with this text, which should hold no secret.
    async fn token(&self) -> Result<String, Box<dyn std::error::Error + Send + Sync>>;
}

impl Credentials {
    /// A bearer token, the same for every call.
    #[must_use]
    pub fn bearer(token: impl AsRef<str>) -> Self {
        let value = Secret::new(format!("Bearer {}", token.as_ref().trim()));
        Self(Kind::Fixed { value, shown: "bearer token".to_owned() })
    }

    /// Bearer tokens from whoever hands them out.
    #[must_use]
    pub fn bearer_from(provider: impl TokenProvider) -> Self {
        Self(Kind::Asked(Arc::new(provider)))
    }

    /// A name, which has no colon, and a password.
    #[must_use]
    pub fn basic(user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        let (user, password) = (user.as_ref(), password.as_ref());
        let value = Secret::new(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
        Self(Kind::Fixed { value, shown: format!("password of {user}") })
    }

    /// Signs every request. Each try has a signature of its own, since a service takes one only once.
    #[must_use]
    pub fn nkey(signer: Signer) -> Self {
        Self(Kind::Signed(Arc::new(signer)))
    }

    /// The request with its proof. An `Authorization` that the caller has set for this one call stays.
    pub(crate) async fn prove<'a>(&self, outgoing: &'a Outgoing) -> Result<Cow<'a, Outgoing>, String> {
        let mut proven = Cow::Borrowed(outgoing);
        match &self.0 {
            Kind::Signed(signer) => {
                let values = signer.sign(&outgoing.subject, &outgoing.body, Utc::now());
                let headers = &mut proven.to_mut().headers;
                header::SIGNED.into_iter().zip(values).for_each(|(name, value)| headers.insert(name, value));
            }
            _ if header::get(&outgoing.headers, header::AUTHORIZATION).is_some() => {}
            Kind::Fixed { value, .. } => authorize(&mut proven, value.reveal())?,
            Kind::Asked(provider) => {
                let token = provider.token().await.map_err(|error| format!("there is no token: {error}"))?;
                authorize(&mut proven, &format!("Bearer {}", token.trim()))?;
            }
        }
        Ok(proven)
    }
}

fn authorize(outgoing: &mut Cow<'_, Outgoing>, value: &str) -> Result<(), String> {
    header::check(header::AUTHORIZATION, value).map_err(|error| error.to_string())?;
    outgoing.to_mut().headers.insert(header::AUTHORIZATION, value);
    Ok(())
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Fixed { shown, .. } => write!(f, "Credentials({shown})"),
            Kind::Asked(_) => f.write_str("Credentials(bearer tokens from a provider)"),
            Kind::Signed(signer) => write!(f, "Credentials(signatures of {})", signer.public_key()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_nats::HeaderMap;

    use super::*;

    fn outgoing() -> Outgoing {
        Outgoing { subject: "receipts.query.receipt.get".into(), headers: HeaderMap::new(), body: "{}".into() }
    }

    fn authorization(outgoing: &Outgoing) -> Option<&str> {
        header::get(&outgoing.headers, header::AUTHORIZATION)
    }

    struct Counting(AtomicU32);

    #[async_trait]
    impl TokenProvider for Counting {
        async fn token(&self) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
            match self.0.fetch_add(1, Ordering::Relaxed) {
                2 => Err("the identity provider is down".into()),
                number => Ok(format!("token-{number}")),
            }
        }
    }

    #[tokio::test]
    async fn tokens_and_passwords_travel_in_the_usual_header() {
        let request = outgoing();
        let proven = Credentials::bearer(" abc\n").prove(&request).await.unwrap();
        assert_eq!(authorization(&proven), Some("Bearer abc"));
        let proven = Credentials::basic("mia", "a:b").prove(&request).await.unwrap();
        assert_eq!(authorization(&proven), Some("Basic bWlhOmE6Yg=="));
        assert_eq!(authorization(&request), None);
    }

    #[tokio::test]
    async fn a_provider_is_asked_every_time_and_its_failure_is_told() {
        let (request, credentials) = (outgoing(), Credentials::bearer_from(Counting(AtomicU32::new(0))));
        for expected in ["Bearer token-0", "Bearer token-1"] {
            assert_eq!(authorization(&credentials.prove(&request).await.unwrap()), Some(expected));
        }
        let failed = credentials.prove(&request).await.unwrap_err();
        assert_eq!(failed, "there is no token: the identity provider is down");
    }

    #[tokio::test]
    async fn every_try_has_a_signature_of_its_own() {
        let (request, credentials) = (outgoing(), Credentials::nkey(Signer::generate()));
        let [one, two] = [credentials.prove(&request).await.unwrap(), credentials.prove(&request).await.unwrap()];
        for name in header::SIGNED {
            assert!(header::get(&one.headers, name).is_some(), "{name}");
        }
        assert_ne!(header::get(&one.headers, header::NONCE), header::get(&two.headers, header::NONCE));
    }

    #[tokio::test]
    async fn what_a_caller_sets_for_one_call_stays() {
        let mut request = outgoing();
        request.headers.insert(header::AUTHORIZATION, "Bearer own");
        let proven = Credentials::bearer("general").prove(&request).await.unwrap();
        assert_eq!(authorization(&proven), Some("Bearer own"));
    }

    #[tokio::test]
    async fn no_secret_is_shown() {
        let token = Credentials::bearer("se\rcret");
        let refused = token.prove(&outgoing()).await.unwrap_err();
        let password = Credentials::basic("mia", "secret");
        for text in [refused, format!("{token:?}"), format!("{password:?}")] {
            assert!(!text.contains("cret") && !text.contains("c2Vj"), "{text}");
        }
    }
}
