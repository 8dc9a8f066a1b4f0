//! Several candidates for one text: what each of them is written from.

use crate::{
    generate::{self, WriteOptions, Written},
    llm::{Completion, Model, Request, Sampling},
    prompt::{Example, Material},
};

/// Of so many candidates for a text with a plan one has it.
const PLANNED: usize = 4;

/// The requests for all candidates of a text: `request`, which is that of [`request`](fn@generate::request), then others.
///
/// Of a text with a plan one of four has it: a plan that guesses wrong misleads its text. The next is written from the person's own
/// texts alone, if there are any, for what others wrote drowns the person's voice. The next few are each shown a hand of other texts by
/// people who write like this one: what is likeliest behind each is far better than what is drawn, and yet they differ. The rest
/// are drawn, from the own texts alone. A length that is asked for only a plan can tell: then all have one.
pub fn candidates(model: &Model, material: &Material, request: &Request, options: &WriteOptions) -> Vec<Request> {
    let views = Views::new(material);
    let mut own: Option<Request> = None;
    let mut all = vec![request.clone()];
    for n in 1..options.candidates.max(1) {
        let (view, first) = views.at(n);
        let mut other = match view {
            View::Whole => request.clone(),
            View::Own => own.get_or_insert_with(|| generate::request(model, &views.own, options)).clone(),
            View::Hand(hand) => {
                let shown = Material { neighbours: views.hands[hand].clone(), ..views.own.clone() };
                generate::request(model, &shown, options)
            }
        };
        other.deadline = request.deadline;
        // The first of each kind as it is asked for: greedy, it is far better than what is drawn.
        if !first {
            let seed = options.sampling.seed.wrapping_add(n as u32);
            for phase in &mut other.phases {
                phase.sampling = Sampling::VARIED.with_seed(seed);
                // The likeliest text is too short, what is drawn is as long as others' texts are: only the own ones tell more.
                if material.own().next().is_none() {
                    phase.least_tokens = 0;
                }
            }
        }
        all.push(other);
    }
    all
}

/// What a candidate is written from.
enum View {
    /// Everything, behind a plan if there is to be one.
    Whole,
    /// The person's own texts.
    Own,
    /// Those and a hand of others'.
    Hand(usize),
}

/// What the candidates of one text are written from.
struct Views<'m> {
    whole: &'m Material,
    own: Material,
    hands: Vec<Vec<Example>>,
}

impl<'m> Views<'m> {
    fn new(whole: &'m Material) -> Self {
        let mut own = Material { reasoning: false, ..whole.clone() };
        // What stands in no prompt.
        own.impostors.clear();
        let more = std::mem::take(&mut own.more);
        let mut hands = Vec::new();
        if whole.own().next().is_some() {
            own.history.retain(|e| !e.synthetic);
            let shown = std::mem::take(&mut own.neighbours);
            if !more.is_empty() {
                hands.extend([&shown[..], &more].concat().chunks_exact(shown.len().max(1)).map(<[Example]>::to_vec));
            }
        }
        Self { whole, own, hands }
    }

    /// Of the `n`-th candidate, and whether it is the first from that view.
    fn at(&self, n: usize) -> (View, bool) {
        if !self.whole.reasoning || self.whole.ask.length.is_some() || n.is_multiple_of(PLANNED) {
            return (View::Whole, n == 0);
        }
        // How many without a plan stand before it.
        match n - 1 - n / PLANNED {
            0 => (View::Own, true),
            before if before <= self.hands.len() => (View::Hand(before - 1), true),
            _ => (View::Own, false),
        }
    }
}

/// What the answers to [`candidates`] say, those that are whole.
pub fn read_all(material: &Material, completions: &[Completion]) -> Vec<Written> {
    let views = Views::new(material);
    // All but the whole view are read alike: one text, no plan.
    let materials = (0..).map(|n| if matches!(views.at(n).0, View::Whole) { material } else { &views.own });
    let whole = completions.iter().zip(materials).filter(|(c, m)| c.phases.len() == m.phases());
    whole.map(|(c, m)| generate::read(m, c)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        generate::{best, request},
        llm::{LoadOptions, PhaseOutput, Stop},
        prompt::{Ask, Task},
        reason::{self, Length},
    };

    fn output(text: &str) -> PhaseOutput {
        PhaseOutput { text: text.into(), tokens: 2, stop: Stop::Matched, log_prob: -2.0 }
    }

    pub(crate) fn shown(text: &str, synthetic: bool) -> Example {
        Example { text: text.into(), synthetic, ..Example::default() }
    }

    /// A text to be planned and written from an invented text, an own one and one by another.
    pub(crate) fn material() -> Material {
        Material {
            task: Task::Text,
            reasoning: true,
            history: vec![shown("An invented text.", true), shown("An own text.", false)],
            neighbours: vec![shown("A text by another.", false)],
            ask: Ask { title: Some("Asked".into()), ..Ask::default() },
            more: Vec::new(),
            impostors: Vec::new(),
        }
    }

    #[test]
    fn three_of_four_candidates_of_a_plan_are_written_from_the_own_texts_alone() {
        let dir = tempfile::tempdir().unwrap();
        let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
        let mut material = material();
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
        let least = |all: &[Request]| -> Vec<usize> {
            all.iter().map(|r| r.phases.iter().map(|p| p.least_tokens).sum()).collect()
        };
        assert_eq!(least(&all), [2; 6]);
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

        // Hands of other texts come after the own texts, the likeliest behind each.
        material.more = vec![shown("A second by another.", false), shown("A third by another.", false)];
        let all = requests(&material);
        assert_eq!(all.iter().map(|r| r.phases.len()).collect::<Vec<_>>(), [2, 1, 1, 1, 2, 1]);
        let hands = ["A text by another.", "A second by another.", "A third by another."];
        for (n, hand) in [2, 3, 5].into_iter().zip(hands) {
            let said = spelled(&all[n]);
            assert!(said.contains("An own text.") && !said.contains("invented"), "{said}");
            assert!(hands.iter().all(|other| said.contains(other) == (*other == hand)), "{said}");
            assert_eq!(all[n].phases[0].sampling, Sampling::GREEDY);
        }
        assert!(spelled(&all[1]) == own && all[1].phases[0].sampling == Sampling::GREEDY);
        let more = WriteOptions { candidates: 8, ..options };
        let rest = candidates(&model, &material, &all[0], &more);
        assert_eq!(rest[6].prompt, rest[1].prompt);
        assert_eq!(rest[7].phases[0].sampling, Sampling::VARIED.with_seed(7));

        // Who has written nothing is not left alone with the title.
        material.history.clear();
        let all = requests(&material);
        assert!(all[1].phases.len() == 1 && spelled(&all[1]).contains("A text by another."));
        // How long others write tells only what is likeliest, not what is drawn.
        assert_eq!(least(&all), [3, 3, 0, 0, 0, 0]);
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
}
