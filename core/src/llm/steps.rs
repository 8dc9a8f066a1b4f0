//! Main loop of the decoder: start requests in free sequences, decode one batch, then advance every
//! sequence that has logits.

use std::ops::{ControlFlow, Range};

use llama_cpp_2::DecodeError;

use super::{
    Completion, Contrast, Decoder, Event, LlmError, OnEvent, Request, Token,
    contrast::Turn,
    prefill::PrefillChunks,
    slot::{Job, Kind},
};

/// Work for a sequence.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// Text to generate.
    Write(Request),
    /// A prompt, and a continuation to score after it.
    Score(Vec<Token>, Vec<Token>),
}

impl Work {
    pub(super) fn prompt(&self) -> &[Token] {
        match self {
            Self::Write(request) => &request.prompt,
            Self::Score(prompt, _) => prompt,
        }
    }

    /// Returns the contrast prompt of a text.
    pub(super) fn contrast(&self) -> Option<&Contrast> {
        match self {
            Self::Write(request) => request.contrast.as_ref(),
            Self::Score(..) => None,
        }
    }

    /// Returns the chunk boundaries of the prompt, if it is prefilled in fixed chunks.
    pub(super) fn grid(&self, size: usize) -> Option<PrefillChunks> {
        let Self::Write(Request { boundary, .. }) = self else { return None };
        boundary.map(|boundary| PrefillChunks { boundary, size })
    }
}

/// Result of finished work.
pub(super) enum Outcome {
    Written(Completion),
    Scored(Vec<f64>),
}

/// A source of work that also receives the results.
pub(super) trait WorkSource {
    /// Returns the next work, if there is any now. Called whenever a sequence is free.
    fn next(&mut self) -> Option<Work>;
    /// Receives the result of the `number`-th work, counted from 0. It may lead to more work.
    fn done(&mut self, number: usize, outcome: Outcome);
}

/// A source of work that is complete beforehand.
pub(super) struct List<I> {
    work: I,
    outcomes: Vec<Option<Outcome>>,
}

impl<I: Iterator<Item = Work>> List<I> {
    pub(super) fn new(work: I) -> Self {
        Self { work, outcomes: Vec::new() }
    }

    /// Returns all results, in order.
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

/// Maximum number of rows of logits in one batch for sequences that score. Each row takes one float
/// per token of the vocabulary.
const SCORED_ROWS: usize = 16;

/// Number of tokens that llama.cpp's attention processes together, skipping the cells that none of
/// them attends to.
const TILE: usize = 64;

/// Row number of the logits that a slot keeps after a prompt.
pub(super) const KEPT: i32 = -1;

/// A sequence and its rows of logits in the batch, for its last tokens in the cache.
pub(super) type Rows = (usize, Range<i32>);

impl Decoder<'_> {
    /// Runs the work of `supply`, as many at a time as there are sequences. The decoder stays
    /// usable after every error.
    pub(super) fn work(&mut self, supply: &mut dyn WorkSource, on_event: OnEvent<'_>) -> Result<(), LlmError> {
        self.read_last = false;
        let result = self.steps(supply, on_event);
        // Even after an error, no slot keeps half a request. Decoded tokens stay reusable.
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
                // Some sequences are free now.
                continue;
            }
            let rows = match self.kept_logits() {
                Some(rows) => rows,
                None => self.decode_pending()?,
            };
            if rows.is_empty() {
                // A long prompt too can be cancelled, or yield to other work.
                let request = self.slots.iter().find_map(|s| s.job.as_ref()).map_or(0, |job| job.number);
                if on_event(Event { request, phase: 0, text: "" }).is_break() {
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

    /// Advances one sequence by its row of logits, or by all of its rows if it scores. Returns the
    /// result of finished work.
    fn advance(&mut self, turn: &Turn, job: &mut Job, on_event: OnEvent<'_>) -> Result<Option<Outcome>, LlmError> {
        let (n, number) = (turn.slot, job.number);
        let writer = match &mut job.kind {
            Kind::Score(scorer) => {
                for row in turn.rows.clone() {
                    scorer.step(self.context.get_logits_ith(row));
                }
                if on_event(Event { request: number, phase: 0, text: "" }).is_break() {
                    return Err(LlmError::Cancelled);
                }
                return Ok(scorer.finish().map(Outcome::Scored));
            }
            Kind::Write(writer) => writer,
            Kind::ContrastBranch(_) => return Ok(None),
        };
        let mut go_on = ControlFlow::Continue(());
        let against = turn.against.zip(writer.beside).map(|(row, beside)| self.logits(beside.slot, row));
        let next = writer.step(self.model, self.logits(n, turn.rows.start), against, &mut |phase, text| {
            if go_on.is_continue() {
                go_on = on_event(Event { request: number, phase, text });
            }
        })?;
        self.usage.written += 1;
        // Allows cancellation even if a token added no text.
        if go_on.is_continue() && !next.is_empty() {
            go_on = on_event(Event { request: number, phase: writer.phase(), text: "" });
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

    /// Ends every text with a passed deadline. Returns whether there were any.
    fn finish_late(&mut self, supply: &mut dyn WorkSource, on_event: OnEvent<'_>) -> bool {
        let mut any = false;
        for n in 0..self.slots.len() {
            let late = self.slots[n].job.take_if(|job| matches!(&job.kind, Kind::Write(writer) if writer.late()));
            let Some(job) = late else { continue };
            self.slots[n].stop();
            self.free_beside(&job);
            let Job { number, kind: Kind::Write(mut writer) } = job else { continue };
            // The text has ended, so a break has no effect.
            writer.expire(&mut |phase, text| {
                let _ = on_event(Event { request: number, phase, text });
            });
            supply.done(number, Outcome::Written(writer.finish()));
            any = true;
        }
        any
    }

    /// Drops the tokens after the first `keep` from a sequence's cache.
    pub(super) fn drop_behind(&mut self, n: usize, keep: usize) -> Result<(), LlmError> {
        if keep < self.slots[n].cached.len() {
            let from = Some(keep as u32);
            self.context.kv_cache_seq_rm(n as i32, from, None).map_err(|e| LlmError::Decode(e.to_string()))?;
            self.slots[n].truncate(keep);
        }
        Ok(())
    }

    /// Decodes up to one batch of pending tokens. Returns the rows of logits of every slot that has
    /// any.
    fn decode_pending(&mut self) -> Result<Vec<Rows>, LlmError> {
        self.batch.clear();
        let mut rows = Vec::new();
        let mut taken = Vec::new();
        let mut room = self.options.batch();
        let mut order: Vec<usize> =
            (0..self.slots.len()).filter(|&n| self.may_go(n) && !self.slots[n].pending.is_empty()).collect();
        // Decode and prefill take turns. In a mixed batch, attention scans the cells of all
        // sequences for every token of the prompt. Small batches are processed token by token, and
        // there both together are faster.
        let reads = |n: &usize| self.slots[*n].wanted > 0;
        if room >= TILE && order.iter().any(|n| reads(n) != self.read_last) {
            order.retain(|n| reads(n) != self.read_last);
        }
        self.read_last = order.first().is_some_and(reads);
        // Slots that need one token go first: prefill must not hold up running texts. A text goes
        // before its contrast branch, regardless of their slots, because the order in the cache
        // changes the rounding of sums.
        order.sort_by_key(|&n| (self.slots[n].wanted > 0, self.slots[n].beside()));
        let mut scored = SCORED_ROWS;
        for n in order {
            let slot = &self.slots[n];
            let mut count = slot.pending.len().min(room).min(slot.chunk_size());
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

    /// Returns the rows of the slots that need no prefill, if there are any.
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
                // Idle slots keep their caches only while there is room.
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
