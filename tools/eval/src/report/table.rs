//! A table with one line per run.

use std::fmt::Write as _;

use super::{Heard, Prediction, Run, Sample};
use crate::runs::{self, runs};
use locket::internals::text;

fn shown(sample: &Sample) -> String {
    with_error((sample.mean(), sample.standard_error()))
}

fn with_error((mean, error): (f64, f64)) -> String {
    format!("{mean:.3} ± {error:.3}")
}

pub(super) fn table(runs: &[Run]) -> String {
    let mean = |run: &Run, f: &dyn Fn(&Prediction) -> f64| run.mean(&|r| Some(f(r))).mean();
    if runs.iter().all(Run::rates) {
        let mut out = String::from("| method | n | MAE | RMSE |\n|---|---|---|---|\n");
        for run in runs {
            let rmse = mean(run, &|r| r.scores.first().map_or(0.0, |e| e * e)).sqrt();
            let _ = writeln!(
                out,
                "| {} | {} | {} | {rmse:.3} |",
                run.name(),
                count(run, run.scores(0).n()),
                shown(&run.scores(0))
            );
        }
        return out;
    }
    let (authors, copied) = (runs.iter().any(|r| r.found.is_some()), runs.iter().any(|r| r.copied.is_some()));
    let stance = runs.iter().any(|r| r.stance.is_some());
    let mut columns = vec![
        "method",
        "n",
        "ROUGE-1",
        "ROUGE-L",
        "METEOR",
        "words (true)",
        "length error",
        "distinct-2",
        "tokens",
        "s",
    ];
    columns.extend(copied.then_some("copied: own, others'"));
    columns.extend(stance.then_some("stance (AUC)"));
    columns.extend(authors.then_some("author found (MRR)"));
    let mut out = format!("| {} |\n{}|\n", columns.join(" | "), "|---".repeat(columns.len()));
    for run in runs {
        let words = |s: &str| text::word_count(s) as f64;
        let off = |r: &Prediction| (words(&r.prediction).max(1.0) / words(&r.reference).max(1.0)).ln().abs();
        let (low, high) = run.scores(0).interval();
        let _ = write!(
            out,
            "| {} | {} | {} [{low:.3}, {high:.3}] | {} | {} | {:.0} ({:.0}) | {:.2} | {:.2} | {:.0} | {} |",
            run.name(),
            count(run, run.scores(0).n()),
            shown(&run.scores(0)),
            shown(&run.scores(1)),
            shown(&run.scores(2)),
            mean(run, &|r| words(&r.prediction)),
            mean(run, &|r| words(&r.reference)),
            mean(run, &off),
            distinct(run),
            mean(run, &|r| r.tokens as f64),
            seconds(mean(run, &|r| r.seconds)),
        );
        if copied {
            out += &run.copied.map(|[written, _]| format!(" {} |", both(written))).unwrap_or_else(|| " |".into());
        }
        if stance {
            let area = run.heard().and_then(Heard::area);
            let _ = write!(out, " {} |", area.map(with_error).unwrap_or_default());
        }
        if authors {
            let found = run.found.as_ref().map(|f| shown(&f.written())).unwrap_or_default();
            let _ = write!(out, " {found} |");
        }
        out.push('\n');
    }
    out += &apart(runs);
    if let Some([_, real]) = runs.iter().max_by_key(|r| r.rows.len()).and_then(|r| r.copied) {
        let _ = writeln!(
            out,
            "\nCopied: of all eight-word runs, those that stand in the person's own texts as far as they were shown, and in anybody else's; \
             of the true texts {}.",
            both(real)
        );
    }
    if let Some([_, real, title]) = runs.iter().max_by_key(|r| r.rows.len()).and_then(|r| r.stance.as_ref()) {
        let area = |heard: &Heard| heard.area().map(with_error).unwrap_or_default();
        let _ = writeln!(
            out,
            "\nStance: how often a text for a content person (4 or 5 stars) sounds more content than one for another, .5 by \
             chance; the true texts {}, the titles alone {}.",
            area(real),
            area(title)
        );
    }
    if let Some(found) = runs.iter().filter_map(|r| r.found.as_ref()).max_by_key(|f| f.real.n()) {
        let _ = writeln!(
            out,
            "\nAuthors found by the title alone (floor): {}; by the true text: {}.",
            shown(&found.title),
            shown(&found.real)
        );
    }
    out
}

/// Formats the number of users, and the number of texts if it is larger.
fn count(run: &Run, people: usize) -> String {
    let texts = run.rows.len();
    if texts > people { format!("{people}, {texts} texts") } else { people.to_string() }
}

fn both((own, others): (f64, f64)) -> String {
    format!("{own:.2}, {others:.2}")
}

/// Formats seconds; older predictions have none.
fn seconds(mean: f64) -> String {
    if mean > 0.0 { format!("{mean:.1}") } else { "-".into() }
}

/// Compares ROUGE-1 and METEOR of users with and without history, if there are both. Most users of
/// the public sets have no history, so the overall mean carries little information about personal
/// style.
fn apart(runs: &[Run]) -> String {
    let of = |run: &Run, n: usize, with: bool| -> Sample {
        run.mean(&|r| r.scores.get(n).copied().filter(|_| (r.history > 0) == with))
    };
    if !runs.iter().any(|run| of(run, 0, true).n() > 0 && of(run, 0, false).n() > 0) {
        return String::new();
    }
    let mut out = String::from("\n| method | history | n | ROUGE-1 | METEOR |\n|---|---|---|---|---|\n");
    for run in runs {
        for (name, with) in [("none", false), ("some", true)] {
            let (rouge, meteor) = (of(run, 0, with), of(run, 2, with));
            let _ =
                writeln!(out, "| {} | {name} | {} | {} | {} |", run.name(), rouge.n(), shown(&rouge), shown(&meteor));
        }
    }
    out
}

/// Share of distinct pairs of words among all generated pairs.
fn distinct(run: &Run) -> f64 {
    let pairs: Vec<u64> = run.rows.values().flat_map(|row| runs(&row.prediction, 2)).collect();
    runs::distinct(&pairs) as f64 / pairs.len().max(1) as f64
}
