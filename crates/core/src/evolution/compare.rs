//! Whether everything that fits one schema fits another one: what writers may have, and readers can take.
//!
//! The answer errs on the side of a finding: without one, every value that the writer's schema allows
//! passes the reader's. A writer's schema is read as that of a program: members it does not mention are
//! not there.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use super::finding::{self, Clash, Finding};
use super::fit::fits_alternative;
use super::shape::{Alternative, Effort, Kind, Node, Side, Unclear, are_apart, expand, is_empty};

/// What `reader` cannot take of what `writer` may have.
pub(super) fn findings(writer: &Value, reader: &Value) -> Vec<Finding> {
    compare(writer, reader, false)
}

/// Whether `writer` allows nothing that `reader` does not mention: the members of the one are members of
/// the other, and what they may be is too.
pub(super) fn is_part_of(writer: &Value, reader: &Value) -> bool {
    compare(writer, reader, true).is_empty()
}

fn compare(writer: &Value, reader: &Value, is_closed: bool) -> Vec<Finding> {
    let effort = Effort::new();
    let node = |root, is_closed| [Node { side: Side { root, is_closed, effort: &effort }, schema: root }];
    let mut comparison = Comparison { findings: Vec::new(), proven: HashSet::new(), trail: Vec::new() };
    comparison.nodes(&node(writer, true), &node(reader, is_closed), "");
    comparison.findings
}

/// Two lists of schemas, by where they are in memory.
type Pair = (Vec<usize>, Vec<usize>);

struct Comparison {
    findings: Vec<Finding>,
    /// What is found good already, or is being looked at further up: schemas may refer to themselves, and
    /// what is inside a value is smaller than the value.
    proven: HashSet<Pair>,
    /// The same in order, to take back what rested on an attempt that failed.
    trail: Vec<Pair>,
}

impl Comparison {
    fn find(&mut self, path: &str, clash: Clash) {
        let finding = Finding { path: path.to_owned(), clash };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Compares without keeping the findings.
    fn attempt(&mut self, compare: impl FnOnce(&mut Self)) -> Vec<Finding> {
        let (findings, proven) = (std::mem::take(&mut self.findings), self.trail.len());
        compare(self);
        let found = std::mem::replace(&mut self.findings, findings);
        if !found.is_empty() {
            self.take_back(proven);
        }
        found
    }

    fn nodes(&mut self, writer: &[Node<'_>], reader: &[Node<'_>], path: &str) {
        let is_kept = |reader: &Node<'_>| writer.iter().any(|writer| is_unchanged(writer, reader));
        // A closed reader refuses what only the writer's further schemas mention.
        let may_be_fewer = reader.iter().all(|reader| !reader.side.is_closed);
        if reader.iter().all(is_kept) && (may_be_fewer || reader.len() == writer.len()) {
            return;
        }
        // By what they refer to: a schema that refers to itself is met again at once.
        let address = |node: &Node<'_>| std::ptr::from_ref(node.referred()).addr();
        let addresses = |nodes: &[Node<'_>]| nodes.iter().map(address).collect();
        let pair: Pair = (addresses(writer), addresses(reader));
        if !self.proven.insert(pair.clone()) {
            return;
        }
        let (found, proven) = (self.findings.len(), self.trail.len());
        self.trail.push(pair);
        match expand(writer).and_then(|writer| Ok((writer, expand(reader)?))) {
            Err(Unclear(why)) => self.find(path, Clash::Unclear(why)),
            Ok((writers, readers)) => {
                writers.iter().for_each(|writer| self.alternative(writer, &writers, &readers, path));
            }
        }
        if self.findings.len() > found {
            self.take_back(proven);
        }
    }

    /// Forgets what was found good since there were `proven` of them.
    fn take_back(&mut self, proven: usize) {
        self.trail.drain(proven..).for_each(|pair| _ = self.proven.remove(&pair));
    }

    /// One alternative of the writer has to fit one of the reader's.
    fn alternative(
        &mut self,
        writer: &Alternative<'_>,
        writers: &[Alternative<'_>],
        readers: &[Alternative<'_>],
        path: &str,
    ) {
        let readers: Vec<_> = readers.iter().filter(|reader| reader.kind == writer.kind).collect();
        if readers.is_empty() && !is_empty(writer) {
            return self.find(path, Clash::Sort(finding::sort(writer)));
        }
        if let Some(values) = &writer.values {
            return values.iter().for_each(|value| self.value(value, writer, &readers, path));
        }
        if is_empty(writer) {
            return;
        }
        let mut closest: Option<Vec<Finding>> = None;
        for reader in closest_to(writer, writers, readers) {
            let found = self.attempt(|comparison| comparison.pair(writer, reader, path));
            if found.is_empty() {
                return;
            }
            if closest.as_ref().is_none_or(|closest| found.len() < closest.len()) {
                closest = Some(found);
            }
        }
        match closest {
            None => self.find(path, Clash::Sort(finding::sort(writer))),
            Some(found) => found.into_iter().for_each(|Finding { path, clash }| self.find(&path, clash)),
        }
    }

    fn value(&mut self, value: &Value, writer: &Alternative<'_>, readers: &[&Alternative<'_>], path: &str) {
        let mut unclear = None;
        for reader in readers {
            if let Some(why) = rule_changed(writer, reader) {
                unclear = Some(why);
                continue;
            }
            // Rules that are the same for both hold for what the writer has.
            let understood = Alternative { unknown: BTreeSet::new(), ..(*reader).clone() };
            match fits_alternative(value, &understood) {
                Ok(true) => return,
                Ok(false) => {}
                Err(Unclear(why)) => unclear = Some(why),
            }
        }
        self.find(path, unclear.map_or_else(|| Clash::Sort(finding::value(value)), Clash::Unclear));
    }

    fn pair(&mut self, writer: &Alternative<'_>, reader: &Alternative<'_>, path: &str) {
        if let Some(values) = &reader.values {
            self.find(path, Clash::Listed(finding::values(values)));
        }
        if let Some(why) = rule_changed(writer, reader) {
            self.find(path, Clash::Unclear(why));
        }
        if reader.excluded.iter().any(|excluded| !are_apart(writer, excluded)) {
            let why = "it may fit more than one branch of a `oneOf`, which would be one too many";
            self.find(path, Clash::Unclear(why.to_owned()));
        }
        match writer.kind {
            Kind::Null | Kind::Boolean => {}
            Kind::Number => self.numbers(writer, reader, path),
            Kind::Text => self.texts(writer, reader, path),
            Kind::Array => self.arrays(writer, reader, path),
            Kind::Object => self.objects(writer, reader, path),
        }
    }

    fn numbers(&mut self, writer: &Alternative<'_>, reader: &Alternative<'_>, path: &str) {
        if reader.is_integer && !writer.is_integer {
            self.find(path, Clash::Only("whole numbers".to_owned()));
        }
        if let Some(low) = reader.range.low.filter(|low| !writer.range.stays_above(Some(*low))) {
            self.find(path, finding::above(low));
        }
        if let Some(high) = reader.range.high.filter(|high| !writer.range.stays_below(Some(*high))) {
            self.find(path, finding::below(high));
        }
        for format in reader.formats.difference(&writer.formats) {
            self.find(path, Clash::Only(format!("numbers of the format `{format}`")));
        }
    }

    fn texts(&mut self, writer: &Alternative<'_>, reader: &Alternative<'_>, path: &str) {
        self.sizes(writer, reader, path);
        for pattern in reader.patterns.difference(&writer.patterns) {
            self.find(path, Clash::Only(format!("texts that match `{pattern}`")));
        }
        for format in reader.formats.difference(&writer.formats) {
            self.find(path, Clash::Only(format!("texts of the format `{format}`")));
        }
    }

    fn sizes(&mut self, writer: &Alternative<'_>, reader: &Alternative<'_>, path: &str) {
        if writer.size.least < reader.size.least {
            self.find(path, finding::of_size(writer.kind, "at least", reader.size.least));
        }
        if let Some(most) = reader.size.most.filter(|most| writer.size.most.is_none_or(|own| own > *most)) {
            self.find(path, finding::of_size(writer.kind, "at most", most));
        }
    }

    fn arrays(&mut self, writer: &Alternative<'_>, reader: &Alternative<'_>, path: &str) {
        self.sizes(writer, reader, path);
        if reader.is_unique && !writer.is_unique && writer.size.most.is_none_or(|most| most > 1) {
            self.find(path, Clash::Only("lists in which nothing is twice".to_owned()));
        }
        let first = writer.first_elements().max(reader.first_elements());
        let is_there = |index: usize| writer.size.most.is_none_or(|most| most > index as u64);
        for index in (0..first).filter(|index| is_there(*index)) {
            self.nodes(&writer.element(index), &reader.element(index), &format!("{path}/{index}"));
        }
        if is_there(first) {
            self.nodes(&writer.element(first), &reader.element(first), &format!("{path}/*"));
        }
    }

    fn objects(&mut self, writer: &Alternative<'_>, reader: &Alternative<'_>, path: &str) {
        self.sizes(writer, reader, path);
        let names: BTreeSet<_> = writer.names().chain(reader.names()).collect();
        for name in names {
            let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
            if reader.required.contains(name) && !writer.required.contains(name) {
                self.find(&path, Clash::Missing);
            }
            self.member(&writer.member(name), &reader.member(name), &path);
        }
        let patterns: BTreeSet<_> = writer.members.iter().flat_map(|layer| layer.patterns.keys().copied()).collect();
        for pattern in &patterns {
            let sure = matching(writer, pattern);
            self.member(&sure, &maybe_matching(reader, |other| other == *pattern, |_| true), &format!("{path}/*"));
        }
        let sure: Vec<_> =
            writer.members.iter().filter_map(|layer| layer.others.map(|others| layer.node(others))).collect();
        let maybe = maybe_matching(reader, |_| false, |other| !patterns.contains(other));
        self.member(&sure, &maybe, &format!("{path}/*"));
    }

    /// Compares a member that may be there.
    fn member(&mut self, writer: &[Node<'_>], reader: &[Node<'_>], path: &str) {
        let is_never = |nodes: &[Node<'_>]| expand(nodes).is_ok_and(|alternatives| alternatives.is_empty());
        if reader.is_empty() || is_never(writer) {
            return;
        }
        match is_never(reader) {
            true => self.find(path, Clash::Unexpected),
            false => self.nodes(writer, reader, path),
        }
    }
}

/// The alternatives of the reader to compare one of the writer with: those that may have something in common
/// with it. Where there are none, those that are meant for the same, which say best what has become different.
fn closest_to<'r, 'a>(
    writer: &Alternative<'_>,
    writers: &[Alternative<'_>],
    readers: Vec<&'r Alternative<'a>>,
) -> Vec<&'r Alternative<'a>> {
    let near: Vec<_> = readers.iter().filter(|reader| !are_apart(writer, reader)).copied().collect();
    if !near.is_empty() {
        return near;
    }
    if readers.len() == 1 && writers.iter().filter(|other| other.kind == writer.kind).count() == 1 {
        return readers;
    }
    let mark = mark(writer);
    readers.into_iter().filter(|reader| mark.is_some() && self::mark(reader) == mark).collect()
}

/// What sets a variant apart: its tag, or the only member it must have.
fn mark<'a>(alternative: &Alternative<'a>) -> Option<(&'a str, Option<&'a Value>)> {
    let tag = alternative.required.iter().find_map(|name| {
        let nodes = alternative.member(name);
        Some((*name, Some(nodes.iter().find_map(|node| node.schema.get("const"))?)))
    });
    let only = || alternative.required.first().filter(|_| alternative.required.len() == 1);
    tag.or_else(|| Some((*only()?, None)))
}

/// Why nobody can tell, where the two have different rules that are not understood.
fn rule_changed(writer: &Alternative<'_>, reader: &Alternative<'_>) -> Option<String> {
    let rule = reader.unknown.symmetric_difference(&writer.unknown).next()?;
    Some(format!("the rule {rule} is not understood, and it is not the same for both"))
}

/// What surely holds for members that no name is mentioned for and that match `pattern`.
fn matching<'a>(alternative: &Alternative<'a>, pattern: &str) -> Vec<Node<'a>> {
    let of = |layer: &super::shape::Members<'a>| match layer.patterns.get(pattern) {
        Some(schema) => schema.map(|schema| layer.node(schema)),
        None if layer.patterns.is_empty() => layer.others.map(|others| layer.node(others)),
        None => None,
    };
    alternative.members.iter().filter_map(of).collect()
}

/// What may have to hold for members that no name is mentioned for: `is_theirs` tells whether they match a pattern
/// for sure, `may_be` whether they may match it.
fn maybe_matching<'a>(
    alternative: &Alternative<'a>,
    is_theirs: impl Fn(&str) -> bool,
    may_be: impl Fn(&str) -> bool,
) -> Vec<Node<'a>> {
    let mut nodes = Vec::new();
    for layer in &alternative.members {
        let patterns = layer.patterns.iter().filter(|(pattern, _)| may_be(pattern));
        nodes.extend(patterns.filter_map(|(_, schema)| schema.map(|schema| layer.node(schema))));
        if !layer.patterns.keys().any(|pattern| is_theirs(pattern)) {
            nodes.extend(layer.others.map(|others| layer.node(others)));
        }
    }
    nodes
}

/// Whether a schema is the same on both sides, with everything it refers to.
fn is_unchanged(writer: &Node<'_>, reader: &Node<'_>) -> bool {
    if writer.schema != reader.schema {
        return false;
    }
    let text = writer.schema.to_string();
    !text.contains("\"$ref\"")
        || writer.side.root == reader.side.root
        || !text.contains("\"$ref\":\"#\"") && writer.side.root.get("$defs") == reader.side.root.get("$defs")
}
