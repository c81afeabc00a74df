//! Finding out what is otherwise.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::subject::overlaps;
use crate::topology::Topology;
use crate::topology::compare::{self, Difference};
use crate::topology::error::TopologyError;
use crate::topology::form::{self, Config, number};
use crate::topology::lease;
use crate::topology::model::{Consumer, Stream, Target, texts};
use crate::topology::server::{LiveConsumers, LiveStream, Server};

use super::{Action, Change, Plan, Problem, in_order};

type Live = BTreeMap<String, LiveStream>;

pub(in crate::topology) async fn make(topology: &Topology, server: &Server<'_>) -> Result<Plan, TopologyError> {
    let live = server.streams().await?;
    let mut plan = Plan { changes: Vec::new(), problems: Vec::new(), unchanged: 0 };
    for stream in &topology.streams {
        plan.add(Target::stream(&stream.name), stream_change(stream, live.get(&stream.name)));
    }
    let mut extras = extra_streams(topology, &live);
    for stream in &topology.streams {
        let is_new = plan.changes.iter().any(|change| {
            change.target == Target::stream(&stream.name) && matches!(change.action, Action::Create | Action::Replace)
        });
        let on_server =
            if live.contains_key(&stream.name) { server.consumers(&stream.name).await? } else { LiveConsumers::new() };
        let own: Vec<_> = topology.consumers.iter().filter(|consumer| consumer.stream == stream.name).collect();
        for consumer in &own {
            let found = on_server.get(&consumer.name).filter(|_| !is_new);
            plan.add(Target::consumer(&stream.name, &consumer.name), consumer_change(consumer, stream, found));
        }
        if !is_new {
            extras.extend(extra_consumers(topology, stream, &own, &on_server));
        }
    }
    problems(topology, &live, &extras, server.is_clustered(), &mut plan.problems);
    if let Err(problem) = in_order(topology, &live, &mut plan.changes) {
        plan.problems.push(Problem { message: problem, ends_with_prune: false });
    }
    plan.changes.extend(extras);
    Ok(plan)
}

impl Plan {
    fn add(&mut self, target: Target, change: Option<(Action, Vec<Difference>, Vec<String>)>) {
        match change {
            None => self.unchanged += 1,
            Some((action, differences, notes)) => self.changes.push(Change { target, action, differences, notes }),
        }
    }
}

type Found = Option<(Action, Vec<Difference>, Vec<String>)>;

fn stream_change(stream: &Stream, live: Option<&LiveStream>) -> Found {
    let Some(live) = live else {
        let plain = form::stream(&Config::new());
        return Some((Action::Create, set(compare::streams(stream.kind, &plain, &stream.config)), Vec::new()));
    };
    let formed = form::stream(&live.config);
    let differences = compare::streams(stream.kind, &formed, &stream.config);
    if differences.is_empty() {
        return None;
    }
    if differences.iter().any(|difference| difference.needs_replace) {
        let lost = format!("{} messages and {} consumers of it are lost", live.messages, live.consumers);
        return Some((Action::Replace, differences, vec![lost]));
    }
    Some((Action::Update, differences, tighter(&formed, &stream.config)))
}

/// Of something new, what is set.
fn set(mut differences: Vec<Difference>) -> Vec<Difference> {
    differences.retain(|difference| difference.wanted.is_some());
    differences.iter_mut().for_each(|difference| difference.needs_replace = false);
    differences
}

/// What the server drops by itself when a limit becomes tighter.
fn tighter(live: &Config, wanted: &Config) -> Vec<String> {
    let less =
        |name: &&str| number(wanted, name).is_some_and(|wanted| number(live, name).is_none_or(|live| wanted < live));
    let limits = ["max_age", "max_bytes", "max_msgs", "max_msgs_per_subject"];
    let is_tighter =
        limits.iter().any(less) && wanted.get("discard").and_then(Value::as_str) != Some("new") || less(&"max_age");
    if is_tighter { vec!["the server drops messages that are beyond the new limits".to_owned()] } else { Vec::new() }
}

fn consumer_change(consumer: &Consumer, stream: &Stream, live: Option<&Config>) -> Found {
    let Some(live) = live else {
        let plain = form::consumer(&Config::new(), &stream.config);
        return Some((Action::Create, set(compare::consumers(&plain, &consumer.config)), Vec::new()));
    };
    let differences = compare::consumers(&form::consumer(live, &stream.config), &consumer.config);
    match differences.iter().any(|difference| difference.needs_replace) {
        _ if differences.is_empty() => None,
        true => Some((Action::Replace, differences, vec!["it forgets how far it has read".to_owned()])),
        false => Some((Action::Update, differences, Vec::new())),
    }
}

fn extra_streams(topology: &Topology, live: &Live) -> Vec<Change> {
    let known: BTreeSet<&str> = topology.streams.iter().map(|stream| stream.name.as_str()).collect();
    let is_extra = |name: &str| {
        !known.contains(name) && !name.starts_with('$') && name != lease::STREAM && !topology.ignores(name)
    };
    live.iter()
        .filter(|(name, _)| is_extra(name))
        .map(|(name, stream)| Change {
            target: Target::stream(name),
            action: Action::Extra,
            differences: Vec::new(),
            notes: vec![format!("{} messages, {} consumers", stream.messages, stream.consumers)],
        })
        .collect()
}

/// Durable consumers that the file does not name. Others come and go by themselves.
fn extra_consumers(topology: &Topology, stream: &Stream, own: &[&Consumer], live: &LiveConsumers) -> Vec<Change> {
    let is_durable =
        |config: &Config| config.get("durable_name").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
    let is_extra = |name: &str, config: &Config| {
        is_durable(config)
            && own.iter().all(|consumer| consumer.name != name)
            && !topology.ignores(&format!("{}/{name}", stream.name))
    };
    live.iter()
        .filter(|(name, config)| is_extra(name, config))
        .map(|(name, _)| Change {
            target: Target::consumer(&stream.name, name),
            action: Action::Extra,
            differences: Vec::new(),
            notes: Vec::new(),
        })
        .collect()
}

fn problems(topology: &Topology, live: &Live, extras: &[Change], clustered: Option<bool>, problems: &mut Vec<Problem>) {
    for stream in &topology.streams {
        overlaps_live(stream, topology, live, extras, problems);
        missing_origins(stream, topology, live, problems);
        let replicas = number(&stream.config, "num_replicas").unwrap_or(1);
        let same = live.get(&stream.name).is_some_and(|live| number(&live.config, "num_replicas") == Some(replicas));
        if replicas > 1 && clustered == Some(false) && !same {
            let message = format!(
                "{}: {replicas} replicas need a cluster, and the server is in none",
                stream.field("num_replicas")
            );
            problems.push(Problem { message, ends_with_prune: false });
        }
    }
}

/// Streams on the server, of which the file says nothing, with the same subjects.
fn overlaps_live(stream: &Stream, topology: &Topology, live: &Live, extras: &[Change], problems: &mut Vec<Problem>) {
    for (name, other) in live.iter().filter(|(name, _)| !topology.has_stream(name)) {
        let theirs = texts(&other.config, "subjects");
        for subject in stream.subjects() {
            for other in theirs.iter().filter(|other| overlaps(subject, other)) {
                problems.push(Problem {
                    message: format!(
                        "{}: {subject:?} overlaps with {other:?} of {}, which is on the server and not in the topology",
                        stream.field("subjects"),
                        Target::stream(name)
                    ),
                    ends_with_prune: extras.iter().any(|extra| extra.target == Target::stream(name)),
                });
            }
        }
    }
}

fn missing_origins(stream: &Stream, topology: &Topology, live: &Live, problems: &mut Vec<Problem>) {
    let sources = stream.config.get("sources").and_then(Value::as_array).into_iter().flatten();
    let all = stream.config.get("mirror").map(|origin| ("mirror", origin)).into_iter();
    for (wire, origin) in all.chain(sources.map(|source| ("sources", source))) {
        let name = origin["name"].as_str().unwrap_or_default();
        if origin.get("external").is_none() && !topology.has_stream(name) && !live.contains_key(name) {
            let message = format!(
                "{}: there is no stream {name:?}, neither in the topology nor on the server",
                stream.field(wire)
            );
            problems.push(Problem { message, ends_with_prune: false });
        }
    }
}

impl Topology {
    pub(in crate::topology) fn has_stream(&self, name: &str) -> bool {
        self.streams.iter().any(|stream| stream.name == name)
    }

    fn ignores(&self, name: &str) -> bool {
        self.ignore.iter().any(|pattern| fits(pattern, name))
    }
}

/// Whether a name fits a pattern in which `*` stands for any characters.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(start) else { return false };
    loop {
        if fits(rest, name) {
            return true;
        }
        let mut characters = name.chars();
        if characters.next().is_none() {
            return false;
        }
        name = characters.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name) in [("KV_*", "KV_a"), ("*", ""), ("a*c", "abc"), ("a*c*", "ac"), ("S/*", "S/x")] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        assert!(!fits("KV_*", "OBJ_a") && !fits("a", "ab") && !fits("a*c", "abd"));
    }
}
