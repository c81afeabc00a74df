//! Variables in texts: `${NAME}`, and `${NAME:-default}` for one that may be missing.

use std::collections::BTreeMap;

use super::super::mistakes::Found;
use super::{Node, Tree};

/// Where `${NAME}` in a topology file comes from.
#[derive(Debug, Clone)]
pub struct Variables(Option<BTreeMap<String, String>>);

impl Variables {
    /// The environment of this process.
    #[must_use]
    pub fn process() -> Self {
        Self(None)
    }

    /// These and no others.
    ///
    /// ```
    /// use headwater_nats_messaging::topology::{Format, Topology, Variables};
    ///
    /// let file = "[[streams]]\nname = \"ORDERS\"\nsubjects = [\"orders.>\"]\nreplicas = \"${REPLICAS:-1}\"";
    /// let variables = Variables::of([("REPLICAS", "3")]);
    /// assert!(Topology::parse(file, "topology.toml", Format::Toml, &variables).is_ok());
    /// ```
    pub fn of<N: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(Some(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect()))
    }

    fn get(&self, name: &str) -> Option<String> {
        match &self.0 {
            Some(variables) => variables.get(name).cloned(),
            None => std::env::var(name).ok(),
        }
    }
}

/// Puts variables into every text of a tree. Keys are left as they are.
pub(super) fn put_in(node: &mut Node, variables: &Variables, path: &mut Vec<String>, found: &mut Found) {
    match &mut node.tree {
        Tree::Text(text) if text.contains("${") => match expand(text, variables) {
            Ok(expanded) => node.written = Some(std::mem::replace(text, expanded)),
            Err(message) => {
                found.add(&node.place, path.join("."), message);
                node.tree = Tree::Null;
            }
        },
        Tree::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                let name = item.get("name").and_then(Node::text).map_or_else(|| index.to_string(), str::to_owned);
                path.push(name);
                put_in(item, variables, path, found);
                path.pop();
            }
        }
        Tree::Table(entries) => {
            for (key, value) in entries {
                path.push(key.text.clone());
                put_in(value, variables, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

fn expand(text: &str, variables: &Variables) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        if let Some(before) = before.strip_suffix('$') {
            // `$${` is a `${` that means itself.
            expanded.extend([before, "${"]);
            rest = &from[2..];
            continue;
        }
        let end = from.find('}').ok_or("`${` has no `}` after it; write `$${` for the two characters themselves")?;
        expanded.push_str(before);
        expanded.push_str(&value_of(&from[2..end], variables)?);
        rest = &from[end + 1..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn value_of(inside: &str, variables: &Variables) -> Result<String, String> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_name {
        return Err(format!("`${{{inside}}}` names no variable: write `${{NAME}}` or `${{NAME:-default}}`"));
    }
    match (variables.get(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format!("the variable {name} is not set; set it, or write `${{{name}:-default}}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_put_in_and_one_that_is_missing_may_have_a_default() {
        let variables = Variables::of([("A", "1"), ("EMPTY", "")]);
        for (text, expanded) in [
            ("${A}", "1"),
            ("x${A}y${B:-2}", "x1y2"),
            ("${EMPTY:-full}", "full"),
            ("${EMPTY}", ""),
            ("$KV.b.>", "$KV.b.>"),
            ("$${A}", "${A}"),
            ("${B:-}", ""),
        ] {
            assert_eq!(expand(text, &variables).as_deref(), Ok(expanded), "{text}");
        }
    }

    #[test]
    fn what_names_no_variable_or_one_that_is_not_set_is_refused() {
        for (text, told) in
            [("${B}", "B is not set"), ("${", "no `}`"), ("${}", "names no variable"), ("${1A}", "names no")]
        {
            assert!(expand(text, &Variables::of([("A", "1")])).unwrap_err().contains(told), "{text}");
        }
    }
}
