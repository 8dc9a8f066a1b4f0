//! One person's own interactions on disk, encrypted.
//!
//! A store is a directory: the key file (`keyfile`), one data file (`records`: redb with sealed values) and a lock. The host gives a
//! 32-byte [`Key`], which wraps the store's own random key; nothing derived from the person is written in the clear. A
//! commit that returned survives a crash, one that did not leaves no trace. What an attacker with the files learns
//! stands in docs/SECURITY.md.

mod error;
mod keyfile;
mod migrate;
mod records;
pub(crate) mod seal;

pub use error::StoreError;
pub use seal::Key;

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use redb::Database;
use serde::{Deserialize, Serialize};

use crate::{interaction::Record, session::Sessions, unfinished::Unfinished};
use keyfile::KeyFile;
use records::{Cipher, Records};

/// The layout of the data file. Policy: a newer layout is refused by name, an older one is migrated.
/// Layout 1 was one redb file in the clear.
const LAYOUT: u64 = 2;
const LOCK: &str = "locket.lock";
const SESSIONS: &str = "sessions";

/// Everything a store holds, as JSON for its owner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Export {
    /// Always `"locket-export"`.
    pub format: String,
    /// The version of this shape, 1.
    pub version: u32,
    /// All records, oldest first.
    pub records: Vec<Record>,
}

/// A place where work on files can be stopped, as if the process had ended there. Outside of tests nothing stops.
type Step<'f> = &'f mut dyn FnMut(&'static str) -> io::Result<()>;

fn onward(_: &'static str) -> io::Result<()> {
    Ok(())
}

/// One person's store.
pub struct Store {
    dir: PathBuf,
    generation: u64,
    records: Records,
    /// For what is cached of the person beside the records.
    sessions: Key,
    /// Held as long as the store is open.
    lock: File,
}

impl Store {
    /// Opens the store in `dir` with the host's `key`, creating both if they are missing. An older, unencrypted store there is
    /// taken over, and its file is overwritten and removed.
    ///
    /// # Errors
    /// [`StoreError::WrongKey`], [`StoreError::Locked`] if it is open elsewhere, [`StoreError::Layout`] if a newer Locket
    /// wrote it, [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn open(dir: impl AsRef<Path>, key: &Key) -> Result<Self, StoreError> {
        Self::open_by_steps(dir.as_ref(), key, &mut onward)
    }

    fn open_by_steps(dir: &Path, key: &Key, step: Step<'_>) -> Result<Self, StoreError> {
        let io = |action| move |source| StoreError::Io { action, path: dir.to_path_buf(), source };
        create_private(dir).map_err(io("create"))?;
        let lock = lock(dir)?;
        let (file, records) = match fs::read(dir.join(keyfile::NAME)) {
            Ok(bytes) => {
                let file = KeyFile::unwrap(&bytes, key, dir)?;
                let data = dir.join(data_name(file.generation));
                if !data.exists() {
                    return Err(StoreError::Damaged { path: dir.to_path_buf(), what: "its data file is missing" });
                }
                let db = Database::open(data).map_err(|e| database_error(e, dir))?;
                let records = Records::open(db, cipher(&file), dir)?;
                (file, records)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                // What an interrupted creation or erasure left: without a key file nobody can read it.
                let old = migrate::read(dir)?;
                remove_data_but(dir, None).and_then(|()| remove_sessions(dir)).map_err(io("prepare"))?;
                let (file, made, lasting) = write_generation(dir, 1, key, &old, step)?;
                lasting.map_err(io("write"))?;
                (file, made)
            }
            Err(source) => return Err(io("read the key of")(source)),
        };
        step("cleaning").map_err(io("clean"))?;
        remove_data_but(dir, Some(file.generation)).and_then(|()| migrate::remove(dir)).map_err(io("clean"))?;
        let (generation, sessions) = (file.generation, session_key(&file));
        Ok(Self { dir: dir.to_path_buf(), generation, records, sessions, lock })
    }

    /// A store without encryption and without a key file, to measure what encryption costs.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    #[cfg(feature = "eval")]
    pub fn open_clear(dir: impl AsRef<Path>) -> Result<Self, StoreError> {
        let dir = dir.as_ref();
        let io = |source| StoreError::Io { action: "create", path: dir.to_path_buf(), source };
        create_private(dir).map_err(io)?;
        let lock = lock(dir)?;
        let path = dir.join(data_name(0));
        let fresh = !path.exists();
        let db = Database::create(path).map_err(|e| database_error(e, dir))?;
        let make = if fresh { Records::create } else { Records::open };
        let records = make(db, Cipher::Clear, dir)?;
        Ok(Self { dir: dir.to_path_buf(), generation: 0, records, sessions: Key::generate()?, lock })
    }

    /// Whether `dir` already holds a store.
    pub fn exists(dir: impl AsRef<Path>) -> bool {
        let dir = dir.as_ref();
        dir.join(keyfile::NAME).exists() || migrate::found(dir)
    }

    /// Sessions beside the records, of at most `most` bytes.
    pub(crate) fn sessions(&self, most: u64) -> Sessions {
        Sessions::new(self.dir.join(SESSIONS), self.sessions.clone(), most)
    }

    /// What an augmentation has finished before it was stopped; it goes with the sessions.
    pub(crate) fn unfinished(&self) -> Unfinished {
        Unfinished::new(self.dir.join(SESSIONS).join("unfinished"), self.sessions.clone())
    }

    /// Where the store lives.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Appends one record and returns its id. When this returns, the record is on disk.
    ///
    /// # Errors
    /// [`StoreError::Interaction`] if it has no item, no text, more than a megabyte, or a rating outside 1 to 5.
    pub fn append(&self, record: &Record) -> Result<u64, StoreError> {
        Ok(self.append_all(std::slice::from_ref(record))?[0])
    }

    /// Appends all `records` in one transaction: all of them are kept, or none.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn append_all(&self, records: &[Record]) -> Result<Vec<u64>, StoreError> {
        if let Some(defect) = records.iter().find_map(|r| r.interaction.defect()) {
            return Err(StoreError::Interaction(defect));
        }
        self.records.append(records)
    }

    /// All records, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Forged`], [`StoreError::Damaged`], [`StoreError::Record`] if something cannot be read.
    pub fn records(&self) -> Result<Vec<Record>, StoreError> {
        Ok(self.records.read()?.into_iter().map(|(_, record)| record).collect())
    }

    /// Number of records.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Forged`].
    pub fn len(&self) -> Result<u64, StoreError> {
        self.records.len()
    }

    /// Whether nothing is recorded.
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
        if synthetic.iter().any(|r| !r.is_synthetic()) {
            return Err(StoreError::Interaction("a real text was offered as a synthetic one"));
        }
        if let Some(defect) = synthetic.iter().find_map(|r| r.interaction.defect()) {
            return Err(StoreError::Interaction(defect));
        }
        self.records.replace(|record| !record.is_synthetic(), synthetic)?;
        Ok(())
    }

    /// Everything, for its owner.
    ///
    /// # Errors
    /// As [`Store::records`].
    pub fn export(&self) -> Result<Export, StoreError> {
        Ok(Export { format: "locket-export".into(), version: 1, records: self.records()? })
    }

    /// Appends what an export holds; all or nothing. Returns the number of records.
    ///
    /// # Errors
    /// [`StoreError::Export`] if it is another format or version.
    pub fn import(&self, export: &Export) -> Result<usize, StoreError> {
        if export.format != "locket-export" || export.version != 1 {
            return Err(StoreError::Export(format!("{} {}", export.format, export.version)));
        }
        Ok(self.append_all(&export.records)?.len())
    }

    /// Changes the host's key to `new`: everything is encrypted anew under a fresh key of the store's own, and the old key
    /// file and data are destroyed. The moment of change is one rename. If the process ends before this returns, the
    /// store opens with the old key or with the new one, whole.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the store then still has the old key.
    pub fn change_key(&mut self, new: &Key) -> Result<(), StoreError> {
        self.change_key_by_steps(new, &mut onward)
    }

    fn change_key_by_steps(&mut self, new: &Key, step: Step<'_>) -> Result<(), StoreError> {
        let generation = self.generation + 1;
        let records = self.records()?;
        let (file, made, lasting) = write_generation(&self.dir, generation, new, &records, step)?;
        (self.records, self.generation, self.sessions) = (made, generation, session_key(&file));
        let io = |source| StoreError::Io { action: "clean", path: self.dir.clone(), source };
        // Before the change lasts, the old files may be needed once more.
        lasting
            .and_then(|()| step("cleaning"))
            .and_then(|()| remove_data_but(&self.dir, Some(generation)))
            .and_then(|()| remove_sessions(&self.dir))
            .map_err(io)
    }

    /// Destroys the key, which makes everything unreadable at once, then removes the files, and the directory if
    /// nothing else is in it.
    ///
    /// # Errors
    /// [`StoreError::Io`] if a file cannot be removed.
    pub fn erase(self) -> Result<(), StoreError> {
        self.erase_by_steps(&mut onward)
    }

    fn erase_by_steps(self, step: Step<'_>) -> Result<(), StoreError> {
        let Self { dir, records, lock, .. } = self;
        drop(records);
        erase(&dir, lock, step)
    }

    /// As [`Store::erase`], without the key: for a store that is damaged or whose key is lost.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::Io`].
    pub fn erase_unopened(dir: impl AsRef<Path>) -> Result<(), StoreError> {
        let dir = dir.as_ref();
        erase(dir, lock(dir)?, &mut onward)
    }
}

fn erase(dir: &Path, lock: File, step: Step<'_>) -> Result<(), StoreError> {
    let mut work = || {
        step("the key")?;
        keyfile::destroy(&dir.join(keyfile::NAME))?;
        keyfile::destroy(&dir.join(keyfile::NEW))?;
        keyfile::sync_dir(dir)?;
        step("the data")?;
        remove_data_but(dir, None)?;
        migrate::remove(dir)?;
        remove_sessions(dir)?;
        step("the lock")?;
        remove(&dir.join(LOCK))
    };
    work().map_err(|source| StoreError::Io { action: "erase", path: dir.to_path_buf(), source })?;
    drop(lock);
    // A directory with other files in it is the app's own and stays.
    let _ = fs::remove_dir(dir);
    Ok(())
}

/// Makes the directory, for its owner alone where the system knows owners.
fn create_private(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(dir)
}

/// Takes the store's lock.
fn lock(dir: &Path) -> Result<File, StoreError> {
    let io = |source| StoreError::Io { action: "lock", path: dir.to_path_buf(), source };
    let lock = File::options().create(true).truncate(false).write(true).open(dir.join(LOCK)).map_err(io)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(dir.to_path_buf())),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

fn session_key(file: &KeyFile) -> Key {
    file.key.derive(&file.salt, "locket sessions")
}

fn cipher(file: &KeyFile) -> Cipher {
    Cipher::Sealed(file.key.derive(&file.salt, "locket records"), file.salt)
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

const DATA: (&str, &str) = ("locket-", ".redb");

fn data_name(generation: u64) -> String {
    format!("{}{generation}{}", DATA.0, DATA.1)
}

/// Writes a data file of its own with `records` under a fresh key, then puts the key file that names it in place: that is
/// the moment from which it is the store.
fn write_generation(
    dir: &Path,
    generation: u64,
    host: &Key,
    records: &[Record],
    step: Step<'_>,
) -> Result<(KeyFile, Records, io::Result<()>), StoreError> {
    let io = |source| StoreError::Io { action: "write", path: dir.to_path_buf(), source };
    let path = dir.join(data_name(generation));
    remove(&path).map_err(io)?;
    step("the data file").map_err(io)?;
    let file = KeyFile::generate(generation)?;
    let db = Database::create(&path).map_err(|e| database_error(e, dir))?;
    let made = Records::create(db, cipher(&file), dir)?;
    step("the records").map_err(io)?;
    if !records.is_empty() {
        made.append(records)?;
    }
    step("the key file").map_err(io)?;
    keyfile::sync_dir(dir).map_err(io)?;
    let lasting = file.put(host, dir)?;
    Ok((file, made, lasting))
}

/// Removes all data files but that of one generation, and half-written key files.
fn remove_data_but(dir: &Path, generation: Option<u64>) -> io::Result<()> {
    let keep = generation.map(data_name);
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        let data = name.starts_with(DATA.0) && name.ends_with(DATA.1) && keep.as_deref() != Some(name);
        if data || name == keyfile::NEW {
            remove(&dir.join(name))?;
        }
    }
    Ok(())
}

fn remove_sessions(dir: &Path) -> io::Result<()> {
    missing_is_fine(fs::remove_dir_all(dir.join(SESSIONS)))
}

fn remove(path: &Path) -> io::Result<()> {
    missing_is_fine(fs::remove_file(path))
}

fn missing_is_fine(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })
}

/// Decodes what a sealed segment could hold; what decodes must encode to bytes that mean the same.
#[cfg(fuzzing)]
pub fn fuzz_records(bytes: &[u8]) {
    if let Ok(found) = records::unpack(bytes) {
        // As bytes: a rating that is not a number equals nothing, not even itself.
        let again = records::pack(&found).expect("decoded records encode");
        let twice = records::unpack(&again).and_then(|found| records::pack(&found)).expect("encoded records decode");
        assert!(again == twice);
    }
    let _ = KeyFile::unwrap(bytes, &Key::new([7; 32]), Path::new("fuzz"));
}

#[cfg(test)]
mod crash;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
