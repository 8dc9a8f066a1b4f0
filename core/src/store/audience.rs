//! Opaque ids of recipients.
//!
//! The store's keys change with every generation, so they cannot give an id that lasts. A secret of
//! 32 random bytes in the sealed root does: it is made on first use, every generation takes it over,
//! and it ends with the store.

use super::{Store, StoreError};
use crate::{crypto::Key, text};

/// Length of an id in bytes, half of its hexadecimal digits.
const LENGTH: usize = 16;

impl Store {
    /// Returns the opaque id of a recipient: 32 hexadecimal digits, made from the address or name
    /// with HKDF-SHA256 and a secret of this store.
    ///
    /// White space around the address and letter case do not matter. The id stays the same when the
    /// store's key changes. Without the store it reveals nothing about the address, and another
    /// store has another id for it.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] if the store has no secret yet and cannot be written;
    /// [`StoreError::Database`], [`StoreError::Forged`].
    pub fn audience(&self, address: &str) -> Result<String, StoreError> {
        let now = self.now();
        let secret = match now.records.audience()? {
            Some(secret) => secret,
            None => {
                self.need_writable()?;
                now.records.make_audience()?
            }
        };
        let id = Key::new(*secret).derive(b"locket audience", &address.trim().to_lowercase());
        Ok(text::hex(&id.as_bytes()[..LENGTH]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Interaction, Record};

    const HOST: Key = Key::new([7; 32]);

    #[test]
    fn ids_are_stable_and_normalized() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &HOST).unwrap();
        let ada = store.audience("Ada@Example.org ").unwrap();
        assert_eq!(ada.len(), 32);
        assert_eq!(store.audience("ada@example.org").unwrap(), ada);
        assert_ne!(store.audience("ben@example.org").unwrap(), ada);
        drop(store);
        assert_eq!(Store::open(dir.path(), &HOST).unwrap().audience("ada@example.org").unwrap(), ada);
    }

    #[test]
    fn ids_of_two_stores_differ() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let id = |dir: &tempfile::TempDir| Store::open(dir.path(), &HOST).unwrap().audience("ada@example.org").unwrap();
        assert_ne!(id(&one), id(&other));
    }

    #[test]
    fn ids_survive_a_key_change_and_forgetting() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), &HOST).unwrap();
        let ada = store.audience("ada@example.org").unwrap();
        store.change_key(&Key::new([8; 32])).unwrap();
        assert_eq!(store.audience("ada@example.org").unwrap(), ada);
        let id = store.append(&Record::real(Interaction::new("mug", "Keeps tea warm."))).unwrap();
        assert_eq!(store.len().unwrap(), 1);
        assert!(store.forget(id).unwrap());
        assert_eq!(store.audience("ada@example.org").unwrap(), ada);
        drop(store);
        let store = Store::open(dir.path(), &Key::new([8; 32])).unwrap();
        assert_eq!(store.audience("ada@example.org").unwrap(), ada);
        assert!(store.is_empty().unwrap());
    }

    #[test]
    fn an_erased_store_gets_another_secret() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &HOST).unwrap();
        let ada = store.audience("ada@example.org").unwrap();
        store.erase().unwrap();
        assert_ne!(Store::open(dir.path(), &HOST).unwrap().audience("ada@example.org").unwrap(), ada);
    }
}
