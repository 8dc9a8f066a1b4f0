//! Prompt inputs of a request.

use super::{Engine, GenerateRequest, OWN_TEXTS, Stats};
use crate::{
    Error,
    context::{ContextBuilder, NEIGHBOURS, Target, formulas::set_formulas, selection},
    history::{Interaction, Record},
    llm,
    pack::Sources,
    prompt::{Example, PromptInputs, Task},
    text,
};

impl Engine {
    /// Returns the inputs of a request's prompt, for inspection before (or instead of) generation.
    ///
    /// Synthetic interactions make the likeliest text less like the user's own. The prompt of a
    /// text therefore contains them only for several candidates with a plan, for users without
    /// history, or if the pack's policy says that they pay.
    ///
    /// # Errors
    /// [`Error::Argument`] if the request lacks an input of its task.
    #[doc(hidden)]
    pub fn prompt_inputs(&self, request: &GenerateRequest) -> Result<PromptInputs, Error> {
        let lacks = match request.task {
            Task::Title | Task::Rating => match request.text.as_deref().map(text::is_blank) {
                None => Some("a title or a rating needs the text it is for"),
                Some(true) => Some("a title or a rating needs the text it is for, and this text is empty"),
                Some(false) => None,
            },
            Task::Synthetic => Some("synthetic texts are written by augment"),
            _ => None,
        };
        if let Some(what) = lacks {
            return Err(Error::Argument(what.into()));
        }
        let target = Target {
            item: &request.item,
            item_title: request.item_title.as_deref(),
            title: request.title.as_deref(),
            text: request.text.as_deref(),
            length: request.length.or(request.plan.as_ref().map(|plan| plan.length)),
            kind: Some(&request.kind),
            context: request.context.as_deref(),
            gist: request.gist.as_deref(),
            draft: request.draft.as_deref(),
            audience: request.audience.as_deref(),
            resize: request.resize,
            plan: request.plan.as_ref(),
        };
        let sources = self.pack.as_ref().and_then(|pack| pack.meta().policy.as_ref()).map(|policy| policy.sources);
        let records = if request.personal { self.history()? } else { Vec::new() };
        let length_factor = Stats::of(&records).length;
        let (synthetic, real): (Vec<Record>, Vec<Record>) = records.into_iter().partition(Record::is_synthetic);
        let own = written_by_user(&real, &request.kind.name);
        let (language, own) = selection::for_language(own, &request.kind, request.context.as_deref());
        let history = prompt_history(request, &target, &synthetic, &own);
        // Public texts are reviews.
        let retrieves = request.personal && request.kind.rated;
        let enough = request.task == Task::Text && sources == Some(Sources::Own) && !own.is_empty();
        let neighbours = if retrieves && !enough { NEIGHBOURS } else { 0 };
        let real: Vec<Interaction> = real.into_iter().map(|r| r.interaction).collect();
        let (task, reasoning) = (request.task, request.planned());
        let mut inputs = match &self.pack {
            Some(pack) => ContextBuilder::new(pack, self.me).inputs(task, reasoning, history, &target, neighbours),
            None => {
                let (kind, ask) = (request.kind.clone(), target.ask(request.item_title.clone()));
                PromptInputs { task, kind, reasoning, history, ask, ..PromptInputs::default() }
            }
        };
        let several = reasoning && request.length.is_none() && request.options.candidates > 1;
        let shows_synthetic = several || sources == Some(Sources::Synthetic);
        if task == Task::Text && !shows_synthetic && inputs.own().next().is_some() {
            inputs.history.retain(|e| !e.synthetic);
        }
        set_formulas(&mut inputs, &selection::in_language(real, &request.kind, language));
        inputs.localize(language);
        inputs.length_factor = length_factor;
        inputs.ask.grammar = match request.schema.as_deref().map(llm::schema_grammar).transpose() {
            Ok(grammar) => grammar,
            Err(e) => return Err(Error::Argument(format!("the JSON schema cannot be used: {e}"))),
        };
        Ok(inputs)
    }
}

/// Returns the texts with words by the user: all but the drafts that were sent as they were. Returns
/// all texts if there are fewer than three others of the kind.
fn written_by_user(real: &[Record], kind: &str) -> Vec<Interaction> {
    let own = |r: &&Record| !r.is_unchanged_draft();
    let enough = real.iter().filter(own).filter(|r| r.interaction.kind == kind).count() >= selection::ENOUGH;
    real.iter().filter(|r| !enough || own(r)).map(|r| r.interaction.clone()).collect()
}

/// Returns the user's history for a prompt on `target`, real texts last: closest to the request.
/// Synthetic texts are reviews.
fn prompt_history(
    request: &GenerateRequest,
    target: &Target<'_>,
    synthetic: &[Record],
    real: &[Interaction],
) -> Vec<Example> {
    // The model would only repeat a synthetic text on the same item. A real text on an item
    // supersedes the synthetic one.
    let known = |item: &str| item == target.item || real.iter().any(|r| r.item == item);
    let synthetic = synthetic.iter().filter(|r| request.kind.rated && !known(&r.interaction.item));
    let mut history: Vec<Example> = synthetic.map(Example::from).collect();
    let audience = request.audience.as_deref();
    history.extend(selection::for_kind(real, &request.kind, audience, &target.query(), OWN_TEXTS));
    history
}
