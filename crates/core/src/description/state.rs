//! An aggregate's state without its type.

use std::any::Any;

use crate::Aggregate;

/// The state of some aggregate. Only the functions that a description captured know which.
pub(crate) trait AnyState: Send + Sync {
    fn clone_box(&self) -> Box<dyn AnyState>;
    fn to_json(&self) -> Result<Vec<u8>, serde_json::Error>;
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

impl<A: Aggregate> AnyState for A {
    fn clone_box(&self) -> Box<dyn AnyState> {
        Box::new(self.clone())
    }

    fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// The state as the type it is.
pub(super) fn typed<A: Aggregate>(state: &dyn AnyState) -> &A {
    state.as_any().downcast_ref().expect("a description only meets states it made itself")
}

/// The state as the type it is, to change.
pub(super) fn typed_mut<A: Aggregate>(state: &mut dyn AnyState) -> &mut A {
    state.as_any_mut().downcast_mut().expect("a description only meets states it made itself")
}
