//! Test helpers: a tiny GGUF model with random weights, the shipped sample, and the paths of models
//! and large data sets.
//!
//! A test that needs more than the sources is ignored and names its needs in the reason, for
//! example `#[ignore = "needs the default model and PyTorch"]`. `make test` runs it if
//! `tests/run.py` finds everything that the reason names.
#![allow(clippy::unwrap_used)]

pub mod tiny;

use std::path::{Path, PathBuf};

/// Returns the root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Returns the path of the sample that ships with the project: 30 users, 60 items, 187 reviews.
pub fn sample() -> PathBuf {
    root().join("tests/sample/sample.jsonl")
}

/// Returns the path of a file of the public data sets (`$LOCKET_DATA`, else `../shared/data`). For
/// tests that "need the public data".
///
/// # Panics
/// If the file is missing.
pub fn data(file: &str) -> PathBuf {
    let dir = std::env::var_os("LOCKET_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    needed(dir.join(file), "set LOCKET_DATA to the folder of the public data sets")
}

/// Returns the path of the default model (`$LOCKET_MODELS`, else the user's cache). For tests that
/// "need the default model".
///
/// # Panics
/// If the file is missing.
pub fn model() -> PathBuf {
    pulled(
        "gemma-3-270m-q4_k_m.gguf",
        "run `locket model pull gemma-3-270m` or set LOCKET_MODELS to the models' folder",
    )
}

/// Returns the path of a chat model with another architecture and another kind of vocabulary. For
/// tests that "need the chat model".
///
/// # Panics
/// If the file is missing.
pub fn chat_model() -> PathBuf {
    pulled(
        "smollm2-135m-instruct-q4_1.gguf",
        "run `locket model pull smollm2-135m` or set LOCKET_MODELS to the models' folder",
    )
}

/// Returns `path`, which a test needs.
///
/// # Panics
/// If there is nothing at `path`; the message ends with `advice`.
pub fn needed(path: PathBuf, advice: &str) -> PathBuf {
    assert!(path.exists(), "this test needs {}, which is missing: {advice}", path.display());
    path
}

fn pulled(file: &str, advice: &str) -> PathBuf {
    let env = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let dir = env("LOCKET_MODELS")
        .or_else(|| env("XDG_CACHE_HOME").map(|d| d.join("locket/models")))
        .or_else(|| env("HOME").map(|d| d.join(".cache/locket/models")));
    needed(dir.unwrap_or_default().join(file), advice)
}

/// A generator of random numbers, the same on every machine and in every run: xorshift64
/// (Marsaglia, 2003). The seed must not be 0.
pub struct Draw(pub u64);

impl Draw {
    /// Returns the next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Returns a number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.bits() % n
    }
}

/// Returns the resident memory of this process in bytes (Linux).
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
