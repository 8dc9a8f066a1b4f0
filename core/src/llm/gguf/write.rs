//! A file with one metadata entry more.

use super::{GgufError, parse};

/// The file `bytes` with an array of 32-bit floats under `key`, in the place of what stood there; everything else as it is.
///
/// # Errors
/// [`GgufError`] if the file is none that can be read.
pub fn with_floats(bytes: &[u8], key: &str, values: &[f32]) -> Result<Vec<u8>, GgufError> {
    const ARRAY: u32 = 9;
    const FLOAT: u32 = 6;
    let gguf = parse(bytes)?;
    let others: Vec<&[u8]> = gguf.raw_entries.iter().filter(|(name, _)| *name != key).map(|(_, raw)| *raw).collect();
    // Magic, version and the number of tensors.
    let mut out = bytes[..16].to_vec();
    out.extend((others.len() as u64 + 1).to_le_bytes());
    others.iter().for_each(|raw| out.extend_from_slice(raw));
    out.extend((key.len() as u64).to_le_bytes());
    out.extend(key.bytes());
    out.extend(ARRAY.to_le_bytes());
    out.extend(FLOAT.to_le_bytes());
    out.extend((values.len() as u64).to_le_bytes());
    out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    out.extend_from_slice(gguf.raw_list);
    out.resize(out.len().next_multiple_of(gguf.alignment()? as usize), 0);
    out.extend_from_slice(bytes.get(gguf.data as usize..).unwrap_or_default());
    Ok(out)
}
