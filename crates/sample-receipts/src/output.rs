//! Standard output, with emphasis where a person reads it.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// Where the program writes what it was asked for. Each line goes out at once, so that a reader
/// at the other end of a pipe sees it.
pub(crate) struct Output {
    writer: Box<dyn Write + Send>,
    is_styled: bool,
}

/// What a piece of text is, for the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Heading,
    Good,
    Bad,
    Quiet,
}

impl Style {
    const fn code(self) -> &'static str {
        match self {
            Self::Heading => "1",
            Self::Good => "32",
            Self::Bad => "31",
            Self::Quiet => "2",
        }
    }
}

/// Whether a person looks at `stream` who likes emphasis: it is a terminal, not a dumb one, and `NO_COLOR` is not set.
pub(crate) fn is_styled(stream: &impl IsTerminal) -> bool {
    let is_set = |variable| std::env::var_os(variable).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    stream.is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

/// Tells the person at the terminal something that is not the program's output.
pub(crate) fn note(text: &str) {
    // Where standard error is closed, nobody wanted to know.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

impl Output {
    /// Standard output.
    pub(crate) fn stdout() -> Self {
        let stdout = io::stdout();
        let is_styled = is_styled(&stdout);
        Self { writer: Box::new(stdout), is_styled }
    }

    /// Output that nobody reads.
    #[cfg(test)]
    pub(crate) fn nowhere() -> Self {
        Self { writer: Box::new(io::sink()), is_styled: false }
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.writer, "{text}")?;
        self.writer.flush()
    }

    /// Writes an empty line.
    pub(crate) fn blank(&mut self) -> io::Result<()> {
        self.line("")
    }

    /// Several lines, each after `indent`.
    pub(crate) fn lines<T: Display>(&mut self, indent: &str, lines: impl IntoIterator<Item = T>) -> io::Result<()> {
        lines.into_iter().try_for_each(|line| self.line(format_args!("{indent}{line}")))
    }

    /// The text as the eye should take it.
    pub(crate) fn styled(&self, style: Style, text: &str) -> String {
        match self.is_styled {
            true => format!("\u{1b}[{}m{text}\u{1b}[0m", style.code()),
            false => text.to_owned(),
        }
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("is_styled", &self.is_styled).finish_non_exhaustive()
    }
}
