//! Filters of a pack: removal of users on request, rare items, and limits.
#![allow(clippy::unwrap_used)]

use std::{
    collections::HashSet,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use locket::{Interaction, Pack, author_key};
use locket_builder::{
    BuildError, Error,
    pack::{BuildOptions, BuildReport, Cleaned, Dropped, Filters},
    profile::{Profile, Profiles},
};

fn build(files: &[PathBuf], out: &Path, filters: Filters) -> Result<(Pack, BuildReport), Error> {
    let options = BuildOptions { filters, ..BuildOptions::default() };
    let report = locket_builder::pack::build(files, out, &options, |_| ControlFlow::Continue(()))?;
    Ok((Pack::open(out).map_err(locket::Error::from)?, report))
}

fn sample(dir: &Path, filters: Filters) -> (Pack, BuildReport) {
    build(&[locket_tests::sample()], &dir.join("p.pack"), filters).unwrap()
}

fn people() -> Vec<Profile> {
    Profiles::open(locket_tests::sample()).unwrap().map(Result::unwrap).collect()
}

/// Writes profiles to a file: one (user, item, text) each, in this order.
fn write(dir: &Path, said: &[(&str, &str, &str)]) -> PathBuf {
    let path = dir.join("said.jsonl");
    let line = |(n, &(user, item, text)): (usize, &(&str, &str, &str))| {
        let target = Interaction::new(item, text).with_time(n as i64);
        serde_json::json!({ "user": user, "history": [], "target": target }).to_string()
    };
    fs::write(&path, said.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")).unwrap();
    path
}

#[test]
fn nothing_is_left_out_unless_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (_, report) = sample(dir.path(), Filters::default());
    assert_eq!((report.dropped, report.meta.texts, report.meta.documents), (Dropped::default(), 187, 187));
}

#[test]
fn what_an_author_says_twice_of_an_item_is_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let said = [("a", "x", "good"), ("b", "x", "good"), ("a", "x", " good "), ("a", "y", "good"), ("a", "x", "bad")];
    let (pack, report) = build(&[write(dir.path(), &said)], &dir.path().join("p.pack"), Filters::default()).unwrap();
    assert_eq!((report.dropped.duplicates, report.meta.texts, report.meta.edges), (1, 4, 3));
    assert_eq!(pack.texts(0).map(|t| t.text.to_owned()).collect::<Vec<_>>(), ["good", "good", "bad"]);
}

#[test]
fn texts_lose_personal_data_and_sellers_answers() {
    let dir = tempfile::tempdir().unwrap();
    let said = [
        ("a", "x", "A <b>good</b> lamp. Write to kim@example.org for one. It&#039;s bright."),
        ("b", "x", "Dear lamp_fan, Thank you for taking the time to review. Cheers, Kevin, General Manager"),
        ("c", "x", "Plain."),
    ];
    let (pack, report) = build(&[write(dir.path(), &said)], &dir.path().join("p.pack"), Filters::default()).unwrap();
    let cleaned = Cleaned { mails: 1, markup: 3, answers: 1, ..Cleaned::default() };
    assert_eq!(report.dropped, Dropped { cleaned, ..Dropped::default() });
    assert_eq!(pack.texts(0).map(|t| t.text.to_owned()).collect::<Vec<_>>(), ["A good lamp. It's bright.", "Plain."]);
    // The edges to the item stay.
    assert_eq!((report.meta.texts, report.meta.edges), (2, 3));
    assert_eq!(pack.documents("example"), 0);
}

#[test]
fn nothing_is_left_of_a_person_who_asked() {
    let dir = tempfile::tempdir().unwrap();
    let people = people();
    let gone = &people[3];
    let (pack, report) =
        sample(dir.path(), Filters { removed: HashSet::from([author_key(&gone.user)]), ..Filters::default() });
    assert_eq!((report.dropped.removed_people, pack.meta().users), (1, people.len() - 1));
    let bytes = fs::read(dir.path().join("p.pack")).unwrap();
    let key = author_key(&gone.user).to_le_bytes();
    assert!(!bytes.windows(8).any(|w| w == key));
    for (interaction, _) in gone.interactions() {
        let text = interaction.text.as_bytes();
        assert!(!bytes.windows(text.len()).any(|w| w == text), "{}", interaction.text);
    }
}

#[test]
fn what_hardly_anybody_met_is_not_in_the_catalogue() {
    let dir = tempfile::tempdir().unwrap();
    let least = 4;
    let (pack, report) = sample(dir.path(), Filters { people_per_item: least, ..Filters::default() });
    let all: Vec<(String, String)> = people()
        .iter()
        .flat_map(|p| p.interactions().map(|(i, _)| (i.item.clone(), p.user.clone())).collect::<Vec<_>>())
        .collect();
    let mut rare = 0;
    for item in all.iter().map(|a| &a.0).collect::<HashSet<_>>() {
        let met: HashSet<&String> = all.iter().filter(|a| a.0 == *item).map(|a| &a.1).collect();
        assert_eq!(pack.find(item).is_some(), met.len() >= least, "{item} {}", met.len());
        rare += usize::from(met.len() < least);
        // Kept items keep their own texts.
        for text in pack.find(item).map(|n| pack.texts(n)).into_iter().flatten() {
            assert!(people().iter().any(|p| p.interactions().any(|(i, _)| i.item == *item && i.text == text.text)));
        }
    }
    assert!(rare > 0);
    assert_eq!((report.dropped.rare_items, report.meta.items), (rare, 60 - rare));
    assert_eq!(report.dropped.rare_edges + report.meta.edges, 187);
}

#[test]
fn texts_with_few_authors_are_not_public() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), &[("a", "x", "one"), ("b", "x", "two"), ("a", "y", "three"), ("a", "y", "four")]);
    let filters = Filters { authors_per_item: 2, ..Filters::default() };
    let (pack, report) = build(&[file], &dir.path().join("p"), filters).unwrap();
    let texts = |item| pack.texts(pack.find(item).unwrap()).map(|t| t.text.to_owned()).collect::<Vec<_>>();
    assert_eq!((texts("x").len(), texts("y").len(), report.dropped.rare_texts), (2, 0, 2));
}

#[test]
fn of_one_author_the_latest_stay() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), &[("a", "x", "one"), ("a", "y", "two"), ("b", "x", "three"), ("a", "z", "four")]);
    let filters = Filters { texts_per_author: Some(2), ..Filters::default() };
    let (pack, report) = build(&[file], &dir.path().join("p"), filters).unwrap();
    let all: HashSet<String> =
        (0..pack.items() as u32).flat_map(|n| pack.texts(n).map(|t| t.text.to_owned()).collect::<Vec<_>>()).collect();
    assert_eq!(all, HashSet::from(["two", "three", "four"].map(str::to_owned)));
    assert_eq!((report.dropped.texts_per_author, report.meta.edges), (1, 4));
}

#[test]
fn of_one_item_those_stay_that_differ() {
    let dir = tempfile::tempdir().unwrap();
    let twin = "The handle broke after a week of gentle use in the kitchen";
    let other = "Brews excellent coffee quickly, cleaning takes a minute";
    let file = write(
        dir.path(),
        &[("a", "x", other), ("b", "x", "So so."), ("c", "x", twin), ("d", "x", twin), ("e", "x", twin)],
    );
    let kept = |most| {
        let filters = Filters { texts_per_item: Some(most), ..Filters::default() };
        let (pack, report) = build(std::slice::from_ref(&file), &dir.path().join("p"), filters).unwrap();
        assert_eq!(report.dropped.texts_per_item, 5 - most);
        pack.texts(0).map(|t| t.text.to_owned()).collect::<Vec<_>>()
    };
    // The latest text first, then the one with different content, although it is the oldest.
    assert_eq!(kept(1), [twin]);
    assert_eq!(kept(2), [other, twin]);
    assert_eq!(kept(5).len(), 5);
}

#[test]
fn a_pack_fits_into_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let (_, whole) = sample(dir.path(), Filters::default());
    let most = whole.bytes - 8_000;
    let (pack, report) = sample(dir.path(), Filters { max_bytes: Some(most), ..Filters::default() });
    assert!(report.bytes <= most && report.bytes > most - 1_000, "{} {most}", report.bytes);
    assert_eq!(report.dropped.texts_for_size + report.meta.texts, 187);
    // Term statistics come from all texts, and no item loses its last text while another has two to
    // drop.
    assert_eq!(report.meta.documents, 187);
    let counts: Vec<usize> = (0..pack.items() as u32).map(|n| pack.texts(n).len()).collect();
    assert!(counts.iter().all(|&n| n > 0), "{counts:?}");

    let path = dir.path().join("p.pack");
    let before = fs::read(&path).unwrap();
    let error = build(&[locket_tests::sample()], &path, Filters { max_bytes: Some(10_000), ..Filters::default() });
    assert!(matches!(error, Err(Error::Build(BuildError::TooLarge { most: 10_000, .. }))));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_shard_holds_its_categories() {
    let dir = tempfile::tempdir().unwrap();
    let all: HashSet<String> = people()
        .iter()
        .flat_map(|p| p.interactions().filter_map(|(i, _)| i.category.clone()).collect::<Vec<_>>())
        .collect();
    let category = all.iter().min().unwrap().clone();
    let (pack, report) =
        sample(dir.path(), Filters { categories: HashSet::from([category.clone()]), ..Filters::default() });
    assert!(all.len() > 1 && report.dropped.other_categories > 0);
    assert!((0..pack.items() as u32).all(|n| pack.category(n) == Some(category.as_str())));
    let none = Filters { categories: HashSet::from(["no such".to_owned()]), ..Filters::default() };
    let error = build(&[locket_tests::sample()], &dir.path().join("q"), none);
    assert!(matches!(error, Err(Error::Build(BuildError::Empty))));
}

#[test]
fn private_texts_link_items_and_are_not_public() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("said.jsonl");
    let mail = Interaction::new("board", "Hi Ada, the board came.").with_kind("email".into());
    let reply = Interaction::new("", "sure, see you at 8").with_kind("reply".into());
    let review = Interaction::new("kettle", "It pours well.");
    let lines = [
        serde_json::json!({ "user": "a", "history": [mail, reply], "target": review }),
        serde_json::json!({ "user": "b", "history": [], "target": reply }),
    ];
    fs::write(&path, lines.map(|line| line.to_string()).join("\n")).unwrap();
    let (pack, report) = build(&[path], &dir.path().join("p.pack"), Filters::default()).unwrap();
    assert_eq!((report.dropped.private_texts, report.dropped.without_item), (1, 2));
    assert_eq!((report.meta.items, report.meta.users, report.meta.edges, report.meta.texts), (2, 1, 2, 1));
    assert_eq!(pack.texts(pack.find("board").unwrap()).count(), 0);
}
