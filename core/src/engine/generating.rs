//! Generation of a text, a title or a rating.

use std::{ops::ControlFlow, time::Instant};

use serde::de::IgnoredAny;

use super::{
    CANDIDATES, Chunk, Engine, GenerateRequest, OnChunk, Part,
    chunk::{chunks, parts},
};
use crate::{
    Error,
    generation::{
        candidates::{candidates, read_all},
        form::Form,
        guard,
        output::Written,
        request::request_with_prefix,
        reranking::{Choice, best},
    },
    llm::{Decoder, Event, LlmError, MemoryLevel, Priority, Request, unsupported},
    prompt::PromptInputs,
};

/// The candidates of one request, complete and without repetitions, before the choice.
pub(super) struct Candidates {
    pub(super) inputs: PromptInputs,
    pub(super) written: Vec<Written>,
    prompt_tokens: usize,
    reused_tokens: usize,
}

impl Candidates {
    /// Returns the best candidate.
    pub(super) fn best(&self) -> Result<Written, Error> {
        let best = best(&self.inputs, self.written.clone()).ok_or(LlmError::Deadline)?;
        Ok(self.finish(best))
    }

    /// Returns a candidate with the figures of the call and its invented details.
    pub(super) fn finish(&self, written: Written) -> Written {
        let given = self.inputs.given();
        let unsupported = written.text.as_deref().map(|text| unsupported(text, &given)).unwrap_or_default();
        let (prompt_tokens, reused_tokens) = (self.prompt_tokens, self.reused_tokens);
        Written { prompt_tokens, reused_tokens, unsupported, ..written }
    }
}

impl Engine {
    /// Generates a text, a title or a rating.
    ///
    /// # Errors
    /// As [`Engine::generate_with`].
    pub fn generate(&self, request: &GenerateRequest) -> Result<Written, Error> {
        self.generate_with(request, &mut |_| ControlFlow::Continue(()))
    }

    /// Generates a text, a title or a rating. `on_chunk` gets every chunk as it is decoded; a break
    /// cancels the call.
    ///
    /// # Errors
    /// [`Error::MissingModel`]; [`Error::Argument`] if the request lacks an input of its task, or if
    /// its limits cut off a JSON value; [`crate::llm::LlmError::Deadline`] if the deadline came before
    /// the text began; [`Error::Cancelled`]; [`crate::llm::LlmError`].
    pub fn generate_with(&self, request: &GenerateRequest, on_chunk: OnChunk<'_>) -> Result<Written, Error> {
        let all = self.decode(request, on_chunk)?;
        let best = all.best()?;
        if request.schema.is_some() {
            return if is_json(&best) { Ok(best) } else { Err(cut_off()) };
        }
        let form = Form::of(&all.inputs);
        let closed = best.text.as_deref().is_some_and(|text| text.ends_with(form.closing()));
        if closed && request.options.candidates <= 1 && !form.closing().is_empty() {
            // The text is complete: a break here changes nothing.
            let _ = on_chunk(Chunk::new(Part::Text, 0, form.closing()));
        }
        Ok(best)
    }

    /// Generates up to `count` (at most 8) different texts for one request, the best first: the one
    /// that agrees most with the others and is closest to the user's style. The likeliest text is
    /// one of them, the others are sampled. `on_chunk` only offers chances to cancel.
    ///
    /// # Errors
    /// As [`Engine::generate_with`].
    pub fn drafts(
        &self,
        request: &GenerateRequest,
        count: usize,
        on_chunk: OnChunk<'_>,
    ) -> Result<Vec<Written>, Error> {
        let options = request.options.with_candidates(count.max(1));
        let all = self.decode(&request.clone().with_options(options), on_chunk)?;
        let ranked = Choice::new(&all.inputs, all.written.clone()).ranked();
        if ranked.is_empty() {
            return Err(LlmError::Deadline.into());
        }
        let whole = |written: &Written| request.schema.is_none() || is_json(written);
        let ranked: Vec<Written> = ranked.into_iter().filter(whole).collect();
        if ranked.is_empty() {
            return Err(cut_off());
        }
        Ok(ranked.into_iter().map(|written| all.finish(written)).collect())
    }

    /// Decodes all candidates of a request.
    pub(super) fn decode(&self, request: &GenerateRequest, on_chunk: OnChunk<'_>) -> Result<Candidates, Error> {
        let worker = self.need_model()?;
        let deadline = request.deadline.map(|d| Instant::now() + d);
        // Taken before the history is read, so that a record forgotten in between ends the lease.
        let sessions = self.sessions();
        let inputs = self.prompt_inputs(request)?;
        let (options, asked, given) = (request.options, inputs.clone(), sessions.clone());
        let parts = parts(request.task, request.planned());
        let called = worker.call(
            Priority::Foreground,
            self.decoder_options(&options, options.candidates.clamp(1, CANDIDATES)),
            &mut chunks(&parts, Form::of(&inputs), on_chunk),
            move |decoder, on_event| {
                let (request, stable) = request_with_prefix(decoder.model(), &asked, &options, None);
                let request = Request { deadline, boundary: Some(stable), ..request };
                sessions.restore(decoder, &request.prompt);
                let (before, mut reused) = (decoder.usage().reused, 0);
                let mut first = |decoder: &mut Decoder<'_>| {
                    reused = decoder.usage().reused - before;
                    sessions.keep(decoder, &request.prompt[..stable]);
                };
                let completions = if options.candidates > 1 {
                    // Chunks of several candidates would interleave: events carry no text.
                    let mut alive = |e: Event<'_>| on_event(Event { text: "", ..e });
                    let jobs = candidates(decoder.model(), &asked, &request, &options);
                    guard::run(decoder, jobs, &options, &mut alive, &mut first)?
                } else {
                    let job = guard::GuardedRequest { inputs: asked.clone(), request: request.clone() };
                    guard::run(decoder, vec![job], &options, on_event, &mut first)?
                };
                let whole = read_all(&asked, &completions);
                let written = guard::originals(&asked, whole)?;
                Ok::<_, Error>((written, request.prompt.len(), reused))
            },
        );
        if given.ended() && self.store.need_writable().is_ok() {
            // The prompt in the decoder's cache contains a forgotten record.
            self.release_memory(MemoryLevel::Sessions);
        }
        let (written, prompt_tokens, reused_tokens) = called?;
        Ok(Candidates { inputs, written, prompt_tokens, reused_tokens })
    }
}

/// Whether a structured text is a whole JSON value.
fn is_json(written: &Written) -> bool {
    written.text.as_deref().is_some_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

fn cut_off() -> Error {
    Error::Argument("the JSON value was cut off: raise max_new_tokens, or allow more time".into())
}
