//! Ways of knowing callers that are a service's own.

use std::fmt;
use std::sync::Arc;

use async_nats::HeaderMap;
use async_trait::async_trait;
use bytes::Bytes;
use headwater_core::Name;
pub use headwater_nats::auth::Denied;
use headwater_nats::header;
use headwater_nats::subject::CallKind;
use tokio::time::Instant;

use crate::edge::{Caller, Request};
use crate::endpoint::{Asks, Endpoint};

/// Tells who is calling, in a way of the service's own.
///
/// ```
/// use async_trait::async_trait;
/// use headwater_nats_service::auth::{Authenticate, Credentials, Denied};
/// use headwater_nats_service::edge::{Caller, Request};
///
/// /// Callers have an opaque key that somebody else knows about.
/// #[derive(Debug)]
/// struct ApiKeys;
///
/// #[async_trait]
/// impl Authenticate for ApiKeys {
///     fn recognises(&self, request: &Request) -> bool {
///         request.header("X-Api-Key").is_some()
///     }
///
///     async fn authenticate(&self, credentials: &Credentials) -> Result<Caller, Denied> {
///         match credentials.header("X-Api-Key") {
///             Some("of-the-till") => Ok(Caller::new("till-7").role("till")),
///             _ => Err(Denied::Unauthenticated),
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait Authenticate: fmt::Debug + Send + Sync + 'static {
    /// Whether the request carries credentials of this kind; then nobody else is asked. Called in the loop that takes requests
    /// in, for every request, so it must not wait.
    fn recognises(&self, request: &Request) -> bool;

    /// Who it is. Called on a task of its own, given up when the request's deadline has passed or the instance stops, and
    /// not remembered: whoever asks somebody else had better remember. Commands of one caller may overtake each other here.
    ///
    /// # Errors
    /// [`Denied`], which is what the caller gets.
    async fn authenticate(&self, credentials: &Credentials) -> Result<Caller, Denied>;
}

/// What a request says about who sends it. It is the authenticator's to keep for as long as it asks.
pub struct Credentials {
    endpoint: Arc<Endpoint>,
    headers: Option<HeaderMap>,
    body: Bytes,
    deadline: Instant,
}

impl Credentials {
    pub(super) fn of(request: &Request) -> Self {
        Self {
            endpoint: Arc::clone(&request.ticket.endpoint),
            headers: request.headers.clone(),
            body: request.body.clone(),
            deadline: request.deadline,
        }
    }

    /// The first value of a header, whatever the case of the name's letters.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header::get(self.headers.as_ref()?, name)
    }

    /// The subject the request was sent to.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.endpoint.subject
    }

    /// Whether it is a command or a query.
    #[must_use]
    pub fn kind(&self) -> CallKind {
        match self.endpoint.asks {
            Asks::Command(_) => CallKind::Command,
            Asks::Query(_) => CallKind::Query,
        }
    }

    /// The aggregate type it is for.
    #[must_use]
    pub fn aggregate(&self) -> &Name {
        &self.endpoint.aggregate
    }

    /// The command or query, such as `add-item` or `get`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.endpoint.asks.name()
    }

    /// The body as it came, for checking a signature.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// When the answer stops mattering.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}

/// Without headers and body.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("subject", &self.subject()).finish_non_exhaustive()
    }
}
