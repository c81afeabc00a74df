//! JSON with the places of keys and values.

use super::{Key, Lines, Node, Tree, Unreadable};

pub(super) fn parse(text: &str, lines: &Lines<'_>) -> Result<Node, Unreadable> {
    // serde_json is the judge of what is JSON and bounds its depth; after it the scan below may trust the text.
    if let Err(error) = serde_json::from_str::<serde_json::Value>(text) {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or("");
        return Err((lines.place(error.line(), error.column()), format!("this is not JSON: {message}")));
    }
    Scan { text, at: 0, lines }.value()
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    lines: &'a Lines<'a>,
}

impl Scan<'_> {
    fn value(&mut self) -> Result<Node, Unreadable> {
        self.skip_space();
        let place = self.lines.at(self.at);
        let tree = match self.peek() {
            b'{' => self.table()?,
            b'[' => self.list()?,
            b'"' => Tree::Text(self.string()),
            _ => self.word(),
        };
        Ok(Node::new(place, tree))
    }

    fn table(&mut self) -> Result<Tree, Unreadable> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        self.at += 1;
        while !self.closed_by(b'}') {
            let place = self.lines.at(self.at);
            let text = self.string();
            if entries.iter().any(|(key, _)| key.text == text) {
                return Err((place, format!("{text:?} is there twice")));
            }
            self.skip_space();
            self.at += 1; // the colon
            entries.push((Key { text, place }, self.value()?));
        }
        Ok(Tree::Table(entries))
    }

    fn list(&mut self) -> Result<Tree, Unreadable> {
        let mut items = Vec::new();
        self.at += 1;
        while !self.closed_by(b']') {
            items.push(self.value()?);
        }
        Ok(Tree::List(items))
    }

    /// Steps over white space and commas, and over the bracket if it is the next.
    fn closed_by(&mut self, bracket: u8) -> bool {
        self.skip_space();
        if self.peek() == b',' {
            self.at += 1;
            self.skip_space();
        }
        let closed = self.peek() == bracket || self.at >= self.text.len();
        self.at += usize::from(closed);
        closed
    }

    fn string(&mut self) -> String {
        let start = self.at;
        let mut escaped = true; // steps over the opening quote
        for byte in self.text.as_bytes()[start..].iter() {
            self.at += 1;
            match byte {
                b'"' if !escaped => break,
                b'\\' if !escaped => escaped = true,
                _ => escaped = false,
            }
        }
        serde_json::from_str(&self.text[start..self.at]).unwrap_or_default()
    }

    fn word(&mut self) -> Tree {
        let rest = &self.text[self.at..];
        let end = rest.find([',', '}', ']', ' ', '\t', '\r', '\n']).unwrap_or(rest.len());
        self.at += end;
        match &rest[..end] {
            "null" => Tree::Null,
            "true" => Tree::Flag(true),
            "false" => Tree::Flag(false),
            number => match (number.parse(), number.parse()) {
                (Ok(integer), _) => Tree::Integer(integer),
                (_, Ok(float)) => Tree::Float(float),
                _ => Tree::Text(number.to_owned()),
            },
        }
    }

    fn skip_space(&mut self) {
        let rest = &self.text.as_bytes()[self.at.min(self.text.len())..];
        self.at += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    }

    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or_default()
    }
}
