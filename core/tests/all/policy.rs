//! Sources of a review by the policy of its pack.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use locket::{GenerateRequest, Interaction, Key, Measured, PackPolicy, ReasoningPath, Record, Sources, Store, Task};
use locket_builder::pack::BuildOptions;

use crate::engine::{engine, reopened};

#[test]
fn a_review_is_written_from_the_sources_that_pay() {
    let dir = tempfile::tempdir().unwrap();
    drop(engine(dir.path()));
    let invented = Record::synthetic(Interaction::new("k11", "Nobody wrote this."), ReasoningPath::default(), "m");
    Store::open(dir.path().join("store"), &Key::new([1; 32])).unwrap().append(&invented).unwrap();
    // Returns the numbers of synthetic and of other users' texts in a prompt.
    let shown = |gains: [f64; 2], task: Task| {
        let of = |(sources, gain)| Measured::new(sources, 0.2, (gain, 0.01));
        let measured = [Sources::Retrieved, Sources::Synthetic].into_iter().zip(gains).map(of).collect();
        let options = BuildOptions { policy: Some(PackPolicy::of(measured, 50, "m")), ..BuildOptions::default() };
        let (files, path) = ([locket_tests::sample()], dir.path().join("p.pack"));
        locket_builder::pack::build(&files, &path, &options, |_| ControlFlow::Continue(())).unwrap();
        let request = GenerateRequest::new("k1", task).with_text("It boils.");
        let inputs = reopened(dir.path()).prompt_inputs(&request).unwrap();
        (inputs.history.iter().filter(|e| e.synthetic).count(), inputs.neighbours.len())
    };
    assert_eq!(shown([0.0, 0.0], Task::Text), (0, 0));
    assert_eq!(shown([0.05, 0.0], Task::Text), (0, 4));
    assert_eq!(shown([0.03, 0.05], Task::Text), (1, 4));
    // Titles and ratings were not measured.
    assert_eq!(shown([0.0, 0.0], Task::Rating), (1, 4));
}
