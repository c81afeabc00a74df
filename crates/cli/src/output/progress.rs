//! How far long work is: a bar on standard error, where a person looks at it and nowhere else.

use std::io;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error while long work is going on; nothing at all where that is no terminal. It is gone when this
/// is dropped.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

#[allow(dead_code, reason = "told by verbs with long work")]
impl Progress {
    /// Work of `total` pieces, such as `messages`.
    pub(crate) fn of(total: u64, doing: &str, pieces: &str) -> Self {
        let line = format!("{{msg}} {{wide_bar}} {{human_pos}}/{{human_len}} {pieces} {{eta}}");
        Self::drawn(ProgressBar::with_draw_target(Some(total), target()), &line, doing)
    }

    /// Work of `total` bytes.
    pub(crate) fn of_bytes(total: u64, doing: &str) -> Self {
        let line = "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
        Self::drawn(ProgressBar::with_draw_target(Some(total), target()), line, doing)
    }

    /// Work of which nobody knows how much it is.
    pub(crate) fn spinner(doing: &str) -> Self {
        Self::drawn(ProgressBar::with_draw_target(None, target()), "{spinner} {msg} {human_pos} {elapsed}", doing)
    }

    /// Work of which nobody knows how many bytes it is.
    pub(crate) fn spinner_of_bytes(doing: &str) -> Self {
        let line = "{spinner} {msg} {binary_bytes} {binary_bytes_per_sec} {elapsed}";
        Self::drawn(ProgressBar::with_draw_target(None, target()), line, doing)
    }

    fn drawn(bar: ProgressBar, line: &str, doing: &str) -> Self {
        // The styles here have no colours, so that `NO_COLOR` has nothing to switch off.
        let style = ProgressStyle::with_template(line).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        bar.set_message(doing.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// So much more is done.
    pub(crate) fn advance(&self, pieces: u64) {
        self.0.inc(pieces);
    }

    /// So much is done in all.
    pub(crate) fn set(&self, pieces: u64) {
        self.0.set_position(pieces);
    }

    /// What is being done now.
    pub(crate) fn doing(&self, doing: &str) {
        self.0.set_message(doing.to_owned());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn target() -> ProgressDrawTarget {
    let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    match io::IsTerminal::is_terminal(&io::stderr()) && !is_dumb {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    }
}
