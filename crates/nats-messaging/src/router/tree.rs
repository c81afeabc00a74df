//! Values by pattern, found by subject: the most specific first.

use std::collections::HashMap;

use super::pattern::Pattern;

/// Values by pattern. To find those of a subject takes a look-up for each of its tokens, however many patterns there are.
///
/// ```
/// use headwater_nats_messaging::router::{Pattern, Tree};
///
/// let mut tree = Tree::default();
/// for pattern in ["agent.>", "agent.*.started", "agent.7.started"] {
///     tree.insert(&Pattern::new(pattern)?, pattern);
/// }
/// let mut found = Vec::new();
/// tree.each("agent.7.started", &mut |pattern| found.push(*pattern));
/// assert_eq!(found, ["agent.7.started", "agent.*.started", "agent.>"]);
/// assert_eq!(tree.first("agent.8.stopped"), Some(&"agent.>"));
/// # Ok::<(), headwater_nats_messaging::router::PatternError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Tree<T> {
    root: Node<T>,
}

#[derive(Debug, Clone)]
struct Node<T> {
    literals: HashMap<Box<str>, Self>,
    any: Option<Box<Self>>,
    /// Values of patterns that end here.
    here: Vec<T>,
    /// Values of patterns that end in `>` after what led here.
    rest: Vec<T>,
}

impl<T> Tree<T> {
    /// Adds a value to those that the pattern may already have.
    pub fn insert(&mut self, pattern: &Pattern, value: T) {
        let mut node = &mut self.root;
        for token in pattern.tokens() {
            node = match token {
                ">" => return node.rest.push(value),
                "*" => node.any.get_or_insert_default(),
                literal => node.literals.entry(literal.into()).or_default(),
            };
        }
        node.here.push(value);
    }

    /// Hands over the values of all patterns that take the subject: the most specific pattern's first, and those of one
    /// pattern in the order in which they were added.
    pub fn each<'a>(&'a self, subject: &str, found: &mut impl FnMut(&'a T)) {
        let all = &mut |values: &'a [T]| {
            values.iter().for_each(&mut *found);
            false
        };
        self.root.visit(Some(subject), all);
    }

    /// The same tree of other values.
    #[must_use]
    pub fn map<U>(self, mut change: impl FnMut(T) -> U) -> Tree<U> {
        Tree { root: self.root.map(&mut change) }
    }

    /// The first value of the most specific pattern that takes the subject.
    #[must_use]
    pub fn first(&self, subject: &str) -> Option<&T> {
        let mut first = None;
        self.root.visit(Some(subject), &mut |values| {
            first = values.first();
            first.is_some()
        });
        first
    }
}

impl<T> Node<T> {
    fn map<U>(self, change: &mut impl FnMut(T) -> U) -> Node<U> {
        Node {
            literals: self.literals.into_iter().map(|(token, node)| (token, node.map(change))).collect(),
            any: self.any.map(|node| Box::new(node.map(change))),
            here: self.here.into_iter().map(&mut *change).collect(),
            rest: self.rest.into_iter().map(&mut *change).collect(),
        }
    }

    /// Visits the values for what is left of a subject until the visitor has had enough, and says whether it has.
    fn visit<'a>(&'a self, left: Option<&str>, visitor: &mut impl FnMut(&'a [T]) -> bool) -> bool {
        let Some(left) = left else { return !self.here.is_empty() && visitor(&self.here) };
        let (token, left) = match left.split_once('.') {
            Some((token, left)) => (token, Some(left)),
            None => (left, None),
        };
        self.literals.get(token).is_some_and(|node| node.visit(left, visitor))
            || self.any.as_ref().is_some_and(|node| node.visit(left, visitor))
            || (!self.rest.is_empty() && visitor(&self.rest))
    }
}

impl<T> Default for Tree<T> {
    fn default() -> Self {
        Self { root: Node::default() }
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { literals: HashMap::new(), any: None, here: Vec::new(), rest: Vec::new() }
    }
}

#[cfg(test)]
#[path = "tree/tests.rs"]
mod tests;
