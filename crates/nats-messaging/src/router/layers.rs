//! Layers of the user's around handlers.

use std::sync::Arc;

use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceExt};

use super::answer::Answer;
use super::context::Context;
use crate::BoxError;

/// What a layer wraps: the rest of a message's way to its handler, up to what comes of it. It is always ready.
///
/// A layer that wants the message handled another way passes it on changed; one that does not want it handled answers by
/// itself, or with an error: an event is tried again then, and who sent a request is told.
pub type Next = BoxCloneSyncService<Context, Answer, BoxError>;

/// Puts a layer around the rest of the way.
pub(super) type Wrap = Arc<dyn Fn(Next) -> Next + Send + Sync>;

pub(super) fn wrap<L>(layer: L) -> Wrap
where
    L: Layer<Next> + Send + Sync + 'static,
    L::Service: Service<Context, Response = Answer> + Clone + Send + Sync + 'static,
    <L::Service as Service<Context>>::Error: Into<BoxError>,
    <L::Service as Service<Context>>::Future: Send + 'static,
{
    Arc::new(move |next| BoxCloneSyncService::new(layer.layer(next).map_err(Into::into)))
}
