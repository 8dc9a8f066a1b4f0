//! Proposals of plans for a text, before it is written.

use super::{CANDIDATES, Engine, GenerateRequest, OnChunk, Part, chunk::chunks};
use crate::{
    Error,
    generation::{form::Form, request::request_with_prefix},
    llm::{Event, Phase, Priority, Request, Sampling},
    plan::{self, ReasoningPath},
    prompt::{PromptInputs, Task},
};

/// Number of sampled lines for each plan beyond the first: some are equal.
const TRIES: usize = 2;

/// Maximum number of plans.
const PLANS: usize = 4;

impl Engine {
    /// Proposes up to `count` (at most 4) different plans for a text: tone, length and points. For
    /// the answer to a question these are a yes, a no and a doubt. Plans are one line each, bound by a grammar, so the call is short. An app shows them as chips,
    /// the user chooses and edits one, and [`GenerateRequest::with_plan`] has the text written to
    /// it.
    ///
    /// # Errors
    /// As [`Engine::generate_with`]; [`Error::Argument`] if the request is not for a text.
    pub fn plan(
        &self,
        request: &GenerateRequest,
        count: usize,
        on_chunk: OnChunk<'_>,
    ) -> Result<Vec<ReasoningPath>, Error> {
        let count = count.min(PLANS);
        if request.task != Task::Text {
            return Err(Error::Argument("a plan is for a text".into()));
        }
        let worker = self.need_model()?;
        let inputs = self.prompt_inputs(&GenerateRequest { plan: None, ..request.clone() })?;
        let inputs = PromptInputs { reasoning: true, ..inputs };
        let answers = answers(&inputs);
        let lines = match answers {
            Some(answers) => count.min(answers.len()),
            None if count > 1 => (count * TRIES).min(CANDIDATES),
            None => 1,
        };
        let options = request.options.with_contrast(0.0);
        let mut on_event = chunks(&[Part::Plan], Form::default(), on_chunk);
        let completions = worker.call(
            Priority::Foreground,
            self.decoder_options(&options, lines),
            &mut |event| on_event(Event { text: "", ..event }),
            move |decoder, on_event| {
                let (request, stable) = request_with_prefix(decoder.model(), &inputs, &options, None);
                let plan = request.phases.first().cloned().into_iter();
                let requests = (0..lines).map(|n| {
                    let answer = answers.map(|answers| plan::grammar(inputs.length(), false, Some(answers[n])));
                    let likeliest = n == 0 || answer.is_some();
                    let sampling = if likeliest { Sampling::GREEDY } else { Sampling::VARIED.with_seed(n as u32) };
                    let with =
                        |phase: Phase| Phase { sampling, grammar: answer.clone().or(phase.grammar.clone()), ..phase };
                    let phases = plan.clone().map(with).collect();
                    Request { phases, boundary: Some(stable), ..request.clone() }
                });
                Ok::<_, Error>(decoder.run(&requests.collect::<Vec<_>>(), on_event)?)
            },
        )?;
        let mut plans: Vec<ReasoningPath> = Vec::new();
        for plan in completions.iter().filter_map(|c| c.phases.first()?.text.parse::<ReasoningPath>().ok()) {
            if plans.len() < count && plans.iter().all(|other| other.points != plan.points) {
                plans.push(plan);
            }
        }
        Ok(plans)
    }
}

/// Returns the first points of the plans for a reply to a question: agreement, refusal, doubt.
fn answers(inputs: &PromptInputs) -> Option<[&'static str; 3]> {
    let asks = inputs.ask.context.as_deref().is_some_and(|message| message.contains('?'));
    (asks && !inputs.kind.rated).then(|| inputs.words().answers)
}
