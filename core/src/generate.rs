//! Personalized text, title or rating: from material to a decoder's request, and back.

use serde::{Deserialize, Serialize};

use crate::{
    consensus::{Ballot, Voices},
    guard,
    llm::{
        Completion, Contrast, DecoderOptions, Model, OnRepeat, Phase, Prompt, Request, Sampling, Stop, WordLimit,
        common_prefix,
    },
    prompt::{Material, Task},
    reason::{self, ReasoningPath},
    text,
};

pub use crate::views::candidates;
pub use crate::views::read_all;

/// How to write.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WriteOptions {
    /// Most tokens of the prompt.
    pub prompt_tokens: usize,
    /// Most tokens of the text.
    pub text_tokens: usize,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Texts to write, of which the one is taken that agrees most with the others and sounds most like the person
    /// ([`consensus`](crate::consensus)): the first with [`WriteOptions::sampling`], the rest varied.
    pub candidates: usize,
    /// How much more a text is to be the person's than it would be anyway: it is written against what the model would write without
    /// their texts (context-aware decoding, arXiv 2305.14739, the paper's alpha). 0 takes the model as it is, in
    /// two thirds of the time.
    pub contrast: f32,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { prompt_tokens: 1024, text_tokens: 160, sampling: Sampling::GREEDY, candidates: 1, contrast: CONTRAST }
    }
}

/// The usual [`WriteOptions::contrast`].
pub const CONTRAST: f32 = 0.5;
/// More than that is another person.
const MOST_CONTRAST: f32 = 4.0;
/// Longest prompt without the person's texts, in tokens.
const BESIDE_TOKENS: usize = 640;

/// Longest reasoning path and title, in tokens.
const PATH_TOKENS: usize = 48;
const TITLE_TOKENS: usize = 24;
/// Longest opening of a text as its title, in words.
const OPENING_WORDS: usize = 10;

impl WriteOptions {
    /// Room that a decoder needs for one sequence of this kind, in tokens.
    pub fn context(&self) -> usize {
        self.prompt_tokens + self.most_written() + 64
    }

    /// A decoder with that room, and with room beside it where texts are written against another prompt.
    pub fn decoder(&self) -> DecoderOptions {
        let beside = if self.contrast > 0.0 { BESIDE_TOKENS + self.most_written() + 64 } else { 0 };
        DecoderOptions { context: self.context(), contrast: beside, ..DecoderOptions::default() }
    }

    /// How synthetic interactions are written: varied, and as the model is.
    #[doc(hidden)]
    pub fn synthetic() -> Self {
        Self { sampling: Sampling::VARIED, contrast: 0.0, ..Self::default() }
    }

    /// Most tokens that one text takes: path, title and text.
    pub(crate) fn most_written(&self) -> usize {
        PATH_TOKENS + TITLE_TOKENS + self.text_tokens
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Written {
    /// The plan, if one was asked for and kept to its grammar.
    pub path: Option<ReasoningPath>,
    /// The title, for the tasks that write one.
    pub title: Option<String>,
    /// The text, for the tasks that write one.
    pub text: Option<String>,
    /// The rating, for the task that writes one.
    pub rating: Option<u8>,
    /// Number of tokens written, all phases.
    pub tokens: usize,
    /// Number of tokens in the prompt.
    pub prompt_tokens: usize,
    /// How many of them did not need to be read: their state was kept from an earlier call or session.
    pub reused_tokens: usize,
    /// Mean natural log-probability of a token of the last phase; 0 for a title that is the text's own opening.
    pub log_prob: f64,
}

/// A text that is begun: it goes on behind what stands there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Begun {
    /// The finished phases in front of the text, each with its end.
    pub(crate) done: Vec<String>,
    /// The beginning of the text.
    pub(crate) text: String,
}

/// The decoder's request for this material.
pub fn request(model: &Model, material: &Material, options: &WriteOptions) -> Request {
    request_with_prefix(model, material, options, None).0
}

/// The same, with how many tokens of its prompt are the person's history; of a text that is `begun`, the rest of it.
pub(crate) fn request_with_prefix(
    model: &Model,
    material: &Material,
    options: &WriteOptions,
    begun: Option<&Begun>,
) -> (Request, usize) {
    let mut prompt = material.compose(model, options.prompt_tokens);
    let mut kinds = Vec::new();
    if material.reasoning {
        kinds.push((Some(reason::grammar(material.length())), PATH_TOKENS));
    }
    match material.task {
        Task::Text => kinds.push((None, options.text_tokens)),
        Task::Title => kinds.push((None, TITLE_TOKENS)),
        Task::Rating => kinds.push((Some("root ::= \" \" [1-5]".to_owned()), 2)),
        Task::Synthetic => kinds.extend([(None, TITLE_TOKENS), (None, options.text_tokens)]),
    }
    let last = material.phases() - 1;
    let (no_repeat, planned) = (guard::constraint(material), usize::from(material.reasoning));
    let phases = kinds.into_iter().enumerate().map(|(n, (grammar, max_tokens))| Phase {
        // The first lead is the end of the prompt; the later ones follow a line that has just ended.
        lead: if n == 0 { String::new() } else { format!("\n{}", material.lead(n)) },
        grammar,
        stop: vec!["\n".into()],
        // Half of the room: a text that has to fill all of it could not end with a sentence.
        least_tokens: if n == last { material.least_tokens().min(max_tokens / 2) } else { 0 },
        no_repeat: no_repeat.clone().filter(|_| n >= planned),
        on_repeat: OnRepeat::End,
        before: String::new(),
        words: material.word_limit().filter(|_| n == last),
        stars: if material.task == Task::Rating && n == last { model.stars() } else { None },
        max_tokens,
        sampling: options.sampling,
    });
    let mut phases: Vec<Phase> = phases.collect();
    let body = prompt.body[..Material::stable_bytes(&prompt.body)].to_owned();
    let stable = Prompt { body, lead: String::new() };
    if let Some(begun) = begun {
        prompt.lead = go_on(model, material, begun, &mut phases);
    }
    let tokens = model.prompt_tokens(&prompt);
    // Tokens at the cut may differ from those of the whole.
    let stable = common_prefix(&model.prompt_tokens(&stable), &tokens);
    let contrast = contrast(model, material, options, begun.map(|_| prompt.lead.as_str()));
    (Request { prompt: tokens, phases, deadline: None, boundary: None, contrast }, stable)
}

/// Leaves of `phases` what is still to be written, and returns what stands in front of that.
fn go_on(model: &Model, material: &Material, begun: &Begun, phases: &mut Vec<Phase>) -> String {
    let mut lead = String::new();
    for (n, done) in begun.done.iter().enumerate() {
        lead.push_str(&format!("{}{done}\n", material.lead(n)));
    }
    lead.push_str(material.lead(begun.done.len()));
    lead.push_str(&begun.text);
    phases.drain(..begun.done.len().min(phases.len()));
    if let Some(phase) = phases.first_mut() {
        let written = model.tokens(&begun.text).len();
        phase.lead.clear();
        phase.before.clone_from(&begun.text);
        phase.max_tokens = phase.max_tokens.saturating_sub(written).max(1);
        phase.least_tokens = phase.least_tokens.saturating_sub(written).min(phase.max_tokens / 2);
    }
    lead
}

/// What a text is written against: the same material without what the person wrote, if there is any of it. To count what others wrote
/// twice too makes texts worse.
/// `lead`: how the answer begins, if it does not as usual.
fn contrast(model: &Model, material: &Material, options: &WriteOptions, lead: Option<&str>) -> Option<Contrast> {
    let wanted = options.contrast > 0.0 && material.task == Task::Text && material.own().next().is_some();
    let without = wanted.then(|| Material {
        task: material.task,
        reasoning: material.reasoning,
        neighbours: material.neighbours.clone(),
        ask: material.ask.clone(),
        ..Material::default()
    })?;
    let mut prompt = without.compose(model, BESIDE_TOKENS);
    if let Some(lead) = lead {
        prompt.lead = lead.to_owned();
    }
    let prompt = model.prompt_tokens(&prompt);
    (prompt.len() <= BESIDE_TOKENS).then_some(Contrast { prompt, weight: options.contrast.min(MOST_CONTRAST) })
}

/// The one that [`consensus`](crate::consensus::consensus) takes; `tokens` counts what all of them took. For a title, how the text
/// opens is one more. `None` of none.
pub fn best(material: &Material, mut all: Vec<Written>) -> Option<Written> {
    // Among less than two there is no choice, and nothing to weigh.
    if all.len() < 2 { all.pop() } else { Choice::new(material, all).best() }
}

/// Several texts for one request, to choose among all or some of them.
#[doc(hidden)]
pub struct Choice {
    /// What was written, then the opening that may stand for a title.
    all: Vec<Written>,
    opening: Option<usize>,
    ballot: Ballot,
}

impl Choice {
    pub fn new(material: &Material, mut all: Vec<Written>) -> Self {
        let opening = opening(material).filter(|_| all.len() > 1);
        let mut voices = voices(material);
        voices.others.extend(opening.as_deref());
        let place = opening.as_ref().map(|_| all.len());
        all.extend(opening.clone().map(|title| Written { title: Some(title), ..Written::default() }));
        let ballot = Ballot::new(&all, &voices);
        Self { all, opening: place, ballot }
    }

    /// What [`best`] takes of all.
    pub fn best(mut self) -> Option<Written> {
        let tokens = self.all.iter().map(|w| w.tokens).sum();
        let written = self.opening.unwrap_or(self.all.len());
        let best = self.among(&(0..written).collect::<Vec<_>>())?;
        Some(Written { tokens, ..self.all.swap_remove(best) })
    }

    /// The place of the best of those at `places`, or of the opening.
    pub fn among(&self, places: &[usize]) -> Option<usize> {
        self.ballot.winner(&places.iter().copied().chain(self.opening).collect::<Vec<_>>())
    }
}

/// The first words of the text that a title is asked for: many people begin with what they would put above.
pub(crate) fn opening(material: &Material) -> Option<String> {
    let text = material.ask.text.as_deref().filter(|_| material.task == Task::Title)?;
    let line = text::one_line(text);
    Some(text::clip_words(text::first_sentence(&line), OPENING_WORDS)).filter(|o| !o.is_empty())
}

/// What others wrote of the same item and the person of other items, as far as it is of the kind that is asked for. Others have a say
/// about a text only where the person has written none.
fn voices(material: &Material) -> Voices<'_> {
    let others = material.neighbours.iter();
    match material.task {
        Task::Text | Task::Synthetic => {
            let own: Vec<&str> = material.own().map(|e| e.text.as_str()).collect();
            Voices {
                others: others.filter(|_| own.is_empty()).map(|n| n.text.as_str()).collect(),
                own,
                impostors: material.impostors.iter().map(String::as_str).collect(),
            }
        }
        Task::Title => Voices { others: others.filter_map(|n| n.title.as_deref()).collect(), ..Voices::default() },
        Task::Rating => Voices::default(),
    }
}

/// What a decoder's answer to [`request`] says.
pub fn read(material: &Material, completion: &Completion) -> Written {
    let mut written = Written { tokens: completion.phases.iter().map(|p| p.tokens).sum(), ..Written::default() };
    let mut phases = completion.phases.iter();
    if material.reasoning {
        written.path = phases.next().and_then(|p| p.text.parse().ok());
    }
    if let Some(last) = completion.phases.last() {
        written.log_prob = last.log_prob / last.tokens.max(1) as f64;
    }
    match material.task {
        Task::Text => written.text = phases.next().map(|p| prose(&p.text, p.stop, material.word_limit())),
        Task::Title => written.title = phases.next().map(|p| text::one_line(&p.text)),
        Task::Rating => written.rating = phases.next().and_then(|p| p.text.trim().parse().ok()),
        Task::Synthetic => {
            written.title = phases.next().map(|p| text::one_line(&p.text));
            written.text = phases.next().map(|p| prose(&p.text, p.stop, None));
            written.rating = written.path.as_ref().map(|p| p.stance);
        }
    }
    written
}

/// A text cut off by its length ends with its last whole sentence; without one, with its last whole word.
fn prose(written: &str, stop: Stop, limit: Option<WordLimit>) -> String {
    let line = text::one_line(written);
    if !matches!(stop, Stop::Length | Stop::Deadline) {
        return line;
    }
    let whole = text::whole_sentences(&line).to_owned();
    match limit {
        // What stopped it was the first token of one word more.
        Some(limit) if text::word_count(&whole) > limit.most => text::clip_words(&whole, limit.most),
        _ => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        llm::{LoadOptions, PhaseOutput},
        prompt::Ask,
        views::tests::{material, shown},
    };

    fn output(text: &str) -> PhaseOutput {
        PhaseOutput { text: text.into(), tokens: 2, stop: Stop::Matched, log_prob: -2.0, source: None }
    }

    fn titled(titles: &[&str]) -> Option<String> {
        let text = "The lid does not close. I wrote to them twice and nobody answered.".to_owned();
        let material =
            Material { task: Task::Title, ask: Ask { text: Some(text), ..Ask::default() }, ..Material::default() };
        let all: Vec<Completion> = titles.iter().map(|t| Completion { phases: vec![output(t)] }).collect();
        let written = best(&material, read_all(&material, &all)).unwrap();
        assert_eq!(written.tokens, 2 * titles.len());
        written.title
    }

    #[test]
    fn the_opening_of_a_text_may_be_its_title() {
        assert_eq!(titled(&["Great", "A nice present", "Five stars"]).unwrap(), "The lid does not close.");
        assert_eq!(titled(&["Great value", "Great value", "Great value"]).unwrap(), "Great value");
        assert_eq!(
            titled(&["Lid does not close", "Lid will not close", "Lid does not close"]).unwrap(),
            "Lid does not close"
        );
        // Alone, what the model wrote stands.
        assert_eq!(titled(&["Great"]).unwrap(), "Great");
    }

    #[test]
    fn others_have_a_say_where_the_person_has_written_nothing() {
        let mut material = material();
        assert_eq!((voices(&material).others, voices(&material).own), (vec![], vec!["An own text."]));
        material.history.truncate(1);
        assert_eq!((voices(&material).others, voices(&material).own), (vec!["A text by another."], vec![]));
    }

    #[test]
    fn a_text_is_written_against_what_others_alone_would_have_it_say() {
        let dir = tempfile::tempdir().unwrap();
        let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
        let mut material = material();
        let against = |m: &Material, contrast| {
            let contrast = request(&model, m, &WriteOptions { contrast, ..WriteOptions::default() }).contrast?;
            let mut bytes = Vec::new();
            contrast.prompt.iter().for_each(|&t| model.spell(t, &mut bytes));
            Some((String::from_utf8(bytes).unwrap(), contrast.weight))
        };
        let (prompt, weight) = against(&material, 0.5).unwrap();
        assert!(prompt.contains("A text by another.") && prompt.contains("Asked"), "{prompt}");
        assert!(!prompt.contains("An own text.") && !prompt.contains("invented"), "{prompt}");
        assert_eq!((weight, against(&material, 1e9).unwrap().1), (0.5, MOST_CONTRAST));
        assert!([0.0, -1.0, f32::NAN].iter().all(|&none| against(&material, none).is_none()));
        // There is nothing of the person in what was invented for them, and nothing but one word in a rating.
        material.history.truncate(1);
        assert_eq!(against(&material, 0.5), None);
        material.history.push(shown("An own text.", false));
        material.task = Task::Title;
        assert_eq!(against(&material, 0.5), None);
        // What does not fit beside is left out of it; a request that does not is written as it is.
        material.task = Task::Text;
        material.neighbours = vec![shown(&"word ".repeat(60), false); 9];
        assert!(against(&material, 0.5).unwrap().0.len() < BESIDE_TOKENS + 100);
        material.ask.title = Some("asked ".repeat(160));
        assert_eq!(against(&material, 0.5), None);
    }
}
