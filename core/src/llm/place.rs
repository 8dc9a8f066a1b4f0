//! Slot selection: a prompt goes to the sequence with the longest reusable prefix in its cache.

use super::{
    Contrast, Decoder, LlmError, Token, common_prefix,
    contrast::ContrastBranch,
    prefill::PrefillChunks,
    slot::{Job, Kind, Slot},
    steps::Work,
};

impl Decoder<'_> {
    /// Assigns work to a free slot. Returns the work if it must wait for a free slot, or for a
    /// prefix that another slot is decoding.
    pub(super) fn start(&mut self, number: usize, work: Work) -> Result<Option<Work>, LlmError> {
        // The cache has room for this many texts, each with its contrast branch.
        let writes = |s: &&Slot| s.job.is_some() && !s.beside();
        if self.slots.iter().filter(writes).count() >= self.options.sequences {
            return Ok(Some(work));
        }
        let against = work.contrast().cloned();
        let grid = work.grid(self.chunk_size());
        let Some(target) = self.place(work.prompt(), grid, true)? else { return Ok(Some(work)) };
        let grid_beside = grid.map(|grid| PrefillChunks { boundary: 0, ..grid });
        if grid.is_some() && self.options.sequences == 1 {
            // The order of a sequence's cells changes the rounding of sums. With all other
            // sequences freed, it is the order of an empty cache. If both prompts equal those of
            // the previous text, both keep their cells.
            let again = self.slots[target].pending.is_empty();
            let stays = against.as_ref().zip(grid_beside).filter(|_| again);
            let goes = |slot: &Slot| stays.is_none_or(|(other, grid)| !slot.has_read(&other.prompt, grid));
            let others: Vec<usize> = (0..self.slots.len()).filter(|&n| n != target && goes(&self.slots[n])).collect();
            others.into_iter().try_for_each(|n| self.drop_behind(n, 0))?;
        }
        let slot = &mut self.slots[target];
        if let Work::Score(_, continuation) = &work {
            slot.pending.extend(&continuation[..continuation.len() - 1]);
        }
        let job = |kind| Some(Job { number, kind });
        // Marks the slot as taken while the contrast branch is placed.
        slot.job = job(Kind::ContrastBranch(target));
        let mut beside = None;
        if let Some(Contrast { prompt, weight }) = against {
            let Some(slot) = self.place(&prompt, grid_beside, false)? else {
                self.slots[target].stop();
                return Ok(Some(work));
            };
            self.slots[slot].job = job(Kind::ContrastBranch(target));
            beside = Some(ContrastBranch { slot, weight });
        }
        self.slots[target].job = Some(Job::new(self.model, number, work, beside)?);
        Ok(None)
    }

    /// Puts a prompt into a free slot and returns the slot's number. Returns `None` if the prompt
    /// must wait for a free slot. With `wait` it also waits for a prefix that another slot is
    /// decoding.
    fn place(&mut self, prompt: &[Token], grid: Option<PrefillChunks>, wait: bool) -> Result<Option<usize>, LlmError> {
        // At least the last token is decoded again for its logits, unless they were kept.
        let limit = prompt.len() - 1;
        let shared = |slot: &Slot| match grid {
            None if wait => common_prefix(slot.planned(), &prompt[..limit]),
            None => common_prefix(&slot.cached, &prompt[..limit]),
            Some(grid) if slot.has_read(prompt, grid) => prompt.len(),
            Some(grid) => {
                Some(slot.usable(&prompt[..limit], grid)).filter(|&n| wait || n <= slot.cached.len()).unwrap_or(0)
            }
        };
        let Some(source) = (0..self.slots.len()).max_by_key(|&n| shared(&self.slots[n])) else {
            return Ok(None);
        };
        let planned = shared(&self.slots[source]);
        if planned > self.slots[source].cached.len() {
            return Ok(None);
        }
        let free = |n: &usize| self.slots[*n].job.is_none();
        let target = if free(&source) {
            source
        } else {
            // The shortest cache is dropped.
            match (0..self.slots.len()).filter(free).min_by_key(|&n| self.slots[n].cached.len()) {
                Some(n) => n,
                None => return Ok(None),
            }
        };
        if target == source {
            self.drop_behind(target, planned)?;
        } else {
            self.drop_behind(target, 0)?;
            if planned > 0 {
                let (from, to, end) = (source as i32, target as i32, Some(planned as u32));
                let copied = self.context.kv_cache_seq_cp(from, to, Some(0), end);
                copied.map_err(|e| LlmError::Decode(e.to_string()))?;
                self.slots[target].cached = prompt[..planned].to_vec();
            }
        }
        self.usage.reused += planned;
        self.usage.prefilled += prompt.len() - planned;
        let slot = &mut self.slots[target];
        slot.begin(grid, planned, prompt.len());
        slot.pending = prompt[planned..].to_vec();
        slot.wanted = slot.pending.len().saturating_sub(1);
        Ok(Some(target))
    }
}
