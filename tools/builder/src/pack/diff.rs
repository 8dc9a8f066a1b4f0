//! Signed deltas between two packs, in the format of [`locket::apply_delta`].

use std::{io::Write, ops::ControlFlow, path::Path};

use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};
use zstd::{stream::write::Encoder, zstd_safe::CParameter};

use crate::Error;
use locket::{
    DeltaReport, PackError,
    internals::{
        output,
        pack::{
            delta::{MAGIC, Stretch, VERSION, digest, io_error, window},
            format::{self, Section},
        },
        sys::Mapped,
        text::hex,
    },
};

/// Compression level of zstd: packs are made seldom and sent often.
const LEVEL: i32 = 19;

/// Writes to `out` the delta from the pack `old` to the pack `new`, signed with the secret key
/// `key`. `alive` is called before every section and may stop the work; then no file remains.
/// Memory: both packs are mapped, the delta is held in memory.
///
/// # Errors
/// [`PackError`] if one of them is not a whole pack, [`locket::DeltaError::Io`],
/// [`locket::Error::Output`] if `out` is one of the packs or no regular file,
/// [`locket::Error::Cancelled`].
pub fn diff(
    old: &Path,
    new: &Path,
    key: &[u8; 32],
    out: &Path,
    mut alive: impl FnMut() -> ControlFlow<()>,
) -> Result<DeltaReport, Error> {
    let target = &output::target(out, [old, new])?;
    let open = |path: &Path| Mapped::open(path).map_err(io_error("read", path));
    let (old_pack, new_pack) = (open(old)?, open(new)?);
    let written = io_error("write", out);
    let (mut table, mut frames) = (Vec::new(), Vec::new());
    let mut begin = (0, 0);
    for (old_end, new_end) in borders(&old_pack)?.into_iter().zip(borders(&new_pack)?) {
        if alive().is_break() {
            return Err(locket::Error::Cancelled.into());
        }
        let (from, to) = (&old_pack[begin.0..old_end], &new_pack[begin.1..new_end]);
        let frame = compress(from, to).map_err(&written)?;
        let (old, here) = (begin.0 as u64..old_end as u64, frame.len() as u64);
        table.push(Stretch { old, new_len: to.len() as u64, here });
        frames.extend(frame);
        begin = (old_end, new_end);
    }
    let mut contents: Vec<u8> = table.iter().flat_map(stretch_bytes).collect();
    contents.extend(frames);
    let mut header = MAGIC.to_vec();
    header.extend(VERSION.to_le_bytes());
    header.extend((table.len() as u32).to_le_bytes());
    let new_digest = digest(&new_pack);
    for (pack, digest) in [(&old_pack, digest(&old_pack)), (&new_pack, new_digest)] {
        header.extend((pack.len() as u64).to_le_bytes());
        header.extend(digest);
    }
    header.extend(Sha256::digest(&contents));
    header.extend(SigningKey::from_bytes(key).sign(&header).to_bytes());
    let mut file = output::scratch(target).map_err(&written)?;
    file.write_all(&header).and_then(|()| file.write_all(&contents)).map_err(&written)?;
    output::keep(file, target).map_err(&written)?;
    Ok(DeltaReport {
        old_bytes: old_pack.len() as u64,
        new_bytes: new_pack.len() as u64,
        delta_bytes: (header.len() + contents.len()) as u64,
        new_sha256: hex(&new_digest),
    })
}

/// Returns the public key of a secret key (Ed25519, RFC 8032).
pub fn public_key(secret: &[u8; 32]) -> [u8; 32] {
    SigningKey::from_bytes(secret).verifying_key().to_bytes()
}

/// Returns the start offset of each section, and the pack's length.
fn borders(pack: &Mapped) -> Result<Vec<usize>, PackError> {
    let spans = format::check(pack)?;
    let mut borders: Vec<usize> = spans[Section::Meta as usize..].iter().map(|s| s.0).collect();
    borders.push(pack.len());
    if borders.is_sorted() { Ok(borders) } else { Err(PackError::Damaged("its sections lie in another order".into())) }
}

/// Compresses `to` into one frame, with `from` as reference.
fn compress(from: &[u8], to: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = Encoder::with_ref_prefix(Vec::new(), LEVEL, from)?;
    encoder.set_parameter(CParameter::EnableLongDistanceMatching(true))?;
    encoder.set_parameter(CParameter::WindowLog(window((from.len() + to.len()) as u64)))?;
    encoder.set_pledged_src_size(Some(to.len() as u64))?;
    encoder.write_all(to)?;
    encoder.finish()
}

fn stretch_bytes(stretch: &Stretch) -> impl Iterator<Item = u8> {
    [stretch.old.start, stretch.old.end, stretch.new_len, stretch.here].into_iter().flat_map(u64::to_le_bytes)
}
