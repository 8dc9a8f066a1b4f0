//! Properties of the link predictor on random graphs, and its edge cases.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, ops::ControlFlow};

use locket::{
    Engine, Interaction, Key, Pack, PredictOptions,
    internals::{
        graph::Mixture,
        predict::{Predictor, Query},
    },
};
use locket_builder::{
    pack::{Holdout, PackBuilder},
    profile::Profile,
};
use proptest::prelude::*;

/// A pack of bare edges (user, item), in the order given.
fn pack_of(edges: &[(u32, u32)]) -> (tempfile::TempDir, Pack) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("edges.pack");
    let mut builder = PackBuilder::new(Holdout::None, &out).unwrap();
    for (user, item) in edges {
        builder.add_edge(&format!("user {user}"), &format!("item {item}")).unwrap();
    }
    builder.finish(&out, || ControlFlow::Continue(())).unwrap();
    (dir, Pack::open(&out).unwrap())
}

/// Returns scores by item id: item numbers differ between packs.
fn scores(pack: &Pack, history: &[(u32, f32)]) -> BTreeMap<String, f32> {
    let known = |&(item, weight): &(u32, f32)| Some((pack.find(&format!("item {item}"))?, weight));
    let query = Query { history: history.iter().filter_map(known).collect(), ..Query::default() };
    let scores = Predictor::with_mixture(pack, Mixture::default()).scores(&query);
    (0u32..).zip(scores).map(|(item, score)| (pack.item(item).to_owned(), score)).collect()
}

fn graphs() -> impl Strategy<Value = Vec<(u32, u32)>> {
    proptest::collection::vec((0u32..12, 0u32..14), 1..80)
}

fn histories() -> impl Strategy<Value = Vec<(u32, f32)>> {
    proptest::collection::vec((0u32..16, prop_oneof![Just(1.0f32), Just(0.5), Just(-0.5)]), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Scores do not depend on the order of edges, the numbers of items and users, a repeated edge,
    /// or the order of a history.
    #[test]
    fn order_and_numbering_do_not_matter(edges in graphs(), history in histories(), turn in 0usize..80) {
        let mut other = edges.clone();
        other.rotate_left(turn % edges.len());
        other.reverse();
        other.push(other[0]);
        let mut turned = history.clone();
        turned.reverse();
        let ((_a, first), (_b, second)) = (pack_of(&edges), pack_of(&other));
        let (a, b) = (scores(&first, &history), scores(&second, &turned));
        prop_assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
        for (item, score) in &a {
            // Where singular values are equal, any basis of their space is valid, and each one
            // rounds to 8 bits differently.
            prop_assert!((score - b[item]).abs() <= 2e-2 * score.abs().max(1.0), "{}: {} and {}", item, score, b[item]);
        }
    }

    /// The amounts of all reasons sum to the score; their shares sum to 1.
    #[test]
    fn explanations_add_up(edges in graphs(), history in histories(), target in proptest::option::of(0u32..14)) {
        let (_dir, pack) = pack_of(&edges);
        let predictor = Predictor::new(&pack);
        let find = |item: u32| pack.find(&format!("item {item}"));
        let history = history.iter().filter_map(|&(i, w)| Some((find(i)?, w))).collect();
        let query = Query { history, target: target.and_then(find), popularity: 0.5, ..Query::default() };
        let scores = predictor.scores(&query);
        for item in 0..pack.items() as u32 {
            let paths = predictor.explain(&query, item);
            let amount: f32 = paths.iter().map(|p| p.amount).sum();
            let largest = paths.iter().fold(1f32, |m, p| m.max(p.amount.abs()));
            prop_assert!((amount - scores[item as usize]).abs() < 1e-3 * largest, "{} {:?}", scores[item as usize], paths);
            if amount.abs() > 1e-3 {
                prop_assert!((paths.iter().map(|p| p.share).sum::<f32>() - 1.0).abs() < 1e-2, "{:?}", paths);
            }
        }
    }

    /// Predictions are distinct, unmet, not excluded, and as many as possible.
    #[test]
    fn predictions_are_what_is_left(edges in graphs(), met in proptest::collection::vec(0u32..14, 0..14), diversity in 0f32..1.0) {
        let (_dir, pack) = pack_of(&edges);
        let known: Vec<u32> = met.iter().filter_map(|i| pack.find(&format!("item {i}"))).collect();
        let (history, exclude) = known.split_at(known.len() / 2);
        let query = Query {
            history: history.iter().map(|&i| (i, 1.0)).collect(),
            exclude: exclude.to_vec(),
            diversity,
            ..Query::default()
        };
        let mut items: Vec<u32> = Predictor::new(&pack).predict(&query, 20).iter().map(|p| p.item).collect();
        items.sort_unstable();
        prop_assert_eq!(items, (0..pack.items() as u32).filter(|i| !known.contains(i)).collect::<Vec<_>>());
    }
}

#[test]
fn a_catalogue_of_one_item_and_people_without_edges_are_fine() {
    let (_dir, pack) = pack_of(&[(0, 0), (0, 0)]);
    let predictor = Predictor::new(&pack);
    assert_eq!(predictor.predict(&Query::default(), 5).len(), 1);
    assert!(predictor.predict(&Query { history: vec![(0, 1.0)], ..Query::default() }, 5).is_empty());

    // All edges held out: every row of the matrix is zero, and only content is left.
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("held.pack");
    let mut builder = PackBuilder::new(Holdout::All, &out).unwrap();
    for (user, item, title) in [("a", "x", "red kettle"), ("b", "y", "blue kettle"), ("c", "z", "garden rake")] {
        let target = Interaction::new(item, "Nice.").with_item_title(title);
        builder.add(&Profile { user: user.into(), history: Vec::new(), target }).unwrap();
    }
    builder.finish(&out, || ControlFlow::Continue(())).unwrap();
    let pack = Pack::open(&out).unwrap();
    assert_eq!(pack.meta().edges, 0);
    let met = pack.find("x").unwrap();
    let predicted = Predictor::new(&pack).predict(&Query { history: vec![(met, 1.0)], ..Query::default() }, 3);
    assert_eq!(pack.item(predicted[0].item), "y", "an item that nobody met is reached by its name");
    assert!(predicted[0].score > predicted[1].score);
    let reasons =
        Predictor::new(&pack).explain(&Query { history: vec![(met, 1.0)], ..Query::default() }, predicted[0].item);
    assert!((reasons.iter().map(|r| r.amount).sum::<f32>() - predicted[0].score).abs() < 1e-4, "{reasons:?}");
}

#[test]
fn a_build_that_is_stopped_while_it_fits_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("stopped.pack");
    for steps in 0..3 {
        let mut builder = PackBuilder::new(Holdout::None, &out).unwrap();
        (0..20).for_each(|n| builder.add_edge(&format!("u{}", n / 2), &format!("i{}", n % 7)).unwrap());
        let mut left = steps;
        let stopped = builder.finish(&out, || {
            left -= 1;
            if left < 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(
            matches!(stopped, Err(locket_builder::Error::Engine(locket::Error::Cancelled))),
            steps < 2,
            "{steps}"
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), usize::from(steps == 2));
    }
}

#[test]
fn a_dislike_speaks_against_its_like() {
    let edges: Vec<(u32, u32)> = (0..10).flat_map(|u| [(u, 1), (u, 2), (u + 10, 3), (u + 10, 4)]).collect();
    let (_dir, pack) = pack_of(&edges);
    let (liked, disliked) = (scores(&pack, &[(1, 1.0)]), scores(&pack, &[(1, -1.0)]));
    assert!(liked["item 2"] > liked["item 4"] && disliked["item 2"] < disliked["item 4"], "{liked:?} {disliked:?}");
}

#[test]
fn controls_steer() {
    // Items 0 to 6 are met together by 40 users; items 7 and 8 with item 0 by one user each.
    let crowd = (0..40).flat_map(|u| (0..7).map(move |i| (u, i)));
    let edges: Vec<(u32, u32)> = crowd.chain([(50, 0), (50, 7), (51, 0), (51, 8)]).collect();
    let (_dir, pack) = pack_of(&edges);
    let predictor = Predictor::with_mixture(&pack, Mixture::default());
    let find = |item: u32| pack.find(&format!("item {item}")).unwrap();
    let ask = |popularity: f32, diversity: f32| {
        let history = vec![(find(0), 1.0)];
        predictor.predict(&Query { history, popularity, diversity, ..Query::default() }, 3)
    };
    let people = |predicted: &[locket::internals::predict::Prediction]| {
        predicted.iter().map(|p| pack.people(p.item)).sum::<usize>()
    };
    assert!(people(&ask(-5.0, 0.0)) < people(&ask(1.0, 0.0)), "rare finds are met by fewer people");
    assert!(people(&ask(1.0, 0.95)) < people(&ask(1.0, 0.0)), "the alike crowd gives way to others");
}

/// A text counts as soon as it is recorded, and records persist when another pack is used with the
/// same store.
#[test]
fn records_count_at_once_and_outlive_the_pack() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("me");
    let pairs = |shift: u32| -> Vec<(u32, u32)> {
        (0..12).flat_map(|u| [(u, 0), (u, 1 + shift), (u + 20, 5), (u + 20, 6)]).collect()
    };
    let best = |engine: &Engine| engine.predict(&PredictOptions::new(1)).unwrap()[0].item.clone();

    let (_old, pack) = pack_of(&pairs(0));
    let engine = Engine::open(&store, &Key::new([1; 32])).unwrap().with_pack(pack);
    engine.record(Interaction::new("item 5", "Fine.")).unwrap();
    assert_eq!(best(&engine), "item 6");
    engine.record(Interaction::new("item 6", "Fine.")).unwrap();
    engine.record(Interaction::new("item 0", "Fine.")).unwrap();
    assert_eq!(best(&engine), "item 1");
    let barred = PredictOptions::new(9).with_exclude(vec!["item 1".into(), "no such item".into()]);
    assert!(engine.predict(&barred).unwrap().is_empty());
    assert!(engine.predict(&PredictOptions::new(1).with_diversity(2.0)).is_err());
    drop(engine);

    let (_new, pack) = pack_of(&pairs(1));
    let engine = Engine::open(&store, &Key::new([1; 32])).unwrap().with_pack(pack);
    assert_eq!((engine.history().unwrap().len(), best(&engine).as_str()), (3, "item 2"));
}
