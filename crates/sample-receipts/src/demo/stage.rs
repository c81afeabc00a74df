//! What the demo writes: numbered steps, each with what was asked and what came of it.

use std::fmt::{Debug, Display};
use std::io;

use crate::complaint::Complaint;
use crate::output::{Output, Style};

/// How wide the words before the texts are.
const LABEL_WIDTH: usize = 9;

/// The demo's place to write, which remembers the step that is being played.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    output: &'a mut Output,
    number: usize,
    title: &'static str,
}

impl<'a> Stage<'a> {
    pub(super) fn new(output: &'a mut Output) -> Self {
        Self { output, number: 0, title: "getting ready" }
    }

    /// A heading without a number, for what is no step.
    pub(super) fn heading(&mut self, title: &str) -> io::Result<()> {
        let title = self.output.styled(Style::Heading, title);
        self.output.line(title)
    }

    /// Begins the next step.
    pub(super) fn step(&mut self, title: &'static str) -> io::Result<()> {
        self.number += 1;
        self.title = title;
        self.output.blank()?;
        let heading = self.output.styled(Style::Heading, &format!("{:>2}  {title}", self.number));
        self.output.line(heading)
    }

    /// The same call from a shell.
    pub(super) fn shell(&mut self, line: &str) -> io::Result<()> {
        self.command(&format!("sample-receipts {line}"))
    }

    /// A command for a shell.
    pub(super) fn command(&mut self, line: &str) -> io::Result<()> {
        let line = self.output.styled(Style::Quiet, &format!("$ {line}"));
        self.output.line(format_args!("    {line}"))
    }

    /// A sentence.
    pub(super) fn say(&mut self, text: impl Display) -> io::Result<()> {
        self.output.line(format_args!("    {text}"))
    }

    /// What came of it, after a word that says what kind of thing it is.
    pub(super) fn tell(&mut self, label: &str, text: impl Display) -> io::Result<()> {
        self.labelled(None, label, text)
    }

    /// Something was done.
    pub(super) fn done(&mut self, text: impl Display) -> io::Result<()> {
        self.labelled(Some(Style::Good), "done", text)
    }

    /// Something was refused, as it should be.
    pub(super) fn refused(&mut self, text: impl Display) -> io::Result<()> {
        self.labelled(Some(Style::Bad), "refused", text)
    }

    pub(super) fn blank(&mut self) -> io::Result<()> {
        self.output.blank()
    }

    fn labelled(&mut self, style: Option<Style>, label: &str, text: impl Display) -> io::Result<()> {
        let label = format!("{label:<LABEL_WIDTH$}");
        let label = style.map_or_else(|| label.clone(), |style| self.output.styled(style, &label));
        self.output.line(format_args!("    {label} {text}"))
    }

    /// Goes on only if what was found is what this step promises.
    pub(super) fn check<T: PartialEq + Debug>(&self, what: &str, found: &T, expected: &T) -> Result<(), Complaint> {
        match found == expected {
            true => Ok(()),
            false => Err(self.wrong(&format!("{what} {expected:?}"), &format!("{found:?}"))),
        }
    }

    /// The end of the demo: this step did not come out as it should.
    pub(super) fn wrong(&self, expected: &str, found: &str) -> Complaint {
        let Self { number, title, .. } = self;
        Complaint::Failed(format!("step {number}, \"{title}\", went wrong: expected {expected}, found {found}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_outcome_ends_the_demo_and_names_the_step() {
        let mut output = Output::nowhere();
        let mut stage = Stage::new(&mut output);
        stage.step("Put an item on a receipt").unwrap();
        stage.step("Void it").unwrap();
        assert!(stage.check("revision", &8, &8).is_ok());
        let Err(Complaint::Failed(reason)) = stage.check("revision", &7, &8) else { panic!("7 is not 8") };
        assert_eq!(reason, "step 2, \"Void it\", went wrong: expected revision 8, found 7");
    }
}
