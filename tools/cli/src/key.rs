//! The key of stores, in a file of the user's own, because a command line has no Keystore.

use std::{
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use anyhow::{Context, bail};
use locket::Key;

static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();

/// Sets the key file, in place of the default one.
pub fn set_file(file: Option<PathBuf>) {
    let _ = FILE.set(file);
}

/// Returns `--key-file`, else a file in the user's data directory, apart from the stores that it
/// opens.
fn file() -> anyhow::Result<PathBuf> {
    if let Some(Some(file)) = FILE.get() {
        return Ok(file.clone());
    }
    let env = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    env("XDG_DATA_HOME")
        .or_else(|| env("HOME").map(|d| d.join(".local/share")))
        .map(|d| d.join("locket/key"))
        .context("no place for the key: give --key-file, or set HOME")
}

/// Reads the key of an existing store.
pub fn read() -> anyhow::Result<Key> {
    let file = file()?;
    read_from(&file)?
        .with_context(|| format!("no key at {}: --key-file names the file with the store's key", file.display()))
}

/// Returns the key for a store that may be new: created if neither the store nor the key exists.
pub fn for_store(dir: &Path) -> anyhow::Result<Key> {
    if locket::Store::exists(dir) { read() } else { make_at(&file()?) }
}

/// Returns the key in this file, created if missing.
pub fn make_at(file: &Path) -> anyhow::Result<Key> {
    if let Some(key) = read_from(file)? {
        return Ok(key);
    }
    let failed = || format!("cannot make the key file {}", file.display());
    let dir = file.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(dir).with_context(failed)?;
    let key = Key::generate()?;
    // Readable by its owner only, and put in place whole: another process may be creating the file
    // at the same time.
    let mut new = tempfile::NamedTempFile::new_in(dir).with_context(failed)?;
    writeln!(new, "{}", locket::internals::text::hex(key.as_bytes()))
        .and_then(|()| new.as_file().sync_all())
        .with_context(failed)?;
    match new.persist_noclobber(file) {
        Ok(_) => Ok(key),
        Err(e) if e.error.kind() == ErrorKind::AlreadyExists => read_from(file)?.with_context(failed),
        Err(e) => Err(e.error).with_context(failed),
    }
}

fn read_from(file: &Path) -> anyhow::Result<Option<Key>> {
    let text = match fs::read_to_string(file) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.with_context(|| format!("cannot read the key file {}", file.display()))?,
    };
    let Some(bytes) = bytes(&text) else {
        bail!("{} is not a key file: it must hold 64 hexadecimal digits", file.display());
    };
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(file)?.permissions());
        let name = file.display();
        anyhow::ensure!(mode & 0o077 == 0, "others may read or change the key file {name}: chmod 600 '{name}'");
    }
    Ok(Some(Key::try_from(&bytes[..])?))
}

/// Parses 64 hexadecimal digits into 32 bytes.
pub fn bytes(digits: &str) -> Option<[u8; 32]> {
    let digits = digits.trim();
    let one = |n: usize| u8::from_str_radix(digits.get(2 * n..2 * n + 2)?, 16).ok();
    let all: Option<Vec<u8>> = (0..32).map(one).collect();
    all.filter(|_| digits.len() == 64)?.try_into().ok()
}

/// Reads the signing key from a file that must exist.
pub fn signing(file: &Path) -> anyhow::Result<Key> {
    read_from(file)?.with_context(|| format!("no key at {}: make one with `locket pack keys`", file.display()))
}
