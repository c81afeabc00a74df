//! Plain async functions as handlers.

use std::future::Future;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use headwater_core::Failure;

use super::context::Context;
use super::extract::FromMessage;

/// A handler: an async function of up to eight parameters, each of which implements [`FromMessage`].
///
/// `M` is the function's signature; it tells the implementations apart and is never written down.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler for a router whose state is `{S}`",
    label = "this is no handler",
    note = "a handler is an `async fn` (or a closure that returns a future) of at most eight parameters, each of which \
            implements `FromMessage<{S}>`; its future has to be `Send`, so nothing that is not may be held across an `.await`"
)]
pub trait Handler<M, S>: Send + Sync + 'static {
    /// What it returns.
    type Output;

    /// Takes the parameters out of the message and calls it.
    ///
    /// # Errors
    ///
    /// When a parameter cannot be had; the function is not called then.
    fn call(&self, context: &Context, state: &S) -> Result<BoxFuture<'static, Self::Output>, Failure>;
}

macro_rules! functions {
    ($(($($parameter:ident)*))*) => {$(
        impl<F, Fut, S, $($parameter,)*> Handler<fn($($parameter,)*) -> Fut, S> for F
        where
            F: Fn($($parameter,)*) -> Fut + Send + Sync + 'static,
            Fut: Future + Send + 'static,
            $($parameter: FromMessage<S>,)*
        {
            type Output = Fut::Output;

            #[allow(unused_variables, reason = "a function without parameters needs neither")]
            fn call(&self, context: &Context, state: &S) -> Result<BoxFuture<'static, Self::Output>, Failure> {
                Ok(self($($parameter::from_message(context, state)?,)*).boxed())
            }
        }
    )*};
}

functions! {
    ()
    (A)
    (A B)
    (A B C)
    (A B C D)
    (A B C D E)
    (A B C D E G)
    (A B C D E G H)
    (A B C D E G H I)
}
