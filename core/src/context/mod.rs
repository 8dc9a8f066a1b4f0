//! Retrieval context: the prompt inputs that the graph and retrieval contribute for one user and
//! one pack.

mod author_style;
pub mod bm25;
pub mod formulas;
pub mod neighbour;
pub mod retriever;
pub mod selection;
pub mod topics;

use crate::{
    context::{neighbour::Neighbour, retriever::Retriever, topics::Topics},
    graph::recency_weights,
    history::{Interaction, Kind, Record},
    llm::proper_names,
    pack::{ItemId, Pack, PublicText},
    plan::{Length, ReasoningPath},
    predict::{Predictor, Query},
    prompt::{Ask, Example, PromptInputs, Resize, Task},
};

/// The item to write about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Target<'a> {
    /// The item's id.
    pub item: &'a str,
    /// The item's name, for items that the pack has no name for.
    pub item_title: Option<&'a str>,
    /// The title of the text, if given.
    pub title: Option<&'a str>,
    /// The text, if given.
    pub text: Option<&'a str>,
    /// Requested length, if any ([`Ask::length`]).
    pub length: Option<Length>,
    /// The kind of writing; `None` is a review.
    pub kind: Option<&'a Kind>,
    /// The text to answer, if any.
    pub context: Option<&'a str>,
    /// The user's notes on the text, if any.
    pub gist: Option<&'a str>,
    /// The draft to rewrite, if any.
    pub draft: Option<&'a str>,
    /// Opaque id of the recipient, if any.
    pub audience: Option<&'a str>,
    /// Change of the draft's length.
    pub resize: Resize,
    /// The plan of the text, if given.
    pub plan: Option<&'a ReasoningPath>,
}

impl<'a> Target<'a> {
    /// Returns the target of an evaluated task: the given parts of the true interaction, without
    /// the part that the task asks for.
    pub fn of(interaction: &'a Interaction, task: Task) -> Self {
        let title = interaction.title.as_deref();
        let text = Some(interaction.text.as_str());
        let (title, text) = match task {
            Task::Text => (title, None),
            Task::Title => (None, text),
            Task::Rating => (title, text),
            Task::Synthetic => (None, None),
        };
        let (item, item_title) = (interaction.item.as_str(), interaction.item_title.as_deref());
        Self { item, item_title, title, text, ..Self::default() }
    }

    /// Returns the search words for retrieval: all given texts.
    pub fn query(&self) -> String {
        let given = [self.title, self.text, self.gist, self.draft, self.context];
        given.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// Returns the request for a prompt, about an item with this name.
    pub fn ask(&self, item_title: Option<String>) -> Ask {
        let own = |given: Option<&str>| given.map(str::to_owned);
        Ask {
            item_title,
            title: own(self.title),
            text: own(self.text),
            length: self.length,
            context: own(self.context),
            gist: own(self.gist),
            draft: own(self.draft),
            audience: own(self.audience),
            resize: self.resize,
            plan: self.plan.cloned(),
            grammar: None,
        }
    }
}

/// Number of retrieved texts in a prompt, as in the PGraphRAG benchmark.
pub const NEIGHBOURS: usize = 4;

/// Number of retrieved texts in the prompt of a synthetic interaction. It is lower because each
/// generated text needs several synthetic ones.
pub const SYNTHETIC_NEIGHBOURS: usize = 2;

/// Maximum number of impostor texts, which represent the style of other authors.
const IMPOSTORS: usize = 64;

/// A builder of prompt inputs from one pack for one user.
pub struct ContextBuilder<'a> {
    pack: &'a Pack,
    me: Option<u64>,
    by_words: bool,
}

impl<'a> ContextBuilder<'a> {
    /// Creates a builder. `me` is the user's [author key](crate::pack::author_key), if their texts
    /// may be in the pack.
    pub fn new(pack: &'a Pack, me: Option<u64>) -> Self {
        Self { pack, me, by_words: false }
    }

    /// Retrieves texts by their words alone, without author style, as in the PGraphRAG benchmark.
    pub fn by_words(self) -> Self {
        Self { by_words: true, ..self }
    }

    fn retriever(&self) -> Retriever<'a> {
        Retriever::new(self.pack, self.me)
    }

    /// Returns the item's name: the pack's, else the caller's.
    pub fn item_title(&self, target: &Target<'_>) -> Option<String> {
        let known = self.pack.find(target.item).and_then(|n| self.pack.item_title(n));
        known.or(target.item_title).map(str::to_owned)
    }

    /// Returns up to `k` texts by other users on the target item, or on the most similar items if
    /// it has none.
    ///
    /// If `own`, the user's history, is not empty, texts in a similar style rank first.
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

    /// Returns the same, but only for texts on the target item itself.
    fn on_item(&self, target: &Target<'_>, own: &[&str], k: usize) -> Vec<Neighbour<'a>> {
        // Skips ranking when k == 0.
        let number = self.pack.find(target.item).filter(|_| k > 0);
        number.map(|n| self.retriever().like(own).on_item(n, &target.query(), k)).unwrap_or_default()
    }

    /// Returns the prompt inputs for writing about `target`.
    ///
    /// `history` holds the user's texts as they appear in the prompt. `neighbours` is the number of
    /// other users' texts to retrieve. If the history holds a text by the user, texts on other
    /// items are filtered: they make the output less like the user's.
    pub fn inputs(
        &self,
        task: Task,
        reasoning: bool,
        history: Vec<Example>,
        target: &Target<'_>,
        neighbours: usize,
    ) -> PromptInputs {
        let ask = target.ask(self.item_title(target));
        let kind = target.kind.cloned().unwrap_or_default();
        let impostors = if neighbours > 0 { self.impostors() } else { Vec::new() };
        let policy = self.pack.meta().policy.as_ref().filter(|_| task == Task::Rating);
        let rating = policy.and_then(|policy| policy.rating.clone());
        let mut inputs =
            PromptInputs { task, kind, reasoning, history, ask, impostors, rating, ..PromptInputs::default() };
        // If the text is given, the content of other users' texts matters and their style does not.
        let by_words = self.by_words || !matches!(task, Task::Text | Task::Synthetic);
        let own: Vec<&str> = if by_words { Vec::new() } else { inputs.own().map(|e| e.text.as_str()).collect() };
        let only_on_item = task == Task::Text && inputs.own().next().is_some();
        let found = if only_on_item {
            self.on_item(target, &own, neighbours)
        } else {
            self.neighbours(target, &own, neighbours)
        };
        inputs.neighbours = found.iter().map(|n| Example::public(&n.text, self.pack.item_title(n.item))).collect();
        self.reserve(&mut inputs, target);
        inputs
    }

    /// Collects the texts and names that no output may repeat: all texts by other users on the
    /// target, and the proper names in these and in the retrieved texts.
    fn reserve(&self, inputs: &mut PromptInputs, target: &Target<'_>) {
        let (item, retriever) = (self.pack.find(target.item), self.retriever());
        let on_item: Vec<PublicText<'_>> = item.into_iter().flat_map(|item| retriever.by_others(item)).collect();
        inputs.reserved = on_item.iter().map(|t| format!("{}\n{}", t.title, t.text)).collect();
        let shown = inputs.neighbours.iter().flat_map(|n| [n.title.as_deref().unwrap_or_default(), n.text.as_str()]);
        let all = shown.chain(on_item.iter().flat_map(|t| [t.title, t.text]));
        let lexicon = self.pack.lexicon();
        let mut names: Vec<String> = all.flat_map(|text| proper_names(text, |word| lexicon.contains(word))).collect();
        names.sort_unstable();
        names.dedup();
        inputs.names = names;
    }

    /// Returns the topics that separate `item` from the items in `history`, built from all known
    /// texts about each item.
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

    /// Returns texts by other users on items spread evenly over the pack, at most one per item.
    fn impostors(&self) -> Vec<String> {
        let items = self.pack.items();
        let step = items.div_ceil(IMPOSTORS).max(1);
        let spread = (0..step).flat_map(|first| (first..items).step_by(step));
        let retriever = self.retriever();
        let text = |item| retriever.by_others(item as ItemId).next().map(|t| t.text.to_owned());
        spread.filter_map(text).take(IMPOSTORS).collect()
    }

    /// Returns the prompt inputs for a synthetic interaction with `item` in the style of `history`.
    pub fn synthetic(&self, item: ItemId, history: Vec<Example>) -> PromptInputs {
        let target = Target { item: self.pack.item(item), ..Target::default() };
        let mut inputs = self.inputs(Task::Synthetic, true, history, &target, NEIGHBOURS);
        inputs.neighbours.truncate(SYNTHETIC_NEIGHBOURS);
        inputs
    }

    /// Returns the words about the target that an evaluation may use: its name and up to 20 texts
    /// by other users on it.
    pub fn target_words(&self, target: &Target<'_>) -> String {
        let mut words = self.item_title(target).unwrap_or_default();
        for n in self.pack.find(target.item).map(|n| self.retriever().others(n)).unwrap_or_default().iter().take(20) {
            words.push(' ');
            words.push_str(n.1.text);
        }
        words
    }
}

/// Returns the weight of an interaction in a query. Disliked items count half: they predict less.
fn weight(interaction: &Interaction) -> f32 {
    if interaction.stars().is_some_and(|s| s <= 2) { 0.5 } else { 1.0 }
}

/// Returns the graph query for a user's history, the latest interaction last. Items that are not in
/// the pack are filtered.
pub fn query(pack: &Pack, history: &[Interaction]) -> Query<'static> {
    let recency = recency_weights(history.len(), pack.meta().mixture.recency);
    let history = history.iter().zip(recency).filter_map(|(i, r)| Some((pack.find(&i.item)?, weight(i) * r))).collect();
    Query { history, ..Query::default() }
}

/// Returns the graph query for all records; synthetic interactions have a weight of their own.
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

/// Returns the `k` most likely items with at least one text in the pack. Other items have no
/// retrieval context.
pub fn predict_written(pack: &Pack, predictor: &Predictor<'_>, query: &Query<'_>, k: usize) -> Vec<ItemId> {
    let ranked = predictor.predict(query, pack.items());
    ranked.into_iter().map(|p| p.item).filter(|&i| pack.texts(i).len() > 0).take(k).collect()
}
