//! Contrastive decoding of a text against a second prompt.
//!
//! Context-aware decoding (Shi et al., arXiv 2305.14739). Let `l` be the logits after the full
//! prompt, and `l'` those after a prompt without the context to emphasize. The sampler chooses the
//! next token from `l + w (l - l')`. Both prompts continue with the same tokens, in two sequences
//! of one decoder. If one prompt takes longer to prefill, the other sequence waits.

use std::ops::Range;

use super::{
    Decoder, Token,
    slot::{Job, Kind},
    steps::{KEPT, Rows},
};

/// Contrast prompt and weight of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Contrast {
    /// Tokens of the contrast prompt.
    pub prompt: Vec<Token>,
    /// Weight of the difference between the two rows of logits: alpha in the paper. 0 leaves the
    /// text unchanged.
    pub weight: f32,
}

/// Contrast branch: the sequence that decodes the contrast prompt.
#[derive(Debug, Clone, Copy)]
pub(super) struct ContrastBranch {
    /// Index of the branch's sequence.
    pub(super) slot: usize,
    pub(super) weight: f32,
}

/// Row number of the logits that a slot holds until those of the other prompt exist.
pub(super) const HELD: i32 = -2;

/// Writes the contrasted logits, `l + weight (l - other)`, to `out`.
pub(super) fn weigh(logits: &[f32], against: &[f32], weight: f32, out: &mut Vec<f32>) {
    out.clear();
    out.extend(logits.iter().zip(against).map(|(l, other)| l + weight * (l - other)));
}

/// A sequence that can continue: its rows of logits, and the row of its contrast branch.
pub(super) struct Turn {
    pub(super) slot: usize,
    pub(super) rows: Range<i32>,
    pub(super) against: Option<i32>,
}

impl Decoder<'_> {
    /// Returns the sequence that can continue, now that sequence `n` has `rows`. Returns `None`
    /// while a row of the pair is missing. If `all` has rows for both sequences of the pair, only
    /// the first of them returns the turn.
    pub(super) fn turn(&mut self, n: usize, rows: Range<i32>, all: &[Rows]) -> Option<Turn> {
        let Some((writer, beside)) = self.pair(n) else { return Some(Turn { slot: n, rows, against: None }) };
        let row = |n: usize| {
            let fresh = all.iter().find(|(slot, _)| *slot == n).map(|(_, rows)| rows.start);
            fresh.or(self.slots[n].held.is_some().then_some(HELD))
        };
        if let (Some(row), Some(against)) = (row(writer), row(beside)) {
            let first = all.iter().find(|(slot, _)| *slot == writer || *slot == beside)?.0;
            return (first == n).then(|| Turn { slot: writer, rows: row..row + 1, against: Some(against) });
        }
        self.slots[n].held = Some(self.logits(n, rows.start).to_vec());
        None
    }

    /// Returns the writing sequence and its contrast branch, if `n` is one of such a pair.
    fn pair(&self, n: usize) -> Option<(usize, usize)> {
        match &self.slots[n].job.as_ref()?.kind {
            Kind::Write(writer) => writer.beside.map(|beside| (n, beside.slot)),
            Kind::ContrastBranch(writer) => Some((*writer, n)),
            Kind::Score(_) => None,
        }
    }

    /// Whether the pending tokens of sequence `n` may be decoded now. If both prompts are prefilled
    /// in chunks, the text's own prompt goes first and alone. In one call with the other prompt,
    /// its sums would be rounded differently.
    pub(super) fn may_go(&self, n: usize) -> bool {
        match self.slots[n].job.as_ref().map(|job| &job.kind) {
            None => false,
            Some(Kind::ContrastBranch(writer)) => {
                let writer = &self.slots[*writer];
                writer.pending.is_empty() || writer.cached.len() >= writer.end
            }
            Some(_) => true,
        }
    }

    /// Returns a row of logits of sequence `n`.
    pub(super) fn logits(&self, n: usize, row: i32) -> &[f32] {
        let slot = &self.slots[n];
        let own = match row {
            KEPT => slot.read.logits.as_deref(),
            HELD => slot.held.as_deref(),
            _ => None,
        };
        own.unwrap_or_else(|| self.context.get_logits_ith(row))
    }

    /// Queues the pending tokens of `writer` in its contrast branch too.
    pub(super) fn follow(&mut self, writer: usize, beside: usize) {
        self.slots[writer].held = None;
        let (pending, wanted) = (self.slots[writer].pending.clone(), self.slots[writer].wanted);
        let slot = &mut self.slots[beside];
        (slot.held, slot.pending, slot.wanted) = (None, pending, wanted);
    }

    /// Frees the contrast branch of a finished text.
    pub(super) fn free_beside(&mut self, job: &Job) {
        if let Kind::Write(writer) = &job.kind
            && let Some(ContrastBranch { slot, .. }) = writer.beside
        {
            self.slots[slot].stop();
        }
    }
}
