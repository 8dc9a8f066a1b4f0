//! Candidate prompts and requests for several candidates of one text.

use super::{
    guard::GuardedRequest,
    output::{WriteOptions, Written},
    request,
};
use crate::{
    llm::{Completion, Model, Request, Sampling},
    prompt::{Example, PromptInputs},
};

/// Returns the requests for all candidates of a text. The first is `request`, the result of
/// [`request`](fn@request::request).
///
/// The likeliest text of a prompt is one text only. The candidates for a planned text are therefore
/// first the likeliest texts of different prompts: all inputs with a plan, the user's history alone,
/// and that history with a plan. Each prompt misleads the model in its own way. The other candidates
/// are sampled after the history alone. Only a plan conveys a requested length to the model, so all
/// candidates then have a plan.
pub fn candidates(
    model: &Model,
    inputs: &PromptInputs,
    request: &Request,
    options: &WriteOptions,
) -> Vec<GuardedRequest> {
    let views = CandidatePrompts::new(inputs);
    let mut all = vec![request.clone()];
    let first = options.sampling_for(inputs);
    let options = &options.with_sampling(first);
    let varied = if first.temperature > 0.0 { first } else { Sampling::VARIED };
    for n in 1..options.candidates.max(1) {
        all.push(match views.0.get(n - 1) {
            Some(shown) => Request { deadline: request.deadline, ..request::request(model, shown, options) },
            None => {
                let mut drawn = all[views.drawn()].clone();
                for phase in &mut drawn.phases {
                    phase.sampling = varied.with_seed(first.seed.wrapping_add(n as u32));
                    // Greedy texts end too early, so they need a minimum length. Sampled texts
                    // reach the length of other users' texts anyway; only the user's history asks
                    // for more.
                    if inputs.own().next().is_none() {
                        phase.min_new_tokens = phase.min_new_tokens.min(1);
                    }
                }
                drawn
            }
        });
    }
    let job = |(n, request)| GuardedRequest { inputs: views.of(inputs, n).clone(), request };
    all.into_iter().enumerate().map(job).collect()
}

/// The candidate prompts of one text after the first, each with fewer inputs than the first.
struct CandidatePrompts(Vec<PromptInputs>);

impl CandidatePrompts {
    fn new(whole: &PromptInputs) -> Self {
        if !whole.reasoning || whole.ask.length.is_some() {
            return Self(Vec::new());
        }
        let less = |history: Vec<Example>, neighbours: Vec<Example>| PromptInputs {
            task: whole.task,
            kind: whole.kind.clone(),
            language: whole.language,
            reasoning: false,
            history,
            neighbours,
            ask: whole.ask.clone(),
            // Impostors are never part of a prompt.
            impostors: Vec::new(),
            reserved: whole.reserved.clone(),
            names: whole.names.clone(),
            rating: whole.rating.clone(),
            length_factor: whole.length_factor,
            opening: whole.opening.clone(),
            closing: whole.closing.clone(),
        };
        let history: Vec<Example> = whole.own().cloned().collect();
        if history.is_empty() {
            return Self(vec![less(whole.history.clone(), whole.neighbours.clone())]);
        }
        // Without other inputs, the planned history equals the first prompt.
        let more = history.len() < whole.history.len() || !whole.neighbours.is_empty();
        let own = less(history, Vec::new());
        let planned = more.then(|| PromptInputs { reasoning: true, ..own.clone() });
        Self(std::iter::once(own).chain(planned).collect())
    }

    /// The index of the candidate whose prompt the sampled candidates share.
    fn drawn(&self) -> usize {
        self.0.len().min(1)
    }

    /// The prompt inputs of the `n`-th candidate.
    fn of<'m>(&'m self, whole: &'m PromptInputs, n: usize) -> &'m PromptInputs {
        let other = n.checked_sub(1).and_then(|n| self.0.get(n).or(self.0.first()));
        other.unwrap_or(whole)
    }
}

/// Reads the completions of several candidates and drops the incomplete ones.
pub fn read_all(inputs: &PromptInputs, completions: &[Completion]) -> Vec<Written> {
    let views = CandidatePrompts::new(inputs);
    let shown = (0..).map(|n| views.of(inputs, n));
    let whole = completions.iter().zip(shown).filter(|(c, m)| c.phases.len() == m.phases());
    whole.map(|(c, m)| request::read(m, c)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        generation::{request::request, reranking::best},
        llm::{LoadOptions, PhaseOutput, Stop},
        plan::{self, Length},
        prompt::{Ask, Task},
    };

    fn output(text: &str) -> PhaseOutput {
        PhaseOutput { text: text.into(), tokens: 2, stop: Stop::Matched, log_prob: -2.0, source: None }
    }

    pub(crate) fn shown(text: &str, synthetic: bool) -> Example {
        Example { text: text.into(), synthetic, ..Example::default() }
    }

    /// Inputs of a planned text, with one synthetic text, one text by the user and one by another
    /// user.
    pub(crate) fn inputs() -> PromptInputs {
        PromptInputs {
            task: Task::Text,
            reasoning: true,
            history: vec![shown("An invented text.", true), shown("An own text.", false)],
            neighbours: vec![shown("A text by another.", false)],
            ask: Ask { title: Some("Asked".into()), ..Ask::default() },
            ..PromptInputs::default()
        }
    }

    fn spelled(model: &Model, request: &Request) -> String {
        let mut bytes = Vec::new();
        request.prompt.iter().for_each(|&t| model.spell(t, &mut bytes));
        String::from_utf8(bytes).unwrap()
    }

    fn requests(model: &Model, inputs: &PromptInputs, n: usize) -> Vec<Request> {
        let options = WriteOptions { candidates: n, ..WriteOptions::default() };
        let jobs = candidates(model, inputs, &request(model, inputs, &options), &options);
        jobs.into_iter().map(|job| job.request).collect()
    }

    fn tiny() -> (tempfile::TempDir, Model) {
        let dir = tempfile::tempdir().unwrap();
        let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
        (dir, model)
    }

    #[test]
    fn each_candidate_of_a_plan_is_the_likeliest_of_another_prompt_then_own_texts_are_drawn() {
        let (_dir, model) = tiny();
        let inputs = inputs();
        let all = requests(&model, &inputs, 5);
        let texts = ["An invented text.", "An own text.", "A text by another."];
        let said = all.iter().map(|r| spelled(&model, r));
        let shows: Vec<[bool; 3]> = said.map(|said| texts.map(|text| said.contains(text))).collect();
        let own = [false, true, false];
        assert_eq!(shows, [[true; 3], own, own, own, own]);
        assert_eq!(all.iter().map(|r| r.phases.len()).collect::<Vec<_>>(), [2, 1, 2, 1, 1]);
        assert!(all[3..].iter().all(|r| r.prompt == all[1].prompt));
        assert!(all[..3].iter().all(|r| r.phases.iter().all(|p| p.sampling == Sampling::GREEDY)));
        let drawn = [3, 4].map(|seed| Sampling::VARIED.with_seed(seed));
        assert_eq!(all[3..].iter().map(|r| r.phases[0].sampling).collect::<Vec<_>>(), drawn);
        let least: Vec<usize> = all.iter().map(|r| r.phases.iter().map(|p| p.min_new_tokens).sum()).collect();
        assert_eq!(least, [2; 5]);

        // The completions of all requests; one ended before its text.
        let path = "5 stars, warm, brief: tea";
        let phases = [vec![path, "Of all."], vec!["Own."], vec![path], vec!["1"], vec!["2"]];
        let completion = |p: &Vec<&str>| Completion { phases: p.iter().map(|t| output(t)).collect() };
        let read = read_all(&inputs, &phases.iter().map(completion).collect::<Vec<_>>());
        let texts: Vec<_> = read.iter().filter_map(|w| w.text.as_deref()).collect();
        assert_eq!(texts, ["Of all.", "Own.", "1", "2"]);
        assert_eq!(read.iter().map(|w| w.path.is_some()).collect::<Vec<_>>(), [true, false, false, false]);
        assert_eq!(best(&inputs, Vec::new()), None);
    }

    #[test]
    fn no_prompt_is_asked_twice_for_its_likeliest_text() {
        let (_dir, model) = tiny();
        let mut inputs = inputs();
        inputs.neighbours.clear();
        inputs.history.remove(0);
        let all = requests(&model, &inputs, 4);
        assert_eq!(all.iter().map(|r| r.phases.len()).collect::<Vec<_>>(), [2, 1, 1, 1]);
        let sampling: Vec<Sampling> = all.iter().map(|r| r.phases[0].sampling).collect();
        assert_eq!(sampling[..2], [Sampling::GREEDY; 2]);
        assert_eq!(sampling[2..], [2, 3].map(|seed| Sampling::VARIED.with_seed(seed)));
    }

    #[test]
    fn who_has_written_nothing_is_not_left_alone_with_the_title() {
        let (_dir, model) = tiny();
        let mut inputs = inputs();
        inputs.history.clear();
        let all = requests(&model, &inputs, 4);
        assert_eq!(all.iter().map(|r| r.phases.len()).collect::<Vec<_>>(), [2, 1, 1, 1]);
        assert!(all.iter().all(|r| spelled(&model, r).contains("A text by another.")));
        // The length of other users' texts sets the minimum for greedy texts, and not for sampled
        // ones.
        let least: Vec<usize> = all.iter().map(|r| r.phases.iter().map(|p| p.min_new_tokens).sum()).collect();
        assert_eq!(least, [3, 3, 1, 1]);
    }

    #[test]
    fn all_are_alike_for_a_length_that_is_asked_for_and_without_plans() {
        let (_dir, model) = tiny();
        let mut inputs = inputs();
        inputs.ask.length = Some(Length::Long);
        let alike = |all: &[Request]| all.windows(2).all(|r| r[0].prompt == r[1].prompt);
        let all = requests(&model, &inputs, 6);
        assert!(
            all.iter().all(|r| r.phases[0].grammar.as_deref() == Some(&plan::grammar(Some(Length::Long), true, None)))
        );
        assert!(alike(&all));
        inputs.ask.length = None;
        assert!(!alike(&requests(&model, &inputs, 6)));
        inputs.reasoning = false;
        let all = requests(&model, &inputs, 6);
        assert!(alike(&all));
        // Without notes all are drawn alike; with notes the first is the likeliest text.
        let drawn = |inputs: &PromptInputs| {
            requests(&model, inputs, 2).iter().map(|r| r.phases[0].sampling).collect::<Vec<_>>()
        };
        assert_eq!(drawn(&inputs), [0, 1].map(|seed| Sampling::NATURAL.with_seed(seed)));
        inputs.ask.gist = Some("warm".into());
        assert_eq!(drawn(&inputs), [Sampling::GREEDY, Sampling::VARIED.with_seed(1)]);
    }
}
