//! Prompts read in the same pieces whatever stands in the cache.
//!
//! llama.cpp's kernels round differently for different numbers of tokens in one call (on a 4-bit model by up to a third in a
//! token's log-probability), so what a prompt leaves in the KV cache depends on how it was split. A prompt with a
//! [`super::Request::boundary`] is split at fixed places, and only whole pieces of an earlier prompt are taken over: the answer is
//! then that of an empty cache.

/// Most tokens of a piece. What a piece has lost at a changed history is read again; smaller pieces read a little slower.
pub(super) const PIECE: usize = 64;

/// Where a prompt is split: every so many tokens, at the boundary, and from there every so many again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PrefillChunks {
    pub(super) boundary: usize,
    pub(super) piece: usize,
}

impl PrefillChunks {
    /// The last split at or before `at`.
    fn before(self, at: usize) -> usize {
        let begin = if at < self.boundary { 0 } else { self.boundary };
        begin + (at - begin) / self.piece * self.piece
    }

    /// The first split behind `at`.
    pub(super) fn after(self, at: usize) -> usize {
        let next = self.before(at) + self.piece;
        if at < self.boundary { next.min(self.boundary) } else { next }
    }
}

/// What a cache holds of a prompt that was read in pieces.
#[derive(Debug, Clone, Default)]
pub(super) struct Read {
    pub(super) grid: Option<PrefillChunks>,
    /// How many of the cache's tokens were read so. What stands behind them was not, or was written.
    pub(super) tokens: usize,
    /// The logits behind the last of them, if that was the prompt's last: the same prompt needs no reading then.
    pub(super) logits: Option<Vec<f32>>,
}

impl Read {
    /// How many tokens of a prompt that is split by `grid` and has `common` tokens in common with what was read need not be read.
    pub(super) fn usable(&self, grid: PrefillChunks, common: usize) -> usize {
        match self.grid {
            Some(old) if old == grid => grid.before(common),
            // In front of both boundaries both are split alike.
            Some(old) if old.piece == grid.piece => {
                common.min(old.boundary).min(grid.boundary) / grid.piece * grid.piece
            }
            _ => 0,
        }
    }

    /// Only the first `keep` tokens of the cache are left.
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
        PrefillChunks { boundary, piece: 64 }
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
    fn only_whole_pieces_are_taken_over() {
        let read = Read { grid: Some(grid(150)), tokens: 230, logits: Some(Vec::new()) };
        assert_eq!(read.usable(grid(150), 230), 214);
        assert_eq!(read.usable(grid(150), 149), 128);
        assert_eq!(read.usable(grid(150), 150), 150);
        // Another history: the piece in front of a boundary is a whole one for neither.
        assert_eq!(read.usable(grid(180), 170), 128);
        assert_eq!(read.usable(grid(100), 100), 64);
        assert_eq!(read.usable(PrefillChunks { boundary: 150, piece: 32 }, 230), 0);
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
