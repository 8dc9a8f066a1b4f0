//! The people of a set of profile files, read once for all runs on them.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::copying::Copying;
use crate::{
    Authors, Error,
    cases::{Key, before},
    stance::{Heard, Stance},
};
use locket::Interaction;
use locket_builder::profile::{Profile, Profiles};

/// Fewest people of a run, or authors of a set, of whom a mean says something.
pub(super) const FEWEST: usize = 30;

/// Every set that a run named.
pub(super) struct Sets {
    data: PathBuf,
    known: HashMap<Vec<String>, Option<Set>>,
}

pub(super) struct Set {
    people: HashMap<String, Profile>,
    pub(super) copying: Copying,
    stance: Stance,
    /// If there are enough of them.
    authors: Option<Authors>,
}

impl Sets {
    pub(super) fn new(data: &Path) -> Self {
        Self { data: data.to_path_buf(), known: HashMap::new() }
    }

    /// The people of `files`; `None` if those are not there.
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

    /// The reciprocal rank of the author of a text.
    pub(super) fn rank(&self, (user, earlier): &Key, text: &str) -> Option<f64> {
        self.authors.as_ref()?.reciprocal_rank(user, *earlier, text, false)
    }

    /// What was asked for; empty where it is not known.
    pub(super) fn title(&self, key: &Key) -> String {
        self.before(key).and_then(|(target, _)| target.title.clone()).unwrap_or_default()
    }

    /// What was to be written, and what the person had written before.
    pub(super) fn before(&self, (user, earlier): &Key) -> Option<(&Interaction, &[Interaction])> {
        before(self.people.get(user)?, *earlier)
    }

    /// How content `text` of those cases sounds.
    pub(super) fn heard<'k>(&self, keys: impl Iterator<Item = &'k Key>, text: &dyn Fn(&Key) -> String) -> Heard {
        let heard = |key: &Key| {
            let (target, _) = self.before(key)?;
            Some((key.clone(), self.stance.of(&text(key), target)?))
        };
        keys.filter_map(heard).collect()
    }
}
