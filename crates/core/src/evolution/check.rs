//! A lock against today's code: what holds for each event, command, rejection and query.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Compatibility;
use super::compare::findings;
use super::lock::{Promises, Released, SchemaLock};
use super::plain::plain;
use super::problem::{Direction, Incompatible, Part, Problem};
use crate::AggregateType;
use crate::schema::schema_from;
use crate::upcast::Step;

impl SchemaLock {
    /// Checks what these aggregate types promise today against the lock. What the lock does not hold is no
    /// problem (see [`unlocked`](Self::unlocked)).
    ///
    /// # Errors
    /// [`Incompatible`] with every problem.
    pub fn check(&self, types: &[AggregateType], compatibility: Compatibility) -> Result<(), Incompatible> {
        let mut problems = Vec::new();
        if compatibility != Compatibility::Off {
            for (kind, promises) in &self.aggregates {
                let described = types.iter().find(|described| described.kind().as_str() == kind);
                let mut check = Check { kind, compatibility, problems: &mut problems };
                match described {
                    Some(described) => check.aggregate(promises, described),
                    None if compatibility.is_backward() => {
                        check.whole(
                            Part::Aggregate,
                            "it is gone, and its events and callers are not",
                            "serve it still",
                        );
                    }
                    None => {}
                }
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(Incompatible { problems }) }
    }
}

struct Check<'a> {
    kind: &'a str,
    compatibility: Compatibility,
    problems: &'a mut Vec<Problem>,
}

impl Check<'_> {
    fn aggregate(&mut self, promises: &Promises, described: &AggregateType) {
        for (name, versions) in &promises.events {
            self.event(name, versions, described);
        }
        let gone = "it is gone, and older callers may still send it";
        for (name, released) in &promises.commands {
            let part = Part::Command(name.clone());
            match described.command(name) {
                Some(command) => self.both_ways(&part, released, command.schema()),
                None => self.gone(part, gone, "answer it still, if only with a rejection"),
            }
        }
        for rejection in described.rejections() {
            if let Some(released) = promises.rejections.get(rejection.name) {
                let part = Part::Rejection(rejection.name.to_owned());
                self.both_ways(&part, released, &schema_from(rejection.schema));
            }
        }
        for (name, released) in &promises.queries {
            match described.query(name) {
                None => self.gone(Part::Query(name.clone()), gone, "answer it still"),
                Some(query) => {
                    self.both_ways(&Part::Query(name.clone()), &released.request, query.schema());
                    self.both_ways(&Part::Answer(name.clone()), &released.answer, query.answer_schema());
                }
            }
        }
    }

    fn event(&mut self, name: &str, versions: &BTreeMap<u32, Released>, described: &AggregateType) {
        let today = described.events().find(|event| event.name.as_str() == name);
        let today = today.map(|event| (event.schema_version, plain(&event.schema)));
        let part = |version| Part::Event { name: name.to_owned(), version };
        for (version, released) in versions {
            match &today {
                Some((now, schema)) if now == version && described.upcasters().step(name, *version).is_none() => {
                    self.backward(&part(*version), released, schema);
                }
                _ => {
                    let now = today.as_ref().map(|(now, _)| *now);
                    self.upcast(part(*version), name, *version, now, described);
                }
            }
        }
        let Some(((newest, released), (now, schema))) = versions.last_key_value().zip(today) else { return };
        if now == *newest {
            self.forward(&part(now), released, &schema);
        } else if now > *newest && self.compatibility.is_forward() {
            let what = format!("the schema version is {now} now, and older programs do not read it");
            let advice = "add an event of another name; or stop older programs first and check this release backward \
                          only";
            self.whole(part(*newest), &what, advice);
        } else if now < *newest && !self.compatibility.is_backward() {
            self.whole(part(*newest), &lowered(now), &format!("go on from version {newest}"));
        }
    }

    /// Whether the upcasters lead on from a version that is not, or not by itself, today's.
    fn upcast(&mut self, part: Part, name: &str, version: u32, now: Option<u32>, described: &AggregateType) {
        if !self.compatibility.is_backward() {
            return;
        }
        let mut reached = version;
        loop {
            match described.upcasters().step(name, reached) {
                Some(Step::Elsewhere) => return,
                Some(Step::Next) => reached += 1,
                None => break,
            }
            if Some(reached) == now && described.upcasters().step(name, reached).is_none() {
                return;
            }
        }
        let from = match reached == version {
            true => format!("version {version}"),
            false => format!("version {reached}, where those from version {version} end"),
        };
        let (what, advice) = match now {
            None => (
                format!("the event is gone, stored events are not, and no upcaster leads on from {from}"),
                "keep the event; or add an upcaster to what it means today, or a discard rule".to_owned(),
            ),
            Some(now) if reached > now => {
                (lowered(now), format!("go on from version {reached}, or add an upcaster from it"))
            }
            Some(now) => (
                format!("the schema version is {now} now, and no upcaster leads on from {from}"),
                format!("add an upcaster (or a discard rule) from version {reached}"),
            ),
        };
        self.whole(part, &what, &advice);
    }

    fn both_ways(&mut self, part: &Part, released: &Released, today: &Value) {
        let today = plain(today);
        self.backward(part, released, &today);
        self.forward(part, released, &today);
    }

    fn backward(&mut self, part: &Part, released: &Released, today: &Value) {
        if self.compatibility.is_backward() {
            for older in released.all() {
                self.found(part, Direction::Backward, older, today);
            }
        }
    }

    fn forward(&mut self, part: &Part, released: &Released, today: &Value) {
        if self.compatibility.is_forward() {
            self.found(part, Direction::Forward, today, &released.newest);
        }
    }

    fn found(&mut self, part: &Part, direction: Direction, writer: &Value, reader: &Value) {
        let (writes, reads) = part.roles(direction);
        for finding in findings(writer, reader) {
            let problem = Problem {
                aggregate: self.kind.to_owned(),
                part: part.clone(),
                path: finding.path,
                what: finding.clash.told(writes, reads),
                advice: part.advice(direction, &finding.clash),
            };
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
    }

    fn gone(&mut self, part: Part, what: &str, advice: &str) {
        if self.compatibility.is_backward() {
            self.whole(part, what, advice);
        }
    }

    fn whole(&mut self, part: Part, what: &str, advice: &str) {
        self.problems.push(Problem {
            aggregate: self.kind.to_owned(),
            part,
            path: String::new(),
            what: what.to_owned(),
            advice: advice.to_owned(),
        });
    }
}

fn lowered(now: u32) -> String {
    format!("the schema version was lowered to {now}, and events of this one are stored")
}
