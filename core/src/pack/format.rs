//! The bytes of a pack file, and the checks that make them safe to map.
//!
//! ```text
//! offset  size  content
//!      0     8  magic "LOCKPACK"
//!      8     4  version (u32, little-endian like all numbers here)
//!     12     4  number of sections n
//!     16     8  length of the whole file
//!     24     4  CRC-32 of the section table
//!     28     4  zero
//!     32  24*n  section table: id u32, CRC-32 u32, offset u64, length u64
//!    ...        sections, each at a multiple of 64 bytes
//! ```

use std::{
    io::{BufWriter, Seek, SeekFrom, Write},
    path::Path,
};

use super::PackError;
use crate::{output, sys::Mapped};

/// Version of the layout.
///
/// Policy: any change of meaning of an existing section increments it. A reader accepts exactly its
/// own version, since a pack ships together with the app that reads it.
pub const VERSION: u32 = 2;
pub const MAGIC: &[u8; 8] = b"LOCKPACK";
const HEADER: usize = 32;
const ENTRY: usize = 24;
const ALIGN: u64 = 64;
/// Whether to verify checksums. They detect damage, not attacks, and would stop a fuzzer.
const CHECKSUMS: bool = !cfg!(fuzzing);
/// Bytes checked at a time, to bound the resident memory.
const CHUNK: usize = 8 << 20;

#[cfg(target_endian = "big")]
compile_error!("packs are little-endian and mapped as they are");

/// The content of a section. Numbers are part of the format and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Section {
    /// [`super::Meta`] as JSON.
    Meta = 1,
    /// Ends of the item ids in `ItemIds`, `u64[items + 1]`.
    ItemIdEnds = 2,
    ItemIds = 3,
    /// Item numbers in the order of their ids, `u32[items]`.
    ItemOrder = 4,
    ItemTitleEnds = 5,
    ItemTitles = 6,
    ItemCategoryEnds = 7,
    ItemCategories = 8,
    /// User-item matrix R as CSR: row starts `u32[users + 1]`, columns `u32[edges]`.
    UserStarts = 9,
    UserItems = 10,
    /// The transpose of R as CSR: row starts `u32[items + 1]`, columns `u32[edges]`.
    ItemStarts = 11,
    ItemUsers = 12,
    /// First text of each item, `u32[items + 1]`.
    TextStarts = 13,
    /// Hash of each text's author, `u64[texts]`.
    TextAuthors = 14,
    /// Stars of each text, `u8[texts]`, 0 for none.
    TextStars = 15,
    /// Ends of title and text in `Texts`, `u64[2 * texts + 1]`.
    TextEnds = 16,
    Texts = 17,
    /// Vocabulary in byte order: ends `u64[terms + 1]` and bytes.
    TermEnds = 18,
    Terms = 19,
    /// Number of texts that contain each term, `u32[terms]`.
    TermDocuments = 20,
    /// Item-term matrix C (TF-IDF, rows of length 1) as CSR.
    ContentStarts = 21,
    ContentTerms = 22,
    ContentWeights = 23,
    /// Pruned co-interaction neighbours: row starts `u32[items + 1]`, targets `u32`, weights `u16`
    /// in 1/65535 of the row's scale, scales `f32[items]`.
    PeopleStarts = 24,
    PeopleTargets = 25,
    PeopleWeights = 26,
    PeopleScales = 27,
    /// Content neighbours, in the same form.
    AlikeStarts = 28,
    AlikeTargets = 29,
    AlikeWeights = 30,
    AlikeScales = 31,
    /// Item vectors: `i8[items * dimension]`, scales as history item and as candidate, `f32[items]`
    /// each.
    FactorRows = 32,
    FactorSources = 33,
    FactorTargets = 34,
    /// ln(1 + users / 30), `f32[items]`.
    Popularity = 35,
    /// Number of each item's category, 0 for none, `u32[items]`; empty if no item has one.
    CategoryNumbers = 36,
    /// ln(1 + users / 30) over users with at least two items, `f32[items]`.
    Returning = 37,
}

pub const SECTIONS: usize = 37;

/// Sections of the two kinds of item edges: starts, targets, weights and scales.
pub const PEOPLE: [Section; 4] =
    [Section::PeopleStarts, Section::PeopleTargets, Section::PeopleWeights, Section::PeopleScales];
pub const ALIKE: [Section; 4] =
    [Section::AlikeStarts, Section::AlikeTargets, Section::AlikeWeights, Section::AlikeScales];

/// A writer of pack files: sections one after the other, then the header.
pub struct PackWriter {
    out: BufWriter<tempfile::NamedTempFile>,
    table: Vec<(u32, u32, u64, u64)>,
    at: u64,
    crc: crc32fast::Hasher,
}

impl PackWriter {
    /// Starts a scratch file next to `path`, to be renamed to it at the end.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        let mut out = BufWriter::new(output::scratch(path)?);
        let at = (HEADER + ENTRY * SECTIONS) as u64;
        out.write_all(&vec![0; at as usize])?;
        Ok(Self { out, table: Vec::new(), at, crc: crc32fast::Hasher::new() })
    }

    /// Begins the next section.
    pub fn begin(&mut self, section: Section) -> std::io::Result<()> {
        let pad = (ALIGN - self.at % ALIGN) % ALIGN;
        self.out.write_all(&[0; ALIGN as usize][..pad as usize])?;
        self.at += pad;
        self.table.push((section as u32, 0, self.at, 0));
        self.crc = crc32fast::Hasher::new();
        Ok(())
    }

    /// Appends bytes to the current section.
    pub fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.out.write_all(bytes)?;
        self.crc.update(bytes);
        self.at += bytes.len() as u64;
        if let Some(entry) = self.table.last_mut() {
            entry.1 = self.crc.clone().finalize();
            entry.3 += bytes.len() as u64;
        }
        Ok(())
    }

    /// Writes a whole section.
    pub fn section<T: bytemuck::NoUninit>(&mut self, section: Section, values: &[T]) -> std::io::Result<()> {
        self.begin(section)?;
        self.put(bytemuck::cast_slice(values))
    }

    /// Writes the header. Returns the file, to be put in place by `output::keep`, and its length.
    pub fn finish(mut self) -> std::io::Result<(tempfile::NamedTempFile, u64)> {
        let mut table = Vec::with_capacity(ENTRY * SECTIONS);
        for (id, crc, offset, len) in &self.table {
            table.extend_from_slice(&id.to_le_bytes());
            table.extend_from_slice(&crc.to_le_bytes());
            table.extend_from_slice(&offset.to_le_bytes());
            table.extend_from_slice(&len.to_le_bytes());
        }
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&(self.table.len() as u32).to_le_bytes());
        header.extend_from_slice(&self.at.to_le_bytes());
        header.extend_from_slice(&crc32fast::hash(&table).to_le_bytes());
        header.extend_from_slice(&[0; 4]);
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header)?;
        self.out.write_all(&table)?;
        Ok((self.out.into_inner().map_err(|e| e.into_error())?, self.at))
    }
}

/// Checks magic, version, length and every checksum. Returns the (start, end) of each section by
/// id.
pub fn check(bytes: &Mapped) -> Result<[(usize, usize); SECTIONS + 1], PackError> {
    let u32_at = |at: usize| bytes[at..at + 4].try_into().map(u32::from_le_bytes).unwrap_or_default();
    let u64_at = |at: usize| bytes[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or_default();
    if bytes.len() < 8 || &bytes[..8] != MAGIC {
        return Err(PackError::NotAPack);
    }
    if bytes.len() < HEADER {
        return Err(PackError::Truncated { have: bytes.len() as u64, want: HEADER as u64 });
    }
    if u32_at(8) != VERSION {
        return Err(PackError::Version(u32_at(8)));
    }
    if u64_at(16) != bytes.len() as u64 {
        return Err(PackError::Truncated { have: bytes.len() as u64, want: u64_at(16) });
    }
    let damaged = |what: &str| PackError::Damaged(what.to_owned());
    let count = u32_at(12) as usize;
    if count != SECTIONS || bytes.len() < HEADER + ENTRY * SECTIONS {
        return Err(damaged("the section table has another size"));
    }
    if CHECKSUMS && crc32fast::hash(&bytes[HEADER..HEADER + ENTRY * SECTIONS]) != u32_at(24) {
        return Err(damaged("the section table's checksum differs"));
    }
    let mut spans = [(0, 0); SECTIONS + 1];
    for n in 0..count {
        let entry = HEADER + ENTRY * n;
        let (id, crc) = (u32_at(entry) as usize, u32_at(entry + 4));
        let (offset, len) = (u64_at(entry + 8), u64_at(entry + 16));
        let end = offset.checked_add(len).filter(|&e| e <= bytes.len() as u64);
        let Some(end) = end.filter(|_| id == n + 1 && offset % ALIGN == 0) else {
            return Err(damaged(&format!("section {id} lies outside the file")));
        };
        let span = (offset as usize, end as usize);
        let mut seen = crc32fast::Hasher::new();
        for start in (span.0..span.1).step_by(CHUNK) {
            let end = span.1.min(start + CHUNK);
            seen.update(&bytes[start..end]);
            bytes.release(start..end);
        }
        if CHECKSUMS && seen.finalize() != crc {
            return Err(damaged(&format!("section {id}: the checksum differs")));
        }
        spans[id] = span;
    }
    Ok(spans)
}
