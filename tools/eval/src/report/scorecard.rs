//! The scorecard of each run as a table, and its Pareto fronts.

use std::fmt::Write as _;

use super::{
    super::plot::{Axis, Plane},
    Run,
};

/// A measure: its key in the card, its name, whether less is better, and its goal.
type Measure = (&'static str, &'static str, bool, Option<f64>);

const MEASURES: [Measure; 10] = [
    ("auc", "AUC, generated or true", true, Some(0.75)),
    ("variety", "distinct pairs of words", false, Some(0.85)),
    ("openings", "commonest opening", true, None),
    ("coverage", "notes covered", false, Some(0.85)),
    ("edits", "edits", true, Some(0.4)),
    ("edits_gist", "edits of the notes alone", true, None),
    ("keystrokes_saved", "keystrokes saved", false, Some(0.35)),
    ("unsupported", "invented details", true, Some(0.1)),
    ("own_runs", "copies of own texts", true, Some(0.02)),
    ("length_error", "length error", true, Some(0.5)),
];

/// Returns the table of the measures that any run has, one line per run.
pub(super) fn table(runs: &[Run]) -> String {
    let present: Vec<Measure> =
        MEASURES.into_iter().filter(|m| runs.iter().any(|run| run.card.contains_key(m.0))).collect();
    if present.is_empty() {
        return String::new();
    }
    let mut out = String::from("\n| scorecard |");
    present.iter().for_each(|(_, name, ..)| out += &format!(" {name} |"));
    let _ = writeln!(out, "\n|---{}|", "|---".repeat(present.len()));
    for run in runs.iter().filter(|run| !run.card.is_empty()) {
        let _ = write!(out, "| {} |", run.name());
        for (key, ..) in &present {
            let value = |key: &str| run.card.get(key).and_then(serde_json::Value::as_f64);
            let error = value(&format!("{key}_se")).map(|e| format!(" ± {e:.2}")).unwrap_or_default();
            let _ = write!(out, " {}{error} |", value(key).map(|v| format!("{v:.2}")).unwrap_or_default());
        }
        out.push('\n');
    }
    out += "| goal |";
    for (_, _, less, goal) in &present {
        let sign = if *less { "<=" } else { ">=" };
        let _ = write!(out, " {} |", goal.map(|goal| format!("{sign} {goal:.2}")).unwrap_or_default());
    }
    out.push('\n');
    out
}

/// Returns the planes in which several runs are compared: words and edits, each against how easily
/// the texts are told from true ones.
pub(super) fn planes(runs: &[Run]) -> Vec<Plane> {
    let axis = |key: &str| {
        let (_, label, less, goal) = MEASURES.into_iter().find(|m| m.0 == key).unwrap_or(MEASURES[0]);
        Axis { label, less, goal }
    };
    let value = |run: &Run, key: &str| run.card.get(key).and_then(serde_json::Value::as_f64);
    let words = || Axis { label: "ROUGE-1", less: false, goal: None };
    let mut out = vec![Plane {
        across: axis("auc"),
        up: words(),
        points: (runs.iter()).filter_map(|r| Some((r.name(), value(r, "auc")?, r.scores(0).mean()))).collect(),
    }];
    out.push(Plane {
        across: axis("auc"),
        up: axis("edits"),
        // Without notes nothing of the text is given, and edits say little.
        points: (runs.iter().filter(|r| r.card.contains_key("coverage")))
            .filter_map(|r| Some((r.name(), value(r, "auc")?, value(r, "edits")?)))
            .collect(),
    });
    out.retain(|plane| plane.points.len() > 1);
    out
}
