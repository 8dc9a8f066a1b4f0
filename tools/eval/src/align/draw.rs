//! The draw of a request for a text: its task, its history, and its notes, draft or plan.

use locket::{
    Interaction, Kind, Pack, ReasoningPath, Task, author_key,
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

use super::{Answer, ExampleOptions};

/// Random draws from a key.
struct Draws(u64);

impl Draws {
    /// Returns a number below `below`, which is at least 1.
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % below
    }
}

/// Draws task, plan, history and given content for a text. Returns the prompt's inputs, the answer,
/// and the drawn part of the history.
pub(super) fn drawn<'i>(
    pack: Option<&Pack>,
    user: &str,
    answered: &Interaction,
    earlier: &'i [Interaction],
    options: &ExampleOptions,
) -> (PromptInputs, Answer, &'i [Interaction]) {
    let mut draws = Draws(hash(&format!("{user}\n{}\n{}", answered.item, options.seed)));
    let kind = Kind::named(&answered.kind).unwrap_or_default();
    let task = task(&mut draws, answered, &kind, options);
    let reasoning = kind.rated && (task == Task::Synthetic || draws.below(100) < options.planned);
    let Some(pack) = pack.filter(|_| kind.rated) else {
        return of_kind(&mut draws, kind, task, answered, earlier, options);
    };
    // 0 to 4 of the latest texts; in at least half of the draws 4.
    let cap = if draws.below(2) == 0 { NEIGHBOURS } else { draws.below(NEIGHBOURS as u64 + 1) as usize };
    let history = &earlier[earlier.len().saturating_sub(cap)..];
    let grounding = ContextBuilder::new(pack, Some(author_key(user)));
    let target = Target::of(answered, task);
    let mut inputs = match (task, pack.find(&answered.item)) {
        (Task::Synthetic, Some(item)) => {
            let words = grounding.target_words(&target);
            grounding.synthetic(item, matching_texts(history, &words, NEIGHBOURS))
        }
        _ => {
            let own = matching_texts(history, &target.query(), NEIGHBOURS);
            // A fifth of the prompts with history have no retrieved texts.
            let neighbours = if !own.is_empty() && draws.below(5) == 0 { 0 } else { options.neighbours };
            grounding.inputs(task, reasoning, own, &target, neighbours)
        }
    };
    let path = path(answered).to_string();
    let title = text::quoted(answered.title.as_deref().unwrap_or_default(), usize::MAX);
    let review = text::quoted(&answered.text, usize::MAX);
    if task == Task::Text && !inputs.reasoning {
        give(&mut draws, &mut inputs, answered, &answered.text, options);
    }
    let mut phases = if inputs.reasoning { vec![path] } else { Vec::new() };
    match task {
        Task::Text => phases.push(review),
        Task::Title => phases.push(title),
        Task::Rating => phases.push(answered.stars().unwrap_or(5).to_string()),
        Task::Synthetic => phases.extend([title, review]),
    }
    (inputs, Answer { phases, most: options.tokens.1 }, history)
}

fn path(answered: &Interaction) -> ReasoningPath {
    ReasoningPath::of(answered.title.as_deref(), &answered.text, answered.stars())
}

/// Draws the task of a text. A text without the parts of a task gets the task of a text.
fn task(draws: &mut Draws, answered: &Interaction, kind: &Kind, options: &ExampleOptions) -> Task {
    let mut at = draws.below(options.tasks.iter().sum::<u64>().max(1));
    let all = [Task::Text, Task::Title, Task::Rating, Task::Synthetic];
    let task = all.into_iter().zip(options.tasks).find(|(_, share)| {
        let here = at < *share;
        at = at.saturating_sub(*share);
        here
    });
    let titled = answered.title.as_deref().is_some_and(|t| !t.trim().is_empty());
    match task.map_or(Task::Text, |t| t.0) {
        Task::Title | Task::Synthetic if !titled => Task::Text,
        Task::Rating | Task::Synthetic if !kind.rated => Task::Text,
        Task::Rating if answered.stars().is_none() => Task::Text,
        task => task,
    }
}

/// Draws a request without retrieved texts, in the form of kinds without ratings.
fn of_kind<'i>(
    draws: &mut Draws,
    kind: Kind,
    task: Task,
    answered: &Interaction,
    earlier: &'i [Interaction],
    options: &ExampleOptions,
) -> (PromptInputs, Answer, &'i [Interaction]) {
    // In half of the draws the whole history, else 1 to 8 of the latest texts.
    let cap = if draws.below(2) == 0 { usize::MAX } else { 1 + draws.below(OWN_TEXTS as u64) as usize };
    let history = &earlier[earlier.len().saturating_sub(cap)..];
    let context = answered.context.as_deref().filter(|_| task == Task::Text);
    let target = Target { kind: Some(&kind), context, ..Target::of(answered, task) };
    let (language, texts) = for_language(history.to_vec(), &kind, context);
    let mut shown = for_kind(&texts, &kind, answered.audience.as_deref(), &target.query(), OWN_TEXTS);
    // The answer has no greeting and no sign-off either: it is the last text here.
    shown.push(Example::from(answered));
    let ask = target.ask(answered.item_title.clone());
    let mut inputs = PromptInputs { task, kind: kind.clone(), history: shown, ask, ..PromptInputs::default() };
    set_formulas(&mut inputs, &texts);
    let text = inputs.history.pop().map(|e| e.text).unwrap_or_default();
    if task == Task::Text {
        give(draws, &mut inputs, answered, &text, options);
    }
    inputs.localize(language);
    let answer = match task {
        Task::Title => answered.title.clone().unwrap_or_default(),
        Task::Rating => answered.stars().map(|stars| stars.to_string()).unwrap_or_default(),
        _ => text,
    };
    let phases = vec![inputs.value(&answer, usize::MAX)];
    (inputs, Answer { phases, most: options.tokens.1 }, history)
}

/// Draws the given content of a request from the true text `text`: notes, a draft, a plan, or nothing.
fn give(draws: &mut Draws, inputs: &mut PromptInputs, answered: &Interaction, text: &str, options: &ExampleOptions) {
    let at = draws.below(100);
    let [notes, draft, plan] = options.given;
    if at < notes {
        inputs.ask.gist = Some(jotted(draws, text)).filter(|notes| !notes.is_empty());
    } else if at < notes + draft {
        inputs.ask.draft = Some(text::neutral(text)).filter(|draft| !draft.is_empty());
    } else if at < notes + draft + plan {
        let path = path(answered);
        inputs.ask.plan = (!path.points.is_empty()).then_some(path);
    }
}

/// Returns notes in one of the usual forms: the content words, with or without commas, or short phrases
/// in neutral style.
fn jotted(draws: &mut Draws, text: &str) -> String {
    let share = (35 + draws.below(61)) as f64 / 100.0;
    let form = draws.below(4);
    if form == 3 {
        let kept = |_: &&str| draws.below(100) < 60;
        let plain = text::neutral(text);
        return plain.split(' ').filter(kept).collect::<Vec<_>>().join(" ").trim_end_matches('.').to_lowercase();
    }
    let notes = text::notes(text, share, draws.below(1 << 32));
    if form == 2 { notes.split(' ').collect::<Vec<_>>().join(", ") } else { notes }
}
