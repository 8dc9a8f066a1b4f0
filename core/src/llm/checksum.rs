//! The checksum of a model file, as manifests and apps name it.

use std::{
    fs::File,
    io::{self, Read},
    ops::ControlFlow,
    path::Path,
};

use sha2::{Digest, Sha256};

use crate::text;

/// The file's SHA-256, 64 lower-case hexadecimal digits. `progress` is told the bytes of each piece that was read; a break
/// ends with [`io::ErrorKind::Interrupted`].
///
/// # Errors
/// Whatever reading the file gives.
pub fn sha256(path: &Path, progress: &mut dyn FnMut(u64) -> ControlFlow<()>) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut sum = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut piece)?;
        if n == 0 {
            return Ok(text::hex(&sum.finalize()));
        }
        sum.update(&piece[..n]);
        if progress(n as u64).is_break() {
            return Err(io::ErrorKind::Interrupted.into());
        }
    }
}
