//! Who sent a message, as a parameter of handlers.

use std::sync::Arc;

use headwater_core::Failure;
use headwater_nats::caller::Caller;

use crate::router::{Context, FromMessage};

impl Context {
    /// Who sent the message, once a layer has found that out.
    #[must_use]
    pub fn caller(&self) -> Option<Arc<Caller>> {
        self.extension()
    }
}

/// Who sent the message, verified. `Option<Arc<Caller>>` is for handlers that also run without auth.
impl<S> FromMessage<S> for Arc<Caller> {
    fn from_message(context: &Context, _: &S) -> Result<Self, Failure> {
        let missing = || Failure::internal("the handler asks who sent the message, and no layer finds that out");
        context.caller().ok_or_else(missing)
    }
}

/// Who sent the message, verified. `Option<Caller>` is for handlers that also run without auth.
impl<S> FromMessage<S> for Caller {
    fn from_message(context: &Context, state: &S) -> Result<Self, Failure> {
        <Arc<Self> as FromMessage<S>>::from_message(context, state).map(Arc::unwrap_or_clone)
    }
}
