//! The evaluation report: a summary of many runs' predictions files, as Markdown and as a page with
//! plots.
//!
//! Runs on the same users, task and history cap are one comparison. Their scores are paired by
//! text, and the mean counts for several texts of one user. Intervals are bootstrap percentiles
//! over users (1,000 resamples, 95 %).

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{
    Meteor, Sample,
    card::card,
    cases::{Key, by_person, shown},
    copying::{Copied, parts},
    generation::score,
    plot::{Bar, Line, bars, escape, fronts, lines},
    prediction::Prediction,
    stance::Heard,
};
use crate::Error;
use expected::{Expected, MEASURES, expected};
use identification::{Found, found};
use locket::{Task, internals::text};
use set::Sets;
use table::table;

/// Rows of a run in a fixed order: float sums depend on it.
type Rows = BTreeMap<Key, Prediction>;

/// One run: a predictions file.
struct Run {
    /// Name of the predictions file, without its extension.
    file: String,
    method: String,
    model: String,
    candidates: u64,
    /// Source of the items of synthetic texts, if not the prediction.
    items: Option<String>,
    cap: Option<u64>,
    rows: Rows,
    /// Author identification by the generated texts.
    found: Option<Found>,
    /// Shares of the generated and of the true texts that are copied: from the user's own texts and
    /// from other users' texts.
    copied: Option<[(f64, f64); 2]>,
    /// Sentiment of the generated texts, the true texts and the titles alone, if the users have
    /// both low and high ratings.
    stance: Option<[Heard; 3]>,
    /// Expected scores of texts with known candidates.
    expected: Expected,
    /// Scorecard of the texts (see [`card`]).
    card: Map<String, Value>,
    /// Whether another run of the comparison has the same settings in its name.
    namesake: bool,
}

/// Comparable runs: the same users, task and cap.
type Comparisons = BTreeMap<String, Vec<Run>>;

/// Reads every predictions file in `runs`, and writes `report.md` and `index.html` to `out`.
/// Returns the number of runs. Author identification needs the profile files of the runs in `data`;
/// without them it is skipped. `samples` is the number of the best and of the worst texts that the
/// page shows next to the true ones.
///
/// # Errors
/// [`locket::Error::Io`]; [`locket::Error::Argument`] if `runs` holds no predictions;
/// [`Error::Profile`] for malformed profile files.
pub fn report(runs: &Path, data: &Path, samples: usize, out: &Path) -> Result<usize, Error> {
    let comparisons = read(runs, data)?;
    let count = comparisons.values().map(Vec::len).sum();
    if count == 0 {
        return Err(locket::Error::Argument(format!(
            "no predictions in {}: `locket eval generation --out FILE.jsonl` writes them",
            runs.display()
        ))
        .into());
    }
    let mut markdown = String::from(
        "# How well it writes\n\nPaired by person; ± is one standard error, brackets are 95 % bootstrap intervals over people. Made by \
         `locket eval report` from the predictions of `locket eval generation`.\n",
    );
    let mut page = String::from(PAGE);
    for (title, runs) in &comparisons {
        let (differences, samples) = (differences(runs), ends(runs, samples));
        let table = table(runs) + &scorecard::table(runs);
        let _ = write!(markdown, "\n## {title}\n\n{table}{differences}");
        let mut plots = bars(title, &runs.iter().map(bar).collect::<Vec<_>>());
        for plane in scorecard::planes(runs) {
            plots += &fronts(title, &plane);
        }
        let _ =
            write!(page, "<h2>{}</h2>{plots}<pre>{}</pre>{samples}", escape(title), escape(&(table + &differences)));
    }
    for (title, curves) in curves(&comparisons) {
        let _ = write!(page, "<h2>{}</h2>{}", escape(&title), lines(&title, &curves));
    }
    fs::create_dir_all(out).map_err(|e| locket::Error::io("create", out, e))?;
    for (name, said) in [("report.md", markdown), ("index.html", page)] {
        let path = out.join(name);
        fs::write(&path, said).map_err(|e| locket::Error::io("write", &path, e))?;
    }
    Ok(count)
}

const PAGE: &str = "<!doctype html><meta charset=utf-8><title>How well it writes</title>\
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em}pre{overflow:auto;background:#f6f6f6;\
padding:1em}td{vertical-align:top;padding:.3em .8em .3em 0;border-top:1px solid #ddd}</style><h1>How well it writes</h1>";

fn read(runs: &Path, data: &Path) -> Result<Comparisons, Error> {
    let meteor = Meteor::new();
    let mut sets = Sets::new(data);
    let mut out = Comparisons::new();
    let mut files: Vec<PathBuf> = fs::read_dir(runs)
        .map_err(|e| locket::Error::io("read", runs, e))?
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    files.sort();
    for file in files {
        let whole = fs::read_to_string(&file).map_err(|e| locket::Error::io("read", &file, e))?;
        let mut lines = whole.lines();
        let Some(head) = lines.next().and_then(|l| serde_json::from_str::<Value>(l).ok()) else { continue };
        // Files of synthetic texts are in the same folder as predictions files.
        let (Some(method), Some(task)) = (head["method"].as_str(), head["task"].as_str()) else { continue };
        let rating = task == format!("{:?}", Task::Rating);
        let rows: Rows = lines
            .filter_map(|l| serde_json::from_str::<Prediction>(l).ok())
            .map(|mut row| {
                row.scores = score(&row, if rating { Task::Rating } else { Task::Text }, &meteor);
                (row.key(), row)
            })
            .collect();
        let files: Vec<&str> = head["files"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let cap = head["history_cap"].as_u64();
        let prose = ["Text", "Synthetic"].contains(&task);
        let set = if prose { sets.of(&files)? } else { None };
        let found = set.and_then(|set| found(set, &rows));
        // Author identification needs enough authors.
        let rank = |key: &Key, text: &str| set.filter(|_| found.is_some()).and_then(|set| set.rank(key, text));
        let expected = if prose { expected(&rows, &meteor, &rank) } else { Expected::new() };
        let copied = set.map(|set| {
            [|row: &Prediction| row.prediction.clone(), |row: &Prediction| row.reference.clone()]
                .map(|text| parts(rows.iter().filter_map(|(key, row)| copied(set, key, cap, &text(row)))))
        });
        let stance = set.and_then(|set| {
            let heard = |text: &dyn Fn(&Key) -> String| set.heard(rows.keys(), text);
            let written = heard(&|key| rows[key].prediction.clone());
            written.both().then(|| [written, heard(&|key| rows[key].reference.clone()), heard(&|key| set.title(key))])
        });
        let names: Vec<String> = files.into_iter().map(set_name).collect();
        let mut title = format!("{}, {}", names.join(" + "), task.to_lowercase());
        if let Some(targets) = head["targets"].as_u64() {
            let _ = write!(title, ", up to {targets} of each person");
        }
        if let Some(cap) = cap {
            let _ = write!(title, "{CUT}{cap}");
        }
        if let Some(share) = head["gist"].as_f64() {
            let _ = write!(title, ", with notes of {:.0} % of the content words", 100.0 * share);
        }
        let all: Vec<Prediction> = if prose { rows.values().cloned().collect() } else { Vec::new() };
        let run = Run {
            file: file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            card: card(&all).as_object().cloned().filter(|_| prose).unwrap_or_default(),
            namesake: false,
            method: method.to_lowercase(),
            model: head["model"].as_str().unwrap_or("no model").replace(".gguf", ""),
            candidates: head["candidates"].as_u64().unwrap_or(1),
            items: head["items"].as_str().filter(|i| *i != "Predicted").map(str::to_lowercase),
            cap,
            rows,
            found,
            copied,
            stance,
            expected,
        };
        out.entry(title).or_default().push(run);
    }
    for runs in out.values_mut() {
        let names: Vec<String> = runs.iter().map(Run::name).collect();
        for (run, name) in runs.iter_mut().zip(&names) {
            run.namesake = names.iter().filter(|other| *other == name).count() > 1;
        }
    }
    Ok(out)
}

/// Measures the part of a text that is copied from the visible part of the user's history, and from
/// other users.
fn copied(set: &set::Set, key: &Key, cap: Option<u64>, text: &str) -> Option<Copied> {
    let (_, history) = set.before(key)?;
    Some(set.copying.of(&key.0, shown(history, cap.map(|cap| cap as usize)), text))
}

/// Separator between the comparison's name and the history cap.
const CUT: &str = ", history cut to ";

/// Returns the name of a data set: amazon for `pgraphrag/amazon_dev.jsonl.zst`, amazon23 for
/// `amazon23/profiles_dev.jsonl.zst`.
fn set_name(file: &str) -> String {
    let path = Path::new(file);
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.split(['.', '_']).next().unwrap_or_default().to_owned();
    let folder = path.parent().and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned());
    if name == "profiles" { folder.unwrap_or(name) } else { name }
}

impl Run {
    fn name(&self) -> String {
        let aligned = if self.model.contains(" + ") { ", aligned" } else { "" };
        let best = if self.candidates > 1 { format!(", best of {}", self.candidates) } else { String::new() };
        let items = self.items.as_ref().filter(|_| ["full", "synthetic"].contains(&self.method.as_str()));
        let items = items.map(|items| format!(", {items} items")).unwrap_or_default();
        let file = if self.namesake { format!(" ({})", self.file) } else { String::new() };
        format!("{}{items}{aligned}{best}{file}", self.method)
    }

    fn scores(&self, n: usize) -> Sample {
        self.mean(&|r| r.scores.get(n).copied())
    }

    /// Returns one value per user, the mean over the user's texts.
    fn mean(&self, f: &dyn Fn(&Prediction) -> Option<f64>) -> Sample {
        by_person(self.rows.values().filter_map(|r| Some((r.user.as_str(), f(r)?))))
    }

    /// Sentiment of the generated texts.
    fn heard(&self) -> Option<&Heard> {
        self.stance.as_ref().map(|[written, ..]| written)
    }

    fn rates(&self) -> bool {
        self.rows.values().next().is_some_and(|r| r.scores.len() == 1)
    }
}

/// Returns the most complete run of a comparison.
fn fullest(runs: &[Run]) -> Option<&Run> {
    runs.iter().max_by_key(|r| (r.method == "full", r.items.is_none(), r.model.contains(" + "), r.candidates))
}

/// Compares the most complete run with every other run of the comparison, paired by user. The first
/// table uses the predictions, the second the expected scores of a random half of the candidates.
fn differences(runs: &[Run]) -> String {
    let Some(first) = fullest(runs).filter(|_| runs.len() > 1) else { return String::new() };
    let mut names = if first.rates() { vec!["absolute error"] } else { MEASURES[..2].to_vec() };
    names.extend(first.found.is_some().then_some(MEASURES[2]));
    let difference = |sample: &Sample| {
        if sample.n() == 0 {
            return " |".to_owned();
        }
        let (low, high) = sample.interval();
        format!(" {:+.3} ± {:.3} [{low:+.3}, {high:+.3}] |", sample.mean(), sample.standard_error())
    };
    let table = |what: &str, samples: &dyn Fn(&Run) -> Vec<Sample>| {
        let mut out = format!("\n{} minus the others, by person{what}:\n\n| against | n |", first.name());
        names.iter().for_each(|name| out += &format!(" {name} |"));
        out += &format!("\n|---|---{}|\n", "|---".repeat(names.len()));
        for run in runs.iter().filter(|r| !std::ptr::eq(*r, first)) {
            let samples = samples(run);
            if let Some(n) = samples.iter().map(Sample::n).max().filter(|n| *n > 0) {
                let _ = write!(out, "| {} | {n} |", run.name());
                samples.iter().for_each(|sample| out += &difference(sample));
                out.push('\n');
            }
        }
        out
    };
    let mut out = table("", &|run| {
        let by_person = |measure: usize| -> Sample {
            first.mean(&|a| Some(a.scores.get(measure)? - run.rows.get(&a.key())?.scores.get(measure)?))
        };
        let places: &[usize] = if first.rates() { &[0] } else { &[0, 2] };
        let mut samples: Vec<Sample> = places.iter().map(|place| by_person(*place)).collect();
        let authors = first.found.as_ref().zip(run.found.as_ref()).map(|(a, b)| a.minus(b));
        samples.extend(first.found.is_some().then(|| authors.unwrap_or_default()));
        samples
    });
    if !first.expected.is_empty() && runs.iter().filter(|r| !r.expected.is_empty()).count() > 1 {
        out += &table(", as is expected of a random half of the candidates of each", &|run| {
            let by_person = |measure: usize| -> Sample {
                let pairs = first.expected.iter().map(|(key, a)| (key.0.as_str(), a, run.expected.get(key)));
                by_person(pairs.filter_map(|(user, a, b)| Some((user, a.get(measure)? - b?.get(measure)?))))
            };
            (0..names.len()).map(by_person).collect()
        });
    }
    let stances: Vec<String> = (runs.iter().filter(|r| !std::ptr::eq(*r, first)))
        .filter_map(|run| first.heard()?.minus(run.heard()?).map(|(more, error)| (run, more, error)))
        .map(|(run, more, error)| format!("{} {more:+.3} ± {error:.3}", run.name()))
        .collect();
    if !stances.is_empty() {
        let _ = writeln!(out, "\nStance (AUC), of the same texts, against {}.", stances.join("; "));
    }
    out
}

/// Curves of ROUGE-1 (or MAE) and author identification over the history cap, for every method with
/// two caps or more.
fn curves(comparisons: &Comparisons) -> Vec<(String, Vec<Line>)> {
    let mut out: BTreeMap<String, BTreeMap<String, Line>> = BTreeMap::new();
    for (title, runs) in comparisons {
        let base = title.split(CUT).next().unwrap_or(title);
        for run in runs {
            let Some(cap) = run.cap else { continue };
            let mut point = |what: &str, sample: Sample| {
                let line = out.entry(format!("{base}: {what} by size of the history")).or_default().entry(run.name());
                let line = line.or_insert_with(|| Line { label: run.name(), points: Vec::new() });
                line.points.push((cap as f64, sample.mean(), sample.standard_error()));
            };
            point(if run.rates() { "MAE" } else { "ROUGE-1" }, run.scores(0));
            if let Some(found) = &run.found {
                point("author found (MRR)", found.written());
            }
        }
    }
    let whole = |lines: BTreeMap<String, Line>| {
        let mut lines: Vec<Line> = lines.into_values().filter(|l| l.points.len() > 1).collect();
        lines.iter_mut().for_each(|l| l.points.sort_by(|a, b| a.0.total_cmp(&b.0)));
        lines
    };
    out.into_iter().map(|(title, lines)| (title, whole(lines))).filter(|(_, lines)| !lines.is_empty()).collect()
}

fn bar(run: &Run) -> Bar {
    let sample = run.scores(0);
    Bar { label: run.name(), value: sample.mean(), error: sample.standard_error() }
}

/// Returns a table of `count` of the best and `count` of the worst texts of the most complete run.
fn ends(runs: &[Run], count: usize) -> String {
    let Some(run) = fullest(runs).filter(|r| !r.rates() && count > 0) else { return String::new() };
    let mut rows: Vec<&Prediction> = run.rows.values().filter(|r| !r.scores.is_empty()).collect();
    rows.sort_by(|a, b| b.scores[0].total_cmp(&a.scores[0]));
    let ends = rows.iter().take(count).chain(rows.iter().rev().take(count));
    let mut out =
        format!("<p>Best and worst of {}:</p><table><tr><td>ROUGE-1<td>written<td>true</tr>", escape(&run.name()));
    for row in ends {
        let path = row.path.as_deref().map(|p| format!("<i>{}</i><br>", escape(p))).unwrap_or_default();
        let _ = write!(
            out,
            "<tr><td>{:.2}<td>{path}{}<td>{}</tr>",
            row.scores[0],
            escape(&row.prediction),
            escape(&text::clip_words(&row.reference, 80))
        );
    }
    out + "</table>"
}

mod expected;
mod identification;
mod scorecard;
mod set;
mod table;
#[cfg(test)]
mod tests;
