//! The scorecard of a run: measures of a text that cannot be bought with word overlap.

use std::collections::{HashMap, HashSet};

use locket::{
    Pack, Task, author_key,
    internals::{
        context::{ContextBuilder, Target},
        generation::overlap::copied_share,
        text,
    },
};
use locket_builder::profile::Profile;
use serde_json::{Map, Value, json};

use super::{
    about::Subjects,
    cases::{Case, Key, by_person},
    copying::Copying,
    habits::{distances, habits},
    natural::{told_apart, variety},
    porter,
    prediction::Prediction,
    stats::Sample,
};

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
/// | `length_error` | mean of the absolute log of generated over true words |
/// | `openings`, `openings_true` | share of texts with the commonest two opening words |
/// | `auc` | how well a classifier tells generated from true texts ([`told_apart`]) |
/// | `variety` | distinct pairs of words, as a share of those of the true texts |
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
    put("length_error", &|r| {
        let words = |text: &str| text::word_count(text).max(1) as f64;
        Some((words(&r.prediction) / words(&r.reference)).ln().abs())
    });
    let apart = told_apart(rows);
    if apart.n() > 0 {
        apart.write("auc", &mut out);
    }
    out.extend(variety(rows).map(|variety| ("variety".to_owned(), json!(variety))));
    out.insert("openings".into(), json!(commonest_opening(rows.iter().map(|r| r.prediction.as_str()))));
    out.insert("openings_true".into(), json!(commonest_opening(rows.iter().map(|r| r.reference.as_str()))));
    Value::Object(out)
}

/// Adds the measures that compare a text with other people's texts, from all profiles of the run.
///
/// | key | measure |
/// |---|---|
/// | `foreign_runs`, `foreign_runs_true` | share of texts with a run of eight words that other people wrote, too |
/// | `habits`, `habits_true` | distance of a text's habits to its author's, as a share of that to another person's |
/// | `about`, `about_true` | reciprocal rank of the right item or message among 20, matched with the text |
pub(super) fn compare(
    rows: &[Prediction],
    cases: &[Case],
    everyone: &[Profile],
    pack: &Pack,
    out: &mut Map<String, Value>,
) {
    let known: HashMap<Key, &Case> = cases.iter().map(|c| (c.key(), c)).collect();
    let rows: Vec<(&Prediction, &Case)> = rows.iter().filter_map(|r| Some((r, *known.get(&r.key())?))).collect();
    let mut put = |name: &str, values: Vec<Option<f64>>| {
        let found = rows.iter().zip(values).filter_map(|((r, _), value)| Some((r.user.as_str(), value?)));
        let sample = by_person(found);
        if sample.n() > 0 {
            sample.write(name, out);
        }
    };
    let copying = Copying::new(everyone);
    let foreign = |text: fn(&Prediction) -> &str| {
        let holds = |r: &Prediction| copying.of(&r.user, &[], text(r)).others > 0;
        rows.iter().map(|(r, _)| Some(f64::from(u8::from(holds(r))))).collect()
    };
    put("foreign_runs", foreign(|r| &r.prediction));
    put("foreign_runs_true", foreign(|r| &r.reference));

    let own = |c: &Case| habits(c.person.history.iter().map(|i| i.text.as_str()));
    let of = |text: fn(&Prediction) -> &str| {
        let both = rows.iter().map(|(r, c)| Some((habits(std::iter::once(text(r)))?, own(c)?)));
        let (places, found): (Vec<usize>, Vec<_>) = both.enumerate().filter_map(|(n, both)| Some((n, both?))).unzip();
        let (texts, authors): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        let mut values = vec![None; rows.len()];
        places.into_iter().zip(distances(&texts, &authors)).for_each(|(n, d)| values[n] = Some(d));
        values
    };
    put("habits", of(|r| &r.prediction));
    put("habits_true", of(|r| &r.reference));

    let subject = |c: &Case| {
        let target = &c.person.target;
        let others = ContextBuilder::new(pack, Some(author_key(&c.person.user)));
        let on_item = pack.find(&target.item).map(|_| others.target_words(&Target::of(target, Task::Text)));
        on_item.filter(|words| !words.trim().is_empty()).or_else(|| target.context.clone())
    };
    let subjects = rows.iter().map(|(_, c)| (format!("{:?}", c.key()), subject(c))).collect();
    let subjects = Subjects::new(subjects);
    let ranks = |text: fn(&Prediction) -> &str| {
        rows.iter().enumerate().map(|(n, (r, _))| subjects.reciprocal_rank(n, text(r))).collect()
    };
    put("about", ranks(|r| &r.prediction));
    put("about_true", ranks(|r| &r.reference));
}

/// Returns the share of the gist's distinct word stems that occur in `text`.
fn coverage(gist: &str, text: &str) -> f64 {
    let stems = |text: &str| -> HashSet<String> { text::words(text).map(|word| porter::stem(&word)).collect() };
    let (wanted, said) = (stems(gist), stems(text));
    wanted.intersection(&said).count() as f64 / wanted.len().max(1) as f64
}

/// Returns the share of texts with the commonest two opening words.
fn commonest_opening<'t>(texts: impl Iterator<Item = &'t str>) -> f64 {
    let mut counts = HashMap::new();
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
