//! Texts written against what another prompt would have them say.
//!
//! Context-aware decoding (Shi et al., arXiv 2305.14739): where `l` are the logits behind a prompt and `l'` those behind one that lacks
//! what is to count, the next token is chosen by `l + w (l - l')`. Both prompts go on with the same tokens, in two sequences of
//! one decoder. One of the two waits wherever the other has a longer prompt to read.

use std::ops::Range;

use super::{
    Decoder, Token,
    slot::{Job, Kind},
    steps::{KEPT, Rows},
};

/// What a text is written against.
#[derive(Debug, Clone, PartialEq)]
pub struct Contrast {
    /// The other prompt's tokens.
    pub prompt: Vec<Token>,
    /// How much the difference between the two counts, the paper's alpha. 0 leaves the text as it is.
    pub weight: f32,
}

/// Where the other prompt goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct ContrastBranch {
    /// Its sequence.
    pub(super) slot: usize,
    pub(super) weight: f32,
}

/// The row of logits that a slot holds until the other prompt's are there.
pub(super) const HELD: i32 = -2;

/// Logits by which the next token is chosen.
pub(super) fn weigh(logits: &[f32], against: &[f32], weight: f32, out: &mut Vec<f32>) {
    out.clear();
    out.extend(logits.iter().zip(against).map(|(l, other)| l + weight * (l - other)));
}

/// A sequence whose text can go on: its rows of logits, and that of the prompt it is written against.
pub(super) struct Turn {
    pub(super) slot: usize,
    pub(super) rows: Range<i32>,
    pub(super) against: Option<i32>,
}

impl Decoder<'_> {
    /// Who can go on, now that sequence `n` has `rows`; nobody if a row is still missing, or if the other of two sequences brings it.
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

    /// The sequence that writes and the one beside it, if `n` is one of two.
    fn pair(&self, n: usize) -> Option<(usize, usize)> {
        match &self.slots[n].job.as_ref()?.kind {
            Kind::Write(writer) => writer.beside.map(|beside| (n, beside.slot)),
            Kind::ContrastBranch(writer) => Some((*writer, n)),
            Kind::Score(_) => None,
        }
    }

    /// Whether what is pending in sequence `n` may be decoded now. Of two prompts in pieces the text's own is read first, alone: in one call
    /// with the other it would be rounded in another way.
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

    /// A row of logits of sequence `n`.
    pub(super) fn logits(&self, n: usize, row: i32) -> &[f32] {
        let slot = &self.slots[n];
        let own = match row {
            KEPT => slot.read.logits.as_deref(),
            HELD => slot.held.as_deref(),
            _ => None,
        };
        own.unwrap_or_else(|| self.context.get_logits_ith(row))
    }

    /// What `writer` has written is read beside it too.
    pub(super) fn follow(&mut self, writer: usize, beside: usize) {
        self.slots[writer].held = None;
        let (pending, wanted) = (self.slots[writer].pending.clone(), self.slots[writer].wanted);
        let slot = &mut self.slots[beside];
        (slot.held, slot.pending, slot.wanted) = (None, pending, wanted);
    }

    /// Frees the sequence beside a text that is finished.
    pub(super) fn free_beside(&mut self, job: &Job) {
        if let Kind::Write(writer) = &job.kind
            && let Some(ContrastBranch { slot, .. }) = writer.beside
        {
            self.slots[slot].stop();
        }
    }
}
