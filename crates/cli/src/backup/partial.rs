//! A file that is there whole or not at all: written under another name, and renamed when it is complete.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A file under construction; it is removed when this is dropped before [`keep`](Self::keep).
#[derive(Debug)]
pub(crate) struct Partial {
    path: PathBuf,
    target: PathBuf,
    kept: bool,
}

impl Partial {
    /// Starts the file that is to become `target`. What an earlier attempt left is replaced.
    pub(crate) fn create(target: &Path) -> io::Result<(Self, File)> {
        let mut name = target.file_name().ok_or_else(|| io::Error::other("it names no file"))?.to_owned();
        name.push(".partial");
        let path = target.with_file_name(name);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        // What was stored may be anybody's secret.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path)?;
        Ok((Self { path, target: target.to_owned(), kept: false }, file))
    }

    /// Makes the whole file last, and gives it its name.
    pub(crate) fn keep(mut self, file: &File) -> io::Result<()> {
        file.sync_all()?;
        std::fs::rename(&self.path, &self.target)?;
        self.kept = true;
        // The new name lasts when its folder does. Some systems cannot sync a folder, and then nothing more can be done.
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let Ok(folder) = File::open(folder) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_has_its_name_only_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.backup");
        let names = || std::fs::read_dir(folder.path()).unwrap().count();
        let (partial, mut file) = Partial::create(&target).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!target.exists() && names() == 1);
        drop(partial);
        assert_eq!(names(), 0);

        let (partial, mut file) = Partial::create(&target).unwrap();
        file.write_all(b"whole").unwrap();
        partial.keep(&file).unwrap();
        assert_eq!((std::fs::read(&target).unwrap(), names()), (b"whole".to_vec(), 1));
    }
}
