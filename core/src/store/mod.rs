//! One user's interactions on disk, encrypted.
//!
//! A store is a directory with the key file (`keyfile`), one data file (`records`: redb with sealed
//! values) and a lock. The host passes a 32-byte [`Key`], which wraps the store's own random key.
//! No data derived from the user is written in plain text. A commit survives a crash once it has
//! returned; an interrupted one has no effect or its full effect. docs/src/security.md lists the
//! information that the files reveal to an attacker.

mod audience;
mod change;
mod erase;
mod error;
mod export;
pub(crate) mod files;
mod first;
mod generation;
mod keyfile;
mod lease;
mod migrate;
mod records;

pub use error::StoreError;
pub use export::{Export, Imported};
pub(crate) use lease::{Caches, Lease};

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

#[cfg(test)]
use redb::Database;

use crate::{
    crypto::Key,
    history::{Entry, Record, sort_by_time},
};
use generation::Made;
use keyfile::KeyFile;
use records::{Cipher, Lasting, Numbered, Records};

/// The layout of the data file. Policy: a newer layout is refused by name, an older one is
/// migrated. Layout 1 was one plain-text redb file.
const LAYOUT: u64 = 2;

/// A callback between two steps of work on files. Tests return an error from it to simulate the end
/// of the process; otherwise it does nothing.
type Step<'f> = &'f mut dyn FnMut(&'static str) -> io::Result<()>;

fn onward(_: &'static str) -> io::Result<()> {
    Ok(())
}

/// One user's store.
pub struct Store {
    dir: PathBuf,
    now: RwLock<Now>,
    /// Held as long as the store is open. `None` on read-only storage without a lock file.
    lock: Option<File>,
    writable: bool,
}

/// The state that a key change or a forgotten record replaces.
struct Now {
    generation: u64,
    records: Records,
    /// Wraps the key of the next generation.
    host: Key,
    /// Seals the caches.
    caches: Key,
    lease: Lease,
}

impl Now {
    fn take(&mut self, file: &KeyFile, records: Records, host: &Key) {
        (self.generation, self.records, self.caches) = (file.generation, records, cache_key(file));
        self.host = host.clone();
    }

    /// Ends the current lease of caches, and starts a new one.
    fn renew_lease(&mut self) {
        std::mem::replace(&mut self.lease, Lease::new(true)).end();
    }
}

impl Store {
    /// Opens the store in `dir` with the host's `key`, creating both directory and store if
    /// missing.
    ///
    /// An older, unencrypted store in `dir` is migrated, and its file is overwritten and removed.
    /// Other files in `dir` stay unchanged. Without write access the store is opened read-only.
    ///
    /// # Errors
    /// [`StoreError::WrongKey`], [`StoreError::Locked`] if it is open elsewhere,
    /// [`StoreError::KeyFileMissing`], [`StoreError::Layout`] if a newer Locket wrote it,
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn open(dir: impl AsRef<Path>, key: &Key) -> Result<Self, StoreError> {
        Self::open_within(dir, key, Duration::ZERO)
    }

    /// As [`Store::open`]; waits up to `wait` while the store is open elsewhere. The time starts
    /// again with each new holder, up to 30 times `wait` in total.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_within(dir: impl AsRef<Path>, key: &Key, wait: Duration) -> Result<Self, StoreError> {
        let dir = dir.as_ref();
        match files::lock(dir, wait) {
            Ok(lock) => Self::open_locked(dir, key, lock, &mut onward),
            Err(e) if e.is_read_only() => Self::open_read_only(dir, key, files::shared_lock(dir, wait)?, e),
            Err(e) => Err(e),
        }
    }

    fn open_locked(dir: &Path, key: &Key, lock: File, step: Step<'_>) -> Result<Self, StoreError> {
        let io = |action| move |source| StoreError::Io { action, path: dir.to_path_buf(), source };
        let (file, records) = match fs::read(dir.join(keyfile::NAME)) {
            Ok(bytes) if keyfile::is_erased(&bytes) => {
                erase::remove_rest(dir).map_err(io("erase"))?;
                create(dir, key, step)?
            }
            Ok(bytes) => {
                let file = KeyFile::unwrap(&bytes, key, dir)?;
                match generation::open(dir, &file) {
                    Ok(records) => (file, records),
                    Err(e) => return Self::open_read_only(dir, key, Some(lock), e),
                }
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                if let Some(data) = files::finished_data(dir).map_err(io("read"))? {
                    return Err(StoreError::KeyFileMissing {
                        key: dir.join(keyfile::NAME),
                        data: dir.join(data.name()),
                    });
                }
                create(dir, key, step)?
            }
            Err(source) => return Err(io("read the key of")(source)),
        };
        step("cleaning").map_err(io("clean"))?;
        // Without write access the store is still readable.
        generation::clean(dir, &file, &records).or_else(|e| if e.is_read_only() { Ok(()) } else { Err(e) })?;
        Ok(Self::with(dir, &file, records, key, Some(lock), true))
    }

    /// Opens the store read-only, after writing failed with `because`.
    fn open_read_only(dir: &Path, key: &Key, lock: Option<File>, because: StoreError) -> Result<Self, StoreError> {
        if !because.is_read_only() {
            return Err(because);
        }
        let bytes = match fs::read(dir.join(keyfile::NAME)) {
            Ok(bytes) => bytes,
            // A store of layout 1 would have to be migrated first.
            Err(_) if migrate::found(dir) => return Err(StoreError::ReadOnly(dir.to_path_buf())),
            Err(_) => return Err(because),
        };
        let file = KeyFile::unwrap(&bytes, key, dir)?;
        let records = generation::open_copy(dir, &file)?;
        Ok(Self::with(dir, &file, records, key, lock, false))
    }

    fn with(dir: &Path, file: &KeyFile, records: Records, host: &Key, lock: Option<File>, writable: bool) -> Self {
        let (generation, caches) = (file.generation, cache_key(file));
        let now = Now { generation, records, host: host.clone(), caches, lease: Lease::new(writable) };
        Self { dir: dir.to_path_buf(), now: RwLock::new(now), lock, writable }
    }

    /// Returns whether `dir` holds a store, or a data file without its key file.
    pub fn exists(dir: impl AsRef<Path>) -> bool {
        let dir = dir.as_ref();
        dir.join(keyfile::NAME).exists()
            || migrate::found(dir)
            || files::finished_data(dir).is_ok_and(|found| found.is_some())
    }

    fn now(&self) -> RwLockReadGuard<'_, Now> {
        self.now.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_mut(&self) -> RwLockWriteGuard<'_, Now> {
        self.now.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns an error if the store is read-only.
    pub(crate) fn need_writable(&self) -> Result<(), StoreError> {
        if self.writable { Ok(()) } else { Err(StoreError::ReadOnly(self.dir.clone())) }
    }

    /// Returns the place for caches that derive from the records.
    pub(crate) fn caches(&self) -> Caches {
        let now = self.now();
        Caches { dir: self.dir.join(files::SESSIONS), key: now.caches.clone(), lease: now.lease.clone() }
    }

    /// Returns the store's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Appends one record and returns its id. The record is on disk when this returns.
    ///
    /// A time in another unit is converted to milliseconds
    /// ([`crate::history::Interaction::milliseconds`]).
    ///
    /// # Errors
    /// [`StoreError::Interaction`] if it has no item, no text and title, more than a megabyte, a
    /// rating outside 1 to 5, or a negative time; [`StoreError::ReadOnly`].
    pub fn append(&self, record: &Record) -> Result<u64, StoreError> {
        Ok(self.append_all(std::slice::from_ref(record))?[0])
    }

    /// Appends `records` in one transaction, all of them or none, and returns their ids.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn append_all(&self, records: &[Record]) -> Result<Vec<u64>, StoreError> {
        let records = self.usable(records)?;
        self.now().records.append(&records)
    }

    /// Checks the records and normalizes their times.
    fn usable(&self, records: &[Record]) -> Result<Vec<Record>, StoreError> {
        self.need_writable()?;
        if let Some(defect) = records.iter().find_map(|r| r.interaction.defect()) {
            return Err(StoreError::Interaction(defect));
        }
        let mut records = records.to_vec();
        records.iter_mut().for_each(|r| r.interaction.normalize_time());
        Ok(records)
    }

    /// Returns all records sorted by time, oldest first. A record without a time comes after the
    /// one that was recorded before it.
    ///
    /// # Errors
    /// [`StoreError::Forged`], [`StoreError::Damaged`], [`StoreError::Record`] if data cannot be
    /// read.
    pub fn records(&self) -> Result<Vec<Record>, StoreError> {
        Ok(self.entries()?.into_iter().map(|entry| entry.record).collect())
    }

    /// As [`Store::records`], with their ids.
    ///
    /// # Errors
    /// As [`Store::records`].
    pub fn entries(&self) -> Result<Vec<Entry>, StoreError> {
        Self::entries_of(&self.now())
    }

    fn entries_of(now: &Now) -> Result<Vec<Entry>, StoreError> {
        let entry = |(id, mut record): (u64, Record)| {
            // Earlier versions stored times unchecked.
            record.interaction.normalize_time();
            Entry { id, record }
        };
        let mut entries: Vec<Entry> = now.records.read()?.into_iter().map(entry).collect();
        sort_by_time(&mut entries, |entry| entry.record.interaction.time);
        Ok(entries)
    }

    /// Returns the number of records.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Forged`].
    pub fn len(&self) -> Result<u64, StoreError> {
        self.now().records.len()
    }

    /// Returns whether the store has no records.
    ///
    /// # Errors
    /// As [`Store::len`].
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    /// Replaces all synthetic records by `synthetic` in one transaction; real ones stay.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn replace_synthetic(&self, synthetic: &[Record]) -> Result<(), StoreError> {
        self.replace_synthetic_in(&self.now(), synthetic)
    }

    /// As [`Store::replace_synthetic`], if `lease` still holds. Returns `false` without a change if
    /// a record was forgotten since.
    pub(crate) fn replace_synthetic_under(&self, lease: &Lease, synthetic: &[Record]) -> Result<bool, StoreError> {
        let now = self.now();
        if !lease.holds() {
            return Ok(false);
        }
        self.replace_synthetic_in(&now, synthetic).map(|()| true)
    }

    fn replace_synthetic_in(&self, now: &Now, synthetic: &[Record]) -> Result<(), StoreError> {
        if synthetic.iter().any(|r| !r.is_synthetic()) {
            return Err(StoreError::Interaction("a real text was offered as a synthetic one"));
        }
        now.records.replace(|record| !record.is_synthetic(), &self.usable(synthetic)?)?;
        Ok(())
    }
}

/// Creates a store in `dir`, with the records of an older one there.
fn create(dir: &Path, key: &Key, step: Step<'_>) -> Result<(KeyFile, Records), StoreError> {
    let old: Numbered = (0..).zip(migrate::read(dir)?).collect();
    let kept = Lasting { next_id: old.len() as u64, audience: None };
    let Made { file, records, lasting } = generation::write(dir, 1, key, &old, &kept, step)?;
    lasting.map_err(|source| StoreError::Io { action: "write", path: dir.to_path_buf(), source })?;
    Ok((file, records))
}

fn cache_key(file: &KeyFile) -> Key {
    file.key.derive(&file.salt, "locket sessions")
}

fn cipher(file: &KeyFile) -> Cipher {
    Cipher { key: file.key.derive(&file.salt, "locket records"), salt: file.salt }
}

fn database_error(e: redb::DatabaseError, dir: &Path) -> StoreError {
    match e {
        redb::DatabaseError::DatabaseAlreadyOpen => StoreError::Locked(dir.to_path_buf()),
        redb::DatabaseError::Storage(redb::StorageError::Io(source)) => {
            StoreError::Io { action: "open", path: dir.to_path_buf(), source }
        }
        other => other.into(),
    }
}

/// Decodes a segment's plain bytes; decoded records must encode and decode again without loss.
#[cfg(fuzzing)]
pub fn fuzz_records(bytes: &[u8]) {
    if let Ok(found) = records::unpack(bytes) {
        // Compares bytes: a NaN rating is not equal to itself.
        let again = records::pack(&found).expect("decoded records encode");
        let twice = records::unpack(&again).and_then(|found| records::pack(&found)).expect("encoded records decode");
        assert!(again == twice);
    }
    let _ = KeyFile::unwrap(bytes, &Key::new([7; 32]), Path::new("fuzz"));
}

#[cfg(test)]
mod crash;
#[cfg(test)]
mod forgetting;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod kept;
#[cfg(test)]
mod tests;
