//! What a schema says, as a list of alternatives: references are followed, `allOf`, `anyOf`, `oneOf` and
//! lists of types are multiplied out, until each alternative is about values of one kind. What holds for
//! members and elements stays a reference into the schema, to be looked at when they are.

mod alternative;
mod keywords;
mod number;

use std::cell::Cell;
use std::rc::Rc;

use serde_json::{Map, Value};

pub(super) use alternative::{Alternative, Kind, Members, is_same};
pub(super) use number::{End, Number};

use crate::schema::PayloadValidator;

/// More alternatives than this at one place are given up on.
const MAX_ALTERNATIVES: usize = 512;

/// So many alternatives are looked at for one comparison, again and again where need be; what goes on after
/// that is given up on. Types of a hundred members take a few thousand.
const MAX_EFFORT: usize = 500_000;

/// So many references, `allOf` and the like inside each other are given up on: they lead in a circle.
const MAX_NESTING: usize = 64;

/// How many levels of members are looked at to find that two alternatives have nothing in common.
const APART_LEVELS: usize = 3;

/// How much may still be done.
#[derive(Debug)]
pub(super) struct Effort(Cell<usize>);

impl Effort {
    pub(super) fn new() -> Self {
        Self(Cell::new(MAX_EFFORT))
    }

    fn spend(&self, effort: usize) -> Result<(), Unclear> {
        let left = self.0.get().checked_sub(effort);
        self.0.set(left.unwrap_or_default());
        left.map(drop).ok_or_else(|| Unclear("the schemas are too large to compare".to_owned()))
    }
}

/// Which schema something is part of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side<'a> {
    /// The whole schema, which references point into.
    pub(super) root: &'a Value,
    /// Whether members that are not mentioned are taken for ones that are never there.
    pub(super) is_closed: bool,
    /// Shared by both sides of a comparison.
    pub(super) effort: &'a Effort,
}

impl PartialEq for Side<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.root, other.root) && self.is_closed == other.is_closed
    }
}

/// A schema inside a schema. Where there are several for one value, all of them hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) side: Side<'a>,
    pub(super) schema: &'a Value,
}

impl<'a> Node<'a> {
    /// The schema itself, or the one it is nothing but a reference to.
    pub(super) fn referred(&self) -> &'a Value {
        let mut schema = self.schema;
        for _ in 0..MAX_NESTING {
            let alone = schema.as_object().filter(|keywords| keywords.len() == 1);
            let Some(Ok(further)) = alone.and_then(|schema| Some(follow(self.side.root, schema.get("$ref")?))) else {
                break;
            };
            schema = further;
        }
        schema
    }
}

/// A schema that cannot be told about, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unclear(pub(super) String);

/// How far to go on.
#[derive(Debug, Clone, Copy)]
struct Within {
    nesting: usize,
    levels: usize,
}

/// The alternatives of what these schemas say together. None at all: no value fits.
pub(super) fn expand<'a>(nodes: &[Node<'a>]) -> Result<Vec<Alternative<'a>>, Unclear> {
    expand_all(nodes, Within { nesting: MAX_NESTING, levels: APART_LEVELS })
}

/// Whether it is plain that no value fits both.
pub(super) fn are_apart(one: &Alternative<'_>, other: &Alternative<'_>) -> bool {
    are_apart_within(one, other, APART_LEVELS)
}

/// Whether it is plain that no value fits.
pub(super) fn is_empty(alternative: &Alternative<'_>) -> bool {
    is_empty_within(alternative, APART_LEVELS)
}

/// Whether `text` matches the regular expression; false where that is none.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let schema = serde_json::json!({ "pattern": pattern });
    PayloadValidator::new("pattern", &schema).is_ok_and(|validator| validator.check(&text.into()).is_ok())
}

fn expand_all<'a>(nodes: &[Node<'a>], within: Within) -> Result<Vec<Alternative<'a>>, Unclear> {
    let mut together = any();
    let mut sides: Vec<Side<'a>> = Vec::new();
    for node in nodes {
        if !sides.contains(&node.side) {
            sides.push(node.side);
        }
    }
    // Closing is for what one side says as a whole, so each side is put together first.
    for side in sides {
        let mut said = any();
        for node in nodes.iter().filter(|node| node.side == side) {
            said = both(side, &said, &expand_one(*node, within)?)?;
        }
        if side.is_closed {
            said.iter_mut().for_each(|alternative| alternative.close(side));
        }
        together = both(side, &together, &said)?;
    }
    Ok(together)
}

fn any<'a>() -> Vec<Alternative<'a>> {
    Kind::ALL.into_iter().map(Alternative::any).collect()
}

fn both<'a>(
    side: Side<'a>,
    some: &[Alternative<'a>],
    others: &[Alternative<'a>],
) -> Result<Vec<Alternative<'a>>, Unclear> {
    side.effort.spend(some.len() + others.len())?;
    let pairs = some.iter().flat_map(|one| others.iter().filter_map(|other| one.and(other)));
    let both: Vec<_> = pairs.take(MAX_ALTERNATIVES + 1).collect();
    if both.len() > MAX_ALTERNATIVES {
        return Err(Unclear(format!("there are more than {MAX_ALTERNATIVES} alternatives")));
    }
    Ok(both)
}

fn expand_one<'a>(node: Node<'a>, within: Within) -> Result<Vec<Alternative<'a>>, Unclear> {
    match node.schema {
        Value::Bool(true) => Ok(any()),
        Value::Bool(false) => Ok(Vec::new()),
        Value::Object(schema) => expand_object(node.side, schema, within),
        _ => Err(Unclear("a schema is an object, true or false".to_owned())),
    }
}

fn expand_object<'a>(
    side: Side<'a>,
    schema: &'a Map<String, Value>,
    within: Within,
) -> Result<Vec<Alternative<'a>>, Unclear> {
    let nesting = within.nesting.checked_sub(1).ok_or_else(|| Unclear("its references lead in a circle".to_owned()))?;
    let within = Within { nesting, ..within };
    let expand = |schema| expand_one(Node { side, schema }, within);
    let mut said = keywords::own(side, schema)?;
    if let Some(reference) = schema.get("$ref") {
        said = both(side, &said, &expand(follow(side.root, reference)?)?)?;
    }
    for part in keywords::schemas(schema, "allOf")? {
        said = both(side, &said, &expand(part)?)?;
    }
    if schema.contains_key("anyOf") {
        let mut any_of = Vec::new();
        for branch in keywords::schemas(schema, "anyOf")? {
            any_of.extend(expand(branch)?);
        }
        said = both(side, &said, &any_of)?;
    }
    if schema.contains_key("oneOf") {
        let branches = keywords::schemas(schema, "oneOf")?;
        let branches = branches.iter().map(|branch| expand(branch)).collect::<Result<Vec<_>, _>>()?;
        said = both(side, &said, &one_of(side, branches, within.levels)?)?;
    }
    if let Some(others) = schema.get("unevaluatedProperties") {
        let is_open = |alternative: &&mut Alternative<'a>| {
            alternative.kind == Kind::Object && alternative.members.iter().all(|layer| layer.others.is_none())
        };
        for alternative in said.iter_mut().filter(is_open) {
            let layer = alternative.known(side, others);
            alternative.members.push(layer);
        }
    }
    Ok(said)
}

/// The alternatives of all branches, each without what fits another branch as well.
fn one_of<'a>(
    side: Side<'a>,
    branches: Vec<Vec<Alternative<'a>>>,
    levels: usize,
) -> Result<Vec<Alternative<'a>>, Unclear> {
    let in_branch =
        |(branch, alternatives): (usize, Vec<_>)| alternatives.into_iter().map(move |one| (branch, Rc::new(one)));
    let all: Vec<_> = branches.into_iter().enumerate().flat_map(in_branch).collect();
    let mut alternatives = Vec::with_capacity(all.len());
    for (branch, alternative) in &all {
        side.effort.spend(1 + all.len() / 16)?;
        let is_excluded = |other: &&(usize, Rc<Alternative<'a>>)| {
            other.0 != *branch && !are_apart_within(alternative, &other.1, levels)
        };
        let excluded = all.iter().filter(is_excluded).map(|(_, other)| Rc::clone(other));
        let mut alternative = Alternative::clone(alternative);
        alternative.excluded.extend(excluded);
        alternatives.push(alternative);
    }
    Ok(alternatives)
}

/// What a `$ref` leads to: a place in the same document.
fn follow<'a>(root: &'a Value, reference: &Value) -> Result<&'a Value, Unclear> {
    let followed = reference.as_str().and_then(|text| text.strip_prefix('#')).and_then(|fragment| {
        let pointer = percent_decoded(fragment)?;
        root.pointer(&pointer)
    });
    followed.ok_or_else(|| Unclear(format!("the reference {reference} leads nowhere in the schema")))
}

fn percent_decoded(fragment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, behind) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = behind;
    }
    String::from_utf8(bytes).ok()
}

fn are_apart_within(one: &Alternative<'_>, other: &Alternative<'_>, levels: usize) -> bool {
    one.is_plainly_apart(other) || one.and(other).is_none_or(|both| is_empty_within(&both, levels))
}

fn is_empty_within(alternative: &Alternative<'_>, levels: usize) -> bool {
    let required = alternative.required.iter().map(|name| alternative.member(name));
    let first = (0..alternative.first_elements()).take_while(|index| (*index as u64) < alternative.size.least);
    let parts: Vec<_> = required.chain(first.map(|index| alternative.element(index))).collect();
    // The tags of variants tell most alternatives apart, and looking at those needs no expanding.
    if parts.iter().any(|part| has_no_common_value(part)) {
        return true;
    }
    let Some(levels) = levels.checked_sub(1) else { return false };
    parts.iter().any(|part| {
        expand_all(part, Within { nesting: MAX_NESTING, levels })
            .is_ok_and(|inside| inside.iter().all(|alternative| is_empty_within(alternative, levels)))
    })
}

/// Whether these schemas list values themselves, and have none in common.
fn has_no_common_value(nodes: &[Node<'_>]) -> bool {
    if nodes.iter().any(|node| node.schema == &Value::Bool(false)) {
        return true;
    }
    let mut lists = nodes.iter().filter_map(|node| {
        let schema = node.schema.as_object()?;
        keywords::values(schema).ok().flatten()
    });
    let Some(first) = lists.next() else { return false };
    let rest: Vec<_> = lists.collect();
    !first.iter().any(|value| rest.iter().all(|list| list.iter().any(|other| is_same(value, other))))
}
