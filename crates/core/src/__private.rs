//! What the macros' expansions need beside the public traits. No part of the interface: it may
//! change in any release.

pub use schemars;
pub use serde;
pub use serde_json;

/// Stops the build when a command or query is not called after the method that answers it.
///
/// # Panics
/// When `name` is not `expected`, with a message that names type and method.
#[track_caller]
pub const fn assert_same_name(what: &str, type_name: &str, name: &str, method: &str, expected: &str) {
    if same(name, expected) {
        return;
    }
    let message = Message::new()
        .with("the ")
        .with(what)
        .with(" `")
        .with(type_name)
        .with("` is called `")
        .with(name)
        .with("` on the wire, and its method `")
        .with(method)
        .with("` means `")
        .with(expected)
        .with("`: rename one of them");
    panic!("{}", message.as_str());
}

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut index = 0;
    while index < one.len() {
        if one[index] != other[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// A text put together at compile time, where there is no `format!`. It is cut when it gets long.
struct Message {
    bytes: [u8; 512],
    length: usize,
}

impl Message {
    const fn new() -> Self {
        Self { bytes: [0; 512], length: 0 }
    }

    /// The same with all of `text` after it, or none of `text` where it would not fit: half a
    /// character must not stay.
    const fn with(mut self, text: &str) -> Self {
        let text = text.as_bytes();
        if self.length + text.len() > self.bytes.len() {
            return self;
        }
        let mut index = 0;
        while index < text.len() {
            self.bytes[self.length + index] = text[index];
            index += 1;
        }
        self.length += text.len();
        self
    }

    const fn as_str(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.length).0) {
            Ok(text) => text,
            Err(_) => "the name on the wire is not the method's",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_pass() {
        assert_same_name("command", "AddItem", "add-item", "add_item", "add-item");
    }

    #[test]
    #[should_panic(
        expected = "the command `AddItem` is called `add-items` on the wire, and its method `add_item` means"
    )]
    fn different_names_stop_the_build_and_are_named() {
        assert_same_name("command", "AddItem", "add-items", "add_item", "add-item");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let long = "é".repeat(200);
        let message = Message::new().with(&long).with(&long).with("end");
        assert_eq!(message.as_str(), format!("{long}end"));
    }
}
