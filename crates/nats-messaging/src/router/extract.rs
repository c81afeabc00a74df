//! What handlers take as parameters.

use std::sync::Arc;

use bytes::Bytes;
use headwater_core::Failure;
use serde::de::DeserializeOwned;

use super::context::Context;
use super::payload;
use crate::codec::Decode;
use crate::envelope::{Attributes, Received};
use crate::message;

/// Something that a handler takes as a parameter, made from the message and the router's state.
///
/// It is called for each message, right before the handler, and must not block. When it fails the handler is not called: a
/// request is answered with the failure; an event is poison when the message is to blame (a code below 500 that is not
/// retryable), and tried again otherwise.
///
/// ```
/// use headwater_core::Failure;
/// use headwater_nats_messaging::router::{Context, FromMessage};
///
/// struct Tenant(String);
///
/// impl<S> FromMessage<S> for Tenant {
///     fn from_message(context: &Context, _: &S) -> Result<Self, Failure> {
///         let tenant = context.headers().get("Tenant").ok_or_else(|| Failure::invalid_request("no header `Tenant`"))?;
///         Ok(Self(tenant.to_owned()))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that a handler can take as a parameter",
    label = "a handler cannot take this",
    note = "handlers take `Payload<T>`, `Json<T>`, `Context`, `State<T>`, `Headers`, `Subject`, `MessageId`, `Bytes`, \
            an event family, `Option` of any of them, and whatever implements `FromMessage`"
)]
pub trait FromMessage<S>: Sized {
    /// Makes it.
    ///
    /// # Errors
    ///
    /// When the message does not have what it takes. The failure's message names the field and shows no payload.
    fn from_message(context: &Context, state: &S) -> Result<Self, Failure>;
}

/// A part of the router's state that [`State`] can be asked for. The state as a whole is one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither the router's state, which is `{T}`, nor a part of it",
    label = "the router has no such state",
    note = "the router's state is what `with_state` is given; for a part of it implement `FromState`"
)]
pub trait FromState<T> {
    /// Takes it out of the state.
    fn from_state(state: &T) -> Self;
}

impl<T: Clone> FromState<T> for T {
    fn from_state(state: &T) -> Self {
        state.clone()
    }
}

/// The message's payload, read as its content type and envelope say: JSON unless they say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload<T>(pub T);

/// The message's body, read as JSON whatever its content type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// The router's state, or a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State<T>(pub T);

/// The message's headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers(pub message::Headers);

/// The subject that the message came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject(pub String);

/// The id that the message's sender gave it against duplicates. A message without one does not fit;
/// `Option<MessageId>` takes both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageId(pub String);

/// What a layer has [put beside](Context::insert) the message.
#[derive(Debug, Clone)]
pub struct Extension<T>(pub Arc<T>);

impl<S, T: Decode> FromMessage<S> for Payload<T> {
    fn from_message(context: &Context, _: &S) -> Result<Self, Failure> {
        payload::read(context).map(Self)
    }
}

impl<S, T: DeserializeOwned> FromMessage<S> for Json<T> {
    fn from_message(context: &Context, _: &S) -> Result<Self, Failure> {
        payload::read_json(context.body()).map(Self)
    }
}

impl<S, T: FromState<S>> FromMessage<S> for State<T> {
    fn from_message(_: &Context, state: &S) -> Result<Self, Failure> {
        Ok(Self(T::from_state(state)))
    }
}

impl<S> FromMessage<S> for Context {
    fn from_message(context: &Context, _: &S) -> Result<Self, Failure> {
        Ok(context.clone())
    }
}

impl<S> FromMessage<S> for Headers {
    fn from_message(context: &Context, _: &S) -> Result<Self, Failure> {
        Ok(Self(context.headers().clone()))
    }
}

impl<S> FromMessage<S> for Subject {
    fn from_message(context: &Context, _: &S) -> Result<Self, Failure> {
        Ok(Self(context.subject().to_owned()))
    }
}

impl<S> FromMessage<S> for MessageId {
    fn from_message(context: &Context, _: &S) -> Result<Self, Failure> {
        let id = context.message_id().ok_or_else(|| Failure::invalid_request("the message has no id"))?;
        Ok(Self(id.to_owned()))
    }
}

impl<S> FromMessage<S> for Bytes {
    fn from_message(context: &Context, _: &S) -> Result<Self, Failure> {
        Ok(context.body().clone())
    }
}

impl<S, T: Send + Sync + 'static> FromMessage<S> for Extension<T> {
    fn from_message(context: &Context, _: &S) -> Result<Self, Failure> {
        let missing = || Failure::internal("a layer that the handler relies on is not there");
        context.extension().map(Self).ok_or_else(missing)
    }
}

/// The message with its envelope read.
impl<S> FromMessage<S> for Received {
    fn from_message(context: &Context, _: &S) -> Result<Self, Failure> {
        context.received().cloned()
    }
}

/// What the message's envelope says of it. A message without one does not fit; `Option<Attributes>` takes both.
impl<S> FromMessage<S> for Attributes {
    fn from_message(context: &Context, _: &S) -> Result<Self, Failure> {
        let bare = || Failure::invalid_request("the message has no envelope");
        context.received()?.attributes().cloned().ok_or_else(bare)
    }
}

/// None where the message does not fit.
impl<S, T: FromMessage<S>> FromMessage<S> for Option<T> {
    fn from_message(context: &Context, state: &S) -> Result<Self, Failure> {
        Ok(T::from_message(context, state).ok())
    }
}

/// What the extractor said, for the handler to judge.
impl<S, T: FromMessage<S>> FromMessage<S> for Result<T, Failure> {
    fn from_message(context: &Context, state: &S) -> Result<Self, Failure> {
        Ok(T::from_message(context, state))
    }
}
