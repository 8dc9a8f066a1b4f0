//! A first look at a model file before llama.cpp sees it.

use std::{fs::File, io::Read, path::Path};

use super::LlmError;

/// Most tensors and metadata entries that a header may announce.
const MAX_COUNT: u64 = 1 << 20;

/// Checks that `path` is a readable GGUF file of a known version with plausible counts, and returns its
/// length in bytes.
///
/// # Errors
/// [`LlmError::FileMissing`], [`LlmError::Io`], [`LlmError::NotGguf`].
pub fn check_gguf(path: &Path) -> Result<u64, LlmError> {
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => LlmError::FileMissing(path.to_path_buf()),
        _ => LlmError::Io { path: path.to_path_buf(), source },
    };
    let bad = |what: String| LlmError::NotGguf { path: path.to_path_buf(), what };
    let mut file = File::open(path).map_err(io)?;
    let meta = file.metadata().map_err(io)?;
    if !meta.is_file() {
        return Err(bad("not a regular file".into()));
    }
    let mut header = [0u8; 24];
    let mut have = 0;
    while have < header.len() {
        match file.read(&mut header[have..]).map_err(io)? {
            0 => break,
            n => have += n,
        }
    }
    if have < 4 || &header[..4] != b"GGUF" {
        return Err(bad(format!("it does not begin with GGUF ({} bytes)", meta.len())));
    }
    if have < header.len() {
        return Err(bad(format!("only {} bytes, the header is cut off", meta.len())));
    }
    let u64_at = |at: usize| header[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or(u64::MAX);
    let version = header[4..8].try_into().map(u32::from_le_bytes).unwrap_or(0);
    if !(2..=3).contains(&version) {
        return Err(bad(format!("version {version}, not 2 or 3")));
    }
    let (tensors, entries) = (u64_at(8), u64_at(16));
    if tensors > MAX_COUNT || entries > MAX_COUNT {
        return Err(bad(format!("it announces {tensors} tensors and {entries} metadata entries")));
    }
    Ok(meta.len())
}
