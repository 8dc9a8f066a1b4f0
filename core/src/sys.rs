//! Memory-mapped files and raw KV state: the only module of the crate that contains `unsafe`.
#![allow(unsafe_code)]

use std::{fs::File, io, path::Path};

use llama_cpp_2::context::{LlamaContext, session::LlamaStateSeqFlags};

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

/// The KV state of one sequence, as llama.cpp writes it.
pub(crate) fn kv_state(context: &LlamaContext<'_>, sequence: i32) -> Vec<u8> {
    let flags = LlamaStateSeqFlags::empty();
    let mut bytes = vec![0; context.state_seq_get_size_ext(sequence, flags)];
    // SAFETY: the buffer is as long as llama.cpp has just said, and the context is not used in between.
    let written = unsafe { context.state_seq_get_data_ext(bytes.as_mut_ptr(), sequence, flags) };
    bytes.truncate(written);
    bytes
}

/// Puts a state back; false if llama.cpp does not take it.
pub(crate) fn set_kv_state(context: &mut LlamaContext<'_>, sequence: i32, bytes: &[u8]) -> bool {
    // SAFETY: the only caller passes bytes that [`kv_state`] gave for the same model, KV type and build: they come
    // out of authenticated encryption under a key that nobody else has, bound to all of these.
    unsafe { context.state_seq_set_data_ext(bytes, sequence, LlamaStateSeqFlags::empty()) }
}
