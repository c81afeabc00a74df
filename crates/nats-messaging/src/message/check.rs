//! Whether a message can travel, before it is handed to anybody.

use super::Message;
use crate::subject;

/// The bytes of the line before the headers and of the one after them.
const FRAME: usize = "NATS/1.0\r\n\r\n".len();

impl Message {
    /// What no transport could carry; none when nothing stands in the way.
    ///
    /// A line break in a header would be read as the next header, and one of another kind takes the connection down.
    #[must_use]
    pub fn flaw(&self) -> Option<String> {
        if let Some(flaw) = subject::flaw(&self.subject) {
            return Some(format!("the subject: {flaw}"));
        }
        self.headers.iter().find_map(|(name, value)| header_flaw(name, value))
    }

    /// Its bytes as NATS counts them against the largest message allowed: the body and the headers.
    #[must_use]
    pub fn size(&self) -> usize {
        let lines = self.headers.iter().map(|(name, value)| name.len() + value.len() + ": \r\n".len());
        let headers = if self.headers.is_empty() { 0 } else { FRAME + lines.sum::<usize>() };
        headers + self.body.len()
    }
}

fn header_flaw(name: &str, value: &str) -> Option<String> {
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    if !is_name {
        return Some(format!("the header {name:?}: a name has printable ASCII characters and no colon"));
    }
    value.bytes().any(|byte| matches!(byte, b'\r' | b'\n')).then(|| format!("the header `{name}`: a line break in it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_travel_is_told_without_showing_the_value() {
        for (name, value) in
            [("A", "x\ry"), ("A", "x\ny"), ("A", "\r\n"), ("", "x"), ("A:", "x"), ("A b", "x"), ("Ä", "x")]
        {
            let flaw = Message::new("a", "").header(name, value).flaw().unwrap();
            assert!(!flaw.contains('x'), "{flaw}");
        }
        assert!(Message::new("a.*", "").flaw().is_some());
        assert_eq!(Message::new("a.b", "").header("Name", "any: thing\tä").flaw(), None);
    }

    #[test]
    fn the_size_is_that_of_body_and_headers() {
        assert_eq!(Message::new("a", "1234").size(), 4);
        assert_eq!(Message::new("a", "1234").header("N", "v").size(), "NATS/1.0\r\nN: v\r\n\r\n1234".len());
    }
}
