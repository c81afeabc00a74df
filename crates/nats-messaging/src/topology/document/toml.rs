//! TOML with the places of keys and values.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Key, Lines, Node, Tree, Unreadable};

pub(super) fn parse(text: &str, lines: &Lines<'_>) -> Result<Node, Unreadable> {
    let document = DeTable::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        (lines.at(start), format!("this is not TOML: {}", error.message()))
    })?;
    let start = document.span().start;
    Ok(Node::new(lines.at(start), table(document.get_ref(), lines)))
}

fn table(table: &DeTable<'_>, lines: &Lines<'_>) -> Tree {
    let mut entries: Vec<(usize, (Key, Node))> = table
        .iter()
        .map(|(key, value)| {
            let start = key.span().start;
            (start, (Key { text: key.get_ref().to_string(), place: lines.at(start) }, node(value, lines)))
        })
        .collect();
    // The table sorts its keys; the file's order is what people expect to find again.
    entries.sort_by_key(|(start, _)| *start);
    Tree::Table(entries.into_iter().map(|(_, entry)| entry).collect())
}

fn node(value: &Spanned<DeValue<'_>>, lines: &Lines<'_>) -> Node {
    let tree = match value.get_ref() {
        DeValue::String(text) => Tree::Text(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Tree::Integer(number),
            Err(_) => Tree::Text(number.as_str().to_owned()),
        },
        DeValue::Float(number) => match number.as_str().parse() {
            Ok(number) => Tree::Float(number),
            Err(_) => Tree::Text(number.as_str().to_owned()),
        },
        DeValue::Boolean(flag) => Tree::Flag(*flag),
        DeValue::Datetime(time) => Tree::Text(time.to_string()),
        DeValue::Array(items) => Tree::List(items.iter().map(|item| node(item, lines)).collect()),
        DeValue::Table(inner) => table(inner, lines),
    };
    Node::new(lines.at(value.span().start), tree)
}
