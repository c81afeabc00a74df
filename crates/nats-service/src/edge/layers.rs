//! Layers of the user's between the stages.

use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, Service, ServiceExt};

use super::at::{At, Only};
use super::stack::{Dispatch, OnlyFor, Stages};
use super::{Answer, Request, Stack, Stage};
use crate::endpoint::Endpoints;
use crate::problem::Problems;

/// What a layer wraps: the rest of the request's way, up to its answer. It is always ready.
pub type Next = BoxCloneSyncService<Request, Answer, BoxError>;

/// Puts a layer around the rest of the way.
type Wrap = Box<dyn FnOnce(Next) -> Next + Send>;

/// The layers of a service, in the order in which they were added.
#[derive(Default)]
pub(crate) struct Layers(Vec<(At, Wrap)>);

impl Layers {
    pub(crate) fn add<L>(&mut self, at: At, layer: L)
    where
        L: Layer<Next> + Send + 'static,
        L::Service: Service<Request, Response = Answer> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Error: Into<BoxError>,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        let wrap = move |next| BoxCloneSyncService::new(layer.layer(next).map_err(Into::into));
        self.0.push((at, Box::new(wrap)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn check(&self, endpoints: &Endpoints, problems: &mut Problems) {
        for (at, _) in &self.0 {
            if let Some(Only { kind, aggregate, name }) = at.endpoint.as_ref().filter(|only| !has(endpoints, only)) {
                problems.add("layer", at, format!("there is no {kind} `{name}` of an aggregate type `{aggregate}`"));
            }
        }
    }

    /// The way through stages and layers; none without layers.
    pub(crate) fn stack(self) -> Option<Stack> {
        if self.0.is_empty() {
            return None;
        }
        // From the inside out: what was added first is met first.
        let mut gaps: Vec<Vec<(At, Wrap)>> = (0..=Stage::ALL.len()).map(|_| Vec::new()).collect();
        for (at, wrap) in self.0 {
            gaps[at.gap].push((at, wrap));
        }
        let (mut next, mut end) = (BoxCloneSyncService::new(Dispatch), Stage::ALL.len());
        for (gap, layers) in gaps.into_iter().enumerate().rev().filter(|(_, layers)| !layers.is_empty()) {
            next = BoxCloneSyncService::new(Stages { stages: &Stage::ALL[gap..end], next });
            end = gap;
            for (at, wrap) in layers.into_iter().rev() {
                next = match at.endpoint {
                    None => wrap(next),
                    Some(only) => BoxCloneSyncService::new(OnlyFor {
                        endpoint: only.endpoint(),
                        layered: wrap(next.clone()),
                        next,
                    }),
                };
            }
        }
        Some(Stack::new(BoxCloneSyncService::new(Stages { stages: &Stage::ALL[..end], next })))
    }
}

fn has(endpoints: &Endpoints, only: &Only) -> bool {
    endpoints.iter().any(|endpoint| endpoint.name == only.endpoint())
}
