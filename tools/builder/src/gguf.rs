//! Encodes the parts of a GGUF file as bytes.

use locket::internals::llm::gguf::{
    GgufError, Tensor, parse,
    parse::{ARRAY, F32},
};

/// A GGUF string: its length, then its bytes.
pub(crate) fn text(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes(), bytes].concat()
}

/// An array value of `count` elements of type `kind`.
pub(crate) fn array(kind: u32, count: usize, elements: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let head = kind.to_le_bytes().into_iter().chain((count as u64).to_le_bytes());
    head.chain(elements).collect()
}

/// A metadata entry.
pub(crate) fn entry(key: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    [&text(key.as_bytes()), &kind.to_le_bytes()[..], value].concat()
}

/// Appends a tensor's entry in the tensor list, with a new shape and a new offset.
pub(crate) fn tensor(out: &mut Vec<u8>, tensor: &Tensor<'_>, shape: &[u64; 4], offset: u64) {
    out.extend(text(tensor.name.as_bytes()));
    out.extend(tensor.dimensions.to_le_bytes());
    shape[..tensor.dimensions as usize].iter().for_each(|d| out.extend(d.to_le_bytes()));
    out.extend(tensor.kind.id.to_le_bytes());
    out.extend(offset.to_le_bytes());
}

/// Returns the file `bytes` with an array of 32-bit floats under `key`. The array replaces an
/// existing value; everything else stays unchanged.
///
/// # Errors
/// [`GgufError`] if `bytes` is not a readable GGUF file.
pub fn with_floats(bytes: &[u8], key: &str, values: &[f32]) -> Result<Vec<u8>, GgufError> {
    let gguf = parse(bytes)?;
    let others: Vec<&[u8]> = gguf.raw_entries.iter().filter(|(name, _)| *name != key).map(|(_, raw)| *raw).collect();
    // Magic, version and number of tensors.
    let mut out = bytes[..16].to_vec();
    out.extend((others.len() as u64 + 1).to_le_bytes());
    others.iter().for_each(|raw| out.extend_from_slice(raw));
    out.extend(entry(key, ARRAY, &array(F32, values.len(), values.iter().flat_map(|v| v.to_le_bytes()))));
    out.extend_from_slice(gguf.raw_list);
    out.resize(out.len().next_multiple_of(gguf.alignment()? as usize), 0);
    out.extend_from_slice(bytes.get(gguf.data as usize..).unwrap_or_default());
    Ok(out)
}
