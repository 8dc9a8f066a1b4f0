//! How well the author is found by what a run wrote.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use crate::{
    Error,
    eval::{Authors, Sample, generation::Prediction},
    profile::{Profile, Profiles},
};

/// The authors of every set of files, read once.
pub(super) struct Identification {
    data: PathBuf,
    sets: HashMap<Vec<String>, Option<Set>>,
}

pub(super) struct Set {
    authors: Authors,
    /// What was asked for: the title, by user.
    titles: HashMap<String, String>,
}

/// Reciprocal ranks of the true author.
pub(super) struct Found {
    /// By what was written, by user: sums of floats depend on the order.
    by_user: BTreeMap<String, f64>,
    /// By the title alone.
    pub(super) title: Sample,
    /// By the true text.
    pub(super) real: Sample,
}

impl Identification {
    pub(super) fn new(data: &Path) -> Self {
        Self { data: data.to_path_buf(), sets: HashMap::new() }
    }

    /// The authors of `files`; `None` if they are not there or too few.
    pub(super) fn set(&mut self, files: &[&str]) -> Result<Option<&Set>, Error> {
        let key: Vec<String> = files.iter().map(|f| (*f).to_owned()).collect();
        if !self.sets.contains_key(&key) {
            let set = Set::read(&key.iter().map(|f| self.data.join(f)).collect::<Vec<_>>())?;
            self.sets.insert(key.clone(), set);
        }
        Ok(self.sets.get(&key).and_then(Option::as_ref))
    }
}

impl Set {
    /// The reciprocal rank of the author of a text.
    pub(super) fn rank(&self, user: &str, text: &str) -> Option<f64> {
        self.authors.reciprocal_rank(user, text, false)
    }

    /// The ranks of a run; `None` if too few of its people have written before.
    pub(super) fn found(&self, rows: &HashMap<String, Prediction>) -> Option<Found> {
        let by_user: BTreeMap<String, f64> =
            rows.iter().filter_map(|(user, row)| Some((user.clone(), self.rank(user, &row.prediction)?))).collect();
        if by_user.len() < FEWEST {
            return None;
        }
        let real = by_user.keys().map(|user| (user.as_str(), rows[user].reference.as_str()));
        let title = by_user.keys().map(|user| (user.as_str(), self.titles.get(user).map_or("", String::as_str)));
        let (real, title) = (self.authors.mrr(real, false), self.authors.mrr(title, false));
        Some(Found { by_user, title, real })
    }
}

/// Fewest people of a run, or authors of a set, of whom a mean says something.
const FEWEST: usize = 30;

impl Set {
    fn read(files: &[PathBuf]) -> Result<Option<Self>, Error> {
        if !files.iter().all(|f| f.is_file()) {
            return Ok(None);
        }
        let all: Vec<Profile> = Profiles::of_all(files).collect::<Result<_, _>>()?;
        let authors = Authors::new(&all);
        let titles = all.into_iter().map(|p| (p.user, p.target.title.unwrap_or_default())).collect();
        Ok((authors.len() >= FEWEST).then_some(Self { authors, titles }))
    }
}

impl Found {
    pub(super) fn written(&self) -> Sample {
        self.by_user.values().copied().collect()
    }

    /// By person.
    pub(super) fn minus(&self, other: &Self) -> Sample {
        self.by_user.iter().filter_map(|(user, rank)| Some(rank - other.by_user.get(user)?)).collect()
    }
}
