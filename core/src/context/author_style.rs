//! Author-style ranking: similarity of retrieved texts to the user's own style.

use super::neighbour::Neighbour;
use crate::{
    style::{Style, cosine, style},
    text,
};

/// Weight of the word score relative to style, and the penalty per factor of e in length.
const WORDS: f64 = 0.5;
const LENGTH: f64 = 0.25;

/// Style and mean length of the user's history.
pub(super) struct AuthorStyle {
    style: Style,
    words: f64,
}

impl AuthorStyle {
    /// Returns the author style of `own`, or `None` if `own` has no words.
    pub(super) fn of(own: &[&str]) -> Option<Self> {
        let words: usize = own.iter().map(|text| text::words(text).count()).sum();
        (words > 0).then(|| Self { style: style(&own.join(" ")), words: words as f64 / own.len() as f64 })
    }

    /// Scores texts by style, words and length. Style and word scores are shares of the best
    /// candidate's.
    pub(super) fn weigh(&self, found: &mut [Neighbour<'_>]) {
        let alike: Vec<f64> = found.iter().map(|n| cosine(&style(n.text.text), &self.style)).collect();
        // A share is 0 if the best score is not positive: BM25 may be negative.
        let share = |of: f64, best: f64| if best > 0.0 { of / best } else { 0.0 };
        let best_words = found.iter().map(|n| n.score).fold(0.0, f64::max);
        let best_alike = alike.iter().copied().fold(0.0, f64::max);
        for (neighbour, alike) in found.iter_mut().zip(alike) {
            let words = text::words(neighbour.text.text).count() as f64;
            let stretch = ((words + 1.0) / (self.words + 1.0)).ln().abs();
            neighbour.score = WORDS * share(neighbour.score, best_words) + share(alike, best_alike) - LENGTH * stretch;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::PublicText;

    fn ranked<'t>(own: &[&str], found: &[(&'t str, f64)]) -> Vec<&'t str> {
        let neighbour = |&(said, score): &(&'t str, f64)| {
            let text = PublicText { text: said, title: "", stars: None, author: 1 };
            Neighbour { item: 0, text, score }
        };
        let mut found: Vec<Neighbour<'t>> = found.iter().map(neighbour).collect();
        AuthorStyle::of(own).unwrap().weigh(&mut found);
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.iter().map(|n| n.text.text).collect()
    }

    #[test]
    fn who_writes_like_the_person_comes_first() {
        let (loud, calm) = ("Sooo cute!!! My daughter LOVES it!!!", "The hinge is sturdy and the finish is even.");
        let own = ["OMG!!! sooo happy with it, my daughter loves this!!!"];
        assert_eq!(ranked(&own, &[(calm, 0.0), (loud, 0.0)]), [loud, calm]);
        assert_eq!(ranked(&["A sturdy hinge, an even finish."], &[(loud, 0.0), (calm, 0.0)]), [calm, loud]);
    }

    #[test]
    fn words_of_the_query_and_length_count_too() {
        let own = ["It was very loud and it did not last."];
        let (one, other) = ("It was fine and it did the job.", "It was fine and it did our job.");
        assert_eq!(ranked(&own, &[(one, 0.0), (other, 2.0)])[0], other);
        assert_eq!(ranked(&own, &[(one, 2.0), (other, 0.0)])[0], one);
        let long = [one; 12].join(" ");
        assert_eq!(ranked(&own, &[(&long, 0.0), (one, 0.0)])[0], one);
        // BM25 of a word in most texts is negative.
        assert_eq!(ranked(&own, &[(&long, -1.0), (one, -1.0)])[0], one);
    }

    #[test]
    fn nothing_written_is_no_habit() {
        assert!(AuthorStyle::of(&[]).is_none() && AuthorStyle::of(&["", " !"]).is_none());
    }
}
