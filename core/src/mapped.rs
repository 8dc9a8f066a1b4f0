//! Memory-mapped files: the only module of the crate that contains `unsafe`.
#![allow(unsafe_code)]

use std::{fs::File, io, path::Path};

/// A read-only file in memory.
pub(crate) struct Mapped(memmap2::Mmap);

impl Mapped {
    /// Maps `path`.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the mapping is read-only and private to this process. The remaining hazard is another
        // process that truncates the file while it is mapped; packs are replaced by rename, never in
        // place, and docs/ARCHITECTURE.md states that rule for apps.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Self(map))
    }
}

impl std::ops::Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
