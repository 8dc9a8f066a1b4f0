//! Synonyms from WordNet's own files (Debian: `wordnet-base`), as METEOR uses them.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
};

const PARTS: [&str; 4] = ["noun", "verb", "adj", "adv"];
/// Endings and their replacements, per part of speech (WordNet's morphy).
const ENDINGS: [&[(&str, &str)]; 4] = [
    &[
        ("s", ""),
        ("ses", "s"),
        ("ves", "f"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
    ],
    &[("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")],
    &[("er", ""), ("est", ""), ("er", "e"), ("est", "e")],
    &[],
];

/// Tables of a part of speech.
#[derive(Default)]
struct Part {
    /// Byte offsets of the synsets of each lemma.
    synsets: HashMap<String, Vec<u32>>,
    /// The one-word lemmas of the synset at each offset.
    lemmas: HashMap<u32, Vec<String>>,
    exceptions: HashMap<String, Vec<String>>,
}

/// WordNet's index, read into memory (about 50 MB; evaluations only).
pub struct WordNet {
    parts: [Part; 4],
}

impl WordNet {
    /// Folder of WordNet: `$LOCKET_WORDNET`, or the usual place.
    pub fn default_dir() -> PathBuf {
        std::env::var_os("LOCKET_WORDNET").map_or_else(|| PathBuf::from("/usr/share/wordnet"), PathBuf::from)
    }

    /// Reads `index.*`, `data.*` and `*.exc` from `dir`.
    ///
    /// # Errors
    /// If a file is missing or unreadable.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let mut parts: [Part; 4] = Default::default();
        for (part, name) in parts.iter_mut().zip(PARTS) {
            let read = |file: String| std::fs::read(dir.join(file)).map(|b| String::from_utf8_lossy(&b).into_owned());
            for line in read(format!("index.{name}"))?.lines().filter(|l| !l.starts_with(' ')) {
                let fields: Vec<&str> = line.split_whitespace().collect();
                let count: usize = fields.get(2).and_then(|c| c.parse().ok()).unwrap_or(0);
                let offsets = fields[fields.len().saturating_sub(count)..].iter().filter_map(|o| o.parse().ok());
                part.synsets.insert(fields[0].to_owned(), offsets.collect());
            }
            for line in read(format!("data.{name}"))?.lines().filter(|l| !l.starts_with(' ')) {
                let fields: Vec<&str> = line.split_whitespace().collect();
                let (Some(Ok(offset)), Some(Ok(count))) =
                    (fields.first().map(|o| o.parse()), fields.get(3).map(|c| usize::from_str_radix(c, 16)))
                else {
                    continue;
                };
                let lemmas = fields[4..].iter().step_by(2).take(count);
                // Adjectives may carry a marker such as "(p)".
                let lemmas = lemmas.map(|l| l.split('(').next().unwrap_or_default()).filter(|l| !l.contains('_'));
                part.lemmas.insert(offset, lemmas.map(str::to_owned).collect());
            }
            for line in read(format!("{name}.exc"))?.lines() {
                let mut fields = line.split_whitespace().map(str::to_owned);
                if let Some(form) = fields.next() {
                    part.exceptions.insert(form, fields.collect());
                }
            }
        }
        Ok(Self { parts })
    }

    /// Returns every one-word lemma of every synset that contains a base form of the word.
    pub fn synonyms(&self, word: &str) -> HashSet<&str> {
        let mut out = HashSet::new();
        for (part, endings) in self.parts.iter().zip(ENDINGS) {
            for form in part.base_forms(word, endings) {
                let offsets = part.synsets.get(&form).into_iter().flatten();
                out.extend(offsets.filter_map(|o| part.lemmas.get(o)).flatten().map(String::as_str));
            }
        }
        out
    }
}

impl Part {
    /// WordNet's morphy as in NLTK: the word itself and its exceptions, or its forms with one
    /// ending replaced; limited to lemmas.
    fn base_forms(&self, word: &str, endings: &[(&str, &str)]) -> Vec<String> {
        let mut forms = vec![word.to_owned()];
        match self.exceptions.get(word) {
            Some(exceptions) => forms.extend(exceptions.iter().cloned()),
            None => forms.extend(
                endings.iter().filter_map(|(old, new)| word.strip_suffix(old).map(|stem| format!("{stem}{new}"))),
            ),
        }
        forms.retain(|f| self.synsets.contains_key(f));
        forms
    }
}
