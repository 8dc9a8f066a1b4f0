//! The settings of a run of the protocol.

use std::path::PathBuf;

use serde_json::{Value, json};

use locket::{Model, Sampling, Task, WriteOptions, internals::hash::spread};

/// Which part of the people is kept for validation, by their ids alone: the same in every file and every run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValidationSplit(pub f64);

impl ValidationSplit {
    /// Whether nothing may be learnt from this person.
    pub fn validates(self, user: &str) -> bool {
        ((spread(&format!("{user}\nvalidation")) >> 11) as f64) < self.0 * (1u64 << 53) as f64
    }
}

/// Where the items come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Items {
    /// The graph predicts them.
    #[default]
    Predicted,
    /// Any that somebody has written about, drawn by the seed: no link prediction at all.
    Random,
    /// The latest that the person really met and the history cap hides: perfect link prediction. Nobody without a cap has any.
    Oracle,
}

/// How the text is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// From what the task gives alone.
    None,
    /// No model: the title and the best neighbour's text (the first sentence of the text as title, the
    /// neighbours' median rating).
    Copy,
    /// From the person's own history (LaMP).
    History,
    /// From history and other people's texts on the item, found by their words (PGraphRAG).
    Graph,
    /// From history, reasoning first (REST-PG).
    Reasoning,
    /// From real and synthetic history and other people's texts, the text itself without reasoning.
    Synthetic,
    /// From real and synthetic history and other people's texts, reasoning first (GraSPeR).
    Full,
}

impl Method {
    /// Whether it writes synthetic interactions first.
    pub(super) fn augments(self) -> bool {
        matches!(self, Self::Synthetic | Self::Full)
    }
}

/// The task's and the run's settings. What a prediction depends on is written into the predictions file.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Text, title or rating.
    pub task: Task,
    /// How the text is made.
    pub method: Method,
    /// At most this many of the latest history interactions are used.
    pub history_cap: Option<usize>,
    /// At most this many people, drawn by `seed`.
    pub limit: Option<usize>,
    /// So many of each person's latest texts are written, each from what came before it; 1 is the profile's target alone.
    pub targets: usize,
    /// Only people whom an adapter trained with the same share has not learnt from.
    pub validation: Option<ValidationSplit>,
    /// Seed of the draw and of sampling.
    pub seed: u64,
    /// Synthetic interactions per person for the methods that augment.
    pub synthetic: usize,
    /// For which items those are written.
    pub items: Items,
    /// Where the methods that augment keep their synthetic interactions, and find those of an earlier run.
    pub synthetic_file: Option<PathBuf>,
    /// How to write. Greedy by default.
    pub options: WriteOptions,
    /// Sequences decoded together.
    pub sequences: usize,
    /// Threads; 0 takes what the machine has.
    pub threads: usize,
}

impl Settings {
    /// `task` by `method` with the settings of the published tables.
    pub fn new(task: Task, method: Method) -> Self {
        let options = WriteOptions { sampling: Sampling::GREEDY, text_tokens: 128, ..WriteOptions::default() };
        Self {
            task,
            method,
            history_cap: None,
            limit: None,
            targets: 1,
            validation: None,
            seed: 1,
            synthetic: 2,
            items: Items::Predicted,
            synthetic_file: None,
            options,
            sequences: 16,
            threads: 0,
        }
    }

    pub(super) fn reasoning(&self) -> bool {
        matches!(self.method, Method::Reasoning | Method::Full)
    }

    /// What synthetic interactions depend on.
    pub(super) fn synthetic_json(&self, files: &[PathBuf], model: Option<&Model>) -> Value {
        self.with_targets(json!({
            "files": files, "model": model.map(Model::name), "weights": model.map(Model::identity),
            "task": format!("{:?}", self.task), "history_cap": self.history_cap, "seed": self.seed, "synthetic": self.synthetic,
            "items": format!("{:?}", self.items),
        }))
    }

    pub(super) fn to_json(&self, files: &[PathBuf], model: Option<&Model>) -> Value {
        self.with_targets(json!({
            "files": files, "model": model.map(Model::name), "weights": model.map(Model::identity),
            "task": format!("{:?}", self.task), "method": format!("{:?}", self.method), "history_cap": self.history_cap,
            "limit": self.limit, "validation": self.validation.map(|s| s.0), "seed": self.seed, "synthetic": self.synthetic,
            "items": format!("{:?}", self.items), "options": format!("{:?}", self.options), "candidates": self.options.candidates,
        }))
    }

    /// One is not told: files of runs that knew of no more go on.
    fn with_targets(&self, mut settings: Value) -> Value {
        if self.targets > 1 {
            settings["targets"] = json!(self.targets);
        }
        settings
    }
}
