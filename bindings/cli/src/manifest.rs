//! The models that are known by name: models/manifest.toml, compiled in.

use std::path::{Path, PathBuf};

use anyhow::Context;
use locket::llm::gguf;
use serde::{Deserialize, Serialize};

use crate::files;

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
    /// What the model is aligned with unless another adapter is asked for.
    pub adapter: Option<Adapter>,
}

/// An adapter that comes with the command.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Adapter {
    pub file: String,
    pub sha256: String,
}

impl Adapter {
    /// Its file in `dir`, put there if it is not there yet.
    fn place(&self, dir: &Path) -> anyhow::Result<PathBuf> {
        // The name carries the contents' hash, so that another version's file is never taken for it.
        let path = dir.join(format!("{}-{}", &self.sha256[..8], self.file));
        if std::fs::metadata(&path).is_ok_and(|m| m.len() == ALIGNED.len() as u64) {
            return Ok(path);
        }
        let put = || {
            std::fs::create_dir_all(dir)?;
            files::write_whole(&path, ALIGNED)
        };
        put().with_context(|| format!("cannot write the adapter {}", path.display()))?;
        Ok(path)
    }
}

/// The adapter of the default model.
const ALIGNED: &[u8] = include_bytes!("../../../models/gemma-3-270m-locket.gguf");

/// The adapter to load with the model `name`, whose file is `path`: the one that was asked for, none at all for `none`, else the one that
/// comes with a known model, also if that was trimmed. Any other model given as a file has none.
pub fn adapter(name: &str, path: &Path, asked: Option<&Path>) -> anyhow::Result<Option<PathBuf>> {
    match asked {
        Some(path) if path == Path::new("none") => return Ok(None),
        Some(path) => return Ok(Some(path.to_path_buf())),
        None => {}
    }
    let mut known = entries()?;
    let by_name = known.iter().position(|e| e.name == name);
    // What is wrong with the file is said when it is loaded.
    let from = || gguf::check_model(path).ok().and_then(|facts| facts.trimmed_from);
    let at = by_name.or_else(|| from().and_then(|sum| known.iter().position(|e| e.sha256 == sum)));
    let adapter = at.and_then(|at| known.swap_remove(at).adapter);
    adapter.map(|adapter| adapter.place(&models_dir()?)).transpose()
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_adapter_is_the_one_of_the_manifest_and_is_put_in_place() {
        let adapter = find("gemma-3-270m").unwrap().adapter.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = adapter.place(&dir.path().join("new")).unwrap();
        let sum = |path: &Path| crate::model::sha256(path, &indicatif::ProgressBar::hidden()).unwrap();
        assert_eq!(sum(&path), adapter.sha256);
        // A file that was cut off is put there again.
        std::fs::write(&path, b"GGUF").unwrap();
        assert_eq!(sum(&adapter.place(&dir.path().join("new")).unwrap()), adapter.sha256);
    }

    #[test]
    fn none_and_files_go_without() {
        let file = Path::new("some/file.gguf");
        assert_eq!(adapter("gemma-3-270m", file, Some(Path::new("none"))).unwrap(), None);
        assert_eq!(adapter("some/file.gguf", file, None).unwrap(), None);
        let own = Path::new("own.gguf");
        assert_eq!(adapter("gemma-3-270m", file, Some(own)).unwrap(), Some(own.to_path_buf()));
    }
}
