//! Packs: building, holding out, and rejecting damaged files.
#![allow(clippy::unwrap_used)]

use std::{
    io::Write,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use locket::{Pack, PackError, author_key};
use locket_builder::{
    BuildError, Error,
    pack::{BuildOptions, BuildReport, Holdout},
    profile::{ProfileError, Profiles},
};

fn build(files: &[PathBuf], out: &Path, holdout: Holdout, skip_bad: bool) -> Result<BuildReport, Error> {
    locket_builder::pack::build(files, out, &BuildOptions { holdout, skip_bad, ..BuildOptions::default() }, |_| {
        ControlFlow::Continue(())
    })
}

fn sample(dir: &Path, holdout: Holdout) -> Pack {
    let out = dir.join("sample.pack");
    build(&[locket_tests::sample()], &out, holdout, false).unwrap();
    Pack::open(out).unwrap()
}

#[test]
fn a_pack_holds_what_the_profiles_say() {
    let dir = tempfile::tempdir().unwrap();
    let pack = sample(dir.path(), Holdout::None);
    let meta = pack.meta();
    assert_eq!((meta.items, meta.users, meta.edges, meta.texts, meta.held_out), (60, 30, 187, 187, 0));
    for profile in Profiles::open(locket_tests::sample()).unwrap().map(Result::unwrap) {
        for (interaction, _) in profile.interactions() {
            let item = pack.find(&interaction.item).unwrap();
            assert_eq!(pack.item(item), interaction.item);
            assert_eq!(pack.item_title(item), interaction.item_title.as_deref());
            let mine = pack.texts(item).find(|t| t.author == author_key(&profile.user)).unwrap();
            assert_eq!((mine.text, mine.stars), (interaction.text.as_str(), interaction.stars()));
        }
    }
    assert_eq!(pack.find("no such item"), None);
    assert!(pack.documents("kettle") > 0 && pack.documents("zeppelin") == 0);
    let kettle = pack.content_of("a copper kettle");
    assert!((kettle.iter().map(|(_, w)| w * w).sum::<f32>() - 1.0).abs() < 1e-5);
}

#[test]
fn the_same_profiles_give_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = || {
        sample(dir.path(), Holdout::All);
        std::fs::read(dir.path().join("sample.pack")).unwrap()
    };
    assert_eq!(bytes(), bytes());
}

#[test]
fn held_out_targets_leave_the_graph_and_stay_readable() {
    let dir = tempfile::tempdir().unwrap();
    let pack = sample(dir.path(), Holdout::All);
    assert_eq!((pack.meta().edges, pack.meta().held_out, pack.meta().texts), (157, 30, 187));
    let marta =
        Profiles::open(locket_tests::sample()).unwrap().map(Result::unwrap).find(|p| p.user == "marta").unwrap();
    let kettle = pack.find(&marta.target.item).unwrap();
    assert!(pack.texts(kettle).any(|t| t.text == marta.target.text));
    // Words from her own text ("grandmother") may not be in the item's content.
    let content = pack.content();
    let row = content.outer_view(kettle as usize).unwrap();
    assert!(row.iter().all(|(term, _)| pack.term(term as u32) != "grandmother"));
    assert!(row.iter().any(|(term, _)| pack.term(term as u32) == "kettle"));
}

#[test]
fn damage_is_found_wherever_it_is() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path(), Holdout::None);
    let whole = std::fs::read(dir.path().join("sample.pack")).unwrap();
    let path = dir.path().join("bad.pack");
    let open = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Pack::open(&path).err()
    };
    assert!(open(&whole).is_none());
    for keep in [0, 4] {
        assert!(matches!(open(&whole[..keep]), Some(PackError::NotAPack)), "{keep}");
    }
    for keep in [8, 31, 40, 600, whole.len() / 2, whole.len() - 1] {
        assert!(matches!(open(&whole[..keep]), Some(PackError::Truncated { .. })), "{keep}");
    }
    let mut newer = whole.clone();
    newer[8] = 99;
    assert!(matches!(open(&newer), Some(PackError::Version(99))));
    // One flipped bit anywhere, header, table or section, is an error (padding between sections
    // excepted).
    let mut unnoticed = 0;
    for at in (0..whole.len()).step_by(97) {
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        if open(&flipped).is_none() {
            unnoticed += 1;
        }
    }
    assert!(unnoticed <= 23, "{unnoticed} flips went unnoticed; sections have at most 63 bytes of padding each");
    assert!(matches!(Pack::open(dir.path().join("none")), Err(PackError::Io { .. })));
}

#[test]
fn bad_lines_stop_the_build_or_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("p.jsonl");
    let mut out = std::fs::File::create(&file).unwrap();
    writeln!(out, r#"{{"user":"a","target":{{"item":"i","text":"fine"}}}}"#).unwrap();
    writeln!(out, "{{broken").unwrap();
    let pack = dir.path().join("p.pack");
    let refused = build(std::slice::from_ref(&file), &pack, Holdout::None, false).unwrap_err();
    assert!(matches!(refused, Error::Profile(ProfileError::Line { line: 2, .. })), "{refused}");
    assert!(!pack.exists());
    let report = build(std::slice::from_ref(&file), &pack, Holdout::None, true).unwrap();
    assert_eq!((report.profiles, report.bad.len(), report.bad[0].line), (1, 1, 2));
    std::fs::write(&file, "").unwrap();
    assert!(matches!(
        build(std::slice::from_ref(&file), &pack, Holdout::None, false),
        Err(Error::Build(BuildError::Empty))
    ));
    let stopped =
        locket_builder::pack::build(&[locket_tests::sample()], &dir.path().join("s"), &BuildOptions::default(), |_| {
            ControlFlow::Break(())
        });
    assert!(matches!(stopped, Err(Error::Engine(locket::Error::Cancelled))));
    // Only the two files remain: scratch files are gone.
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}
