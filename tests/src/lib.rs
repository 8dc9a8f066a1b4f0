//! Test helpers: a tiny GGUF model with random weights, the shipped sample, and where the large data lies.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

pub mod tiny;

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// The sample that ships with the project: 30 people, 60 items, 187 reviews.
pub fn sample() -> PathBuf {
    root().join("tests/sample/sample.jsonl")
}

/// A file of the large data sets (`$LOCKET_DATA`, else `../shared/data`), or none with a line that says
/// what was skipped. Where `LOCKET_REQUIRE` is set, as in CI, a missing file fails the test.
pub fn data(file: &str) -> Option<PathBuf> {
    let dir = std::env::var_os("LOCKET_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    found(dir.join(file), file)
}

/// The default model's file (`$LOCKET_MODELS`, else the user's cache), or none with a line as in [`data`].
pub fn model() -> Option<PathBuf> {
    pulled("gemma-3-270m-q4_k_m.gguf", "the model gemma-3-270m")
}

/// A chat model of another architecture with a vocabulary of the other kind, or none as in [`model`].
pub fn chat_model() -> Option<PathBuf> {
    pulled("smollm2-135m-instruct-q4_1.gguf", "the model smollm2-135m")
}

fn pulled(file: &str, what: &str) -> Option<PathBuf> {
    let env = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let dir = env("LOCKET_MODELS")
        .or_else(|| env("XDG_CACHE_HOME").map(|d| d.join("locket/models")))
        .or_else(|| env("HOME").map(|d| d.join(".cache/locket/models")))?;
    found(dir.join(file), what)
}

/// Random numbers that are the same on every machine and in every run: xorshift64 (Marsaglia, 2003). The seed must not be 0.
pub struct Draw(pub u64);

impl Draw {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.bits() % n
    }
}

/// Resident memory of this process in bytes (Linux).
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn found(path: PathBuf, what: &str) -> Option<PathBuf> {
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("LOCKET_REQUIRE").is_none(), "{what} is required here and missing: {}", path.display());
    println!("skipped: {what} is not here ({})", path.display());
    None
}
