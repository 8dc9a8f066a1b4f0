//! Explanations: a written text with its prompt by source and all of its candidates.

use super::{CANDIDATES, Engine, GenerateRequest, OnChunk, Part, chunk::chunks};
use crate::{
    Error,
    generation::{
        form::Form,
        output::Written,
        reranking::{Choice, Score},
    },
    llm::{LlmError, Model, Priority},
    prompt::{Parts, PromptInputs, PromptPart, Source},
};

/// A candidate with its score.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The candidate. `tokens` counts this candidate alone.
    pub written: Written,
    /// The parts of its score.
    pub score: Score,
}

/// Parts of a prompt with their numbers of tokens.
pub type Counted = Vec<(PromptPart, usize)>;

/// A written output, its prompt by source, and all of its candidates.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The result, as [`Engine::generate`] returns it.
    pub written: Written,
    /// The parts of the first candidate's prompt with their numbers of tokens. The concatenated
    /// texts are the prompt, without the start token and the template of a chat model.
    pub prompt: Counted,
    /// The examples that did not fit into the budget, with their numbers of tokens.
    pub dropped: Counted,
    /// The candidates that were finished and repeat no other text. For a title, the opening of its
    /// text is the last one, with 0 tokens.
    pub drafts: Vec<Draft>,
    /// Index of the best candidate in [`Explanation::drafts`].
    pub best: usize,
}

impl Engine {
    /// Generates as [`Engine::generate_with`] does, and returns the prompt by source and all
    /// candidates with their scores.
    ///
    /// # Errors
    /// As [`Engine::generate_with`].
    #[doc(hidden)]
    pub fn explain(&self, request: &GenerateRequest, on_chunk: OnChunk<'_>) -> Result<Explanation, Error> {
        let all = self.decode(request, on_chunk)?;
        let (inputs, budget) = (all.inputs.clone(), request.options.max_prompt_tokens);
        let options = self.decoder_options(&request.options, request.options.candidates.clamp(1, CANDIDATES));
        let mut on_event = chunks(&[Part::Text], Form::default(), on_chunk);
        let (prompt, dropped) =
            self.need_model()?.call(Priority::Foreground, options, &mut on_event, move |decoder, _| {
                Ok::<_, Error>(counted(&inputs, decoder.model(), budget))
            })?;
        let (scored, best) = Choice::new(&all.inputs, all.written.clone()).scored();
        let drafts = scored.into_iter().map(|(written, score)| Draft { written: all.finish(written), score });
        let (drafts, best) = (drafts.collect(), best.ok_or(LlmError::Deadline)?);
        Ok(Explanation { written: all.best()?, prompt, dropped, drafts, best })
    }
}

/// Returns the parts of a prompt, its lead included, and the dropped examples.
fn counted(inputs: &PromptInputs, model: &Model, budget: usize) -> (Counted, Counted) {
    let count = |text: &str| model.tokens(text).len();
    let Parts { mut parts, dropped } = inputs.parts(budget, count);
    parts.push(PromptPart::new(Source::Heading, inputs.lead(0)));
    let counted = |part: PromptPart| {
        let tokens = count(&part.text);
        (part, tokens)
    };
    (parts.into_iter().map(counted).collect(), dropped.into_iter().map(counted).collect())
}
