//! Personalized text, title or rating: from material to a decoder's request, and back.

use serde::{Deserialize, Serialize};

use crate::{
    consensus::{Ballot, Voices},
    llm::{Completion, Model, Phase, Prompt, Request, Sampling, Stop, common_prefix},
    prompt::{Material, Task},
    reason::{self, ReasoningPath},
    text,
};

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
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { prompt_tokens: 1024, text_tokens: 160, sampling: Sampling::GREEDY, candidates: 1 }
    }
}

/// Longest reasoning path and title, in tokens.
const PATH_TOKENS: usize = 48;
const TITLE_TOKENS: usize = 24;
/// Of so many candidates for a text with a plan one has it.
const PLANNED: usize = 4;
/// Longest opening of a text as its title, in words.
const OPENING_WORDS: usize = 10;

impl WriteOptions {
    /// Room that a decoder needs for one sequence of this kind, in tokens.
    pub fn context(&self) -> usize {
        self.prompt_tokens + self.most_written() + 64
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

/// The decoder's request for this material.
pub fn request(model: &Model, material: &Material, options: &WriteOptions) -> Request {
    request_with_prefix(model, material, options).0
}

/// The same, with how many tokens of its prompt are the person's history.
pub(crate) fn request_with_prefix(model: &Model, material: &Material, options: &WriteOptions) -> (Request, usize) {
    let prompt = material.compose(model, options.prompt_tokens);
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
    let phases = kinds.into_iter().enumerate().map(|(n, (grammar, max_tokens))| Phase {
        // The first lead is the end of the prompt; the later ones follow a line that has just ended.
        lead: if n == 0 { String::new() } else { format!("\n{}", material.lead(n)) },
        grammar,
        stop: vec!["\n".into()],
        max_tokens,
        sampling: options.sampling,
    });
    let phases = phases.collect();
    let body = prompt.body[..Material::stable_bytes(&prompt.body)].to_owned();
    let stable = Prompt { body, lead: String::new() };
    let tokens = model.prompt_tokens(&prompt);
    // Tokens at the cut may differ from those of the whole.
    let stable = common_prefix(&model.prompt_tokens(&stable), &tokens);
    (Request { prompt: tokens, phases, deadline: None, boundary: None }, stable)
}

/// The requests for all candidates of a text: `request`, which is that of [`request`](fn@request), then others like it with
/// tokens that are drawn. Of a text with a plan three of four are written without it, the first of those sampled as asked, from
/// the person's own texts alone if there are any: a plan that guesses wrong misleads its text, and what others wrote drowns the
/// person's voice. A length that is asked for only a plan can tell: then all have one.
pub fn candidates(model: &Model, material: &Material, request: &Request, options: &WriteOptions) -> Vec<Request> {
    let n = options.candidates.max(1);
    let plain = (n > 1 && is_plain(material, 1)).then(|| {
        let other = self::request(model, &plain(material), options);
        Request { deadline: request.deadline, ..other }
    });
    let mut all = vec![request.clone()];
    for n in 1..n {
        let mut other = plain.as_ref().filter(|_| is_plain(material, n)).unwrap_or(request).clone();
        // The first of each kind as it is asked for: greedy, it is far better than what is drawn.
        if n > 1 || plain.is_none() {
            let seed = options.sampling.seed.wrapping_add(n as u32);
            other.phases.iter_mut().for_each(|p| p.sampling = Sampling::VARIED.with_seed(seed));
        }
        all.push(other);
    }
    all
}

/// Whether the `n`-th candidate is written from less.
fn is_plain(material: &Material, n: usize) -> bool {
    material.reasoning && material.ask.length.is_none() && !n.is_multiple_of(PLANNED)
}

fn plain(material: &Material) -> Material {
    let mut plain = Material { reasoning: false, ..material.clone() };
    if material.own().next().is_some() {
        plain.history.retain(|e| !e.synthetic);
        plain.neighbours.clear();
    }
    plain
}

/// What the answers to [`candidates`] say, those that are whole.
pub fn read_all(material: &Material, completions: &[Completion]) -> Vec<Written> {
    let plain = plain(material);
    let materials = (0..).map(|n| if is_plain(material, n) { &plain } else { material });
    let whole = completions.iter().zip(materials).filter(|(c, m)| c.phases.len() == m.phases());
    whole.map(|(c, m)| read(m, c)).collect()
}

/// The one that [`consensus`](crate::consensus::consensus) takes; `tokens` counts what all of them took. For a title, how the text
/// opens is one more. `None` of none.
pub fn best(material: &Material, mut all: Vec<Written>) -> Option<Written> {
    // Among less than two there is no choice, and nothing to weigh.
    if all.len() < 2 { all.pop() } else { Choice::new(material, all).best() }
}

/// Several texts for one request, to choose among all or some of them.
pub(crate) struct Choice {
    /// What was written, then the opening that may stand for a title.
    all: Vec<Written>,
    opening: Option<usize>,
    ballot: Ballot,
}

impl Choice {
    pub(crate) fn new(material: &Material, mut all: Vec<Written>) -> Self {
        let opening = opening(material).filter(|_| all.len() > 1);
        let mut voices = voices(material);
        voices.others.extend(opening.as_deref());
        let place = opening.as_ref().map(|_| all.len());
        all.extend(opening.clone().map(|title| Written { title: Some(title), ..Written::default() }));
        let ballot = Ballot::new(&all, &voices);
        Self { all, opening: place, ballot }
    }

    /// What [`best`] takes of all.
    pub(crate) fn best(mut self) -> Option<Written> {
        let tokens = self.all.iter().map(|w| w.tokens).sum();
        let written = self.opening.unwrap_or(self.all.len());
        let best = self.among(&(0..written).collect::<Vec<_>>())?;
        Some(Written { tokens, ..self.all.swap_remove(best) })
    }

    /// The place of the best of those at `places`, or of the opening.
    pub(crate) fn among(&self, places: &[usize]) -> Option<usize> {
        self.ballot.winner(&places.iter().copied().chain(self.opening).collect::<Vec<_>>())
    }
}

/// The first words of the text that a title is asked for: many people begin with what they would put above.
fn opening(material: &Material) -> Option<String> {
    let text = material.ask.text.as_deref().filter(|_| material.task == Task::Title)?;
    let line = text::one_line(text);
    Some(text::clip_words(text::first_sentence(&line), OPENING_WORDS)).filter(|o| !o.is_empty())
}

/// What others wrote of the same item and the person of other items, as far as it is of the kind that is asked for.
fn voices(material: &Material) -> Voices<'_> {
    let others = material.neighbours.iter();
    match material.task {
        Task::Text | Task::Synthetic => Voices {
            others: others.map(|n| n.text.as_str()).collect(),
            own: material.own().map(|e| e.text.as_str()).collect(),
            impostors: material.impostors.iter().map(String::as_str).collect(),
        },
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
        Task::Text => written.text = phases.next().map(|p| prose(&p.text, p.stop)),
        Task::Title => written.title = phases.next().map(|p| text::one_line(&p.text)),
        Task::Rating => written.rating = phases.next().and_then(|p| p.text.trim().parse().ok()),
        Task::Synthetic => {
            written.title = phases.next().map(|p| text::one_line(&p.text));
            written.text = phases.next().map(|p| prose(&p.text, p.stop));
            written.rating = written.path.as_ref().map(|p| p.stance);
        }
    }
    written
}

/// A text cut off by its length ends with its last whole sentence.
fn prose(written: &str, stop: Stop) -> String {
    let line = text::one_line(written);
    if matches!(stop, Stop::Length | Stop::Deadline) { text::whole_sentences(&line).to_owned() } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        llm::{LoadOptions, PhaseOutput},
        prompt::{Ask, Example},
        reason::Length,
    };

    fn output(text: &str) -> PhaseOutput {
        PhaseOutput { text: text.into(), tokens: 2, stop: Stop::Matched, log_prob: -2.0 }
    }

    #[test]
    fn three_of_four_candidates_of_a_plan_are_written_from_the_own_texts_alone() {
        let dir = tempfile::tempdir().unwrap();
        let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
        let shown = |text: &str, synthetic| Example { text: text.into(), synthetic, ..Example::default() };
        let mut material = Material {
            task: Task::Text,
            reasoning: true,
            history: vec![shown("An invented text.", true), shown("An own text.", false)],
            neighbours: vec![shown("A text by another.", false)],
            ask: Ask { title: Some("Asked".into()), ..Ask::default() },
            impostors: Vec::new(),
        };
        let options = WriteOptions { candidates: 6, ..WriteOptions::default() };
        let requests = |m: &Material| candidates(&model, m, &request(&model, m, &options), &options);
        let spelled = |r: &Request| {
            let mut bytes = Vec::new();
            r.prompt.iter().for_each(|&t| model.spell(t, &mut bytes));
            String::from_utf8(bytes).unwrap()
        };
        let all = requests(&material);
        assert_eq!(all.iter().map(|r| r.phases.len()).collect::<Vec<_>>(), [2, 1, 1, 1, 2, 1]);
        assert_eq!((&all[0].prompt, &all[1].prompt), (&all[4].prompt, &all[5].prompt));
        let sampling: Vec<Sampling> = all.iter().map(|r| r.phases[0].sampling).collect();
        assert_eq!(sampling[..2], [Sampling::GREEDY; 2]);
        assert_eq!(sampling[2..], [2, 3, 4, 5].map(|seed| Sampling::VARIED.with_seed(seed)));
        let (whole, own) = (spelled(&all[0]), spelled(&all[1]));
        assert!(
            ["An invented text.", "An own text.", "A text by another."].iter().all(|t| whole.contains(t)),
            "{whole}"
        );
        assert!(own.contains("An own text.") && !own.contains("invented") && !own.contains("another"), "{own}");

        // What came back of each; one of them had no time for its text.
        let path = "5 stars, warm, brief: tea";
        let phases = [vec![path, "Behind a plan."], vec!["Without."], vec!["1"], vec!["2"], vec![path], vec!["3"]];
        let completion = |p: &Vec<&str>| Completion { phases: p.iter().map(|t| output(t)).collect() };
        let read = read_all(&material, &phases.iter().map(completion).collect::<Vec<_>>());
        let texts: Vec<_> = read.iter().filter_map(|w| w.text.as_deref()).collect();
        assert_eq!(texts, ["Behind a plan.", "Without.", "1", "2", "3"]);
        assert_eq!(read.iter().map(|w| w.path.is_some()).collect::<Vec<_>>(), [true, false, false, false, false]);
        assert_eq!(best(&material, Vec::new()), None);

        // Who has written nothing is not left alone with the title.
        material.history.clear();
        let all = requests(&material);
        assert!(all[1].phases.len() == 1 && spelled(&all[1]).contains("A text by another."));
        // A length that is asked for stands in every plan.
        material.ask.length = Some(Length::Long);
        let all = requests(&material);
        assert!(all.iter().all(|r| r.phases[0].grammar.as_deref() == Some(&reason::grammar(Some(Length::Long)))));
        // Without a plan all are alike.
        material.reasoning = false;
        let all = requests(&material);
        assert!(all.windows(2).all(|r| r[0].prompt == r[1].prompt));
        assert_eq!(all[1].phases[0].sampling, Sampling::VARIED.with_seed(1));
    }

    fn titled(titles: &[&str]) -> Option<String> {
        let text = "The lid does not close. I wrote to them twice and nobody answered.".to_owned();
        let material = Material {
            task: Task::Title,
            reasoning: false,
            history: Vec::new(),
            neighbours: Vec::new(),
            ask: Ask { text: Some(text), ..Ask::default() },
            impostors: Vec::new(),
        };
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
}
