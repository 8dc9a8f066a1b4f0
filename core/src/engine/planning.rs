//! Proposals of plans: what a text could say, before it is written.

use super::{CANDIDATES, Engine, GenerateRequest, OnChunk, Part, chunk::chunks};
use crate::{
    Error,
    generation::{form::Form, request::request_with_prefix},
    llm::{Event, Phase, Priority, Request, Sampling},
    plan::ReasoningPath,
    prompt::Task,
};

/// Number of sampled lines for each plan beyond the first: some are equal.
const TRIES: usize = 2;

impl Engine {
    /// Proposes up to `count` (at most 4) different plans for a text: tone, length and points. Plans
    /// are one line each, bound by a grammar, so the call is short. An app shows them as chips,
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
        if request.task != Task::Text {
            return Err(Error::Argument("a plan is for a text".into()));
        }
        let worker = self.need_model()?;
        let inputs = self.prompt_inputs(&GenerateRequest { plan: None, ..request.clone() })?;
        let inputs = crate::prompt::PromptInputs { reasoning: true, ..inputs };
        let lines = if count > 1 { (count * TRIES).min(CANDIDATES) } else { 1 };
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
                    let sampling = if n == 0 { Sampling::GREEDY } else { Sampling::VARIED.with_seed(n as u32) };
                    let phases = plan.clone().map(|phase| Phase { sampling, ..phase }).collect();
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
