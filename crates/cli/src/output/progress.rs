//! How far long work is: a bar on standard error, where a person looks at it and nowhere else.

use std::io;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error while long work is going on; nothing at all where that is no terminal. It is gone when this
/// is dropped.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Work of `total` bytes.
    pub(crate) fn of_bytes(total: u64, doing: &str) -> Self {
        let line = "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
        Self::drawn(ProgressBar::with_draw_target(Some(total), target()), line, doing)
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

    /// So many more bytes are done.
    pub(crate) fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// So many bytes are done in all.
    pub(crate) fn set(&self, bytes: u64) {
        self.0.set_position(bytes);
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
