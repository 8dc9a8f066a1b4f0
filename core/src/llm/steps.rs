//! The decoder's loop: requests into free sequences, one batch, then a step of every sequence that has logits.

use std::ops::{ControlFlow, Range};

use llama_cpp_2::DecodeError;

use super::{
    Completion, Contrast, Decoder, Event, LlmError, OnEvent, Request, Token,
    contrast::Turn,
    prefill::PrefillChunks,
    slot::{Job, Kind},
};

/// What a sequence can be given to do.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// Text to write.
    Write(Request),
    /// A continuation to score after a prompt.
    Score(Vec<Token>, Vec<Token>),
}

impl Work {
    pub(super) fn prompt(&self) -> &[Token] {
        match self {
            Self::Write(request) => &request.prompt,
            Self::Score(prompt, _) => prompt,
        }
    }

    /// The prompt that a text is written against.
    pub(super) fn contrast(&self) -> Option<&Contrast> {
        match self {
            Self::Write(request) => request.contrast.as_ref(),
            Self::Score(..) => None,
        }
    }

    /// Where the prompt is split, if it is to be read in the same pieces always.
    pub(super) fn grid(&self, piece: usize) -> Option<PrefillChunks> {
        let Self::Write(Request { boundary, .. }) = self else { return None };
        boundary.map(|boundary| PrefillChunks { boundary, piece })
    }
}

/// What came of it.
pub(super) enum Outcome {
    Written(Completion),
    Scored(Vec<f64>),
}

/// Where a decoder's work comes from and where what came of it goes.
pub(super) trait WorkSource {
    /// The next piece of work, if there is one now. Asked whenever a sequence is free.
    fn next(&mut self) -> Option<Work>;
    /// What came of the `number`-th piece of work that was given. May lead to more.
    fn done(&mut self, number: usize, outcome: Outcome);
}

/// Work that is all known beforehand.
pub(super) struct List<I> {
    work: I,
    outcomes: Vec<Option<Outcome>>,
}

impl<I: Iterator<Item = Work>> List<I> {
    pub(super) fn new(work: I) -> Self {
        Self { work, outcomes: Vec::new() }
    }

    /// What came of all of it, in order.
    pub(super) fn all<T>(self, read: impl Fn(Outcome) -> Option<T>) -> Result<Vec<T>, LlmError> {
        let all: Option<Vec<T>> = self.outcomes.into_iter().map(|o| o.and_then(&read)).collect();
        all.ok_or(LlmError::Request("a request was not finished"))
    }
}

impl<I: Iterator<Item = Work>> WorkSource for List<I> {
    fn next(&mut self) -> Option<Work> {
        let work = self.work.next()?;
        self.outcomes.push(None);
        Some(work)
    }

    fn done(&mut self, number: usize, outcome: Outcome) {
        self.outcomes[number] = Some(outcome);
    }
}

/// Most rows of logits in one batch for sequences that score: each row takes the vocabulary once more.
const SCORED_ROWS: usize = 16;

/// So many tokens llama.cpp's attention looks at together, leaving out what none of them sees.
const TILE: usize = 64;

/// The row of logits that a slot keeps behind a prompt.
pub(super) const KEPT: i32 = -1;

/// A sequence and its rows of logits in the batch, for its last tokens in the cache.
pub(super) type Rows = (usize, Range<i32>);

impl Decoder<'_> {
    /// Runs everything that `supply` gives, as many at a time as there are sequences. The decoder stays usable after every error.
    pub(super) fn work(&mut self, supply: &mut dyn WorkSource, on_event: OnEvent<'_>) -> Result<(), LlmError> {
        self.read_last = false;
        let result = self.steps(supply, on_event);
        // Whatever happened, no slot keeps half a request; tokens that were decoded stay reusable.
        for n in 0..self.slots.len() {
            self.slots[n].stop();
        }
        if matches!(result, Err(LlmError::Decode(_))) {
            self.clear();
        }
        result
    }

    fn steps(&mut self, supply: &mut dyn WorkSource, on_event: OnEvent<'_>) -> Result<(), LlmError> {
        let mut given = 0;
        let mut waiting: Option<Work> = None;
        loop {
            while self.slots.iter().any(|s| s.job.is_none()) {
                let Some(work) = waiting.take().or_else(|| supply.next()) else { break };
                if let Some(work) = self.start(given, work)? {
                    waiting = Some(work);
                    break;
                }
                given += 1;
            }
            if self.slots.iter().all(|s| s.job.is_none()) {
                return Ok(());
            }
            if self.finish_late(supply, on_event) {
                // Sequences have become free.
                continue;
            }
            let rows = match self.kept_logits() {
                Some(rows) => rows,
                None => self.decode_pending()?,
            };
            if rows.is_empty() {
                // Within a long prompt too there is a chance to stop, and for others to go first.
                let request = self.slots.iter().find_map(|s| s.job.as_ref()).map_or(0, |job| job.number);
                if on_event(Event { request, phase: 0, piece: "" }).is_break() {
                    return Err(LlmError::Cancelled);
                }
            }
            for (n, range) in &rows {
                let Some(turn) = self.turn(*n, range.clone(), &rows) else { continue };
                let Some(mut job) = self.slots[turn.slot].job.take() else { continue };
                match self.advance(&turn, &mut job, on_event)? {
                    None => self.slots[turn.slot].job = Some(job),
                    Some(outcome) => {
                        self.free_beside(&job);
                        supply.done(job.number, outcome);
                    }
                }
            }
        }
    }

    /// Steps one sequence with its row of logits, or all of its rows if it scores; returns the outcome of finished work.
    fn advance(&mut self, turn: &Turn, job: &mut Job, on_event: OnEvent<'_>) -> Result<Option<Outcome>, LlmError> {
        let (n, number) = (turn.slot, job.number);
        let writer = match &mut job.kind {
            Kind::Score(scorer) => {
                for row in turn.rows.clone() {
                    scorer.step(self.context.get_logits_ith(row));
                }
                if on_event(Event { request: number, phase: 0, piece: "" }).is_break() {
                    return Err(LlmError::Cancelled);
                }
                return Ok(scorer.finish().map(Outcome::Scored));
            }
            Kind::Write(writer) => writer,
            Kind::ContrastBranch(_) => return Ok(None),
        };
        let mut go_on = ControlFlow::Continue(());
        let against = turn.against.zip(writer.beside).map(|(row, beside)| self.logits(beside.slot, row));
        let next = writer.step(self.model, self.logits(n, turn.rows.start), against, &mut |phase, piece| {
            if go_on.is_continue() {
                go_on = on_event(Event { request: number, phase, piece });
            }
        })?;
        self.usage.written += 1;
        // A chance to stop also where a token brought no text.
        if go_on.is_continue() && !next.is_empty() {
            go_on = on_event(Event { request: number, phase: writer.phase(), piece: "" });
        }
        if go_on.is_break() {
            return Err(LlmError::Cancelled);
        }
        let slot = &mut self.slots[n];
        slot.pending = next;
        if slot.pending.is_empty() {
            slot.held = None;
            return Ok(Some(Outcome::Written(writer.finish())));
        }
        slot.wanted = slot.pending.len() - 1;
        if let Some(beside) = writer.beside {
            self.follow(n, beside.slot);
        }
        Ok(None)
    }

    /// Ends every text whose deadline has come; whether there were any.
    fn finish_late(&mut self, supply: &mut dyn WorkSource, on_event: OnEvent<'_>) -> bool {
        let mut any = false;
        for n in 0..self.slots.len() {
            let late = self.slots[n].job.take_if(|job| matches!(&job.kind, Kind::Write(writer) if writer.late()));
            let Some(job) = late else { continue };
            self.slots[n].stop();
            self.free_beside(&job);
            let Job { number, kind: Kind::Write(mut writer) } = job else { continue };
            // It has ended: there is nothing left to stop.
            writer.expire(&mut |phase, piece| {
                let _ = on_event(Event { request: number, phase, piece });
            });
            supply.done(number, Outcome::Written(writer.finish()));
            any = true;
        }
        any
    }

    /// Gives up what stands in a sequence's cache behind its first `keep` tokens.
    pub(super) fn drop_behind(&mut self, n: usize, keep: usize) -> Result<(), LlmError> {
        if keep < self.slots[n].cached.len() {
            let from = Some(keep as u32);
            self.context.kv_cache_seq_rm(n as i32, from, None).map_err(|e| LlmError::Decode(e.to_string()))?;
            self.slots[n].truncate(keep);
        }
        Ok(())
    }

    /// Decodes up to one batch of what is pending. Returns the rows of logits of every slot that has any.
    fn decode_pending(&mut self) -> Result<Vec<Rows>, LlmError> {
        self.batch.clear();
        let mut rows = Vec::new();
        let mut taken = Vec::new();
        let mut room = self.options.batch();
        let mut order: Vec<usize> =
            (0..self.slots.len()).filter(|&n| self.may_go(n) && !self.slots[n].pending.is_empty()).collect();
        // Texts and prompts take turns: in a batch of both attention would look through the cells of all sequences for every token of the
        // prompt. In small batches it goes token by token, and both together are faster.
        let reads = |n: &usize| self.slots[*n].wanted > 0;
        if room >= TILE && order.iter().any(|n| reads(n) != self.read_last) {
            order.retain(|n| reads(n) != self.read_last);
        }
        self.read_last = order.first().is_some_and(reads);
        // Slots that wait for a token go first: prefill must not hold up running texts. A text goes before the prompt beside it, whichever slots
        // they have: the order in the cache changes how sums are rounded.
        order.sort_by_key(|&n| (self.slots[n].wanted > 0, self.slots[n].beside()));
        let mut scored = SCORED_ROWS;
        for n in order {
            let slot = &self.slots[n];
            let mut count = slot.pending.len().min(room).min(slot.piece());
            if slot.job.as_ref().is_some_and(|job| matches!(job.kind, Kind::Score(_))) {
                count = count.min(slot.wanted + scored);
                scored -= count.saturating_sub(slot.wanted);
            }
            let first = self.batch.n_tokens() + slot.wanted as i32;
            for (at, &token) in slot.pending[..count].iter().enumerate() {
                let position = (slot.cached.len() + at) as i32;
                let wanted = at >= slot.wanted;
                self.batch.add(token, position, &[n as i32], wanted).map_err(|e| LlmError::Decode(e.to_string()))?;
            }
            if count > slot.wanted {
                rows.push((n, first..self.batch.n_tokens()));
            }
            taken.push((n, count));
            room -= count;
        }
        self.decode_batch()?;
        for (n, count) in taken {
            let slot = &mut self.slots[n];
            slot.cached.extend(slot.pending.drain(..count));
            if slot.reading() {
                slot.read.tokens = slot.cached.len();
                if let Some((_, row)) = rows.iter().find(|r| r.0 == n) {
                    slot.read.logits = Some(self.context.get_logits_ith(row.start).to_vec());
                }
            }
            slot.wanted = slot.wanted.saturating_sub(count);
        }
        Ok(rows)
    }

    /// The rows of the slots that need not read their prompt, if there are any.
    fn kept_logits(&self) -> Option<Vec<Rows>> {
        let kept = |n: &usize| {
            let slot = &self.slots[*n];
            slot.job.is_some() && slot.pending.is_empty() && slot.held.is_none()
        };
        let rows: Vec<Rows> = (0..self.slots.len()).filter(kept).map(|n| (n, KEPT..KEPT + 1)).collect();
        (!rows.is_empty()).then_some(rows)
    }

    pub(super) fn decode_batch(&mut self) -> Result<(), LlmError> {
        match self.compute() {
            Ok(()) => Ok(()),
            Err(DecodeError::NoKvCacheSlot) => {
                // Caches of idle slots are only kept while there is room.
                for n in (0..self.slots.len()).filter(|&n| self.slots[n].job.is_none()).collect::<Vec<_>>() {
                    let _ = self.context.kv_cache_seq_rm(n as i32, None, None);
                    self.slots[n].truncate(0);
                }
                self.compute().map_err(|e| LlmError::Decode(e.to_string()))
            }
            Err(e) => Err(LlmError::Decode(e.to_string())),
        }
    }
}
