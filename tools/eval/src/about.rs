//! Aboutness: the rank of a text's item or message among others, matched by words.

use locket::internals::{context::bm25::score_texts, hash::spread};

use super::stats::reciprocal_rank;

/// Number of subjects to match a text with: its own and others.
const AMONG: usize = 20;

/// The subject of each text of a run: other people's texts on its item, or the message answered;
/// `None` if neither is known.
pub(super) struct Subjects(Vec<(String, Option<String>)>);

impl Subjects {
    /// Takes the subjects of the texts, each with the name of its case.
    pub(super) fn new(subjects: Vec<(String, Option<String>)>) -> Self {
        Self(subjects)
    }

    /// Returns the reciprocal rank of the subject of the `n`-th text among [`AMONG`] subjects, by
    /// BM25 with `text` as the query. `None` if it has no subject, or if there are too few others.
    pub(super) fn reciprocal_rank(&self, n: usize, text: &str) -> Option<f64> {
        let (case, own) = &self.0[n];
        let own = own.as_deref()?;
        let mut others: Vec<&(String, Option<String>)> =
            self.0.iter().filter(|(_, other)| other.as_deref().is_some_and(|other| other != own)).collect();
        // The same others for every text of the case.
        others.sort_by_cached_key(|(other, _)| spread(&format!("{case}\n{other}")));
        others.truncate(AMONG - 1);
        if others.len() < AMONG - 1 {
            return None;
        }
        let all = std::iter::once(own).chain(others.iter().filter_map(|(_, other)| other.as_deref()));
        let scores = score_texts(all.map(|subject| ("", subject)), text);
        Some(reciprocal_rank(scores[0], &scores[1..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_finds_its_subject() {
        let things = "ab cd ef gh ij kl mn op qr st uv wx yz ac bd ce df eg fh gi hj".split(' ');
        let named = |(n, thing): (usize, &str)| (format!("{n}"), Some(format!("where is the {thing}")));
        let mut all: Vec<_> = things.enumerate().map(named).collect();
        all.push(("none".into(), None));
        let subjects = Subjects::new(all);
        assert_eq!(subjects.reciprocal_rank(2, "the ef is on the desk"), Some(1.0));
        assert_eq!(subjects.reciprocal_rank(2, "nothing to say"), Some(1.0 / 10.5), "chance");
        assert!(subjects.reciprocal_rank(2, "the gh is on the desk").unwrap() < 0.6);
        assert_eq!(subjects.reciprocal_rank(21, "the ef"), None);
        assert_eq!(Subjects::new(vec![("a".into(), Some("x".into()))]).reciprocal_rank(0, "x"), None);
    }
}
