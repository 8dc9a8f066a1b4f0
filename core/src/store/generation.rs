//! Generations: a store's whole content under a key of its own. Creating a store, changing its key
//! and forgetting a record each write a new one.
//!
//! The data file is written under a scratch name and synced. Then the key file of the new
//! generation replaces the old one with one rename, the moment of change. Then the data file gets
//! its name, and the old one is removed. If this is interrupted, the key file decides, and the next
//! opening finishes the remaining steps.

use std::{fs, io, path::Path};

use redb::{Database, StorageBackend, backends::InMemoryBackend};

use super::{
    Now, Step, StoreError, cipher, database_error,
    files::{self, Own, data_name, part_name},
    keyfile::{self, KeyFile},
    migrate,
    records::{Lasting, Numbered, Records},
};
use crate::crypto::Key;

/// A written generation, and whether its place survives a power cut.
pub(super) struct Made {
    pub(super) file: KeyFile,
    pub(super) records: Records,
    pub(super) lasting: io::Result<()>,
}

/// Writes `content` as a new generation under a fresh key, wrapped by `host`, and makes it current.
pub(super) fn write(
    dir: &Path,
    generation: u64,
    host: &Key,
    content: &Numbered,
    kept: &Lasting,
    step: Step<'_>,
) -> Result<Made, StoreError> {
    let io = |source| StoreError::Io { action: "write", path: dir.to_path_buf(), source };
    let (part, whole) = (dir.join(part_name(generation)), dir.join(data_name(generation)));
    files::remove(&part).map_err(io)?;
    step("the data file").map_err(io)?;
    let file = KeyFile::generate(generation)?;
    let db = Database::create(&part).map_err(|e| database_error(e, dir))?;
    let records = Records::create(db, cipher(&file), dir)?;
    step("the records").map_err(io)?;
    if kept.next_id > 0 || kept.audience.is_some() {
        records.fill(content, kept)?;
    }
    step("the key file").map_err(io)?;
    keyfile::sync_dir(dir).map_err(io)?;
    let lasting = file.put(host, dir)?;
    let named = || fs::rename(&part, &whole).and_then(|()| keyfile::sync_dir(dir));
    let lasting = lasting.and_then(|()| step("its name")).and_then(|()| named());
    Ok(Made { file, records, lasting })
}

/// Opens the data file of `file`'s generation, and finishes its rename if that was interrupted.
pub(super) fn open(dir: &Path, file: &KeyFile) -> Result<Records, StoreError> {
    let io = |source| StoreError::Io { action: "open", path: dir.to_path_buf(), source };
    let (part, whole) = (dir.join(part_name(file.generation)), dir.join(data_name(file.generation)));
    if !whole.exists() {
        if !part.exists() {
            return Err(missing(dir));
        }
        fs::rename(&part, &whole).and_then(|()| keyfile::sync_dir(dir)).map_err(io)?;
    }
    let db = Database::open(whole).map_err(|e| database_error(e, dir))?;
    Records::open(db, cipher(file), dir)
}

/// As [`open`], for read-only storage: from a copy of the data file in memory.
///
/// This works even if a process died while it wrote to the file, which redb would have to repair.
pub(super) fn open_copy(dir: &Path, file: &KeyFile) -> Result<Records, StoreError> {
    let io = |source| StoreError::Io { action: "read", path: dir.to_path_buf(), source };
    let found = [data_name(file.generation), part_name(file.generation)].map(|name| fs::read(dir.join(name)));
    let bytes = match found {
        [Ok(bytes), _] => bytes,
        [Err(e), Ok(bytes)] if e.kind() == io::ErrorKind::NotFound => bytes,
        [Err(e), _] if e.kind() == io::ErrorKind::NotFound => return Err(missing(dir)),
        [Err(e), _] => return Err(io(e)),
    };
    let memory = InMemoryBackend::new();
    let filled = memory.set_len(bytes.len() as u64).and_then(|()| memory.write(0, &bytes));
    filled.map_err(|_| StoreError::Damaged { path: dir.to_path_buf(), what: "its data file cannot be read whole" })?;
    let db = Database::builder().create_with_backend(memory).map_err(|e| database_error(e, dir))?;
    Records::open(db, cipher(file), dir)
}

fn missing(dir: &Path) -> StoreError {
    StoreError::Damaged { path: dir.to_path_buf(), what: "its data file is missing" }
}

/// Removes the remains of an interruption: incomplete files, and generations before the current
/// one.
pub(super) fn clean(dir: &Path, file: &KeyFile, records: &Records) -> Result<(), StoreError> {
    let io = |source| StoreError::Io { action: "clean", path: dir.to_path_buf(), source };
    let left = |own: Own| match own {
        Own::Data(generation) => generation < file.generation,
        Own::Part(_) => true,
    };
    files::remove(&dir.join(keyfile::NEW)).map_err(io)?;
    if files::data_files(dir).map_err(io)?.into_iter().any(left) {
        // Sessions may be sealed under an earlier generation's key.
        files::remove_sessions(dir).and_then(|()| files::remove_data(dir, left)).map_err(io)?;
    }
    if migrate::found(dir) { migrate::remove_taken(dir, &records.read()?) } else { Ok(()) }
}

/// Writes the next generation and destroys the current one: its key, then its data and derived
/// files.
pub(super) fn replace(
    dir: &Path,
    now: &mut Now,
    host: &Key,
    content: &Numbered,
    kept: &Lasting,
    step: Step<'_>,
) -> Result<(), StoreError> {
    let io = |source| StoreError::Io { action: "clean", path: dir.to_path_buf(), source };
    let old = now.generation;
    let free = |generation: &u64| !dir.join(data_name(*generation)).exists();
    let generation = (old + 1..).find(free).unwrap_or(u64::MAX);
    // Work from the old generation keeps no caches from here on.
    now.renew_lease();
    let Made { file, records, lasting } = write(dir, generation, host, content, kept, step)?;
    now.take(&file, records, host);
    // Until the change is durable, a power cut may bring the old files back into use.
    lasting
        .and_then(|()| step("cleaning"))
        .and_then(|()| files::remove_sessions(dir))
        .and_then(|()| files::remove_data(dir, |own| own == Own::Data(old)))
        .map_err(io)
}
