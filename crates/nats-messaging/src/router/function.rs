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
    message = "`{Self}` is no handler of a message router",
    label = "this is no handler",
    note = "a handler is an `async fn`, or a closure that returns a future, of at most eight parameters, each of which is \
            something that a message has: `Payload<T>` of a `T: Deserialize`, `Context`, `State<T>` of the router's state, …",
    note = "its future is `Send`: nothing that is not, such as an `Rc`, may be held across an `.await`",
    note = "`router::fits::<P, S>()` tells why a parameter `P` does not fit a router whose state is `S`"
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

/// Tells what is wrong with a parameter of a handler: this compiles for each that fits a router whose state is `S`, and for
/// others the compiler says why not, while of a whole handler it says only that it is none.
///
/// ```
/// use headwater_nats_messaging::router::{Context, Payload, State, fits};
///
/// const _: () = fits::<Payload<u64>, ()>();
/// const _: () = fits::<Context, ()>();
/// const _: () = fits::<State<String>, String>();
/// ```
pub const fn fits<P: FromMessage<S>, S>() {}

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
