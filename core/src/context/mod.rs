//! From a person and a pack to the material of a prompt: what the graph and retrieval contribute.

mod author_style;
pub mod bm25;
pub mod retriever;
pub mod selection;
pub mod topics;

use crate::{
    context::{
        retriever::{Neighbour, Retriever},
        topics::Topics,
    },
    graph::recency_weights,
    history::{Interaction, Record},
    llm::proper_names,
    pack::{ItemId, Pack, PublicText},
    plan::Length,
    predict::{Predictor, Query},
    prompt::{Ask, Example, PromptInputs, Task},
};

/// The item that is to be written on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Target<'a> {
    /// Its id.
    pub item: &'a str,
    /// Its name, where the caller knows one that the pack does not.
    pub item_title: Option<&'a str>,
    /// The title of the text, if given.
    pub title: Option<&'a str>,
    /// The text, if given.
    pub text: Option<&'a str>,
    /// How much to write, if asked for ([`Ask::length`]).
    pub length: Option<Length>,
}

impl<'a> Target<'a> {
    /// What an evaluated task gives: of the true interaction only what the task does not ask for.
    pub fn of(interaction: &'a Interaction, task: Task) -> Self {
        let title = interaction.title.as_deref();
        let text = Some(interaction.text.as_str());
        let (title, text) = match task {
            Task::Text => (title, None),
            Task::Title => (None, text),
            Task::Rating => (title, text),
            Task::Synthetic => (None, None),
        };
        Self { item: &interaction.item, item_title: interaction.item_title.as_deref(), title, text, length: None }
    }

    /// The words that retrieval searches with: what is given of the text.
    pub fn query(&self) -> String {
        [self.title, self.text].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// Number of other people's texts in a prompt, as in the PGraphRAG benchmark.
pub const NEIGHBOURS: usize = 4;

/// The same for a synthetic interaction, of which several are written for one text.
pub const SYNTHETIC_NEIGHBOURS: usize = 2;

/// Number of texts that say how people write.
const IMPOSTORS: usize = 64;

/// What a pack knows about one person's request.
pub struct ContextBuilder<'a> {
    pack: &'a Pack,
    me: Option<u64>,
    by_words: bool,
}

impl<'a> ContextBuilder<'a> {
    /// `me` is the person's [author key](crate::pack::author_key), if their texts may be in the pack.
    pub fn new(pack: &'a Pack, me: Option<u64>) -> Self {
        Self { pack, me, by_words: false }
    }

    /// Looks for texts by their words alone, whoever they sound like: the PGraphRAG benchmark's way.
    pub fn by_words(self) -> Self {
        Self { by_words: true, ..self }
    }

    fn retriever(&self) -> Retriever<'a> {
        Retriever::new(self.pack, self.me)
    }

    /// An item's name: the pack's, else the caller's.
    pub fn item_title(&self, target: &Target<'_>) -> Option<String> {
        let known = self.pack.find(target.item).and_then(|n| self.pack.item_title(n));
        known.or(target.item_title).map(str::to_owned)
    }

    /// Other people's texts for the target: on the item itself, else on the items most alike. If there is a text in `own`, of those
    /// that the person wrote, texts that sound like it.
    pub fn neighbours(&self, target: &Target<'_>, own: &[&str], k: usize) -> Vec<Neighbour<'a>> {
        let on_item = self.on_item(target, own, k);
        if k == 0 || !on_item.is_empty() {
            return on_item;
        }
        let query = target.query();
        let words =
            [self.item_title(target).as_deref(), Some(&query)].into_iter().flatten().collect::<Vec<_>>().join(" ");
        self.retriever().like(own).on_similar(self.pack.find(target.item), &words, k)
    }

    /// Of those only what is on the item itself.
    fn on_item(&self, target: &Target<'_>, own: &[&str], k: usize) -> Vec<Neighbour<'a>> {
        // Ranking takes time even to take none.
        let number = self.pack.find(target.item).filter(|_| k > 0);
        number.map(|n| self.retriever().like(own).on_item(n, &target.query(), k)).unwrap_or_default()
    }

    /// The material for writing on `target`. `history`: the person's texts as they stand in the prompt; `neighbours`:
    /// how many of other people's texts to look for. ContrastBranch a text by the person, texts on other items than this one only make
    /// another text less like theirs: they are left out.
    pub fn material(
        &self,
        task: Task,
        reasoning: bool,
        history: Vec<Example>,
        target: &Target<'_>,
        neighbours: usize,
    ) -> PromptInputs {
        let ask = Ask {
            item_title: self.item_title(target),
            title: target.title.map(str::to_owned),
            text: target.text.map(str::to_owned),
            length: target.length,
        };
        let impostors = if neighbours > 0 { self.impostors() } else { Vec::new() };
        let mut material = PromptInputs { task, reasoning, history, ask, impostors, ..PromptInputs::default() };
        // Behind a text that is given, what others say to it matters, not how.
        let by_words = self.by_words || !matches!(task, Task::Text | Task::Synthetic);
        let own: Vec<&str> = if by_words { Vec::new() } else { material.own().map(|e| e.text.as_str()).collect() };
        let only_on_item = task == Task::Text && material.own().next().is_some();
        let found = if only_on_item {
            self.on_item(target, &own, neighbours)
        } else {
            self.neighbours(target, &own, neighbours)
        };
        material.neighbours = found.iter().map(|n| Example::public(&n.text, self.pack.item_title(n.item))).collect();
        self.reserve(&mut material, target);
        material
    }

    /// Notes what nothing that is written may repeat: everything that others wrote about the target, and the proper names in that and
    /// in the texts that the prompt shows.
    fn reserve(&self, material: &mut PromptInputs, target: &Target<'_>) {
        let (item, retriever) = (self.pack.find(target.item), self.retriever());
        let on_item: Vec<PublicText<'_>> = item.into_iter().flat_map(|item| retriever.by_others(item)).collect();
        material.reserved = on_item.iter().map(|t| format!("{}\n{}", t.title, t.text)).collect();
        let shown = material.neighbours.iter().flat_map(|n| [n.title.as_deref().unwrap_or_default(), n.text.as_str()]);
        let all = shown.chain(on_item.iter().flat_map(|t| [t.title, t.text]));
        let lexicon = self.pack.lexicon();
        let mut names: Vec<String> = all.flat_map(|text| proper_names(text, |word| lexicon.contains(word))).collect();
        names.sort_unstable();
        names.dedup();
        material.names = names;
    }

    /// What tells whether a text is about `item` and not about one that the person wrote about: all that is known of each.
    pub fn topics(&self, item: ItemId, history: &[Interaction]) -> Topics {
        let known = |item: ItemId| {
            let name = [self.pack.item_title(item), self.pack.category(item)];
            let texts = self.retriever().others(item).into_iter().flat_map(|(_, t)| [t.title, t.text]);
            name.into_iter().flatten().chain(texts).collect::<Vec<&str>>().join("\n")
        };
        let wrote = |i: &Interaction| {
            let own = [i.item_title.as_deref(), i.category.as_deref(), i.title.as_deref(), Some(i.text.as_str())];
            let others = self.pack.find(&i.item).map(known).unwrap_or_default();
            own.into_iter().flatten().chain([others.as_str()]).collect::<Vec<&str>>().join("\n")
        };
        let others: Vec<String> = history.iter().filter(|i| i.item != self.pack.item(item)).map(wrote).collect();
        Topics::new(&known(item), &others, |word| self.pack.idf(word))
    }

    /// Texts by other people on items that lie evenly in the pack, one of each.
    fn impostors(&self) -> Vec<String> {
        let items = self.pack.items();
        let step = items.div_ceil(IMPOSTORS).max(1);
        let spread = (0..step).flat_map(|first| (first..items).step_by(step));
        let retriever = self.retriever();
        let text = |item| retriever.by_others(item as ItemId).next().map(|t| t.text.to_owned());
        spread.filter_map(text).take(IMPOSTORS).collect()
    }

    /// The material for a synthetic interaction with `item`, in the voice of `history`.
    pub fn synthetic(&self, item: ItemId, history: Vec<Example>) -> PromptInputs {
        let target = Target { item: self.pack.item(item), ..Target::default() };
        let mut material = self.material(Task::Synthetic, true, history, &target, NEIGHBOURS);
        material.neighbours.truncate(SYNTHETIC_NEIGHBOURS);
        material
    }

    /// Words about the target that may be seen: its name and other people's texts on it.
    pub fn target_words(&self, target: &Target<'_>) -> String {
        let mut words = self.item_title(target).unwrap_or_default();
        for n in self.pack.find(target.item).map(|n| self.retriever().others(n)).unwrap_or_default().iter().take(20) {
            words.push(' ');
            words.push_str(n.1.text);
        }
        words
    }
}

/// Weight of an interaction in a query: what a person disliked says less about what they will meet.
fn weight(interaction: &Interaction) -> f32 {
    if interaction.stars().is_some_and(|s| s <= 2) { 0.5 } else { 1.0 }
}

/// A person's history, the latest last, as a graph query; items that the pack does not know are left out.
pub fn query(pack: &Pack, history: &[Interaction]) -> Query<'static> {
    let recency = recency_weights(history.len(), pack.meta().mixture.recency);
    let history = history.iter().zip(recency).filter_map(|(i, r)| Some((pack.find(&i.item)?, weight(i) * r))).collect();
    Query { history, ..Query::default() }
}

/// The same of everything recorded, synthetic interactions with their own weight.
pub fn query_records(pack: &Pack, records: &[Record], synthetic_weight: f32) -> Query<'static> {
    let (synthetic, real): (Vec<&Record>, Vec<&Record>) = records.iter().partition(|r| r.is_synthetic());
    let real: Vec<Interaction> = real.into_iter().map(|r| r.interaction.clone()).collect();
    let mut query = query(pack, &real);
    if synthetic_weight != 0.0 {
        let items = synthetic.iter().filter_map(|r| pack.find(&r.interaction.item));
        query.history.extend(items.map(|item| (item, synthetic_weight)));
    }
    query
}

/// The `k` likeliest items that somebody has written about (only those can be grounded).
pub fn predict_written(pack: &Pack, predictor: &Predictor<'_>, query: &Query<'_>, k: usize) -> Vec<ItemId> {
    let ranked = predictor.predict(query, pack.items());
    ranked.into_iter().map(|p| p.item).filter(|&i| pack.texts(i).len() > 0).take(k).collect()
}
