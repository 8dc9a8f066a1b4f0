//! One sequence of a decoder: the contents of its KV cache, and its request in progress.

use std::time::Instant;

use super::{
    LlmError, Model, Phase, Token, common_prefix,
    contrast::{self, ContrastBranch},
    given::{Given, is_name},
    prefill::{PrefillChunks, Read},
    request::{Completion, OnRepeat, PhaseOutput, Request, Stop},
    steps::Work,
    symbols::too_many,
    top_k::{Sampler, log_prob},
    writing::Writing,
};

/// Work in progress.
pub(super) struct Job {
    /// Number of the work, in the order of the source.
    pub(super) number: usize,
    pub(super) kind: Kind,
}

/// Kind of work of a sequence.
pub(super) enum Kind {
    Write(Box<Writer>),
    Score(Scorer),
    /// Contrast branch of the sequence with this number.
    ContrastBranch(usize),
}

/// A text in progress.
pub(super) struct Writer {
    phases: Vec<Phase>,
    chooser: Sampler,
    current: usize,
    written: Writing,
    done: Vec<PhaseOutput>,
    deadline: Option<Instant>,
    /// Contrast branch of the text.
    pub(super) beside: Option<ContrastBranch>,
    /// Buffer for the contrasted logits, kept to reuse its memory.
    weighed: Vec<f32>,
}

/// A continuation whose tokens are being scored.
pub(super) struct Scorer {
    continuation: Vec<Token>,
    scores: Vec<f64>,
}

/// A sequence of the decoder.
#[derive(Default)]
pub(super) struct Slot {
    /// The tokens in the KV cache.
    pub(super) cached: Vec<Token>,
    /// Tokens to decode next.
    pub(super) pending: Vec<Token>,
    /// Index in `pending` of the first token with logits.
    pub(super) wanted: usize,
    /// Number of tokens of the prompt if it is prefilled in chunks; else 0.
    pub(super) end: usize,
    /// Part of the cache that was prefilled in chunks.
    pub(super) read: Read,
    /// Logits held until those of the other prompt exist.
    pub(super) held: Option<Vec<f32>>,
    /// Work in progress, if any.
    pub(super) job: Option<Job>,
}

impl Slot {
    /// Returns the tokens of the cache once everything pending is decoded.
    pub(super) fn planned(&self) -> impl Iterator<Item = &Token> {
        self.cached.iter().chain(&self.pending)
    }

    /// Whether the chunked cache and its logits are those of `prompt`, and the slot is free.
    pub(super) fn has_read(&self, prompt: &[Token], grid: PrefillChunks) -> bool {
        let Read { grid: read, tokens, logits } = &self.read;
        self.job.is_none() && logits.is_some() && *read == Some(grid) && self.cached.get(..*tokens) == Some(prompt)
    }

    /// Returns the number of tokens of `prompt`, split by `grid`, that need no prefill once this
    /// slot has prefilled its own prompt.
    pub(super) fn usable(&self, prompt: &[Token], grid: PrefillChunks) -> usize {
        let reads = if self.job.is_some() { self.end } else { 0 };
        self.read.usable(grid, common_prefix(self.planned().take(reads.max(self.read.tokens)), prompt))
    }

    /// Begins a prompt of `end` tokens; the first `planned` of them are in the cache.
    pub(super) fn begin(&mut self, grid: Option<PrefillChunks>, planned: usize, end: usize) {
        self.read.truncate(planned);
        if grid.is_some() {
            let logits = self.read.logits.take().filter(|_| planned == end);
            self.read = Read { grid, tokens: planned, logits };
        }
        self.end = if grid.is_some() { end } else { 0 };
    }

    /// Whether the cache holds only (part of) a prompt that is prefilled in chunks.
    pub(super) fn reading(&self) -> bool {
        self.cached.len() <= self.end
    }

    /// Returns the maximum number of tokens of the next call.
    pub(super) fn chunk_size(&self) -> usize {
        match self.read.grid {
            Some(grid) if self.cached.len() < self.end => grid.after(self.cached.len()) - self.cached.len(),
            _ => usize::MAX,
        }
    }

    /// Drops all but the first `keep` tokens.
    pub(super) fn truncate(&mut self, keep: usize) {
        self.cached.truncate(keep);
        self.read.truncate(keep);
    }

    /// Drops the work; decoded tokens stay reusable.
    pub(super) fn stop(&mut self) {
        (self.job, self.held) = (None, None);
        self.pending.clear();
    }

    /// Whether the slot is a contrast branch.
    pub(super) fn beside(&self) -> bool {
        self.job.as_ref().is_some_and(|job| matches!(job.kind, Kind::ContrastBranch(_)))
    }
}

impl Job {
    pub(super) fn new(
        model: &Model,
        number: usize,
        work: Work,
        beside: Option<ContrastBranch>,
    ) -> Result<Self, LlmError> {
        let kind = match work {
            Work::Write(request) => Kind::Write(Box::new(Writer::new(model, request, beside)?)),
            Work::Score(_, continuation) => Kind::Score(Scorer { continuation, scores: Vec::new() }),
        };
        Ok(Self { number, kind })
    }
}

impl Scorer {
    /// Records the log-probability of the next token, given the logits before it.
    pub(super) fn step(&mut self, logits: &[f32]) {
        if let Some(&token) = self.continuation.get(self.scores.len()) {
            self.scores.push(log_prob(logits, token));
        }
    }

    /// Returns the scores once every token has one.
    pub(super) fn finish(&mut self) -> Option<Vec<f64>> {
        (self.scores.len() == self.continuation.len()).then(|| std::mem::take(&mut self.scores))
    }
}

impl Writer {
    fn new(model: &Model, request: Request, beside: Option<ContrastBranch>) -> Result<Self, LlmError> {
        let Request { phases, deadline, .. } = request;
        let first = phases.first().ok_or(LlmError::Request("a request needs a phase"))?;
        let chooser = Sampler::new(model, first)?;
        let (written, done, weighed) = (Writing::default(), Vec::new(), Vec::new());
        let mut this = Self { phases, chooser, current: 0, written, done, deadline, beside, weighed };
        this.begin();
        Ok(this)
    }

    /// Passes the text before the phase to the no-repeat constraint.
    fn begin(&mut self) {
        let Some(Phase { no_repeat: Some(constraint), before, .. }) = self.phases.get(self.current) else { return };
        self.written.follower.push(constraint, before);
        self.written.before = before.len();
    }

    /// Returns the phase's text so far, with the text before it.
    fn so_far(&self) -> String {
        format!("{}{}", self.phases[self.current].before, self.written.so_far())
    }

    pub(super) fn phase(&self) -> usize {
        self.current
    }

    /// Chooses the next token from `logits` and, if given, the contrast branch's logits `against`.
    /// Emits the text that can no longer change. Returns the tokens to decode next; none if the
    /// request is finished.
    pub(super) fn step(
        &mut self,
        model: &Model,
        logits: &[f32],
        against: Option<&[f32]>,
        emit: &mut dyn FnMut(usize, &str),
    ) -> Result<Vec<Token>, LlmError> {
        let phase = &self.phases[self.current];
        let vocab = model.inner.vocab();
        let tokens = self.written.tokens.len();
        let risks = phase.no_repeat.as_deref().map(|constraint| self.written.follower.risks(constraint));
        let forbidden = |token| risks.as_ref().is_some_and(|risks| risks.forbid(&spelling(model, token)));
        let avoided = phase.on_repeat == OnRepeat::Avoid;
        let free = phase.grammar.is_none();
        let checked = free || phase.given.is_some();
        let so_far = if checked || phase.notes.is_some() { self.so_far() } else { String::new() };
        let noted = phase.notes.as_deref().is_none_or(|notes| notes.may_end(&so_far, tokens));
        let early = tokens < phase.min_new_tokens || !noted;
        let wrong = |token| {
            let piece = spelling(model, token);
            let lacks = |given: &Given| given.lacks(&so_far, &piece, |word| is_name(model, word));
            phase.given.as_deref().is_some_and(lacks) || free && too_many(&so_far, &piece)
        };
        let shunned = |token| {
            checked && wrong(token)
                || early && (vocab.is_eog(token) || spells_any(model, token, &phase.stop))
                || avoided && forbidden(token)
        };
        let contrasted = match (against, self.beside) {
            (Some(against), Some(beside)) if phase.grammar.is_none() => {
                contrast::weigh(logits, against, beside.weight, &mut self.weighed);
                true
            }
            _ => false,
        };
        if let Some(notes) = &phase.notes {
            if !contrasted {
                self.weighed.clear();
                self.weighed.extend_from_slice(logits);
            }
            notes.weigh(&so_far, &self.written.tokens, &mut self.weighed);
        }
        let weighed = if contrasted || phase.notes.is_some() { &self.weighed } else { logits };
        let token = self.chooser.choose(weighed, shunned)?;
        if !avoided && forbidden(token) {
            let run = risks.as_ref().is_some_and(|risks| risks.repeats(&spelling(model, token)));
            drop(risks);
            self.written.cut(run, phase.no_repeat.as_deref());
            self.end_phase(Stop::Repeated, emit);
            // Later phases would continue from an unfinished text.
            self.current = self.phases.len();
            return Ok(Vec::new());
        }
        drop(risks);
        self.written.tokens.push(token);
        self.written.log_prob += log_prob(logits, token);
        let stop = if vocab.is_eog(token) {
            Some(Stop::End)
        } else {
            model.spell(token, &mut self.written.held);
            if let Some(constraint) = &phase.no_repeat {
                self.written.follow(constraint);
            }
            let matched = self.written.release(&phase.stop, |text| emit(self.current, text));
            let full = self.written.tokens.len() >= phase.max_new_tokens;
            let reached = phase.words.filter(|_| !matched).and_then(|limit| self.written.reaches(limit, &phase.before));
            // A sentence does not end the text while notes are missing.
            let open = phase.notes.as_deref().is_some_and(|notes| !notes.may_end(&self.so_far(), tokens + 1));
            match reached.filter(|stop| *stop != Stop::End || !open) {
                _ if matched => Some(Stop::Matched),
                Some(stop) => Some(stop),
                None => full.then_some(Stop::Length),
            }
        };
        let Some(stop) = stop else { return Ok(vec![token]) };
        self.end_phase(stop, emit);
        let Some(next) = self.phases.get(self.current) else { return Ok(Vec::new()) };
        self.chooser = Sampler::new(model, next)?;
        // The next lead replaces the token that ended the phase. A token cut off by a length limit
        // is kept.
        let mut tokens = if stop == Stop::Length { vec![token] } else { Vec::new() };
        tokens.extend(model.tokens(&next.lead));
        Ok(tokens)
    }

    fn end_phase(&mut self, stop: Stop, emit: &mut dyn FnMut(usize, &str)) {
        self.written.flush(stop, |text| emit(self.current, text));
        let Writing { text, tokens, log_prob, source, .. } = std::mem::take(&mut self.written);
        self.done.push(PhaseOutput { text, tokens: tokens.len(), log_prob, stop, source });
        self.current += 1;
        self.begin();
    }

    /// Whether the deadline has passed.
    pub(super) fn late(&self) -> bool {
        self.deadline.is_some_and(|d| Instant::now() >= d)
    }

    /// Ends the phase in progress with the text so far.
    pub(super) fn expire(&mut self, emit: &mut dyn FnMut(usize, &str)) {
        if !self.written.tokens.is_empty() {
            self.end_phase(Stop::Deadline, emit);
        }
    }

    pub(super) fn finish(&mut self) -> Completion {
        Completion { phases: std::mem::take(&mut self.done) }
    }
}

/// Returns the text of a token; incomplete characters are replaced.
fn spelling(model: &Model, token: Token) -> String {
    let mut spelled = Vec::new();
    model.spell(token, &mut spelled);
    String::from_utf8_lossy(&spelled).into_owned()
}

/// Whether a token's text contains one of these strings.
fn spells_any(model: &Model, token: Token, strings: &[String]) -> bool {
    let mut spelled = Vec::new();
    model.spell(token, &mut spelled);
    strings.iter().any(|s| spelled.windows(s.len().max(1)).any(|bytes| bytes == s.as_bytes()))
}
