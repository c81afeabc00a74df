//! Standard output and what else a person at the terminal sees: lines, tables, JSON, notes and progress.

mod progress;
mod style;
mod table;

use std::ffi::OsStr;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use serde::Serialize;

pub(crate) use progress::Progress;
pub(crate) use style::Style;
pub(crate) use table::{Cell, Table};

/// Where the program writes what it was asked for. Each line goes out at once, so that a reader at the other end of a
/// pipe sees it.
#[derive(Debug)]
pub(crate) struct Output {
    is_styled: bool,
}

/// Whether a person looks at `stream` who likes emphasis.
fn is_styled(stream: &impl IsTerminal) -> bool {
    let variable = |name| std::env::var_os(name).unwrap_or_default();
    likes_emphasis(stream.is_terminal(), &variable("NO_COLOR"), &variable("TERM"))
}

/// Whether it is a terminal, not a dumb one, and `NO_COLOR` is not set.
fn likes_emphasis(is_terminal: bool, no_color: &OsStr, term: &OsStr) -> bool {
    is_terminal && no_color.is_empty() && term != "dumb"
}

impl Output {
    /// Standard output.
    pub(crate) fn stdout() -> Self {
        Self { is_styled: is_styled(&io::stdout()) }
    }

    /// Writes a line.
    pub(crate) fn line(&self, text: impl Display) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}")?;
        stdout.flush()
    }

    /// Writes several lines.
    pub(crate) fn lines<T: Display>(&self, lines: impl IntoIterator<Item = T>) -> io::Result<()> {
        lines.into_iter().try_for_each(|line| self.line(line))
    }

    /// Writes a table; nothing but its headings when it has no rows.
    pub(crate) fn table(&self, table: &Table) -> io::Result<()> {
        self.lines(table.lines(self.is_styled))
    }

    /// Writes a value as one line of JSON: what `--json` asks for.
    pub(crate) fn json(&self, value: &impl Serialize) -> io::Result<()> {
        self.line(serde_json::to_string(value)?)
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()
    }

    /// The text as the eye should take it.
    pub(crate) fn styled(&self, style: Style, text: &str) -> String {
        if self.is_styled { style.apply(text) } else { text.to_owned() }
    }
}

/// Tells the person at the terminal, on standard error, something that is not what was asked for.
pub(crate) fn note(text: impl Display) {
    // Where standard error is closed, nobody wanted to know.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A text of somebody else's, with what could play tricks on a terminal made visible.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => plain.extend(character.escape_default()),
            false => plain.push(character),
        }
    }
    plain
}

/// `1 line`, `2 lines`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// About how long that is: `0.8ms`, `12.5ms`, `42s`, `3h 5m`, `9d 2h`.
pub(crate) fn rough(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{:.1}ms", time.as_secs_f64() * 1000.0),
        1..=9 => format!("{:.1}s", time.as_secs_f64()),
        10..=59 => format!("{seconds}s"),
        60..=3599 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..=86_399 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_tell_them() {
        let told: Vec<_> = [0.000_84, 0.0125, 1.26, 42.9, 185.0, 11_100.0, 784_800.0]
            .into_iter()
            .map(|seconds| rough(Duration::from_secs_f64(seconds)))
            .collect();
        assert_eq!(told, ["0.8ms", "12.5ms", "1.3s", "42s", "3m 5s", "3h 5m", "9d 2h"]);
    }

    #[test]
    fn emphasis_is_for_terminals_whose_reader_does_not_mind() {
        let likes = |is_terminal, no_color: &str, term: &str| {
            likes_emphasis(is_terminal, OsStr::new(no_color), OsStr::new(term))
        };
        assert!(likes(true, "", "xterm") && likes(true, "", ""));
        assert!(!likes(false, "", "xterm") && !likes(true, "1", "xterm") && !likes(true, "", "dumb"));
    }

    #[test]
    fn one_is_singular() {
        assert_eq!((counted(0, "event"), counted(1, "event")), ("0 events".to_owned(), "1 event".to_owned()));
    }
}
