//! The checkpoint of an augmentation: its finished attempts, on disk.
//!
//! A text takes seconds on a phone, and the system may end a process at any time. Each finished
//! attempt therefore goes into one sealed file until the whole augmentation is in the store. The
//! file is a cache, so failures to read or write it are ignored. Each attempt has a key derived
//! from all its inputs: another history, model or seed finds no attempts.

use std::{collections::HashMap, fs, path::PathBuf};

use zeroize::Zeroizing;

use crate::{
    crypto,
    generation::synthetic::Attempt,
    store::{Caches, Lease},
};

/// The plain text is padded to a multiple of this many bytes, to hide the number of texts.
const PAD: usize = 1 << 12;
/// Name of the file in the cache directory.
const NAME_ON_DISK: &str = "unfinished";
/// Associated data of the sealed file.
const NAME: &str = "unfinished augmentation 1";

/// A store's file of finished attempts.
#[derive(Clone)]
pub(crate) struct Checkpoint {
    path: PathBuf,
    caches: Caches,
}

impl Checkpoint {
    pub(crate) fn new(caches: Caches) -> Self {
        Self { path: caches.dir.join(NAME_ON_DISK), caches }
    }

    /// The lease of this checkpoint. It ends when a record is forgotten, because attempts derive
    /// from records.
    pub(crate) fn lease(&self) -> &Lease {
        &self.caches.lease
    }

    /// Returns the finished attempts by job key; empty if the file is missing or does not open.
    pub(crate) fn read(&self) -> HashMap<String, Attempt> {
        let plain =
            fs::read(&self.path).ok().and_then(|sealed| crypto::open(&self.caches.key, NAME.as_bytes(), &sealed));
        // The padding is JSON white space.
        plain.and_then(|plain| serde_json::from_slice(&plain).ok()).unwrap_or_default()
    }

    /// Replaces the file's content atomically.
    pub(crate) fn write(&self, attempts: &HashMap<String, Attempt>) {
        let _ = self.try_write(attempts);
    }

    fn try_write(&self, attempts: &HashMap<String, Attempt>) -> Option<()> {
        let json = Zeroizing::new(serde_json::to_vec(attempts).ok()?);
        let mut plain = Zeroizing::new(Vec::with_capacity(json.len().next_multiple_of(PAD)));
        plain.extend(json.iter());
        plain.resize(json.len().next_multiple_of(PAD), b' ');
        let sealed = crypto::seal(&self.caches.key, NAME.as_bytes(), &plain).ok()?;
        self.caches.keep(NAME_ON_DISK, &sealed).then_some(())
    }

    /// Removes the file.
    pub(crate) fn clear(&self) {
        let _ = self.caches.lease.keep(|| fs::remove_file(&self.path).ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Key;

    #[test]
    fn kept_under_one_key_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let caches = |lease| Caches { dir: dir.path().join("sessions"), key: Key::generate().unwrap(), lease };
        let file = Checkpoint::new(caches(Lease::new(true)));
        assert!(file.read().is_empty());
        let all = HashMap::from([("a job".to_owned(), Attempt { tokens: 7, ..Attempt::default() })]);
        file.write(&all);
        assert_eq!(file.read(), all);
        assert_eq!((fs::metadata(&file.path).unwrap().len() - 40) % PAD as u64, 0);
        let other = Checkpoint::new(caches(Lease::new(true)));
        assert!(other.read().is_empty());
        fs::write(&file.path, b"damaged").unwrap();
        assert!(file.read().is_empty());
        file.clear();
        assert!(!file.path.exists());
    }

    #[test]
    fn nothing_is_kept_without_a_lease() {
        let dir = tempfile::tempdir().unwrap();
        let (dir, key) = (dir.path().join("sessions"), Key::generate().unwrap());
        let file = Checkpoint::new(Caches { dir, key, lease: Lease::new(false) });
        file.write(&HashMap::from([("a job".to_owned(), Attempt::default())]));
        assert!(!file.path.exists());
    }
}
