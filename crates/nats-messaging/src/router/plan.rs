//! Which consumers a router's patterns need: worked out and checked before anything is opened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headwater_core::is_name;
use tokio::time::timeout;

use super::naming::ConsumerOf;
use super::pattern::{Pattern, cover};
use super::route::{Kind, Route};
use super::router::Router;
use super::settings::{Group, Stream, Tune};
use super::start::{Problem, StartError};
use super::tree::Tree;
use crate::consume::{Consume, ConsumerConfig};
use crate::processing::Processing;

/// How long a stream may be looked up.
const LOOK_UP: Duration = Duration::from_secs(10);

/// A consumer, and which of the router's handlers it is for.
pub(super) struct Reader {
    pub(super) config: ConsumerConfig,
    pub(super) processing: Processing,
    pub(super) routes: Tree<(Pattern, usize)>,
}

/// What a consumer is for on its stream.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Share {
    Pattern(Pattern),
    Group(String),
}

/// What a consumer is put together from.
#[derive(Default)]
struct Draft {
    reads: Vec<Pattern>,
    routes: Tree<(Pattern, usize)>,
    groups: Vec<Arc<Group>>,
    tune: Vec<Tune>,
    processing: Option<Processing>,
}

/// What is wrong with the router as it stands, without asking anybody.
pub(super) fn check<S>(router: &Router<S>) -> Vec<Problem> {
    let mut problems = router.problems.clone();
    problems.extend(router.routes.iter().flat_map(|route| route.problems.iter().cloned()));
    let service = router.service.as_deref().unwrap_or_default();
    if !is_name(service) {
        let reason = "consumers and queue groups are named after the service, so it has to be said, in kebab case \
                      (`^[a-z][a-z0-9-]{0,49}$`)";
        problems.push(Problem::new("service", service, reason));
    }
    let mut asked: Vec<&Pattern> = Vec::new();
    for route in &router.routes {
        if route.kind == Kind::Request && (route.stream.is_some() || route.group.is_some()) {
            let pattern = route.patterns.first().map_or("", |pattern| pattern.as_str());
            problems.push(Problem::new("on_message", pattern, "requests come from no stream and have no group"));
        }
        for pattern in route.patterns.iter().filter(|_| route.kind == Kind::Request) {
            if asked.contains(&pattern) {
                let reason = "there are two handlers for these requests, and only one can answer";
                problems.push(Problem::new("on_message", pattern.as_str(), reason));
            }
            asked.push(pattern);
        }
    }
    let carried = router.streams.iter().flat_map(|stream| stream.carries.iter().map(|pattern| ("carries", pattern)));
    let listened = router.listens.iter().map(|pattern| ("listen", pattern));
    let groups = router.routes.iter().filter_map(|route| route.group.as_ref());
    let read = groups.flat_map(|group| group.reads.iter().map(|pattern| ("reads", pattern)));
    for (setting, pattern) in carried.chain(listened).chain(read) {
        if let Err(error) = Pattern::new(pattern) {
            problems.push(Problem::new(setting, error.pattern, error.reason));
        }
    }
    problems
}

/// The consumers that a router needs.
pub(super) async fn readers<S>(router: &Router<S>, consume: &dyn Consume) -> Result<Vec<Reader>, StartError> {
    let (mut drafts, mut problems) = (BTreeMap::<(String, Share), Draft>::new(), Vec::new());
    for (place, route) in router.routes.iter().enumerate().filter(|(_, route)| route.kind == Kind::Event) {
        for pattern in &route.patterns {
            match stream_of(router, route.stream.as_deref(), pattern, consume).await? {
                Ok(stream) => draft(&mut drafts, stream, place, route, pattern),
                Err(problem) => problems.push(problem),
            }
        }
        for pattern in route.group.iter().flat_map(|group| &group.reads).filter_map(|reads| Pattern::new(reads).ok()) {
            match stream_of(router, route.stream.as_deref(), &pattern, consume).await? {
                Ok(stream) => match drafts.get_mut(&(stream.clone(), share(route, &pattern))) {
                    Some(draft) => draft.reads.push(pattern),
                    None => problems.push(Problem::new("reads", pattern.as_str(), unread(&stream))),
                },
                Err(problem) => problems.push(problem),
            }
        }
    }
    let readers: Vec<_> =
        drafts.into_iter().map(|((stream, share), draft)| finish(router, stream, &share, draft)).collect();
    problems.extend(readers.iter().filter_map(|reader| setting_problem(&reader.config)));
    problems.extend(repeated_names(&readers));
    problems.dedup();
    if problems.is_empty() { Ok(readers) } else { Err(StartError::Problems(problems)) }
}

fn unread(stream: &str) -> String {
    format!("the stream `{stream}` carries it, and no pattern of the group is read from there")
}

fn share<S>(route: &Route<S>, pattern: &Pattern) -> Share {
    match &route.group {
        Some(group) => Share::Group(group.name.clone()),
        None => Share::Pattern(pattern.clone()),
    }
}

fn draft<S>(
    drafts: &mut BTreeMap<(String, Share), Draft>,
    stream: String,
    place: usize,
    route: &Route<S>,
    pattern: &Pattern,
) {
    let draft = drafts.entry((stream, share(route, pattern))).or_default();
    draft.reads.push(pattern.clone());
    draft.routes.insert(pattern, (pattern.clone(), place));
    draft.tune.extend(route.tune.iter().cloned());
    if let Some(processing) = &route.processing {
        draft.processing = Some(processing.clone());
    }
    if let Some(group) =
        route.group.as_ref().filter(|group| !draft.groups.iter().any(|known| Arc::ptr_eq(known, group)))
    {
        draft.groups.push(Arc::clone(group));
    }
}

fn finish<S>(router: &Router<S>, stream: String, share: &Share, draft: Draft) -> Reader {
    let reads = cover(&draft.reads);
    let group = match share {
        Share::Group(group) => Some(group.as_str()),
        Share::Pattern(_) => None,
    };
    let first = match share {
        Share::Pattern(pattern) => pattern,
        Share::Group(_) => reads.iter().min().expect("a draft is made with its first pattern"),
    };
    let service = router.service.as_deref().unwrap_or_default();
    let of = ConsumerOf { service, stream: &stream, group, pattern: first };
    let durable = router.settings.naming.clone().unwrap_or_default().name(&of);

    let mut config = ConsumerConfig::new(&stream, &durable);
    let of_stream: Vec<_> = router.streams.iter().filter(|known| known.name == stream).collect();
    let tuning = of_stream.iter().flat_map(|stream| &stream.tune);
    let tuning = tuning.chain(draft.groups.iter().flat_map(|group| &group.tune)).chain(&draft.tune);
    tuning.for_each(|tune| tune(&mut config));
    config.filter_subjects = reads.iter().map(|pattern| pattern.as_str().to_owned()).collect();
    (config.stream, config.durable) = (stream, durable);

    let of_group = draft.groups.iter().rev().find_map(|group| group.processing.clone());
    let of_stream = of_stream.iter().rev().find_map(|stream| stream.processing.clone());
    let said = of_group.or(draft.processing).or(of_stream);
    let mut processing = said.unwrap_or_else(|| router.settings.processing.clone());
    if processing.telemetry.is_none() {
        processing.telemetry.clone_from(&router.settings.telemetry);
    }
    Reader { config, processing, routes: draft.routes }
}

/// The stream that carries a pattern: the one that was said, one that was declared, or the one that is found.
async fn stream_of<S>(
    router: &Router<S>,
    said: Option<&str>,
    pattern: &Pattern,
    consume: &dyn Consume,
) -> Result<Result<String, Problem>, StartError> {
    if let Some(said) = said {
        return Ok(Ok(said.to_owned()));
    }
    let declared: Vec<_> = router.streams.iter().filter(|stream| carries(stream, pattern)).collect();
    match declared.as_slice() {
        [] => {}
        [one] => return Ok(Ok(one.name.clone())),
        [one, other, ..] => {
            let reason = format!("the streams `{}` and `{}` both carry it: say which is meant", one.name, other.name);
            return Ok(Err(Problem::new("on_event", pattern.as_str(), reason)));
        }
    }
    let looked_up = timeout(LOOK_UP, consume.stream_of(pattern.as_str().to_owned())).await;
    let found = looked_up.map_err(|_| StartError::TimedOut {
        what: format!("to look up the stream of `{pattern}`"),
        seconds: LOOK_UP.as_secs(),
    })??;
    Ok(found.ok_or_else(|| {
        let reason = "no stream, or none alone, takes all of these subjects: declare the stream on the server, make the pattern \
                      as narrow as the subjects of one stream, or say which stream is meant with `Route::stream`";
        Problem::new("on_event", pattern.as_str(), reason)
    }))
}

fn carries(stream: &Stream, pattern: &Pattern) -> bool {
    stream.carries.iter().filter_map(|carried| Pattern::new(carried).ok()).any(|carried| carried.covers(pattern))
}

fn setting_problem(config: &ConsumerConfig) -> Option<Problem> {
    config.check().err().map(|error| Problem::new("consumer", &config.durable, error.to_string()))
}

fn repeated_names(readers: &[Reader]) -> Vec<Problem> {
    let mut seen = BTreeMap::new();
    let mut problems = Vec::new();
    for Reader { config, .. } in readers {
        if let Some(other) = seen.insert((&config.stream, &config.durable), &config.filter_subjects) {
            let (stream, one, two) = (&config.stream, other.join(", "), config.filter_subjects.join(", "));
            let reason = format!("both `{one}` and `{two}` of the stream `{stream}` would be read under this name");
            problems.push(Problem::new("consumer", &config.durable, reason));
        }
    }
    problems
}
