//! The models that are known by name: models/manifest.toml, compiled in.

use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Manifest {
    model: Vec<Entry>,
}

/// One model.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Entry {
    pub name: String,
    pub file: String,
    pub bytes: u64,
    pub sha256: String,
    pub licence: String,
    pub about: String,
    pub card: String,
    pub part: Vec<Part>,
}

/// A piece of a model file inside a Python package.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Part {
    pub package: String,
    pub version: String,
    pub bytes: u64,
    pub sha256: String,
}

/// All known models.
pub fn entries() -> anyhow::Result<Vec<Entry>> {
    let text = include_str!("../../../models/manifest.toml");
    Ok(toml::from_str::<Manifest>(text).context("models/manifest.toml")?.model)
}

/// The known model of this name.
pub fn find(name: &str) -> anyhow::Result<Entry> {
    let all = entries()?;
    let names: Vec<String> = all.iter().map(|e| e.name.clone()).collect();
    all.into_iter()
        .find(|e| e.name == name)
        .with_context(|| format!("no model named {name} is known; there are: {}", names.join(", ")))
}

/// Where pulled models lie: `$LOCKET_MODELS`, else the user's cache directory.
pub fn models_dir() -> anyhow::Result<PathBuf> {
    let env = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    env("LOCKET_MODELS")
        .or_else(|| env("XDG_CACHE_HOME").map(|d| d.join("locket/models")))
        .or_else(|| env("HOME").map(|d| d.join(".cache/locket/models")))
        .context("no place for models: set LOCKET_MODELS or HOME")
}
