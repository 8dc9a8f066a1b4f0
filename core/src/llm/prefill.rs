//! Prefill in fixed chunks, independent of the cache's contents.
//!
//! llama.cpp's kernels round differently for different numbers of tokens in one call. On a 4-bit
//! model a token's log-probability changes by up to a third. The KV state of a prompt therefore
//! depends on its split into calls. A prompt with a [`super::Request::boundary`] is split at fixed
//! places, and only whole chunks of an earlier prompt are reused. The output then equals that of an
//! empty cache.

/// Maximum number of tokens of a prefill chunk. A chunk with a changed history is prefilled again;
/// smaller chunks prefill a little slower.
pub(super) const PIECE: usize = 64;

/// Chunk boundaries of a prompt: every `size` tokens up to the prefix length `boundary`, at
/// `boundary`, and every `size` tokens from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PrefillChunks {
    pub(super) boundary: usize,
    pub(super) size: usize,
}

impl PrefillChunks {
    /// Returns the last split at or before `at`.
    fn before(self, at: usize) -> usize {
        let begin = if at < self.boundary { 0 } else { self.boundary };
        begin + (at - begin) / self.size * self.size
    }

    /// Returns the first split after `at`.
    pub(super) fn after(self, at: usize) -> usize {
        let next = self.before(at) + self.size;
        if at < self.boundary { next.min(self.boundary) } else { next }
    }
}

/// Part of a cache that was prefilled in chunks.
#[derive(Debug, Clone, Default)]
pub(super) struct Read {
    pub(super) grid: Option<PrefillChunks>,
    /// Number of cached tokens that were prefilled in chunks. Later tokens were prefilled otherwise
    /// or generated.
    pub(super) tokens: usize,
    /// Logits after the last of these tokens, if it is the prompt's last. The same prompt then
    /// needs no prefill.
    pub(super) logits: Option<Vec<f32>>,
}

impl Read {
    /// Returns the number of tokens that need no prefill, for a prompt split by `grid` that shares
    /// `common` tokens with the cached one.
    pub(super) fn usable(&self, grid: PrefillChunks, common: usize) -> usize {
        match self.grid {
            Some(old) if old == grid => grid.before(common),
            // Before the smaller prefix length, both prompts are split alike.
            Some(old) if old.size == grid.size => common.min(old.boundary).min(grid.boundary) / grid.size * grid.size,
            _ => 0,
        }
    }

    /// Keeps only the first `keep` tokens.
    pub(super) fn truncate(&mut self, keep: usize) {
        if keep < self.tokens {
            self.tokens = keep;
            self.logits = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn grid(boundary: usize) -> PrefillChunks {
        PrefillChunks { boundary, size: 64 }
    }

    #[test]
    fn splits() {
        let splits = |g: PrefillChunks| {
            std::iter::successors(Some(0), |&at| Some(g.after(at))).take_while(|&at| at <= 300).collect::<Vec<_>>()
        };
        assert_eq!(splits(grid(150)), [0, 64, 128, 150, 214, 278]);
        assert_eq!(splits(grid(128)), [0, 64, 128, 192, 256]);
        assert_eq!(splits(grid(0)), [0, 64, 128, 192, 256]);
        for at in 0..300 {
            let g = grid(150);
            assert!(g.before(at) <= at && at < g.after(at), "{at}");
            assert!(g.after(at) - g.before(at) <= 64, "{at}");
        }
    }

    #[test]
    fn only_whole_chunks_are_taken_over() {
        let read = Read { grid: Some(grid(150)), tokens: 230, logits: Some(Vec::new()) };
        assert_eq!(read.usable(grid(150), 230), 214);
        assert_eq!(read.usable(grid(150), 149), 128);
        assert_eq!(read.usable(grid(150), 150), 150);
        // With another prefix length, the chunk before either boundary is not a whole chunk of the
        // other split.
        assert_eq!(read.usable(grid(180), 170), 128);
        assert_eq!(read.usable(grid(100), 100), 64);
        assert_eq!(read.usable(PrefillChunks { boundary: 150, size: 32 }, 230), 0);
        assert_eq!(Read::default().usable(grid(150), 230), 0);
    }

    #[test]
    fn logits_are_of_the_whole() {
        let mut read = Read { grid: Some(grid(150)), tokens: 230, logits: Some(Vec::new()) };
        read.truncate(230);
        assert!(read.logits.is_some());
        read.truncate(229);
        assert_eq!((read.tokens, read.logits), (229, None));
    }
}
