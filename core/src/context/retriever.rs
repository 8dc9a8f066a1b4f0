//! Retrieval of other users' texts for a prompt.
//!
//! BM25 ranks the texts on the target item, or the texts on similar items if the target has none.
//! For a user with history, the ranking adds author style.

use std::collections::HashSet;

use super::{author_style::AuthorStyle, bm25::score_texts, neighbour::Neighbour};
use crate::pack::{ItemId, Pack, PublicText};

/// Maximum number of ranked texts. The texts of very popular items are sampled evenly.
const MAX_CANDIDATES: usize = 400;

/// A retriever over one pack for one user. The user's own texts are never returned.
pub struct Retriever<'a> {
    pack: &'a Pack,
    me: Option<u64>,
    habit: Option<AuthorStyle>,
}

impl<'a> Retriever<'a> {
    /// Creates a retriever. `me` is the user's [author key](crate::pack::author_key), if their
    /// texts may be in the pack.
    pub fn new(pack: &'a Pack, me: Option<u64>) -> Self {
        Self { pack, me, habit: None }
    }

    /// Ranks texts by their similarity to the user's history `own` in style and length, in addition
    /// to the words of the query. An empty `own` leaves the ranking as it is.
    pub fn like(self, own: &[&str]) -> Self {
        Self { habit: AuthorStyle::of(own), ..self }
    }

    /// Returns the `k` texts by other users on `item` that match `query` best, best first.
    pub fn on_item(&self, item: ItemId, query: &str, k: usize) -> Vec<Neighbour<'a>> {
        self.rank(self.others(item), query, k)
    }

    /// Returns the same for the items most similar to `query` in content. `except` is filtered.
    pub fn on_similar(&self, except: Option<ItemId>, query: &str, k: usize) -> Vec<Neighbour<'a>> {
        let row = self.pack.content_of(query);
        let content = self.pack.content();
        let mut alike: Vec<(ItemId, f32)> = (0u32..)
            .zip(content.outer_iterator())
            .filter(|(item, _)| Some(*item) != except)
            .map(|(item, other)| (item, row.iter().filter_map(|&(t, w)| other.get(t as usize).map(|o| w * o)).sum()))
            .filter(|(_, cosine)| *cosine > 0.0)
            .collect();
        alike.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        // On other items, matching words mislead a small model. A similar author's style carries
        // over.
        let (items, query) = if self.habit.is_some() { (MAX_CANDIDATES, "") } else { (2 * k, query) };
        let texts = alike.iter().take(items).flat_map(|&(item, _)| self.others(item)).take(MAX_CANDIDATES).collect();
        self.rank(texts, query, k)
    }

    /// Returns the texts by other users on `item`, at most 400, evenly sampled.
    pub fn others(&self, item: ItemId) -> Vec<(ItemId, PublicText<'a>)> {
        let all: Vec<_> = self.by_others(item).map(|t| (item, t)).collect();
        let step = all.len().div_ceil(MAX_CANDIDATES).max(1);
        all.into_iter().step_by(step).collect()
    }

    /// Returns the texts by other users on `item`, in the order of the pack.
    pub(crate) fn by_others(&self, item: ItemId) -> impl Iterator<Item = PublicText<'a>> {
        let me = self.me;
        self.pack.texts(item).filter(move |t| Some(t.author) != me && !t.text.is_empty())
    }

    fn rank(&self, candidates: Vec<(ItemId, PublicText<'a>)>, query: &str, k: usize) -> Vec<Neighbour<'a>> {
        let scores = score_texts(candidates.iter().map(|(_, t)| (t.title, t.text)), query);
        let mut ranked: Vec<Neighbour<'a>> =
            candidates.into_iter().zip(scores).map(|((item, text), score)| Neighbour { item, text, score }).collect();
        if let Some(habit) = &self.habit {
            habit.weigh(&mut ranked);
        }
        // A stable sort: equal scores keep the pack's order.
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
        // Skips exact duplicates.
        let mut seen = HashSet::new();
        ranked.retain(|n| seen.len() < k && seen.insert(n.text.text));
        ranked
    }
}
