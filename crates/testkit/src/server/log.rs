//! The server's log file.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

pub(super) fn file_in(home: &Path) -> PathBuf {
    home.join("nats-server.log")
}

/// Opened for appending, so that the log of earlier starts stays.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

pub(super) fn tail(home: &Path, lines: usize) -> String {
    let Ok(bytes) = fs::read(file_in(home)) else {
        return String::new();
    };
    last_lines(&String::from_utf8_lossy(&bytes), lines)
}

fn last_lines(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn the_last_lines_are_whole_lines() {
        assert_eq!(last_lines("1\n2\n3\n", 2), "2\n3");
        assert_eq!(last_lines("1\n", 5), "1");
        assert_eq!(last_lines("", 5), "");
    }
}
