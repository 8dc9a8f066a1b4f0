//! Evaluation cases: each user's latest texts, with the history before them.

use std::{
    collections::{BTreeMap, BinaryHeap, HashMap},
    ops::ControlFlow,
    path::PathBuf,
};

use super::{Sample, settings::Settings};
use crate::Error;
use locket::{
    Interaction, Pack, Task,
    internals::{hash::spread, text},
};
use locket_builder::{
    pack::{Holdout, PackBuilder},
    profile::{Profile, Profiles},
};

/// Key of a case: a user id, and the number of later texts of the user.
pub(super) type Key = (String, usize);

/// One of a user's texts, with the history before it.
pub(super) struct Case {
    /// The user at that time: the text is the target.
    pub(super) person: Profile,
    /// Number of later texts of the user: 0 for the target of the profile.
    pub(super) earlier: usize,
    /// The user as the prompt shows them, if with another user's history.
    pub(super) swapped: Option<Profile>,
}

impl Case {
    pub(super) fn key(&self) -> Key {
        (self.person.user.clone(), self.earlier)
    }

    /// Returns the user with the history that the prompt shows.
    pub(super) fn prompted(&self) -> &Profile {
        self.swapped.as_ref().unwrap_or(&self.person)
    }
}

/// Returns the text with `earlier` later texts, and the history before it.
pub(super) fn before(profile: &Profile, earlier: usize) -> Option<(&Interaction, &[Interaction])> {
    let Some(last) = earlier.checked_sub(1) else { return Some((&profile.target, &profile.history)) };
    let place = profile.history.len().checked_sub(1 + last)?;
    Some((&profile.history[place], &profile.history[..place]))
}

/// Returns the latest `cap` interactions, the part that a prompt may contain.
pub(super) fn shown(history: &[Interaction], cap: Option<usize>) -> &[Interaction] {
    &history[history.len().saturating_sub(cap.unwrap_or(usize::MAX))..]
}

pub(super) fn capped<'p>(settings: &Settings, person: &'p Profile) -> &'p [Interaction] {
    shown(&person.history, settings.history_cap)
}

/// Returns the latest `targets` texts of a user. An earlier one needs a history of `cap`
/// interactions, or of one without a cap.
fn cases(profile: &Profile, targets: usize, cap: Option<usize>) -> impl Iterator<Item = Case> + '_ {
    (0..targets).map_while(move |earlier| {
        let (target, history) = before(profile, earlier)?;
        let enough = earlier == 0 || history.len() >= cap.unwrap_or(1);
        let person = || Profile { user: profile.user.clone(), history: history.to_vec(), target: target.clone() };
        enough.then(|| Case { person: person(), earlier, swapped: None })
    })
}

/// Draws the evaluated cases: the scorable texts of the selected users, in an order drawn by the
/// seed.
pub(super) fn draw(files: &[PathBuf], settings: &Settings) -> Result<Vec<Case>, Error> {
    let limit = settings.limit.unwrap_or(usize::MAX);
    let key = |user: &str| spread(&format!("{user}\n{}", settings.seed));
    let mut best: BinaryHeap<(u64, String)> = BinaryHeap::new();
    let mut kept: HashMap<String, Profile> = HashMap::new();
    for profile in Profiles::of_all(files) {
        let profile = profile?;
        let learnt = settings.validation.is_some_and(|share| !share.validates(&profile.user));
        if learnt || reference(&profile.target, settings.task).is_empty() {
            continue;
        }
        best.push((key(&profile.user), profile.user.clone()));
        kept.insert(profile.user.clone(), profile);
        if best.len() > limit
            && let Some((_, user)) = best.pop()
        {
            kept.remove(&user);
        }
    }
    let people = best.into_sorted_vec().into_iter().filter_map(|(_, user)| kept.remove(&user));
    let all = |person: Profile| cases(&person, settings.targets, settings.history_cap).collect::<Vec<_>>();
    let scorable = |case: &Case| !reference(&case.person.target, settings.task).is_empty();
    let mut cases: Vec<Case> = people.flat_map(all).filter(scorable).collect();
    if settings.swap_histories {
        swap_histories(&mut cases);
    }
    Ok(cases)
}

/// Gives each case with a history that of the next user with one, and the last the first's.
fn swap_histories(cases: &mut [Case]) {
    let places: Vec<usize> = (0..cases.len()).filter(|n| !cases[*n].person.history.is_empty()).collect();
    for (n, place) in places.iter().enumerate() {
        let later = places[n..].iter().chain(&places[..n]);
        let other = later.map(|other| &cases[*other].person).find(|other| other.user != cases[*place].person.user);
        let history = other.map(|other| other.history.clone());
        let swapped = history.map(|history| Profile { history, ..cases[*place].person.clone() });
        cases[*place].swapped = swapped;
    }
}

/// Returns the reference text, title or rating.
pub(super) fn reference(target: &Interaction, task: Task) -> String {
    match task {
        Task::Title => text::one_line(target.title.as_deref().unwrap_or_default()),
        Task::Rating => target.rating.map(|r| r.to_string()).unwrap_or_default(),
        _ if target.kind == "review" => text::one_line(&target.text),
        _ => target.text.trim().to_owned(),
    }
}

/// Returns the given pack, or builds one from `files` with the evaluated texts of all users held
/// out. The temporary folder of a built pack must outlive its use.
pub(super) fn pack_for(
    files: &[PathBuf],
    pack: Option<Pack>,
    settings: &Settings,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<(Pack, Option<tempfile::TempDir>), Error> {
    if let Some(pack) = pack {
        if settings.targets > 1 {
            return Err(locket::Error::Argument(
                "a given pack holds out one text of each person: leave the pack out, and one is built that holds out as many as are \
                 evaluated"
                    .into(),
            ).into());
        }
        return Ok((pack, None));
    }
    let scratch = tempfile::tempdir().map_err(|e| locket::Error::io("create", std::env::temp_dir(), e))?;
    let path = scratch.path().join("eval.pack");
    let mut builder = PackBuilder::new(Holdout::All, &path)?;
    for profile in Profiles::of_all(files) {
        held_out(&profile?, settings).iter().try_for_each(|part| builder.add(part))?;
        if progress(0, 1).is_break() {
            return Err(locket::Error::Cancelled.into());
        }
    }
    builder.finish(&path, || progress(0, 1))?;
    Ok((Pack::open(&path)?, Some(scratch)))
}

/// Splits a user into parts whose targets are the evaluated texts: the earliest with the history
/// before it, the later ones without history.
fn held_out(profile: &Profile, settings: &Settings) -> Vec<Profile> {
    let mut parts: Vec<Profile> =
        cases(profile, settings.targets, settings.history_cap).map(|case| case.person).collect();
    let later = parts.len().saturating_sub(1);
    parts[..later].iter_mut().for_each(|part| part.history.clear());
    parts.reverse();
    parts
}

/// Returns one value per user, the mean over the user's texts: texts of one user are not
/// independent.
pub(super) fn by_person<'u>(values: impl Iterator<Item = (&'u str, f64)>) -> Sample {
    let mut people: BTreeMap<&str, Sample> = BTreeMap::new();
    values.for_each(|(user, value)| people.entry(user).or_default().push(value));
    people.values().map(Sample::mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Method;

    fn somebody(texts: usize) -> Profile {
        let mut history: Vec<Interaction> =
            (0..=texts).map(|n| Interaction::new(format!("i{n}"), format!("text {n}"))).collect();
        let target = history.pop().unwrap();
        Profile { user: "u".into(), history, target }
    }

    fn told(profile: &Profile, targets: usize, cap: Option<usize>) -> Vec<(String, usize, usize)> {
        let of = |c: Case| (c.person.target.text, c.person.history.len(), c.earlier);
        cases(profile, targets, cap).map(of).collect()
    }

    #[test]
    fn earlier_texts_are_written_from_what_came_before_them() {
        let all = |texts: &[(&str, usize, usize)]| -> Vec<(String, usize, usize)> {
            texts.iter().map(|(text, n, earlier)| ((*text).to_owned(), *n, *earlier)).collect()
        };
        let person = somebody(4);
        assert_eq!(told(&person, 1, None), all(&[("text 4", 4, 0)]));
        assert_eq!(told(&person, 3, Some(2)), all(&[("text 4", 4, 0), ("text 3", 3, 1), ("text 2", 2, 2)]));
        // With a shorter history than the cap they would be another measure.
        assert_eq!(told(&person, 3, Some(3)), all(&[("text 4", 4, 0), ("text 3", 3, 1)]));
        assert_eq!(told(&somebody(1), 3, None), all(&[("text 1", 1, 0)]));
        assert_eq!(told(&somebody(1), 3, Some(0)), all(&[("text 1", 1, 0), ("text 0", 0, 1)]));
        assert_eq!(told(&somebody(0), 3, Some(2)), all(&[("text 0", 0, 0)]), "the target always");
    }

    #[test]
    fn histories_are_swapped_between_people() {
        let named = |user: &str, texts: usize| Profile { user: user.into(), ..somebody(texts) };
        let people = [named("a", 2), named("b", 0), named("c", 3)];
        let mut all: Vec<Case> = people.iter().flat_map(|p| cases(p, 2, None)).collect();
        swap_histories(&mut all);
        let told: Vec<_> = all.iter().map(|c| (c.key(), c.person.history.len(), c.prompted().history.len())).collect();
        let key = |user: &str, earlier| (user.to_owned(), earlier);
        let expected =
            [(key("a", 0), 2, 3), (key("a", 1), 1, 3), (key("b", 0), 0, 0), (key("c", 0), 3, 2), (key("c", 1), 2, 2)];
        assert_eq!(told, expected);
        assert!(all.iter().all(|c| c.prompted().target == c.person.target && c.prompted().user == c.person.user));
        // One person alone has nobody to swap with.
        let mut alone: Vec<Case> = cases(&people[0], 2, None).collect();
        swap_histories(&mut alone);
        assert!(alone.iter().all(|c| c.prompted() == &c.person));
    }

    /// The graph must not contain evaluated texts, but all texts stay retrievable.
    #[test]
    fn packs_hold_out_every_evaluated_text() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("people.jsonl");
        std::fs::write(&file, serde_json::to_string(&somebody(4)).unwrap()).unwrap();
        let edges = |targets| {
            let settings = Settings { targets, ..Settings::new(Task::Text, Method::Graph) };
            let (pack, _scratch) =
                pack_for(std::slice::from_ref(&file), None, &settings, &mut |_, _| ControlFlow::Continue(())).unwrap();
            let texts: usize = (0..pack.items() as u32).map(|item| pack.texts(item).len()).sum();
            (pack.meta().edges, texts)
        };
        assert_eq!((edges(1), edges(3)), ((4, 5), (2, 5)));
    }

    #[test]
    fn people_count_once() {
        let sample = by_person([("a", 1.0), ("b", 5.0), ("a", 3.0)].into_iter());
        assert_eq!((sample.n(), sample.mean()), (2, 3.5));
    }
}
