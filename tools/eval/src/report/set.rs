//! The users of a set of profile files, read once for all runs on them.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use crate::{
    Authors, Error,
    cases::{Key, before},
    copying::Copying,
    stance::{Heard, Stance},
};
use locket::Interaction;
use locket_builder::profile::{Profile, Profiles};

/// Minimum number of users of a run, or authors of a set, for a meaningful mean.
pub(super) const FEWEST: usize = 30;

/// Every set that a run names.
pub(super) struct Sets {
    data: PathBuf,
    known: HashMap<Vec<String>, Option<Set>>,
}

pub(super) struct Set {
    people: HashMap<String, Profile>,
    pub(super) copying: Copying,
    stance: Stance,
    /// The authors, if there are enough.
    authors: Option<Authors>,
}

impl Sets {
    pub(super) fn new(data: &Path) -> Self {
        Self { data: data.to_path_buf(), known: HashMap::new() }
    }

    /// Returns the users of `files`; `None` if a file is missing.
    pub(super) fn of(&mut self, files: &[&str]) -> Result<Option<&Set>, Error> {
        let key: Vec<String> = files.iter().map(|f| (*f).to_owned()).collect();
        if !self.known.contains_key(&key) {
            let set = Set::read(&key.iter().map(|f| self.data.join(f)).collect::<Vec<_>>())?;
            self.known.insert(key.clone(), set);
        }
        Ok(self.known.get(&key).and_then(Option::as_ref))
    }
}

impl Set {
    fn read(files: &[PathBuf]) -> Result<Option<Self>, Error> {
        if !files.iter().all(|f| f.is_file()) {
            return Ok(None);
        }
        let all: Vec<Profile> = Profiles::of_all(files).collect::<Result<_, _>>()?;
        let authors = Authors::new(&all);
        let (copying, stance) = (Copying::new(&all), Stance::new(&all));
        let people = all.into_iter().map(|p| (p.user.clone(), p)).collect();
        Ok(Some(Self { people, copying, stance, authors: (authors.len() >= FEWEST).then_some(authors) }))
    }

    /// Returns the reciprocal rank of the author of a text.
    pub(super) fn rank(&self, (user, earlier): &Key, text: &str) -> Option<f64> {
        self.authors.as_ref()?.reciprocal_rank(user, *earlier, text, false)
    }

    /// Returns the title of the target; empty if unknown.
    pub(super) fn title(&self, key: &Key) -> String {
        self.before(key).and_then(|(target, _)| target.title.clone()).unwrap_or_default()
    }

    /// Returns the target and the history before it.
    pub(super) fn before(&self, (user, earlier): &Key) -> Option<(&Interaction, &[Interaction])> {
        before(self.people.get(user)?, *earlier)
    }

    /// Measures the sentiment of `text` for these cases.
    pub(super) fn heard<'k>(&self, keys: impl Iterator<Item = &'k Key>, text: &dyn Fn(&Key) -> String) -> Heard {
        let heard = |key: &Key| {
            let (target, _) = self.before(key)?;
            Some((key.clone(), self.stance.of(&text(key), target)?))
        };
        keys.filter_map(heard).collect()
    }
}
