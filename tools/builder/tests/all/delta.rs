//! Deltas between packs: application, rejection, and interruption.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use locket::{DeltaError, DeltaReport, Error, Pack, internals::pack};
use locket_builder::pack::BuildOptions;

const SECRET: [u8; 32] = [7; 32];

fn go_on() -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Builds a pack of the sample's first `people` users.
fn build(dir: &Path, name: &str, people: usize) -> PathBuf {
    let all = fs::read_to_string(locket_tests::sample()).unwrap();
    let (profiles, out) = (dir.join("some.jsonl"), dir.join(name));
    fs::write(&profiles, all.lines().take(people).collect::<Vec<_>>().join("\n")).unwrap();
    locket_builder::pack::build(&[profiles], &out, &BuildOptions::default(), |_| go_on()).unwrap();
    out
}

/// Builds an old pack, a new one, and the delta between them.
fn update(dir: &Path) -> [PathBuf; 3] {
    let (old, new, delta) = (build(dir, "old.pack", 28), build(dir, "new.pack", 30), dir.join("update.delta"));
    locket_builder::pack::diff(&old, &new, &SECRET, &delta, go_on).unwrap();
    [old, new, delta]
}

fn apply(pack: &Path, delta: &Path, key: &[u8; 32], out: &Path) -> Result<DeltaReport, DeltaError> {
    pack::apply(pack, delta, key, out, &mut |_| ControlFlow::Continue(()))
}

#[test]
fn a_delta_makes_the_new_pack_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new, delta] = update(dir.path());
    let key = locket_builder::pack::public_key(&SECRET);
    let open = Pack::open(&old).unwrap();
    let read = || open.texts(0).map(|t| t.text.to_owned()).collect::<Vec<_>>();
    let before = read();
    let report = apply(&old, &delta, &key, &old).unwrap();
    assert_eq!(fs::read(&old).unwrap(), fs::read(&new).unwrap());
    assert_eq!(report.delta_bytes, fs::metadata(&delta).unwrap().len());
    assert!(report.delta_bytes < report.new_bytes / 2, "{report:?}");
    // A pack that was opened before the update still reads the old file.
    assert_eq!((read(), open.meta().users, Pack::open(&old).unwrap().meta().users), (before, 28, 30));
    // The second application fails: the delta is for another pack.
    assert!(matches!(apply(&old, &delta, &key, &old), Err(DeltaError::OtherPack { .. })));
}

#[test]
fn the_same_packs_give_the_same_delta() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new, delta] = update(dir.path());
    let again = dir.path().join("again.delta");
    locket_builder::pack::diff(&old, &new, &SECRET, &again, go_on).unwrap();
    assert_eq!(fs::read(&delta).unwrap(), fs::read(again).unwrap());
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let [old, _, delta] = update(dir.path());
    let (key, whole, before) =
        (locket_builder::pack::public_key(&SECRET), fs::read(&delta).unwrap(), fs::read(&old).unwrap());
    let broken = dir.path().join("broken.delta");
    let refused = |bytes: &[u8]| {
        fs::write(&broken, bytes).unwrap();
        let error = apply(&old, &broken, &key, &old).unwrap_err();
        assert_eq!(fs::read(&old).unwrap(), before);
        error
    };
    // Every byte of the header and the table, and a sample of the frames.
    let bytes = (0..whole.len().min(1500)).chain((1500..whole.len()).step_by(97));
    for at in bytes {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        let error = refused(&flipped);
        let meant = match at {
            0..12 => matches!(error, DeltaError::NotADelta),
            12..192 => matches!(error, DeltaError::Signature),
            _ => matches!(error, DeltaError::Damaged(_)),
        };
        assert!(meant, "byte {at}: {error}");
    }
    for length in [0, 7, 100, 191, 192, 500, whole.len() - 1] {
        refused(&whole[..length]);
    }
    refused(&[&whole[..], &[0]].concat());
}

#[test]
fn only_the_right_key_and_the_right_pack() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new, delta] = update(dir.path());
    let before = fs::read(&old).unwrap();
    let other = locket_builder::pack::public_key(&[8; 32]);
    assert!(matches!(apply(&old, &delta, &other, &old), Err(DeltaError::Signature)));
    // An invalid key: not a point of the curve, or a weak key that a lax verifier accepts for any
    // message.
    let weak = std::array::from_fn(|n| u8::from(n == 0));
    assert!(matches!(apply(&old, &delta, &weak, &old), Err(DeltaError::Signature | DeltaError::Key)));
    let key = locket_builder::pack::public_key(&SECRET);
    assert!(matches!(apply(&new, &delta, &key, &old), Err(DeltaError::OtherPack { .. })));
    assert!(matches!(apply(&dir.path().join("none"), &delta, &key, &old), Err(DeltaError::Io { .. })));
    assert_eq!(fs::read(&old).unwrap(), before);
    let not_a_pack = dir.path().join("text.pack");
    fs::write(&not_a_pack, "text").unwrap();
    assert!(matches!(
        locket_builder::pack::diff(&not_a_pack, &new, &SECRET, &delta, go_on),
        Err(locket_builder::Error::Engine(Error::Pack(_)))
    ));
}

/// Stops at every possible place: the old pack stays whole, and the folder holds no other new file.
#[test]
fn an_interruption_leaves_the_old_pack() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new, delta] = update(dir.path());
    let key = locket_builder::pack::public_key(&SECRET);
    let (before, files) = (fs::read(&old).unwrap(), fs::read_dir(dir.path()).unwrap().count());
    for stop in 0.. {
        let mut asked = 0;
        let mut alive = |_| {
            asked += 1;
            if asked > stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        match pack::apply(&old, &delta, &key, &old, &mut alive) {
            Err(DeltaError::Cancelled) => assert_eq!(fs::read(&old).unwrap(), before),
            Ok(_) => {
                assert!(stop > 30, "{stop}");
                break;
            }
            Err(e) => panic!("{e}"),
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), files);
    }
    assert_eq!(fs::read(&old).unwrap(), fs::read(&new).unwrap());
}
