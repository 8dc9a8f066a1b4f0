//! The settings of a run of the protocol.

use std::path::PathBuf;

use serde_json::{Value, json};

use locket::{Model, Sampling, Sources, Task, WriteOptions, internals::hash::spread};

/// Share of users kept for validation, chosen by their ids alone: the same in every file and every
/// run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValidationSplit(pub f64);

impl ValidationSplit {
    /// Whether this user is a validation user, excluded from training.
    pub fn validates(self, user: &str) -> bool {
        ((spread(&format!("{user}\nvalidation")) >> 11) as f64) < self.0 * (1u64 << 53) as f64
    }
}

/// Source of the items for synthetic interactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Items {
    /// Items predicted by the graph.
    #[default]
    Predicted,
    /// Items with texts, drawn by the seed: no link prediction.
    Random,
    /// The user's latest real items that the history cap hides: perfect link prediction. Empty
    /// without a cap.
    Oracle,
}

/// Generation method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Method {
    /// Only the task's input.
    None,
    /// No model: the title and the best neighbour's text (the first sentence of the text as title,
    /// the neighbours' median rating).
    Copy,
    /// The user's history (LaMP).
    History,
    /// History and other users' texts on the item, retrieved by their words (PGraphRAG).
    Graph,
    /// History, with reasoning first (REST-PG).
    Reasoning,
    /// Real and synthetic history and other users' texts, without reasoning before the text.
    Synthetic,
    /// Real and synthetic history and other users' texts, with reasoning first (GraSPeR).
    Full,
    /// What the engine does when an app calls it: the user's history, chosen as in a session, and
    /// other users' texts on the item, ranked by words and style.
    Auto,
}

impl Method {
    /// Whether the method generates synthetic interactions first.
    pub(super) fn augments(self) -> bool {
        matches!(self, Self::Synthetic | Self::Full)
    }
}

/// Settings of a task and a run. The predictions file stores all settings that affect a prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Text, title or rating.
    pub task: Task,
    /// Generation method.
    pub method: Method,
    /// Sources of the method auto instead of the pack's policy.
    pub sources: Option<Sources>,
    /// Maximum number of the latest history interactions to use.
    pub history_cap: Option<usize>,
    /// Maximum number of users, drawn by `seed`.
    pub limit: Option<usize>,
    /// Number of each user's latest texts to generate, each from the history before it; 1 is the
    /// profile's target alone.
    pub targets: usize,
    /// Restricts the run to validation users, excluded from the training of an adapter with the
    /// same share.
    pub validation: Option<ValidationSplit>,
    /// Seed of the draw and of sampling.
    pub seed: u64,
    /// Share of the true text's content words that a request gives as notes, 0 to 1. `None` gives
    /// none.
    pub gist: Option<f64>,
    /// Shows the history of another drawn user in each prompt, in place of the own one: the
    /// difference is what the own history is worth.
    pub swap_histories: bool,
    /// Number of synthetic interactions per user for the methods that augment.
    pub synthetic: usize,
    /// Source of their items.
    pub items: Items,
    /// File of synthetic interactions, for the methods that augment: new ones are stored, and those
    /// of an earlier run are reused.
    pub synthetic_file: Option<PathBuf>,
    /// Generation options. Greedy by default.
    pub options: WriteOptions,
    /// Number of sequences decoded together.
    pub sequences: usize,
    /// Number of threads; 0 uses all that the machine has.
    pub threads: usize,
}

impl Settings {
    /// `task` by `method` with the settings of the published tables.
    pub fn new(task: Task, method: Method) -> Self {
        let options = WriteOptions::default().with_sampling(Sampling::GREEDY).with_max_new_tokens(128);
        Self {
            task,
            method,
            sources: None,
            history_cap: None,
            limit: None,
            targets: 1,
            validation: None,
            seed: 1,
            gist: None,
            swap_histories: false,
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

    /// The settings that synthetic interactions depend on.
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

    /// Adds `sources`, `gist` and `swap_histories` if they are set, and `targets` if it exceeds 1.
    /// Files of older runs lack these keys, and runs without them can resume such files.
    fn with_targets(&self, mut settings: Value) -> Value {
        if let Some(sources) = self.sources {
            settings["sources"] = json!(sources);
        }
        if let Some(share) = self.gist {
            settings["gist"] = json!(share);
        }
        if self.swap_histories {
            settings["swap_histories"] = json!(true);
        }
        if self.targets > 1 {
            settings["targets"] = json!(self.targets);
        }
        settings
    }
}
