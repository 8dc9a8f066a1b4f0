//! The checksum of a model file, in the form that manifests and apps use.

use std::{
    fs::File,
    io::{self, Read},
    ops::ControlFlow,
    path::Path,
};

use sha2::{Digest, Sha256};

use crate::text;

/// Returns the file's SHA-256 as 64 lower-case hexadecimal digits. `progress` receives the number
/// of bytes of each chunk read. If it breaks, the result is [`io::ErrorKind::Interrupted`].
///
/// # Errors
/// Any error from reading the file, and [`io::ErrorKind::Interrupted`] after a break.
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
