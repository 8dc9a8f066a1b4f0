//! Parser for the GGUF container: header, metadata, tensor list.

use std::collections::{HashMap, HashSet};

use super::{GgufError, Tensor};

/// Maximum number of metadata entries; released models have about 50.
const MAX_ENTRIES: u64 = 1 << 12;
/// Maximum number of tensors; a model of 512 layers has about 7,000.
const MAX_TENSORS: u64 = 1 << 15;
/// Maximum length of a key and of a string, in bytes. Chat templates are the longest strings, tens
/// of kB.
const MAX_KEY: u64 = 1 << 8;
const MAX_STRING: u64 = 1 << 20;
/// Maximum number of elements of an array. The largest vocabularies have 2^18 tokens and as many
/// merges.
const MAX_ARRAY: u64 = 1 << 22;
/// Maximum length of a tensor name in bytes: ggml's limit without its terminating zero byte.
const MAX_TENSOR_NAME: u64 = 63;
/// Maximum alignment in bytes. Models use 32, some 64.
const MAX_ALIGNMENT: u32 = 1 << 16;

/// A metadata array: its elements are scalars of one type, or strings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Array<'a> {
    /// GGUF type number of an element.
    kind: u32,
    count: usize,
    /// Bytes of the elements.
    bytes: &'a [u8],
}

/// A metadata value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Any unsigned integer.
    Unsigned(u64),
    /// Any signed integer.
    Signed(i64),
    /// Any float.
    Float(f64),
    /// Zero or one.
    Bool(bool),
    /// Bytes that should be UTF-8 text.
    Text(&'a [u8]),
    /// An array of values of one type.
    Array(Array<'a>),
}

/// A parsed GGUF file.
#[derive(Debug)]
pub struct Gguf<'a> {
    entries: HashMap<&'a str, (u32, Value<'a>)>,
    /// Key and bytes of each metadata entry, in the file's order. The bytes include the key and the
    /// type.
    pub raw_entries: Vec<(&'a str, &'a [u8])>,
    /// Bytes of the tensor list.
    pub raw_list: &'a [u8],
    /// Tensors in the file's order.
    pub tensors: Vec<Tensor<'a>>,
    /// Offset of the tensor data in the file, in bytes.
    pub data: u64,
    /// Size of the tensor data in bytes, including the padding between tensors.
    pub data_bytes: u64,
}

/// Returns the size in bytes of a scalar of this type number; `None` for other types.
fn scalar_size(kind: u32) -> Option<usize> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// GGUF type numbers of values.
pub const U32: u32 = 4;
pub const I32: u32 = 5;
pub const F32: u32 = 6;
const BOOL: u32 = 7;
pub const TEXT: u32 = 8;
pub const ARRAY: u32 = 9;

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: u64, part: &'static str) -> Result<&'a [u8], GgufError> {
        let n = usize::try_from(n).map_err(|_| GgufError::Truncated(part))?;
        let end = self.at.checked_add(n).ok_or(GgufError::Truncated(part))?;
        let taken = self.bytes.get(self.at..end).ok_or(GgufError::Truncated(part))?;
        self.at = end;
        Ok(taken)
    }

    fn u32(&mut self, part: &'static str) -> Result<u32, GgufError> {
        self.take(4, part).map(|b| u32::from_le_bytes(fixed(b)))
    }

    fn u64(&mut self, part: &'static str) -> Result<u64, GgufError> {
        self.take(8, part).map(|b| u64::from_le_bytes(fixed(b)))
    }

    fn text(&mut self, most: u64, part: &'static str) -> Result<&'a [u8], GgufError> {
        let length = self.u64(part)?;
        if length > most {
            return Err(GgufError::Long(length));
        }
        self.take(length, part)
    }

    fn name(&mut self, most: u64, part: &'static str) -> Result<&'a str, GgufError> {
        std::str::from_utf8(self.text(most, part)?).map_err(|_| GgufError::NotText)
    }

    fn count(&mut self, what: &'static str, most: u64) -> Result<u64, GgufError> {
        let count = self.u64("the header")?;
        if count > most { Err(GgufError::Count { what, count, most }) } else { Ok(count) }
    }

    fn value(&mut self, key: &str, kind: u32) -> Result<Value<'a>, GgufError> {
        const PART: &str = "the metadata";
        let unknown = |kind| GgufError::ValueType { key: key.to_owned(), kind };
        match kind {
            TEXT => Ok(Value::Text(self.text(MAX_STRING, PART)?)),
            ARRAY => {
                let kind = self.u32(PART)?;
                let count = self.u64(PART)?;
                if count > MAX_ARRAY {
                    return Err(GgufError::Count { what: "array elements", count, most: MAX_ARRAY });
                }
                let start = self.at;
                if kind == TEXT {
                    for _ in 0..count {
                        self.text(MAX_STRING, PART)?;
                    }
                } else {
                    let size = scalar_size(kind).ok_or_else(|| unknown(kind))? as u64;
                    let taken = self.take(count * size, PART)?;
                    // A bool other than 0 and 1 is undefined behavior in C++.
                    if kind == BOOL && taken.iter().any(|&b| b > 1) {
                        return Err(GgufError::Value { key: key.to_owned(), value: "a bool above 1".into() });
                    }
                }
                Ok(Value::Array(Array { kind, count: count as usize, bytes: &self.bytes[start..self.at] }))
            }
            _ => {
                let size = scalar_size(kind).ok_or_else(|| unknown(kind))?;
                let bytes = self.take(size as u64, PART)?;
                scalar(kind, bytes).ok_or_else(|| GgufError::Value { key: key.to_owned(), value: format!("{bytes:?}") })
            }
        }
    }
}

/// Returns the first N bytes; the caller guarantees that they exist.
fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[..N]);
    out
}

fn scalar<'a>(kind: u32, b: &[u8]) -> Option<Value<'a>> {
    Some(match kind {
        0 => Value::Unsigned(b[0].into()),
        1 => Value::Signed((b[0] as i8).into()),
        2 => Value::Unsigned(u16::from_le_bytes(fixed(b)).into()),
        3 => Value::Signed(i16::from_le_bytes(fixed(b)).into()),
        4 => Value::Unsigned(u32::from_le_bytes(fixed(b)).into()),
        5 => Value::Signed(i32::from_le_bytes(fixed(b)).into()),
        6 => Value::Float(f32::from_le_bytes(fixed(b)).into()),
        7 if b[0] > 1 => return None,
        7 => Value::Bool(b[0] == 1),
        10 => Value::Unsigned(u64::from_le_bytes(fixed(b))),
        11 => Value::Signed(i64::from_le_bytes(fixed(b))),
        12 => Value::Float(f64::from_le_bytes(fixed(b))),
        _ => return None,
    })
}

/// Parses the bytes of a whole file and applies the checks that hold for any GGUF file.
///
/// # Errors
/// [`GgufError`] names the first error.
pub fn parse(bytes: &[u8]) -> Result<Gguf<'_>, GgufError> {
    let mut r = Reader { bytes, at: 0 };
    if r.take(4, "the header").ok() != Some(b"GGUF") {
        return Err(GgufError::Magic);
    }
    let version = r.u32("the header")?;
    if !(2..=3).contains(&version) {
        return Err(GgufError::Version(version));
    }
    let tensor_count = r.count("tensors", MAX_TENSORS)?;
    let entry_count = r.count("metadata entries", MAX_ENTRIES)?;
    let (mut entries, mut raw_entries) = (HashMap::new(), Vec::new());
    for _ in 0..entry_count {
        let from = r.at;
        let key = r.name(MAX_KEY, "the metadata")?;
        let kind = r.u32("the metadata")?;
        let value = r.value(key, kind)?;
        if key.is_empty() || entries.insert(key, (kind, value)).is_some() {
            return Err(GgufError::Name(key.to_owned()));
        }
        raw_entries.push((key, &bytes[from..r.at]));
    }
    let mut gguf = Gguf { entries, raw_entries, raw_list: &[], tensors: Vec::new(), data: 0, data_bytes: 0 };
    let alignment = u64::from(gguf.alignment()?);

    let (mut names, list) = (HashSet::new(), r.at);
    for _ in 0..tensor_count {
        const PART: &str = "the tensor list";
        let name = r.name(MAX_TENSOR_NAME, PART)?;
        if name.is_empty() || !names.insert(name) {
            return Err(GgufError::Name(name.to_owned()));
        }
        let bad = |what| GgufError::Tensor { name: name.to_owned(), what };
        let count = r.u32(PART)?;
        if !(1..=4).contains(&count) {
            return Err(bad("it must have one to four dimensions of at least one"));
        }
        let mut dims = [0u64; 4];
        for d in &mut dims[..count as usize] {
            *d = r.u64(PART)?;
        }
        let kind = r.u32(PART)?;
        let tensor = Tensor::new(name, &dims[..count as usize], kind)?;
        if r.u64(PART)? != gguf.data_bytes {
            return Err(bad("its data does not follow the tensor before"));
        }
        let padded = tensor.bytes.checked_next_multiple_of(alignment);
        gguf.data_bytes = padded.and_then(|p| gguf.data_bytes.checked_add(p)).ok_or(bad("its data overflows"))?;
        gguf.tensors.push(tensor);
    }
    gguf.raw_list = &bytes[list..r.at];
    // The last tensor may lack its padding.
    let spare = gguf.tensors.last().map_or(0, |t| t.bytes.next_multiple_of(alignment) - t.bytes);
    gguf.data = (r.at as u64).next_multiple_of(alignment);
    let end = gguf.data.checked_add(gguf.data_bytes - spare).ok_or(GgufError::Truncated("the tensors' data"))?;
    if !gguf.tensors.is_empty() && end > bytes.len() as u64 {
        return Err(GgufError::Truncated("the tensors' data"));
    }
    Ok(gguf)
}

impl<'a> Gguf<'a> {
    pub fn alignment(&self) -> Result<u32, GgufError> {
        const KEY: &str = "general.alignment";
        match self.entries.get(KEY) {
            None => Ok(32),
            Some((4, Value::Unsigned(n))) if n.is_power_of_two() && *n <= MAX_ALIGNMENT.into() => Ok(*n as u32),
            Some((4, Value::Unsigned(n))) => Err(GgufError::Value { key: KEY.into(), value: n.to_string() }),
            Some(_) => Err(GgufError::Type(KEY.into())),
        }
    }

    /// Returns the value of a key.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.entries.get(key).map(|e| e.1)
    }

    /// Returns the value of a key that must be a 32-bit unsigned integer, if the key exists.
    ///
    /// # Errors
    /// [`GgufError::Type`].
    pub fn u32(&self, key: &str) -> Result<Option<u32>, GgufError> {
        match self.entries.get(key) {
            None => Ok(None),
            Some((4, Value::Unsigned(n))) => Ok(Some(*n as u32)),
            Some(_) => Err(GgufError::Type(key.to_owned())),
        }
    }

    /// Returns the value of a key that must be a string, if the key exists.
    ///
    /// # Errors
    /// [`GgufError::Type`], [`GgufError::NotText`].
    pub fn text(&self, key: &str) -> Result<Option<&'a str>, GgufError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Text(t)) => std::str::from_utf8(t).map(Some).map_err(|_| GgufError::NotText),
            Some(_) => Err(GgufError::Type(key.to_owned())),
        }
    }

    /// Returns the value of a key that must be an array, if the key exists.
    ///
    /// # Errors
    /// [`GgufError::Type`].
    pub fn array(&self, key: &str) -> Result<Option<Array<'a>>, GgufError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(a)) => Ok(Some(a)),
            Some(_) => Err(GgufError::Type(key.to_owned())),
        }
    }

    /// Returns the tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&Tensor<'a>> {
        self.tensors.iter().find(|t| t.name == name)
    }
}

impl<'a> Array<'a> {
    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether the array has no elements.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the elements of an array of strings; `None` for any other array.
    pub fn texts(&self) -> Option<impl Iterator<Item = &'a [u8]> + use<'a>> {
        let mut r = Reader { bytes: self.bytes, at: 0 };
        (self.kind == TEXT).then(|| std::iter::from_fn(move || r.text(MAX_STRING, "an array").ok()))
    }

    /// Returns the elements of an array of scalars; `None` for strings.
    pub fn scalars(&self) -> Option<impl Iterator<Item = Value<'a>> + use<'a>> {
        let kind = self.kind;
        let size = scalar_size(kind)?;
        Some(self.bytes.chunks_exact(size).filter_map(move |b| scalar(kind, b)))
    }

    /// Whether the elements have this GGUF type number, such as 5 for 32-bit integers and 6 for
    /// 32-bit floats.
    pub fn is_of(&self, kind: u32) -> bool {
        self.kind == kind
    }

    /// Returns the GGUF type number of the elements.
    pub fn kind(&self) -> u32 {
        self.kind
    }

    /// Returns the bytes of the `n`-th element. Empty for strings, and for `n` beyond the end.
    pub fn raw(&self, n: usize) -> &'a [u8] {
        let size = scalar_size(self.kind).unwrap_or_default();
        self.bytes.get(n * size..(n + 1) * size).unwrap_or_default()
    }
}
