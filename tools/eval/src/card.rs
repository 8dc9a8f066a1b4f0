//! The scorecard of a run: measures of a text that cannot be bought with word overlap.

use std::collections::HashSet;

use locket::internals::{generation::overlap::copied_share, text};
use serde_json::{Map, Value, json};

use super::{prediction::Prediction, stats::Sample};
use crate::{cases::by_person, porter};

/// Length of a run that counts as copied, in words.
const RUN: usize = 8;
/// Maximum number of words of a text that edits are counted in.
const MOST_WORDS: usize = 600;

/// Returns the scorecard: each measure with its standard error over users.
///
/// | key | measure |
/// |---|---|
/// | `coverage` | share of the gist's words in the text, by stems |
/// | `edits`, `edits_gist` | word edit distance to the true text over its words: of the text, of the gist |
/// | `keystrokes_saved` | 1 - (characters of gist and edits) / characters of the true text |
/// | `own_runs` | share of texts with a run of eight words of the user's other texts |
/// | `unsupported` | invented numbers, names, links and addresses a text |
/// | `breaks`, `breaks_true` | share of texts with a line break |
/// | `lower_case` | share of texts in lower case, among users whose true text is |
pub(super) fn card(rows: &[Prediction]) -> Value {
    let mut out = Map::new();
    let mut put = |name: &str, measure: &dyn Fn(&Prediction) -> Option<f64>| {
        let sample: Sample = by_person(rows.iter().filter_map(|r| Some((r.user.as_str(), measure(r)?))));
        if sample.n() > 0 {
            sample.write(name, &mut out);
        }
    };
    let gist = |r: &Prediction| r.gist.clone().filter(|g| !g.is_empty());
    put("coverage", &|r| Some(coverage(&gist(r)?, &r.prediction)));
    put("edits", &|r| Some(Edits::new(&r.prediction, &r.reference).share()));
    put("edits_gist", &|r| Some(Edits::new(&gist(r)?, &r.reference).share()));
    put("keystrokes_saved", &|r| {
        let typed = gist(r)?.chars().count() + Edits::new(&r.prediction, &r.reference).keystrokes;
        Some(1.0 - typed as f64 / r.reference.chars().count().max(1) as f64)
    });
    put("own_runs", &|r| r.own_run.map(f64::from));
    put("unsupported", &|r| Some(r.unsupported.len() as f64));
    let share = |holds: bool| Some(f64::from(u8::from(holds)));
    put("breaks", &|r| share(r.prediction.contains('\n')));
    put("breaks_true", &|r| share(r.reference.contains('\n')));
    let lower = |text: &str| text.to_lowercase() == text;
    put("lower_case", &|r| lower(&r.reference).then(|| f64::from(u8::from(lower(&r.prediction)))));
    out.insert("openings".into(), json!(commonest_opening(rows.iter().map(|r| r.prediction.as_str()))));
    out.insert("openings_true".into(), json!(commonest_opening(rows.iter().map(|r| r.reference.as_str()))));
    Value::Object(out)
}

/// Returns the share of the gist's distinct word stems that occur in `text`.
fn coverage(gist: &str, text: &str) -> f64 {
    let stems = |text: &str| -> HashSet<String> { text::words(text).map(|word| porter::stem(&word)).collect() };
    let (wanted, said) = (stems(gist), stems(text));
    wanted.intersection(&said).count() as f64 / wanted.len().max(1) as f64
}

/// Returns the share of texts with the commonest two opening words.
fn commonest_opening<'t>(texts: impl Iterator<Item = &'t str>) -> f64 {
    let mut counts = std::collections::HashMap::new();
    let mut all = 0;
    for text in texts {
        let opening: Vec<String> = text::words(text).take(2).collect();
        *counts.entry(opening).or_insert(0usize) += 1;
        all += 1;
    }
    counts.into_values().max().unwrap_or(0) as f64 / f64::from(all.max(1))
}

/// Whether `text` shares a run of eight words with one of `own`.
pub(super) fn own_run<'t>(text: &str, own: impl Iterator<Item = &'t str>) -> bool {
    copied_share(&text::words(text).collect::<Vec<_>>(), own, RUN) > 0.0
}

/// The edits that turn one text into another, by words.
struct Edits {
    /// Number of inserted, removed and replaced words.
    words: usize,
    /// Keystrokes of these edits: each removal takes one, each typed word its letters and a space.
    keystrokes: usize,
    /// Number of words of the true text.
    of: usize,
}

impl Edits {
    fn new(text: &str, truth: &str) -> Self {
        let words =
            |text: &str| -> Vec<String> { text.split_whitespace().take(MOST_WORDS).map(str::to_owned).collect() };
        let (from, to) = (words(text), words(truth));
        let typed = |word: &String| word.chars().count() + 1;
        // Cost of turning the words read so far into each beginning of the truth.
        let mut row: Vec<(usize, usize)> = vec![(0, 0)];
        for word in &to {
            let last = row[row.len() - 1];
            row.push((last.0 + 1, last.1 + typed(word)));
        }
        for word in &from {
            let mut next = vec![(row[0].0 + 1, row[0].1 + 1)];
            for (n, wanted) in to.iter().enumerate() {
                let change = if word == wanted { (0, 0) } else { (1, typed(wanted)) };
                let replaced = (row[n].0 + change.0, row[n].1 + change.1);
                let removed = (row[n + 1].0 + 1, row[n + 1].1 + 1);
                let inserted = (next[n].0 + 1, next[n].1 + typed(wanted));
                next.push(replaced.min(removed).min(inserted));
            }
            row = next;
        }
        let (words, keystrokes) = row[row.len() - 1];
        Self { words, keystrokes, of: to.len() }
    }

    fn share(&self) -> f64 {
        self.words as f64 / self.of.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_count_words_and_keystrokes() {
        let edits = Edits::new("the cat sat down", "the black cat sat");
        assert_eq!((edits.words, edits.keystrokes, edits.of), (2, 7, 4));
        assert_eq!(Edits::new("", "one two").share(), 1.0);
        assert_eq!(Edits::new("one two", "one two").keystrokes, 0);
    }

    #[test]
    fn coverage_is_by_stems() {
        assert_eq!(coverage("parts needed monday", "We need the part on Monday."), 1.0);
        assert_eq!(coverage("parts monday", "Hello."), 0.0);
    }

    #[test]
    fn own_runs_need_eight_words() {
        let own = "please send me the parts by next monday morning thanks";
        assert!(own_run("Could you PLEASE send me the parts by next Monday?", [own].into_iter()));
        assert!(!own_run("please send me the parts by then", [own].into_iter()));
    }

    #[test]
    fn openings() {
        assert_eq!(commonest_opening(["I love it", "i love tea", "No", "Yes"].into_iter()), 0.5);
    }
}
