//! What an augmentation has finished before it was stopped, so that the next one need not write it again.
//!
//! A text on a phone takes seconds and a system may end a process at any time. Each finished attempt is therefore kept in one
//! sealed file until the whole augmentation is in the store. It is a cache, under a key of everything that an attempt depends
//! on: that it cannot be read or written is no error, and another history, model or seed finds nothing in it.

use std::{collections::HashMap, fs, path::PathBuf};

use zeroize::Zeroizing;

use crate::{
    crypto,
    generation::synthetic::Attempt,
    store::{Caches, Lease},
};

/// Sealed files are multiples of this, so that the number of texts shows roughly only.
const PAD: usize = 1 << 12;
/// The file, in the folder of caches.
const NAME_ON_DISK: &str = "unfinished";
/// The associated data of the seal.
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

    /// Ends when a record is forgotten that attempts may rest on.
    pub(crate) fn lease(&self) -> &Lease {
        &self.caches.lease
    }

    /// The attempts by their jobs' keys.
    pub(crate) fn read(&self) -> HashMap<String, Attempt> {
        let plain =
            fs::read(&self.path).ok().and_then(|sealed| crypto::open(&self.caches.key, NAME.as_bytes(), &sealed));
        // The padding is white space.
        plain.and_then(|plain| serde_json::from_slice(&plain).ok()).unwrap_or_default()
    }

    /// Replaces them, whole or not at all.
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

    /// Forgets them.
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
