//! The variables that decide where a binary is looked for, as a value, so that a test can hand in its own.

use std::env::{self, consts::EXE_SUFFIX};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The variables the search looks at. An empty one counts as not set.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Environment {
    pub(super) nats_server_bin: Option<OsString>,
    pub(super) path: Option<OsString>,
    headwater_cache_dir: Option<PathBuf>,
    xdg_cache_home: Option<PathBuf>,
    home: Option<PathBuf>,
}

impl Environment {
    /// Nothing set at all.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The variables of this process.
    pub fn from_process() -> Self {
        let read = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        Self {
            nats_server_bin: read(super::BINARY_VARIABLE),
            path: read("PATH"),
            headwater_cache_dir: read("HEADWATER_CACHE_DIR").map(PathBuf::from),
            xdg_cache_home: read("XDG_CACHE_HOME").map(PathBuf::from),
            home: env::home_dir(),
        }
    }

    /// Sets `NATS_SERVER_BIN`.
    pub fn nats_server_bin(mut self, value: impl Into<OsString>) -> Self {
        self.nats_server_bin = Some(value.into()).filter(|value| !value.is_empty());
        self
    }

    /// Clears `NATS_SERVER_BIN`.
    pub fn without_nats_server_bin(mut self) -> Self {
        self.nats_server_bin = None;
        self
    }

    /// Sets `PATH`.
    pub fn path(mut self, value: impl Into<OsString>) -> Self {
        self.path = Some(value.into()).filter(|value| !value.is_empty());
        self
    }

    /// Sets `HEADWATER_CACHE_DIR`.
    pub fn headwater_cache_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.headwater_cache_dir = Some(folder.into());
        self
    }

    /// Sets `XDG_CACHE_HOME`.
    pub fn xdg_cache_home(mut self, folder: impl Into<PathBuf>) -> Self {
        self.xdg_cache_home = Some(folder.into());
        self
    }

    /// Sets the home folder.
    pub fn home(mut self, folder: impl Into<PathBuf>) -> Self {
        self.home = Some(folder.into());
        self
    }

    /// The folder for cached things, if any of the three variables names one.
    #[must_use]
    pub fn cache_dir(&self) -> Option<PathBuf> {
        if let Some(folder) = &self.headwater_cache_dir {
            return Some(folder.clone());
        }
        // The XDG specification says that a relative value is to be ignored.
        let xdg = self.xdg_cache_home.as_deref().filter(|folder| folder.is_absolute()).map(Path::to_path_buf);
        let base = xdg.or_else(|| self.home.as_deref().map(|home| home.join(".cache")));
        base.map(|folder| folder.join("headwater"))
    }

    /// The files called `name` in the folders of `PATH`, in order.
    pub(super) fn on_path(&self, name: &str) -> Vec<PathBuf> {
        let path = self.path.as_deref().unwrap_or(OsStr::new(""));
        env::split_paths(path)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(format!("{name}{EXE_SUFFIX}")))
            .filter(|candidate| candidate.is_file())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_folder_follows_the_order_of_the_variables() {
        let home = Environment::empty().home("/home/a");
        assert_eq!(home.cache_dir(), Some("/home/a/.cache/headwater".into()));
        let xdg = home.clone().xdg_cache_home("/var/cache/a");
        assert_eq!(xdg.cache_dir(), Some("/var/cache/a/headwater".into()));
        assert_eq!(xdg.headwater_cache_dir("/own").cache_dir(), Some("/own".into()));
        assert_eq!(home.xdg_cache_home("relative").cache_dir(), Some("/home/a/.cache/headwater".into()));
        assert_eq!(Environment::empty().cache_dir(), None);
    }
}
