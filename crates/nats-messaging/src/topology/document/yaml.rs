//! YAML with the places of keys and values.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::{Key, Lines, Node, Tree, Unreadable};

/// So deep may a file nest; a topology needs five.
const DEEPEST: usize = 64;
/// So many values may a file have, with what its aliases repeat: a few bytes of aliases can stand for millions.
const MOST: usize = 100_000;

pub(super) fn parse(text: &str, lines: &Lines<'_>) -> Result<Node, Unreadable> {
    let mut reading = Reading { parser: Parser::new_from_str(text), anchors: HashMap::new(), values: 0, lines };
    let document = loop {
        match reading.next()? {
            (Event::StreamEnd, span) => break Node::new(reading.place(span), Tree::Table(Vec::new())),
            (Event::Nothing | Event::StreamStart | Event::DocumentStart(_), _) => {}
            (event, span) => break reading.node(event, span, 0)?,
        }
    };
    match reading.parser.find(|event| matches!(event, Ok((Event::DocumentStart(_), _)) | Err(_))) {
        Some(Ok((_, span))) => Err((reading.place(span), "there is a second document in the file".to_owned())),
        Some(Err(error)) => Err(reading.unreadable(&error)),
        None => Ok(document),
    }
}

struct Reading<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: HashMap<usize, (Node, usize)>,
    values: usize,
    lines: &'a Lines<'a>,
}

impl<'a> Reading<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Unreadable> {
        match self.parser.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.unreadable(&error)),
            None => Err((self.lines.at(usize::MAX), "this is not YAML: it ends too early".to_owned())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Unreadable> {
        let place = self.place(span);
        let before = self.values;
        self.count(1, span)?;
        if depth > DEEPEST {
            return Err((place, "this is nested too deep".to_owned()));
        }
        let (tree, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (scalar(&text, style), anchor),
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.table(depth)?, anchor),
            Event::Alias(anchor) => {
                let Some((node, values)) = self.anchors.get(&anchor).cloned() else {
                    return Err((place, "this alias has no anchor before it".to_owned()));
                };
                self.count(values, span)?;
                return Ok(Node { place, ..node });
            }
            _ => return Err((place, "this is not YAML: a value is missing".to_owned())),
        };
        let node = Node::new(place, tree);
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), self.values - before));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Tree, Unreadable> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Tree::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn table(&mut self, depth: usize) -> Result<Tree, Unreadable> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let place = self.place(span);
            let text = match event {
                Event::MappingEnd => return Ok(Tree::Table(entries)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err((place, "a key must be a text".to_owned())),
            };
            if entries.iter().any(|(key, _)| key.text == text) {
                return Err((place, format!("{text:?} is there twice")));
            }
            let (event, span) = self.next()?;
            entries.push((Key { text, place }, self.node(event, span, depth + 1)?));
        }
    }

    fn count(&mut self, values: usize, span: Span) -> Result<(), Unreadable> {
        self.values = self.values.saturating_add(values);
        match self.values > MOST {
            true => Err((self.place(span), format!("the file has more than {MOST} values"))),
            false => Ok(()),
        }
    }

    fn place(&self, span: Span) -> super::Place {
        self.lines.place(span.start.line(), span.start.col() + 1)
    }

    fn unreadable(&self, error: &saphyr_parser::ScanError) -> Unreadable {
        let marker = error.marker();
        (self.lines.place(marker.line(), marker.col() + 1), format!("this is not YAML: {}", error.info()))
    }
}

/// What a scalar is in YAML's core schema. Only plain ones are anything but texts.
fn scalar(text: &str, style: ScalarStyle) -> Tree {
    if style != ScalarStyle::Plain {
        return Tree::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Tree::Null,
        "true" | "True" | "TRUE" => Tree::Flag(true),
        "false" | "False" | "FALSE" => Tree::Flag(false),
        _ => match (text.parse(), text.parse::<f64>()) {
            (Ok(integer), _) => Tree::Integer(integer),
            (_, Ok(float)) if text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) => {
                Tree::Float(float)
            }
            _ => Tree::Text(text.to_owned()),
        },
    }
}
