//! The key file: the store's own random key, wrapped by the host's key.
//!
//! The file determines the store's data file. It is written under another name, synced and renamed,
//! so at any time it is the old file or the new one, complete. A key change is one rename.
//! Destroying its 124 bytes makes the data unreadable, even with the host's key.
//!
//! ```text
//! 0   magic "LOCKETK", version 1            8
//! 8   generation, the number of the data file (little-endian)   8
//! 16  salt of the store, random             16
//! 32  check value of the host's key         16
//! 48  nonce, wrapped key, tag               24 + 32 + 16, associated data: bytes 0 to 48
//! 120 CRC-32 of bytes 0 to 120              4
//! ```

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use super::StoreError;
use crate::crypto::{self, Key};

/// Name of the key file in the store's directory.
pub(super) const NAME: &str = "locket.key";
/// Name of the key file while it is written.
pub(super) const NEW: &str = "locket.key.new";
/// First bytes of a key file that was overwritten by an erasure. The next opening removes the rest
/// of the store.
const ERASED: &[u8; 14] = b"locket: erased";
const MAGIC: &[u8; 7] = b"LOCKETK";
const VERSION: u8 = 1;
const LENGTH: usize = 124;
const WRAPPED: std::ops::Range<usize> = 48..120;

/// The content of the key file.
#[derive(Clone)]
pub(super) struct KeyFile {
    /// The number of the data file.
    pub(super) generation: u64,
    /// Random and public: makes subkeys of different stores differ.
    pub(super) salt: [u8; 16],
    /// The store's own key.
    pub(super) key: Key,
}

impl KeyFile {
    /// Generates a fresh key for a data file.
    pub(super) fn generate(generation: u64) -> Result<Self, StoreError> {
        Ok(Self { generation, salt: crypto::random()?, key: Key::generate()? })
    }

    /// Returns the file's bytes, with the key wrapped by `host`.
    pub(super) fn wrap(&self, host: &Key) -> Result<Vec<u8>, StoreError> {
        let mut out = Vec::with_capacity(LENGTH);
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&check_value(host, &self.salt));
        let wrapped = crypto::seal(&host.derive(&self.salt, "locket key file: wrap"), &out, self.key.as_bytes())?;
        out.extend_from_slice(&wrapped);
        out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
        Ok(out)
    }

    /// Parses the file's bytes and unwraps the key with `host`.
    pub(super) fn unwrap(bytes: &[u8], host: &Key, dir: &Path) -> Result<Self, StoreError> {
        let damaged = |what| StoreError::Damaged { path: dir.to_path_buf(), what };
        if bytes.len() >= 8 && bytes.starts_with(MAGIC) && bytes[7] > VERSION {
            return Err(StoreError::Layout(u64::from(bytes[7]) + 1));
        }
        if bytes.len() != LENGTH || !bytes.starts_with(MAGIC) || bytes[7] != VERSION {
            return Err(damaged("its key file is none"));
        }
        let (body, crc) = bytes.split_at(LENGTH - 4);
        if crc32fast::hash(body).to_le_bytes() != crc {
            return Err(damaged("its key file has changed"));
        }
        let mut generation = [0; 8];
        generation.copy_from_slice(&bytes[8..16]);
        let mut salt = [0; 16];
        salt.copy_from_slice(&bytes[16..32]);
        if check_value(host, &salt) != bytes[32..48] {
            return Err(StoreError::WrongKey(dir.to_path_buf()));
        }
        let wrap = host.derive(&salt, "locket key file: wrap");
        let key =
            crypto::open(&wrap, &bytes[..48], &bytes[WRAPPED]).ok_or(damaged("its key file was tampered with"))?;
        Ok(Self { generation: u64::from_le_bytes(generation), salt, key: Key::try_from(&key[..])? })
    }

    /// Puts the file in place atomically. `Ok` means that the change has happened.
    ///
    /// The inner result is `Ok` if the change also survives a power cut. Only then is the replaced
    /// file overwritten.
    pub(super) fn put(&self, host: &Key, dir: &Path) -> Result<io::Result<()>, StoreError> {
        let io = |source| StoreError::Io { action: "write the key of", path: dir.to_path_buf(), source };
        let (new, place) = (dir.join(NEW), dir.join(NAME));
        let mut file = File::create(&new).map_err(io)?;
        file.write_all(&self.wrap(host)?).and_then(|()| file.sync_all()).map_err(io)?;
        // The rename removes this name; the handle stays valid.
        let old = OpenOptions::new().write(true).open(&place).ok();
        fs::rename(&new, &place).map_err(io)?;
        let lasting = sync_dir(dir);
        if let (Ok(()), Some(old)) = (&lasting, old) {
            // The change is complete; a failure to wipe the old bytes does not undo it.
            let _ = wipe(old);
        }
        Ok(lasting)
    }
}

/// Distinguishes a wrong key from a damaged file; reveals nothing else about the key.
fn check_value(host: &Key, salt: &[u8]) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&host.derive(salt, "locket key file: check").as_bytes()[..16]);
    out
}

/// Overwrites a file in place, as far as the storage allows it.
pub(super) fn wipe(mut file: File) -> io::Result<()> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(0))?;
    io::copy(&mut io::repeat(0).take(length), &mut file)?;
    file.sync_all()
}

/// Returns whether these are the bytes of an erased store's key file.
pub(super) fn is_erased(bytes: &[u8]) -> bool {
    bytes.starts_with(ERASED)
}

/// Overwrites the key file in place, under its name, to distinguish an interrupted erasure from a
/// moved key file.
pub(super) fn erase(dir: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().write(true).open(dir.join(NAME)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(LENGTH).clamp(ERASED.len(), 1 << 16);
    let mut bytes = vec![0; length];
    bytes[..ERASED.len()].copy_from_slice(ERASED);
    file.write_all(&bytes)?;
    file.sync_all()
}

/// Overwrites and removes a file; does nothing if there is none.
pub(super) fn destroy(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).open(path) {
        Ok(file) => {
            wipe(file)?;
            fs::remove_file(path)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

/// Makes renames and removals in `dir` durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    // Windows cannot sync a directory handle; NTFS journals names itself.
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}
