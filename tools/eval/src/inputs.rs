//! The prompt inputs of an evaluated text.

use locket::{
    Kind, Pack, Sources, Task, author_key,
    internals::{
        context::{
            ContextBuilder, NEIGHBOURS, Target,
            formulas::set_formulas,
            selection::{for_kind, for_language, matching_texts},
        },
        engine::OWN_TEXTS,
        hash::hash,
        prompt::{Example, PromptInputs},
        text,
    },
};
use locket_builder::profile::Profile;

use super::{
    cases::capped,
    settings::{Method, Settings},
};

/// Returns the notes that the request gives, made from the true text.
pub(super) fn gist(settings: &Settings, person: &Profile) -> Option<String> {
    let share = settings.gist.filter(|_| settings.task == Task::Text)?;
    Some(text::gist(&person.target.text, share, seed(settings, person).into()))
}

/// Returns the texts that the method shows besides the request.
pub(super) fn sources(pack: &Pack, settings: &Settings) -> Sources {
    let measured = || pack.meta().policy.as_ref().map(|policy| policy.sources);
    match settings.method {
        Method::None | Method::Copy | Method::History | Method::Reasoning => Sources::Own,
        Method::Graph => Sources::Retrieved,
        Method::Synthetic | Method::Full => Sources::Synthetic,
        Method::Auto => settings.sources.or_else(measured).unwrap_or(Sources::Retrieved),
    }
}

/// Returns the inputs of the prompt for the user's target text.
pub(super) fn inputs(pack: &Pack, settings: &Settings, person: &Profile, synthetic: Vec<Example>) -> PromptInputs {
    let (kind, gist) = (Kind::named(&person.target.kind).unwrap_or_default(), gist(settings, person));
    let context = person.target.context.as_deref().filter(|_| settings.task == Task::Text);
    let target =
        Target { kind: Some(&kind), context, gist: gist.as_deref(), ..Target::of(&person.target, settings.task) };
    let grounding = ContextBuilder::new(pack, Some(author_key(&person.user)));
    let grounding = if settings.method == Method::Graph { grounding.by_words() } else { grounding };
    let query = target.query();
    let mut history = synthetic;
    let (language, texts) = for_language(capped(settings, person).to_vec(), &kind, context);
    if settings.method != Method::None {
        let as_published = kind.rated && settings.method != Method::Auto;
        history.extend(match as_published {
            true => matching_texts(&texts, &query, NEIGHBOURS),
            false => for_kind(&texts, &kind, person.target.audience.as_deref(), &query, OWN_TEXTS),
        });
    }
    if let (Task::Synthetic, Some(item)) = (settings.task, pack.find(target.item)) {
        return grounding.synthetic(item, history);
    }
    // A pack's policy is for texts of users with own texts.
    let alone = settings.method == Method::Auto && (history.is_empty() || settings.task != Task::Text);
    let grounded = kind.rated && (alone || sources(pack, settings) != Sources::Own);
    let neighbours = if grounded { NEIGHBOURS } else { 0 };
    let mut inputs = grounding.inputs(settings.task, settings.reasoning() && kind.rated, history, &target, neighbours);
    if settings.method != Method::None {
        set_formulas(&mut inputs, &texts);
    }
    inputs.localize(language);
    inputs
}

/// Returns the user's own seed of draws.
pub(super) fn seed(settings: &Settings, person: &Profile) -> u32 {
    hash(&format!("{}\n{}", person.user, settings.seed)) as u32
}
