//! Standard output and what else a person at the terminal sees: lines, tables, JSON, notes and progress.

mod progress;
mod style;
mod table;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

pub(crate) use progress::Progress;
pub(crate) use style::Style;
pub(crate) use table::Table;

/// Where the program writes what it was asked for. Each line goes out at once, so that a reader at the other end of a
/// pipe sees it.
#[derive(Debug)]
pub(crate) struct Output {
    is_styled: bool,
}

/// Whether a person looks at `stream` who likes emphasis: it is a terminal, not a dumb one, and `NO_COLOR` is not set.
fn is_styled(stream: &impl IsTerminal) -> bool {
    let is_set = |variable| std::env::var_os(variable).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    stream.is_terminal() && !is_set("NO_COLOR") && !is_dumb
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
