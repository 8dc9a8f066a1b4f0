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

    /// Lets the system take back the memory of pages in `range`; they are read again when they are used. Checking a large
    /// pack must not leave all of it resident.
    pub(crate) fn release(&self, range: std::ops::Range<usize>) {
        #[cfg(unix)]
        {
            const PAGE: usize = 1 << 16;
            let (start, end) = (range.start.next_multiple_of(PAGE), range.end.min(self.0.len()) / PAGE * PAGE);
            if start < end {
                // SAFETY: the mapping is a read-only view of a file, so a dropped page comes back with the same bytes.
                // Failure costs memory only.
                let _ =
                    unsafe { self.0.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, end - start) };
            }
        }
    }
}

impl std::ops::Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
