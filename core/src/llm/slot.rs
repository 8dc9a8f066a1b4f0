//! One sequence of a decoder: what stands in its KV cache, and the request that it is writing.

use std::time::Instant;

use super::{
    LlmError, Model, Phase, Token, common_prefix,
    contrast::{self, ContrastBranch},
    prefill::{PrefillChunks, Read},
    request::{Completion, OnRepeat, PhaseOutput, Request, Stop},
    steps::Work,
    top_k::{Sampler, log_prob},
    writing::Writing,
};

/// A piece of work in progress.
pub(super) struct Job {
    /// Its number among those that the source gave.
    pub(super) number: usize,
    pub(super) kind: Kind,
}

/// What a sequence is doing.
pub(super) enum Kind {
    Write(Box<Writer>),
    Score(Scorer),
    /// Another prompt, going on with what the sequence of this number writes.
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
    /// Where the prompt is read that this is written against.
    pub(super) beside: Option<ContrastBranch>,
    /// The logits of both together, kept for their room.
    weighed: Vec<f32>,
}

/// A continuation in the course of being scored.
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
    /// From which of them on logits are wanted.
    pub(super) wanted: usize,
    /// How many tokens the prompt has, if it is read in pieces; else 0.
    pub(super) end: usize,
    /// What the cache holds of a prompt read in pieces.
    pub(super) read: Read,
    /// Logits that wait for another prompt's.
    pub(super) held: Option<Vec<f32>>,
    /// What it is doing.
    pub(super) job: Option<Job>,
}

impl Slot {
    /// What the cache will hold once everything pending is decoded.
    pub(super) fn planned(&self) -> impl Iterator<Item = &Token> {
        self.cached.iter().chain(&self.pending)
    }

    /// Whether the cache and the logits behind it are those of `prompt`.
    pub(super) fn has_read(&self, prompt: &[Token], grid: PrefillChunks) -> bool {
        let Read { grid: read, tokens, logits } = &self.read;
        self.job.is_none() && logits.is_some() && *read == Some(grid) && self.cached.get(..*tokens) == Some(prompt)
    }

    /// How many tokens of `prompt`, split by `grid`, need not be read once this slot has read what it is reading.
    pub(super) fn usable(&self, prompt: &[Token], grid: PrefillChunks) -> usize {
        let reads = if self.job.is_some() { self.end } else { 0 };
        self.read.usable(grid, common_prefix(self.planned().take(reads.max(self.read.tokens)), prompt))
    }

    /// Begins a prompt of `end` tokens, of which `planned` stand in the cache.
    pub(super) fn begin(&mut self, grid: Option<PrefillChunks>, planned: usize, end: usize) {
        self.read.truncate(planned);
        if grid.is_some() {
            let logits = self.read.logits.take().filter(|_| planned == end);
            self.read = Read { grid, tokens: planned, logits };
        }
        self.end = if grid.is_some() { end } else { 0 };
    }

    /// Whether the cache holds nothing but (part of) a prompt that is read in pieces.
    pub(super) fn reading(&self) -> bool {
        self.cached.len() <= self.end
    }

    /// Most tokens of the next call.
    pub(super) fn piece(&self) -> usize {
        match self.read.grid {
            Some(grid) if self.cached.len() < self.end => grid.after(self.cached.len()) - self.cached.len(),
            _ => usize::MAX,
        }
    }

    /// Gives up all but the first `keep` tokens.
    pub(super) fn truncate(&mut self, keep: usize) {
        self.cached.truncate(keep);
        self.read.truncate(keep);
    }

    /// Gives up its work; what was decoded stays reusable.
    pub(super) fn stop(&mut self) {
        (self.job, self.held) = (None, None);
        self.pending.clear();
    }

    /// Whether it goes on with another sequence's text.
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
    /// Takes the logits in front of the next token.
    pub(super) fn step(&mut self, logits: &[f32]) {
        if let Some(&token) = self.continuation.get(self.scores.len()) {
            self.scores.push(log_prob(logits, token));
        }
    }

    /// The scores, if every token has one.
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

    /// Takes note of the text in front of the phase.
    fn begin(&mut self) {
        let Some(Phase { no_repeat: Some(constraint), before, .. }) = self.phases.get(self.current) else { return };
        self.written.follower.push(constraint, before);
        self.written.before = before.len();
    }

    pub(super) fn phase(&self) -> usize {
        self.current
    }

    /// Chooses the next token by `logits`, and by those of the prompt that it is written `against`; passes on the text that
    /// is certain, and returns the tokens to decode next: none if the request is finished.
    pub(super) fn step(
        &mut self,
        model: &Model,
        logits: &[f32],
        against: Option<&[f32]>,
        emit: &mut dyn FnMut(usize, &str),
    ) -> Result<Vec<Token>, LlmError> {
        let phase = &self.phases[self.current];
        let vocab = model.inner.vocab();
        let early = self.written.tokens.len() < phase.min_new_tokens;
        let risks = phase.no_repeat.as_deref().map(|constraint| self.written.follower.risks(constraint));
        let forbidden = |token| risks.as_ref().is_some_and(|risks| risks.forbid(&spelling(model, token)));
        let avoided = phase.on_repeat == OnRepeat::Avoid;
        let shunned = |token| {
            early && (vocab.is_eog(token) || spells_any(model, token, &phase.stop)) || avoided && forbidden(token)
        };
        let token = match (against, self.beside) {
            (Some(against), Some(beside)) if phase.grammar.is_none() => {
                contrast::weigh(logits, against, beside.weight, &mut self.weighed);
                self.chooser.choose(&self.weighed, shunned)?
            }
            _ => self.chooser.choose(logits, shunned)?,
        };
        if !avoided && forbidden(token) {
            let run = risks.as_ref().is_some_and(|risks| risks.repeats(&spelling(model, token)));
            drop(risks);
            self.written.cut(run, phase.no_repeat.as_deref());
            self.end_phase(Stop::Repeated, emit);
            // What follows would go on from a text that is not finished.
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
            let matched = self.written.release(&phase.stop, |piece| emit(self.current, piece));
            let full = self.written.tokens.len() >= phase.max_tokens;
            match phase.words.filter(|_| !matched).and_then(|limit| self.written.reaches(limit, &phase.before)) {
                _ if matched => Some(Stop::Matched),
                Some(stop) => Some(stop),
                None => full.then_some(Stop::Length),
            }
        };
        let Some(stop) = stop else { return Ok(vec![token]) };
        self.end_phase(stop, emit);
        let Some(next) = self.phases.get(self.current) else { return Ok(Vec::new()) };
        self.chooser = Sampler::new(model, next)?;
        // A stopped token is not kept: the next lead takes its place. A token cut off by length is.
        let mut tokens = if stop == Stop::Length { vec![token] } else { Vec::new() };
        tokens.extend(model.tokens(&next.lead));
        Ok(tokens)
    }

    fn end_phase(&mut self, stop: Stop, emit: &mut dyn FnMut(usize, &str)) {
        self.written.flush(stop, |piece| emit(self.current, piece));
        let Writing { text, tokens, log_prob, source, .. } = std::mem::take(&mut self.written);
        self.done.push(PhaseOutput { text, tokens: tokens.len(), log_prob, stop, source });
        self.current += 1;
        self.begin();
    }

    /// Whether its deadline has come.
    pub(super) fn late(&self) -> bool {
        self.deadline.is_some_and(|d| Instant::now() >= d)
    }

    /// Ends the text where it is.
    pub(super) fn expire(&mut self, emit: &mut dyn FnMut(usize, &str)) {
        if !self.written.tokens.is_empty() {
            self.end_phase(Stop::Deadline, emit);
        }
    }

    pub(super) fn finish(&mut self) -> Completion {
        Completion { phases: std::mem::take(&mut self.done) }
    }
}

/// What a token stands for; unfinished characters are replaced.
fn spelling(model: &Model, token: Token) -> String {
    let mut spelled = Vec::new();
    model.spell(token, &mut spelled);
    String::from_utf8_lossy(&spelled).into_owned()
}

/// Whether a token's text has one of these strings in it.
fn spells_any(model: &Model, token: Token, strings: &[String]) -> bool {
    let mut spelled = Vec::new();
    model.spell(token, &mut spelled);
    strings.iter().any(|s| spelled.windows(s.len().max(1)).any(|bytes| bytes == s.as_bytes()))
}
