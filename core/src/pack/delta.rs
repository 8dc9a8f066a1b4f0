//! Signed differences between two packs, so that an app updates its pack by megabytes.
//!
//! ```text
//! offset  size  content
//!      0     8  magic "LOCKDELT"
//!      8     4  version (u32, little-endian like all numbers here)
//!     12     4  number of stretches n
//!     16    40  the old pack: length u64, SHA-256
//!     56    40  the new pack: length u64, SHA-256
//!     96    32  SHA-256 of all bytes after the signature
//!    128    64  Ed25519 signature (RFC 8032) of the bytes before it
//!    192  32*n  stretches: begin and end in the old pack, length in the new one, length here (u64)
//!    ...        for each stretch a Zstandard frame, with the old pack's stretch as its prefix
//! ```
//!
//! A stretch is a section with the padding after it. Building and applying a delta therefore need
//! the memory of one section only, and each section is compared with its old version.

use std::{
    io::{self, Read, Write},
    ops::Range,
    path::Path,
};

use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

use super::format;
use crate::{
    OnProgress, Progress,
    output::{self, OutputError},
    sys::Mapped,
    text::hex,
};

pub const MAGIC: &[u8; 8] = b"LOCKDELT";
pub const VERSION: u32 = 1;
/// Length of the signed bytes, and offset of the signature.
pub const SIGNED: usize = 128;
pub const HEADER: usize = SIGNED + 64;
pub const STRETCH: usize = 32;
/// Maximum number of stretches: a section table is never longer. Limits the allocation for a
/// hostile file.
const MOST_STRETCHES: usize = format::SECTIONS + 1;
/// Number of bytes copied between two cancellation checks.
const CHUNK: usize = 1 << 20;

/// The reason why a delta was refused. The old pack is unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeltaError {
    /// The output path must not be replaced.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The file cannot be read or written.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// The attempted action.
        action: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is not a delta, or its version differs.
    #[error("not a delta of packs, or one of another version: make it with this version")]
    NotADelta,
    /// The given bytes are not a valid public key.
    #[error("this is not a public key: give the 32 bytes of the signing key's public half")]
    Key,
    /// The signature was not made with this key.
    #[error("the delta's signature is not by this key: it was changed, or made by somebody else")]
    Signature,
    /// The contents differ from the signed ones. Fetch the delta again.
    #[error("the delta is damaged: {0}; fetch it again")]
    Damaged(&'static str),
    /// The delta was made from another pack.
    #[error("the delta is for another pack: this one is {have}, it is for {want}")]
    OtherPack {
        /// SHA-256 of the given pack.
        have: String,
        /// SHA-256 of the pack that the delta was made from.
        want: String,
    },
}

/// The result of an applied delta.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DeltaReport {
    /// Length of the old pack.
    pub old_bytes: u64,
    /// Length of the new pack.
    pub new_bytes: u64,
    /// Length of the delta.
    pub delta_bytes: u64,
    /// SHA-256 of the new pack.
    pub new_sha256: String,
}

/// One stretch in both packs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    pub old: Range<u64>,
    pub new_len: u64,
    /// Length of its frame in the delta.
    pub here: u64,
}

struct Header {
    old: (u64, [u8; 32]),
    new: (u64, [u8; 32]),
    contents: [u8; 32],
    stretches: usize,
}

pub fn io_error(action: &'static str, path: &Path) -> impl Fn(io::Error) -> DeltaError {
    move |source| DeltaError::Io { action, path: path.to_path_buf(), source }
}

pub fn digest(bytes: &Mapped) -> [u8; 32] {
    let mut digest = Sha256::new();
    for begin in (0..bytes.len()).step_by(8 * CHUNK) {
        let end = bytes.len().min(begin + 8 * CHUNK);
        digest.update(&bytes[begin..end]);
        bytes.release(begin..end);
    }
    digest.finalize().into()
}

/// Applies a delta to `pack` and writes the new pack to `out`, which may be `pack` itself.
///
/// The delta must be signed with the private key of the public key `key`, and made from exactly
/// this pack. At every moment the file at `out` is the old one or the complete new one. An open
/// [`super::Pack`] continues to read the old one.
///
/// # Errors
/// [`DeltaError`]; [`DeltaError::Output`] if `out` is the delta or not a regular file;
/// [`DeltaError::Cancelled`] if `on_progress`, called at least once per megabyte of the new pack,
/// returns a break. On an error no file has changed.
pub fn apply(
    pack: &Path,
    delta: &Path,
    key: &[u8; 32],
    out: &Path,
    on_progress: OnProgress<'_>,
) -> Result<DeltaReport, DeltaError> {
    let delta_map = Mapped::open(delta).map_err(io_error("read", delta))?;
    let header = Header::read(&delta_map, key)?;
    let stretches = header.stretches(&delta_map)?;
    let old = Mapped::open(pack).map_err(io_error("read", pack))?;
    let have = digest(&old);
    if (old.len() as u64, have) != header.old {
        let (have, want) = (hex(&have), hex(&header.old.1));
        return Err(DeltaError::OtherPack { have, want });
    }
    let target = &output::target(out, [delta])?;
    let written = io_error("write", out);
    let mut file = output::scratch(target).map_err(&written)?;
    let mut made = Sha256::new();
    let mut at = HEADER + stretches.len() * STRETCH;
    let mut buffer = vec![0; CHUNK];
    let mut done = 0;
    for stretch in &stretches {
        let frame = &delta_map[at..at + stretch.here as usize];
        at += stretch.here as usize;
        let from = &old[stretch.old.start as usize..stretch.old.end as usize];
        let frames = zstd::stream::read::Decoder::with_ref_prefix(frame, from);
        let mut decoder = frames.map_err(|_| DeltaError::Damaged("a frame does not begin"))?;
        decoder.window_log_max(window(from.len() as u64 + stretch.new_len)).map_err(&written)?;
        let mut left = stretch.new_len;
        loop {
            if on_progress(Progress { done, total: header.new.0 }).is_break() {
                return Err(DeltaError::Cancelled);
            }
            let n = decoder.read(&mut buffer).map_err(|_| DeltaError::Damaged("a frame cannot be read"))?;
            left = left.checked_sub(n as u64).ok_or(DeltaError::Damaged("a frame is too long"))?;
            if n == 0 {
                break;
            }
            made.update(&buffer[..n]);
            done += n as u64;
            file.write_all(&buffer[..n]).map_err(&written)?;
        }
        if left > 0 {
            return Err(DeltaError::Damaged("a frame is too short"));
        }
    }
    let made: [u8; 32] = made.finalize().into();
    if made != header.new.1 {
        return Err(DeltaError::Damaged("it does not make the pack that it names"));
    }
    output::keep(file, target).map_err(&written)?;
    Ok(DeltaReport {
        old_bytes: header.old.0,
        new_bytes: header.new.0,
        delta_bytes: delta_map.len() as u64,
        new_sha256: hex(&made),
    })
}

impl Header {
    /// Reads the header and checks the signature and all signed contents.
    fn read(bytes: &[u8], key: &[u8; 32]) -> Result<Self, DeltaError> {
        let key = VerifyingKey::from_bytes(key).map_err(|_| DeltaError::Key)?;
        if bytes.len() < HEADER || &bytes[..8] != MAGIC || bytes[8..12] != VERSION.to_le_bytes() {
            return Err(DeltaError::NotADelta);
        }
        let signature = Signature::from_slice(&bytes[SIGNED..HEADER]).map_err(|_| DeltaError::Signature)?;
        key.verify_strict(&bytes[..SIGNED], &signature).map_err(|_| DeltaError::Signature)?;
        let pack = |at: usize| (u64_at(bytes, at), digest_at(bytes, at + 8));
        let stretches = u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]) as usize;
        let header = Self { old: pack(16), new: pack(56), contents: digest_at(bytes, 96), stretches };
        let contents: [u8; 32] = Sha256::digest(&bytes[HEADER..]).into();
        if contents != header.contents {
            return Err(DeltaError::Damaged("its contents are not those that were signed"));
        }
        Ok(header)
    }

    /// Returns the stretches, which must lie within both files: a signed file may still be faulty.
    fn stretches(&self, bytes: &[u8]) -> Result<Vec<Stretch>, DeltaError> {
        let wrong = DeltaError::Damaged("its stretches lie outside the files");
        if self.stretches > MOST_STRETCHES || bytes.len() < HEADER + self.stretches * STRETCH {
            return Err(wrong);
        }
        let one = |n: usize| {
            let field = |k: usize| u64_at(bytes, HEADER + n * STRETCH + 8 * k);
            Stretch { old: field(0)..field(1), new_len: field(2), here: field(3) }
        };
        let all: Vec<Stretch> = (0..self.stretches).map(one).collect();
        let sum = |f: fn(&Stretch) -> u64| all.iter().try_fold(0u64, |sum, s| sum.checked_add(f(s)));
        let rest = (bytes.len() - HEADER - self.stretches * STRETCH) as u64;
        let inside = all.iter().all(|s| s.old.start <= s.old.end && s.old.end <= self.old.0);
        if inside && sum(|s| s.here) == Some(rest) && sum(|s| s.new_len) == Some(self.new.0) {
            Ok(all)
        } else {
            Err(wrong)
        }
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or_default()
}

fn digest_at(bytes: &[u8], at: usize) -> [u8; 32] {
    bytes[at..at + 32].try_into().unwrap_or_default()
}

/// Returns the base-2 logarithm of a window over `bytes`, within zstd's range of 10 to 31.
pub fn window(bytes: u64) -> u32 {
    (u64::BITS - bytes.leading_zeros()).clamp(10, 31)
}
