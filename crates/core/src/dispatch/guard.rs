//! Calls into the domain's code, which may panic.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt;

use super::Inner;
use crate::{AggregateId, Failure};

impl Inner {
    /// Runs `work`; a panic in it becomes an `internal` failure. What `work` was changing must be
    /// thrown away then, hence `AssertUnwindSafe`.
    pub(super) fn guarded<T>(&self, aggregate: &AggregateId, work: impl FnOnce() -> T) -> Result<T, Failure> {
        catch_unwind(AssertUnwindSafe(work)).map_err(|panic| self.panicked(aggregate, &*panic))
    }

    /// The same for a future.
    pub(super) async fn guarded_async<T>(
        &self,
        aggregate: &AggregateId,
        work: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| self.panicked(aggregate, &*panic))
    }

    fn panicked(&self, aggregate: &AggregateId, panic: &(dyn Any + Send)) -> Failure {
        self.counters.panics.add(1);
        // A state may have been left half evolved; the next call reads it again.
        self.cache.forget(aggregate);
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        tracing::error!(%aggregate, panic = text.unwrap_or("no text"), "the domain's code panicked");
        Failure::internal("the handler panicked")
    }
}
