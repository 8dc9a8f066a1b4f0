//! Permanent deletion of a store.

use std::{
    fs::{self, File},
    io,
    path::Path,
    time::Duration,
};

use super::{Step, Store, StoreError, files, keyfile, migrate, onward};

impl Store {
    /// Erases the store: destroys the key, then removes the store's files.
    ///
    /// Without the key all data is unreadable at once. The directory goes too if it holds no other
    /// files. The next opening finishes an interrupted erasure.
    ///
    /// # Errors
    /// [`StoreError::Io`] if a file cannot be removed; [`StoreError::ReadOnly`].
    pub fn erase(self) -> Result<(), StoreError> {
        self.erase_by_steps(&mut onward)
    }

    pub(super) fn erase_by_steps(self, step: Step<'_>) -> Result<(), StoreError> {
        self.need_writable()?;
        let Self { dir, now, lock, .. } = self;
        drop(now);
        erase(&dir, lock, step)
    }

    /// As [`Store::erase`], without the key: for a damaged store or a lost key. Does nothing if
    /// there is no store.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::Io`], [`StoreError::ReadOnly`].
    pub fn erase_unopened(dir: impl AsRef<Path>) -> Result<(), StoreError> {
        let dir = dir.as_ref();
        if !dir.exists() {
            return Ok(());
        }
        let read_only = |e: StoreError| if e.is_read_only() { StoreError::ReadOnly(dir.to_path_buf()) } else { e };
        let lock = files::lock(dir, Duration::ZERO).map_err(read_only)?;
        erase(dir, Some(lock), &mut onward)
    }
}

fn erase(dir: &Path, lock: Option<File>, step: Step<'_>) -> Result<(), StoreError> {
    let mut work = || {
        step("the key")?;
        keyfile::erase(dir)?;
        keyfile::destroy(&dir.join(keyfile::NEW))?;
        keyfile::sync_dir(dir)?;
        step("the data")?;
        remove_rest(dir)?;
        step("the lock")?;
        files::remove(&dir.join(files::LOCK))
    };
    work().map_err(|source| StoreError::Io { action: "erase", path: dir.to_path_buf(), source })?;
    drop(lock);
    // A directory with other files belongs to the app and stays.
    let _ = fs::remove_dir(dir);
    Ok(())
}

/// Removes the files that are unreadable without the key, and the overwritten key file last.
pub(super) fn remove_rest(dir: &Path) -> io::Result<()> {
    files::remove_sessions(dir)?;
    files::remove_data(dir, |_| true)?;
    migrate::remove(dir)?;
    keyfile::sync_dir(dir)?;
    files::remove(&dir.join(keyfile::NAME))
}
