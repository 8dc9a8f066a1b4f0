//! The blind judge: sheets of pairs of a true and a generated text, and what readers said of them.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use locket::{
    Interaction, Kind,
    internals::{
        hash::{hash, spread},
        output,
    },
};
use locket_builder::profile::{Profile, Profiles};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    cases::{before, shown},
    prediction::Prediction,
};
use crate::Error;

/// Number of earlier texts that a sheet shows of each person.
const EARLIER: usize = 4;

/// One pair of a sheet: its number, the user, and which of its texts is the true one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pair {
    pair: usize,
    user: String,
    /// `A` or `B`.
    person: char,
}

/// What readers said of the pairs of a sheet.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Judged {
    /// Number of judged pairs.
    pub n: usize,
    /// Share of the pairs in which the reader found the person's text. Chance is 0.5.
    pub right: f64,
    /// Share of the generated texts that the reader would send as they are.
    pub sent: f64,
    /// Share of the true texts that the reader would send as they are: the most to expect.
    pub sent_true: f64,
}

const RULES: &str = "Each pair shows earlier texts of one person, a request, and two texts in random order. One text is by \
the person, the other one was generated. Answer with one line for each pair: its number, the letter of the text that the \
person wrote, and the letters of the texts that the person could send as they are, or `-` if neither.\n\n```\n1 A AB\n2 B -\n```\n";

/// Writes a sheet of up to `pairs` pairs, drawn by `seed` from the predictions file `run`, to `sheet`,
/// and the true answers to `key`. Returns the number of pairs. `data` is the folder that the names of
/// the run's profile files start from.
///
/// # Errors
/// [`locket::Error::Io`]; [`locket::Error::Argument`] if `run` is not a predictions file of texts;
/// [`locket::OutputError`] if `sheet` or `key` cannot be replaced or is an input;
/// [`Error::Profile`] for malformed profile files.
pub fn write_sheet(run: &Path, data: &Path, pairs: usize, seed: u32, sheet: &Path, key: &Path) -> Result<usize, Error> {
    let read = fs::read_to_string(run).map_err(|e| locket::Error::io("read", run, e))?;
    let mut lines = read.lines();
    let head: Value = lines.next().and_then(|l| serde_json::from_str(l).ok()).unwrap_or_default();
    let files: Vec<PathBuf> =
        head["files"].as_array().into_iter().flatten().filter_map(Value::as_str).map(|f| data.join(f)).collect();
    let mut rows: Vec<Prediction> = lines.filter_map(|l| serde_json::from_str(l).ok()).collect();
    if files.is_empty() || rows.is_empty() || head["task"] != "Text" {
        let what =
            format!("{} holds no texts: `locket eval generation --task text --out FILE` writes them", run.display());
        return Err(locket::Error::Argument(what).into());
    }
    let inputs = || files.iter().map(PathBuf::as_path).chain([run]);
    let (sheet, key) = (output::target(sheet, inputs())?, output::target(key, inputs())?);
    rows.sort_by_cached_key(|r| spread(&format!("{}\n{}\n{seed}", r.user, r.earlier)));
    rows.truncate(pairs);
    let cap = head["history_cap"].as_u64().map(|cap| cap as usize);
    let mut people: HashMap<String, Profile> = HashMap::new();
    for profile in Profiles::of_all(&files) {
        let profile = profile?;
        if rows.iter().any(|r| r.user == profile.user) {
            people.insert(profile.user.clone(), profile);
        }
    }
    let (mut out, mut answers) = (format!("# Who wrote it?\n\n{RULES}"), String::new());
    for (n, row) in rows.iter().enumerate() {
        let case = people.get(&row.user).and_then(|person| before(person, row.earlier));
        let Some((target, history)) = case else { continue };
        let kind = Kind::named(&target.kind).unwrap_or_default();
        let _ = write!(out, "\n## Pair {}\n\nEarlier {} of this person:\n", n + 1, kind.many);
        let history = shown(history, cap);
        for earlier in &history[history.len().saturating_sub(EARLIER)..] {
            let _ = write!(out, "\n{}{}\n", given(&kind, earlier, None), block(&earlier.text));
        }
        let _ = write!(out, "\nThe request:\n\n{}", given(&kind, target, row.gist.as_deref()));
        let first = hash(&format!("{}\n{}\n{seed}", row.user, row.earlier)).is_multiple_of(2);
        let [a, b] = if first { [&row.reference, &row.prediction] } else { [&row.prediction, &row.reference] };
        let _ = write!(out, "\n**A**\n\n{}\n\n**B**\n\n{}\n", block(a), block(b));
        let person = if first { 'A' } else { 'B' };
        let pair = Pair { pair: n + 1, user: row.user.clone(), person };
        let _ = writeln!(answers, "{}", serde_json::to_string(&pair).unwrap_or_default());
    }
    for (path, text) in [(&sheet, &out), (&key, &answers)] {
        fs::write(path, text).map_err(|e| locket::Error::io("write", path, e))?;
    }
    Ok(answers.lines().count())
}

/// Returns the given parts of a text as a list.
fn given(kind: &Kind, i: &Interaction, gist: Option<&str>) -> String {
    let item = kind.item.as_deref().map(|label| (label, i.item_title.as_deref()));
    let title = kind.title.as_deref().map(|label| (label, i.title.as_deref()));
    let rest = [(kind.context.as_str(), i.context.as_deref()), ("Notes", gist)];
    let fields = item.into_iter().chain(title).chain(rest);
    fields.filter_map(|(label, value)| Some(format!("- {label}: {}\n", value?.replace('\n', " / ")))).collect()
}

/// Returns a text as a quotation.
fn block(text: &str) -> String {
    text.lines().map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n")
}

/// Counts the answers of a reader against the key of the sheet.
///
/// # Errors
/// [`locket::Error::Io`]; [`locket::Error::Argument`] for an answer that cannot be read, or if there
/// is none.
pub fn judged(key: &Path, answers: &Path) -> Result<Judged, Error> {
    let read = |path: &Path| fs::read_to_string(path).map_err(|e| locket::Error::io("read", path, e));
    let (key, said) = (read(key)?, read(answers)?);
    let pairs: HashMap<usize, char> =
        key.lines().filter_map(|l| serde_json::from_str::<Pair>(l).ok()).map(|p| (p.pair, p.person)).collect();
    let (mut n, mut right, mut sent, mut sent_true) = (0, 0.0, 0.0, 0.0);
    let share = |holds: bool| f64::from(u8::from(holds));
    for line in said.lines().filter(|l| !l.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words[..] {
            [pair, person, sends] => pair.parse().ok().and_then(|pair| pairs.get(&pair)).map(|p| (*p, person, sends)),
            _ => None,
        };
        let Some((person, chosen, sends)) = answer.filter(|(_, chosen, _)| matches!(*chosen, "A" | "B")) else {
            let what = format!("{}: {line:?} is no answer of the sheet; one is \"1 A AB\"", answers.display());
            return Err(locket::Error::Argument(what).into());
        };
        let generated = if person == 'A' { 'B' } else { 'A' };
        n += 1;
        right += share(chosen.starts_with(person));
        sent += share(sends.contains(generated));
        sent_true += share(sends.contains(person));
    }
    if n == 0 {
        return Err(locket::Error::Argument(format!("{} holds no answers", answers.display())).into());
    }
    let of = |count: f64| count / n as f64;
    Ok(Judged { n, right: of(right), sent: of(sent), sent_true: of(sent_true) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_shows_no_answer_and_answers_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let person = |n: usize| {
            let text = |text: String| Interaction::new("", text).with_kind("reply".into());
            Profile {
                user: format!("u{n}"),
                history: vec![text(format!("old {n}"))],
                target: text(format!("true {n}")),
            }
        };
        let profiles = (0..6).map(|n| serde_json::to_string(&person(n)).unwrap() + "\n").collect::<String>();
        fs::write(at("p.jsonl"), profiles).unwrap();
        let row = |n: usize| {
            serde_json::json!({
                "user": format!("u{n}"), "history": 1, "prediction": format!("made {n}"), "reference": format!("true {n}"),
                "scores": [], "path": null, "synthetic": 0, "refused": [], "tokens": 1, "gist": "note"
            })
        };
        let head = serde_json::json!({ "files": ["p.jsonl"], "task": "Text", "history_cap": null });
        let rows: String = (0..6).map(|n| format!("{}\n", row(n))).collect();
        fs::write(at("run.jsonl"), format!("{head}\n{rows}")).unwrap();
        let n = write_sheet(&at("run.jsonl"), dir.path(), 4, 1, &at("sheet.md"), &at("key.jsonl")).unwrap();
        assert_eq!(n, 4);
        let (sheet, key) = (fs::read_to_string(at("sheet.md")).unwrap(), fs::read_to_string(at("key.jsonl")).unwrap());
        assert_eq!((sheet.matches("> made").count(), sheet.matches("> true").count()), (4, 4));
        assert!(sheet.contains("> old") && sheet.contains("- Notes: note"), "{sheet}");
        let pairs: Vec<Pair> = key.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        for Pair { pair, person, .. } in &pairs {
            let shown = sheet.split(&format!("## Pair {pair}\n")).nth(1).unwrap();
            let shown = shown.split(&format!("**{person}**\n\n> ")).nth(1).unwrap();
            assert!(shown.starts_with("true"), "{sheet}");
        }
        let right: String = pairs.iter().map(|p| format!("{} {} {}\n", p.pair, p.person, p.person)).collect();
        fs::write(at("answers.txt"), right).unwrap();
        let all = judged(&at("key.jsonl"), &at("answers.txt")).unwrap();
        assert_eq!(all, Judged { n: 4, right: 1.0, sent: 0.0, sent_true: 1.0 });
        fs::write(at("answers.txt"), "1 A AB\n\n2 A AB\n3 B -\n4 B -\n").unwrap();
        assert_eq!(judged(&at("key.jsonl"), &at("answers.txt")).unwrap().sent, 0.5);
        for wrong in ["", "9 A -", "1 C -", "1 A"] {
            fs::write(at("answers.txt"), wrong).unwrap();
            assert!(judged(&at("key.jsonl"), &at("answers.txt")).is_err(), "{wrong}");
        }
        fs::write(at("run.jsonl"), "{}\n").unwrap();
        assert!(write_sheet(&at("run.jsonl"), dir.path(), 4, 1, &at("s"), &at("k")).is_err());
    }
}
