//! Ways of knowing senders that are a program's own.

use std::fmt;

use futures_util::future::BoxFuture;
use headwater_nats::auth::{Caller, Denied};

use crate::router::Context;

/// Tells who sent a message, in a way of the program's own.
///
/// ```
/// use futures_util::FutureExt as _;
/// use futures_util::future::BoxFuture;
/// use headwater_nats::auth::{Caller, Denied};
/// use headwater_nats_messaging::layer::Authenticate;
/// use headwater_nats_messaging::router::Context;
///
/// /// Senders have an opaque key that somebody else knows about.
/// #[derive(Debug)]
/// struct ApiKeys;
///
/// impl Authenticate for ApiKeys {
///     fn recognises(&self, context: &Context) -> bool {
///         context.headers().get("X-Api-Key").is_some()
///     }
///
///     fn authenticate(&self, context: Context) -> BoxFuture<'static, Result<Caller, Denied>> {
///         async move {
///             match context.headers().get("X-Api-Key") {
///                 Some("of-the-till") => Ok(Caller::new("till-7").role("till")),
///                 _ => Err(Denied::Unauthenticated),
///             }
///         }
///         .boxed()
///     }
/// }
/// ```
pub trait Authenticate: fmt::Debug + Send + Sync + 'static {
    /// Whether the message carries credentials of this kind; then nobody else is asked. It must not wait.
    fn recognises(&self, context: &Context) -> bool;

    /// Who it is. Not remembered: whoever asks somebody else had better remember.
    ///
    /// [`Denied::Unavailable`] means that it cannot be told now: an event waits and is looked at again, a request is refused
    /// with 503.
    fn authenticate(&self, context: Context) -> BoxFuture<'static, Result<Caller, Denied>>;
}
