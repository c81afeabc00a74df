//! One alternative of a schema: values of one kind, and all that has to hold for them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::Value;

use super::number::{Number, Range};
use super::{Node, Side};

/// Says "nothing" where a schema has to be named and none is written down.
static NOTHING: Value = Value::Bool(false);

/// The kinds of JSON values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::evolution) enum Kind {
    Null,
    Boolean,
    Number,
    Text,
    Array,
    Object,
}

impl Kind {
    pub(in crate::evolution) const ALL: [Self; 6] =
        [Self::Null, Self::Boolean, Self::Number, Self::Text, Self::Array, Self::Object];

    pub(in crate::evolution) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::Text,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        }
    }
}

/// How many characters, elements or members there may be.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::evolution) struct Size {
    pub(in crate::evolution) least: u64,
    pub(in crate::evolution) most: Option<u64>,
}

impl Size {
    fn and(self, other: Self) -> Self {
        let most = match (self.most, other.most) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Self { least: self.least.max(other.least), most }
    }

    fn is_empty(self) -> bool {
        self.most.is_some_and(|most| most < self.least)
    }

    pub(in crate::evolution) fn has(self, count: usize) -> bool {
        let count = count as u64;
        count >= self.least && self.most.is_none_or(|most| count <= most)
    }
}

/// Members as one schema describes them; several such layers hold at once.
#[derive(Debug, Clone)]
pub(in crate::evolution) struct Members<'a> {
    pub(in crate::evolution) side: Side<'a>,
    /// None where the name is only known here and described elsewhere.
    pub(in crate::evolution) named: BTreeMap<&'a str, Option<&'a Value>>,
    pub(in crate::evolution) patterns: BTreeMap<&'a str, Option<&'a Value>>,
    /// All other members, where they are mentioned.
    pub(in crate::evolution) others: Option<&'a Value>,
}

impl<'a> Members<'a> {
    pub(in crate::evolution) fn node(&self, schema: &'a Value) -> Node<'a> {
        Node { side: self.side, schema }
    }

    /// What holds for the member called `name`.
    fn of(&self, name: &str, into: &mut Vec<Node<'a>>) {
        let mut is_known = false;
        if let Some(schema) = self.named.get(name) {
            is_known = true;
            into.extend(schema.map(|schema| self.node(schema)));
        }
        for (_, schema) in self.patterns.iter().filter(|(pattern, _)| super::matches(pattern, name)) {
            is_known = true;
            into.extend(schema.map(|schema| self.node(schema)));
        }
        if !is_known {
            into.extend(self.others.map(|schema| self.node(schema)));
        }
    }
}

/// Elements as one schema describes them; several such layers hold at once.
#[derive(Debug, Clone)]
pub(in crate::evolution) struct Elements<'a> {
    pub(in crate::evolution) side: Side<'a>,
    pub(in crate::evolution) first: Vec<&'a Value>,
    pub(in crate::evolution) rest: Option<&'a Value>,
}

/// Values of one kind, and all that has to hold for them.
#[derive(Debug, Clone)]
pub(in crate::evolution) struct Alternative<'a> {
    pub(in crate::evolution) kind: Kind,
    /// Only these values, where there is a list of them.
    pub(in crate::evolution) values: Option<Vec<&'a Value>>,
    pub(in crate::evolution) is_integer: bool,
    pub(in crate::evolution) range: Range,
    pub(in crate::evolution) size: Size,
    pub(in crate::evolution) formats: BTreeSet<&'a str>,
    pub(in crate::evolution) patterns: BTreeSet<&'a str>,
    pub(in crate::evolution) is_unique: bool,
    pub(in crate::evolution) elements: Vec<Elements<'a>>,
    pub(in crate::evolution) members: Vec<Members<'a>>,
    pub(in crate::evolution) required: BTreeSet<&'a str>,
    /// Whether a schema says in words that it is of this kind.
    pub(in crate::evolution) is_declared: bool,
    /// Rules that are not understood, as text.
    pub(in crate::evolution) unknown: BTreeSet<String>,
    /// What it must not be as well: the other branches of a `oneOf` that are not apart by themselves.
    pub(in crate::evolution) excluded: Vec<Rc<Self>>,
}

impl<'a> Alternative<'a> {
    /// Every value of one kind.
    pub(in crate::evolution) fn any(kind: Kind) -> Self {
        Self {
            kind,
            values: None,
            is_integer: false,
            range: Range::default(),
            size: Size::default(),
            formats: BTreeSet::new(),
            patterns: BTreeSet::new(),
            is_unique: false,
            elements: Vec::new(),
            members: Vec::new(),
            required: BTreeSet::new(),
            is_declared: false,
            unknown: BTreeSet::new(),
            excluded: Vec::new(),
        }
    }

    /// Whether kind or listed values tell already that there is nothing in both.
    pub(super) fn is_plainly_apart(&self, other: &Self) -> bool {
        let have_none_in_common = |(some, others): (&Vec<&Value>, &Vec<&Value>)| {
            !some.iter().any(|value| others.iter().any(|other| is_same(value, other)))
        };
        self.kind != other.kind || self.values.as_ref().zip(other.values.as_ref()).is_some_and(have_none_in_common)
    }

    /// What is in both; none where it is plain that nothing is.
    pub(in crate::evolution) fn and(&self, other: &Self) -> Option<Self> {
        if self.kind != other.kind {
            return None;
        }
        let mut both = self.clone();
        both.values = match (&self.values, &other.values) {
            (Some(one), Some(other)) => {
                Some(one.iter().filter(|value| other.iter().any(|other| is_same(value, other))).copied().collect())
            }
            (one, other) => one.as_ref().or(other.as_ref()).cloned(),
        };
        both.is_integer |= other.is_integer;
        both.range = both.range.and(other.range);
        if both.is_integer {
            both.range = both.range.rounded();
        }
        both.size = both.size.and(other.size);
        both.formats.extend(&other.formats);
        both.patterns.extend(&other.patterns);
        both.is_unique |= other.is_unique;
        both.elements.extend(other.elements.iter().cloned());
        both.members.extend(other.members.iter().cloned());
        both.required.extend(&other.required);
        both.is_declared |= other.is_declared;
        both.unknown.extend(other.unknown.iter().cloned());
        both.excluded.extend(other.excluded.iter().cloned());
        let is_nothing =
            both.values.as_ref().is_some_and(Vec::is_empty) || both.range.is_empty() || both.size.is_empty();
        (!is_nothing).then_some(both)
    }

    /// Takes every member that is not mentioned for one that is never there: so it is with data that a
    /// program writes from a type of its own. Left open are kinds that nobody declared (any value at all)
    /// and objects that say what further members are.
    pub(in crate::evolution) fn close(&mut self, side: Side<'a>) {
        if self.kind == Kind::Object && self.is_declared && self.members.iter().all(|layer| layer.others.is_none()) {
            let mut known = self.known(side, &NOTHING);
            known.named.extend(self.required.iter().map(|name| (*name, None)));
            self.members.push(known);
        }
    }

    /// A layer with `others` for every member that no layer knows yet.
    pub(super) fn known(&self, side: Side<'a>, others: &'a Value) -> Members<'a> {
        Members {
            side,
            named: self.members.iter().flat_map(|layer| layer.named.keys()).map(|name| (*name, None)).collect(),
            patterns: self.members.iter().flat_map(|layer| layer.patterns.keys()).map(|text| (*text, None)).collect(),
            others: Some(others),
        }
    }

    /// Every member that is mentioned by name.
    pub(in crate::evolution) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.members.iter().flat_map(|layer| layer.named.keys()).chain(&self.required).copied()
    }

    /// What holds for the member called `name`.
    pub(in crate::evolution) fn member(&self, name: &str) -> Vec<Node<'a>> {
        let mut nodes = Vec::new();
        self.members.iter().for_each(|layer| layer.of(name, &mut nodes));
        nodes
    }

    /// How many elements are described one by one.
    pub(in crate::evolution) fn first_elements(&self) -> usize {
        self.elements.iter().map(|layer| layer.first.len()).max().unwrap_or_default()
    }

    /// What holds for the element at `index`.
    pub(in crate::evolution) fn element(&self, index: usize) -> Vec<Node<'a>> {
        let of = |layer: &Elements<'a>| {
            let schema = layer.first.get(index).copied().or(layer.rest)?;
            Some(Node { side: layer.side, schema })
        };
        self.elements.iter().filter_map(of).collect()
    }
}

/// Whether two values are the same to a schema, which does not tell `1` from `1.0`.
pub(in crate::evolution) fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => Number::of(one) == Number::of(other),
        _ => one == other,
    }
}
