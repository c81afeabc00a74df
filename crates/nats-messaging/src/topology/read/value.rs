//! Single values, by what their field takes.

use chrono::DateTime;
use serde_json::{Value, json};

use crate::subject;
use crate::topology::catalogue::Kind;
use crate::topology::document::{Node, Tree};
use crate::topology::form::{Config, moment};
use crate::topology::units;

use super::Reader;
use super::suggest::nearest;
use super::table::{Words, join};

impl Reader<'_> {
    /// A value as the server has it; none when it is wrong, which is noted then.
    pub(super) fn value(&mut self, kind: Kind, node: &Node, path: &str, words: Words) -> Option<Value> {
        let read = match kind {
            Kind::Subjects | Kind::Texts | Kind::Times => return self.list(kind, node, path, words),
            Kind::Table(fields) => return Some(Value::Object(self.table(fields, node, path, &[], words).config)),
            Kind::Tables(fields) => {
                let Tree::List(items) = &node.tree else {
                    self.wrong(&node.place, path, "must be a list of tables");
                    return None;
                };
                let read = |(index, item)| self.table(fields, item, &format!("{path}.{index}"), &[], words).config;
                return Some(items.iter().enumerate().map(read).map(Value::Object).collect());
            }
            Kind::Metadata => return self.metadata(node, path),
            Kind::Text => text(node).map(|text| json!(text)),
            Kind::Name => text(node).and_then(name),
            Kind::Subject => text(node).and_then(|text| pattern(text, words)),
            Kind::Moment => text(node).and_then(|text| match DateTime::parse_from_rfc3339(text) {
                Ok(_) => Ok(json!(moment(text))),
                Err(_) => Err(format!("{} is no moment: write \"2026-01-31T12:00:00Z\"", node.shown())),
            }),
            Kind::Choice(options) => choice(options, node, words),
            Kind::Flag => flag(node),
            Kind::Time => time(node, words),
            Kind::Size => size(node, words),
            Kind::Count(least, most) => count(node, least, most, words),
            Kind::Percent => percent(node),
        };
        read.map_err(|message| self.wrong(&node.place, path, message)).ok()
    }

    fn list(&mut self, kind: Kind, node: &Node, path: &str, words: Words) -> Option<Value> {
        let one = match kind {
            Kind::Subjects => Kind::Subject,
            Kind::Times => Kind::Time,
            _ => Kind::Text,
        };
        let items = match &node.tree {
            Tree::List(items) => items.as_slice(),
            Tree::Text(_) => std::slice::from_ref(node),
            _ => {
                self.wrong(&node.place, path, format!("must be a list, not {}", node.shown()));
                return None;
            }
        };
        // All of them are looked at, so that every mistake is found.
        let read: Vec<_> = items.iter().map(|item| self.value(one, item, path, words)).collect();
        read.into_iter().collect()
    }

    fn metadata(&mut self, node: &Node, path: &str) -> Option<Value> {
        let Tree::Table(entries) = &node.tree else {
            self.wrong(&node.place, path, "must be a table of texts");
            return None;
        };
        let mut config = Config::new();
        for (key, value) in entries {
            let text = match &value.tree {
                Tree::Text(text) => text.clone(),
                Tree::Integer(number) => number.to_string(),
                Tree::Flag(flag) => flag.to_string(),
                _ => {
                    self.wrong(&value.place, &join(path, &key.text), format!("must be a text, not {}", value.shown()));
                    continue;
                }
            };
            config.insert(key.text.clone(), json!(text));
        }
        Some(Value::Object(config))
    }
}

type Read = Result<Value, String>;

fn text(node: &Node) -> Result<&str, String> {
    node.text().ok_or_else(|| format!("must be a text, not {}", node.shown()))
}

fn name(text: &str) -> Read {
    match name_flaw(text) {
        Some(flaw) => Err(flaw),
        None => Ok(json!(text)),
    }
}

/// What is wrong with the name of a stream or a consumer.
pub(super) fn name_flaw(name: &str) -> Option<String> {
    let shown = || name.chars().take(40).collect::<String>();
    if name.is_empty() {
        return Some("is empty; a name is needed".to_owned());
    }
    if name.len() > 255 {
        return Some("is longer than 255 characters".to_owned());
    }
    let bad =
        name.chars().find(|c| matches!(c, '.' | '*' | '>' | '/' | '\\') || c.is_whitespace() || c.is_control())?;
    let what = match bad {
        '.' => "a dot",
        '*' | '>' => "a wildcard",
        ' ' => "a space",
        '/' | '\\' => "a slash",
        _ => "a control character",
    };
    Some(format!("{:?} has {what} in it, which no name may have", shown()))
}

fn pattern(text: &str, words: Words) -> Read {
    match subject::pattern_flaw(text) {
        // In the server's JSON an empty one stands for none.
        Some(_) if words == Words::Server && text.is_empty() => Ok(json!("")),
        Some(flaw) => Err(format!("{text:?} is no subject: {flaw}")),
        None => Ok(json!(text)),
    }
}

fn choice(options: &'static [(&'static str, &'static str)], node: &Node, words: Words) -> Read {
    let said = text(node)?;
    if words == Words::Server && said.is_empty() {
        return Ok(json!(""));
    }
    let word = |(ours, wire): &(&'static str, &'static str)| if words == Words::Ours { *ours } else { *wire };
    if let Some((_, wire)) = options.iter().find(|option| word(option) == said) {
        return Ok(json!(wire));
    }
    let known: Vec<&str> = options.iter().map(word).collect();
    let message = match nearest(said, known.iter().copied()) {
        Some(meant) => format!("{} is unknown here; is \"{meant}\" meant?", node.shown()),
        None => format!("{} is unknown here; known are \"{}\"", node.shown(), known.join("\", \"")),
    };
    Err(message)
}

fn flag(node: &Node) -> Read {
    match (&node.tree, node.written.is_some()) {
        (Tree::Flag(flag), _) => Ok(json!(flag)),
        (Tree::Text(text), true) if text == "true" || text == "false" => Ok(json!(text == "true")),
        _ => Err(format!("must be true or false, not {}", node.shown())),
    }
}

/// Whole numbers, also those that came from a variable.
fn integer(node: &Node) -> Option<i64> {
    match (&node.tree, node.written.is_some()) {
        (Tree::Integer(number), _) => Some(*number),
        (Tree::Text(text), true) => text.trim().parse().ok(),
        _ => None,
    }
}

fn is_unlimited(node: &Node, words: Words) -> bool {
    match words {
        Words::Ours => node.text() == Some("unlimited"),
        Words::Server => integer(node) == Some(-1),
    }
}

fn time(node: &Node, words: Words) -> Read {
    if is_unlimited(node, words) {
        return Ok(json!(-1));
    }
    if words == Words::Server {
        let nanoseconds = integer(node).filter(|number| *number >= 0);
        return nanoseconds
            .map(|number| json!(number))
            .ok_or_else(|| format!("{} is no time in nanoseconds", node.shown()));
    }
    match &node.tree {
        Tree::Text(text) if text.starts_with('-') => Err(format!("{} is negative", node.shown())),
        Tree::Text(text) => {
            let nanoseconds = units::nanoseconds(text).map_err(|flaw| format!("{} {flaw}", node.shown()))?;
            Ok(json!(nanoseconds))
        }
        _ => Err(format!("{} has no unit: write \"30s\", \"5m\" or \"7d\"", node.shown())),
    }
}

fn size(node: &Node, words: Words) -> Read {
    if is_unlimited(node, words) {
        return Ok(json!(-1));
    }
    match (&node.tree, integer(node)) {
        (_, Some(bytes)) if bytes < 0 => Err(format!("{} is negative; leave it out for no limit", node.shown())),
        (_, Some(bytes)) => Ok(json!(bytes)),
        (Tree::Text(text), None) if words == Words::Ours => {
            units::bytes(text).map(|bytes| json!(bytes)).map_err(|flaw| format!("{} {flaw}", node.shown()))
        }
        _ => Err(format!("{} is not a size: write a number of bytes, or \"1GiB\"", node.shown())),
    }
}

fn count(node: &Node, least: i64, most: i64, words: Words) -> Read {
    if is_unlimited(node, words) {
        return Ok(json!(-1));
    }
    let Some(number) = integer(node) else {
        return Err(format!("must be a whole number, not {}", node.shown()));
    };
    // The server writes 0 for what nobody has set.
    if (least..=most).contains(&number) || (words == Words::Server && number == 0) {
        return Ok(json!(number));
    }
    Err(match most {
        i64::MAX if number < 0 => format!("{} is negative; leave it out for no limit", node.shown()),
        i64::MAX => format!("{} is less than {least}", node.shown()),
        _ => format!("{} is not between {least} and {most}", node.shown()),
    })
}

fn percent(node: &Node) -> Read {
    let share = match &node.tree {
        Tree::Text(text) => text.trim_end_matches('%').parse().ok(),
        _ => integer(node),
    };
    match share {
        Some(share) if (0..=100).contains(&share) => Ok(json!(share.to_string())),
        _ => Err(format!("{} is no share: write a number from 0 to 100", node.shown())),
    }
}
