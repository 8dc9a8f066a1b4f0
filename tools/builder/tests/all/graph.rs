//! Predictions over the shipped sample: reachable, explained, and independent of order.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use locket::{
    Interaction, Pack, Task, Via, author_key,
    internals::{
        context::{self, ContextBuilder, Target, retriever::Retriever},
        predict::{Predictor, Query},
        prompt::{Example, PromptInputs},
    },
};
use locket_builder::{
    pack::{BuildOptions, Holdout},
    profile::{Profile, Profiles},
};

fn sample() -> (tempfile::TempDir, Pack, Vec<Profile>) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("sample.pack");
    let options = BuildOptions { holdout: Holdout::All, ..BuildOptions::default() };
    locket_builder::pack::build(&[locket_tests::sample()], &out, &options, |_| ControlFlow::Continue(())).unwrap();
    let people = Profiles::open(locket_tests::sample()).unwrap().map(Result::unwrap).collect();
    (dir, Pack::open(out).unwrap(), people)
}

#[test]
fn predictions_leave_out_what_was_met_and_shares_add_up() {
    let (_dir, pack, people) = sample();
    let predictor = Predictor::new(&pack);
    for person in &people {
        let query = context::query(&pack, &person.history);
        let predicted = predictor.predict(&query, 10);
        assert_eq!(predicted.len(), 10);
        assert!(predicted.windows(2).all(|w| w[0].score >= w[1].score));
        let scores = predictor.scores(&query);
        for p in &predicted {
            assert!(!query.history.iter().any(|h| h.0 == p.item), "{}", person.user);
            let paths = predictor.explain(&query, p.item);
            assert!((paths.iter().map(|p| p.share).sum::<f32>() - 1.0).abs() < 1e-4, "{paths:?}");
            assert!((scores[p.item as usize] - p.score).abs() < 1e-6);
        }
    }
}

#[test]
fn the_order_of_the_history_does_not_matter() {
    let (_dir, pack, people) = sample();
    let predictor = Predictor::new(&pack);
    for person in &people {
        let mut reversed = person.history.clone();
        reversed.reverse();
        let items = |history: &[Interaction]| {
            predictor.predict(&context::query(&pack, history), 8).into_iter().map(|p| p.item).collect::<Vec<_>>()
        };
        assert_eq!(items(&person.history), items(&reversed), "{}", person.user);
    }
}

#[test]
fn one_text_is_enough_for_content_and_none_for_popularity() {
    let (_dir, pack, _) = sample();
    let predictor = Predictor::new(&pack);
    let one = context::query(&pack, &[Interaction::new("p1", "x")]);
    let best = predictor.predict(&one, 3);
    assert!(best.iter().any(|p| pack.category(p.item) == Some("Pets")), "a cat tree leads to pets");
    let all: Vec<Via> = best.iter().flat_map(|p| predictor.explain(&one, p.item)).map(|p| p.via).collect();
    assert!(all.iter().any(|v| matches!(v, Via::Content(words) if !words.is_empty())), "{all:?}");
    let nothing = Query::default();
    let popular = predictor.predict(&nothing, 1)[0].item;
    let reasons = predictor.explain(&nothing, popular);
    assert!(reasons.iter().any(|p| matches!(p.via, Via::Popularity(n) if n > 0)), "{reasons:?}");
    assert!(reasons.iter().all(|p| matches!(p.via, Via::Popularity(_) | Via::Returning(_))), "{reasons:?}");
}

#[test]
fn a_target_brings_its_neighbourhood_and_is_left_out() {
    let (_dir, pack, _) = sample();
    let predictor = Predictor::new(&pack);
    let kettle = pack.find("k1").unwrap();
    let query =
        Query { target: Some(kettle), target_text: Some("copper kettle for tea and coffee"), ..Query::default() };
    let predicted = predictor.predict(&query, 59);
    assert!(predicted.iter().all(|p| p.item != kettle));
    assert_ne!(predicted[0].item, predictor.predict(&Query::default(), 1)[0].item);
}

#[test]
fn odd_queries_are_handled() {
    let (_dir, pack, _) = sample();
    let predictor = Predictor::new(&pack);
    let everything = Query { history: (0..60).map(|i| (i, 1.0)).collect(), ..Query::default() };
    assert!(predictor.predict(&everything, 5).is_empty());
    let strange = Query { history: vec![(999, 1.0), (0, 0.0)], exclude: vec![77], ..Query::default() };
    assert_eq!(predictor.predict(&strange, 100).len(), 59);
    assert!(predictor.predict(&strange, 0).is_empty());
}

#[test]
fn nobody_is_shown_their_own_text() {
    let (_dir, pack, people) = sample();
    for person in &people {
        let me = author_key(&person.user);
        for (interaction, _) in person.interactions() {
            let item = pack.find(&interaction.item).unwrap();
            let found = Retriever::new(&pack, Some(me)).on_item(item, &interaction.text, 50);
            assert!(found.iter().all(|n| n.text.author != me && n.text.text != interaction.text));
        }
        let target = Target { item: "unknown item", item_title: Some("garden shears"), ..Target::default() };
        let alike = ContextBuilder::new(&pack, Some(me)).neighbours(&target, &[], 4);
        assert!(!alike.is_empty() && alike.iter().all(|n| n.text.author != me));
    }
}

#[test]
fn a_text_is_grounded_in_texts_by_people_who_write_alike() {
    let (_dir, pack, people) = sample();
    let (mut differ, mut grounded) = (0, 0);
    for person in &people {
        let me = author_key(&person.user);
        let grounding = ContextBuilder::new(&pack, Some(me));
        let target = Target::of(&person.target, Task::Text);
        let own: Vec<Example> = person.history.iter().map(Example::from).collect();
        let said: Vec<&str> = own.iter().map(|e| e.text.as_str()).collect();
        let ranked = grounding.neighbours(&target, &said, 12);
        assert!(ranked.iter().all(|n| n.text.author != me) && ranked.windows(2).all(|w| w[0].score >= w[1].score));

        let shown = |m: &PromptInputs| m.neighbours.iter().map(|e| e.text.clone()).collect::<Vec<_>>();
        let inputs = |task, reasoning, own: &[Example]| grounding.inputs(task, reasoning, own.to_vec(), &target, 4);
        let planned = inputs(Task::Text, true, &own);
        let on_item = ranked.iter().filter(|n| Some(n.item) == pack.find(target.item));
        assert_eq!(shown(&planned), on_item.take(4).map(|n| n.text.text).collect::<Vec<_>>());
        // For an item without texts, the user's own texts are more useful than other users' texts
        // on other items.
        let nowhere = Target { item: "unknown item", item_title: Some("garden shears"), ..target };
        let beside = |task, own: &[Example]| grounding.inputs(task, true, own.to_vec(), &nowhere, 4).neighbours.len();
        assert_eq!([beside(Task::Text, &own), beside(Task::Text, &[]), beside(Task::Rating, &own)], [0, 4, 4]);
        // Synthetic interactions do not count as the user's style.
        let invented = Example { synthetic: true, ..Example::from(&people[0].target) };
        assert_eq!(shown(&inputs(Task::Text, true, &[&[invented][..], &own].concat())), shown(&planned));
        // The neighbours are the same with and without a plan; for a rating of a given text they do
        // not depend on the history.
        assert!(inputs(Task::Text, false, &own).neighbours == planned.neighbours);
        assert_eq!(shown(&inputs(Task::Rating, true, &own)), shown(&inputs(Task::Rating, true, &[])));
        let texts =
            |own: &[&str]| grounding.neighbours(&target, own, 4).iter().map(|n| n.text.text).collect::<Vec<_>>();
        let by_words =
            ContextBuilder::new(&pack, Some(me)).by_words().inputs(Task::Text, true, own.clone(), &target, 4);
        if !planned.neighbours.is_empty() {
            grounded += 1;
            assert_eq!(shown(&by_words), texts(&[]));
        }
        differ += usize::from(texts(&said) != texts(&[]));
    }
    assert!(differ > people.len() / 2, "{differ} of {}", people.len());
    assert!(grounded > people.len() / 2, "{grounded} of {}", people.len());
}
