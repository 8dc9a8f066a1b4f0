//! The models with a name: models/manifest.toml, compiled in.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, ensure};
use indicatif::ProgressBar;
use locket::{Kind, internals::llm::gguf};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::{files::sha256, output::note};

#[derive(Deserialize)]
struct Manifest {
    model: Vec<Entry>,
}

/// One model of the manifest.
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
    /// The adapters of the model. By default it is loaded with the first one for the kind of writing.
    #[serde(default)]
    pub adapter: Vec<Adapter>,
}

/// An adapter that ships with the command.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Adapter {
    /// The name that `--adapter` takes.
    pub name: String,
    pub file: String,
    pub sha256: String,
    /// The kinds of writing that it learned; empty for all kinds.
    #[serde(default)]
    pub kinds: Vec<String>,
    pub about: String,
}

/// The shipped adapters: their files and the contents.
const SHIPPED: [(&str, &[u8]); 2] = [
    ("gemma-3-270m-open.gguf", include_bytes!("../../../models/gemma-3-270m-open.gguf")),
    ("gemma-3-270m-review.gguf", include_bytes!("../../../models/gemma-3-270m-review.gguf")),
];

impl Adapter {
    /// Whether a request for this adapter or, without one, for this kind gets it. `None` is any kind.
    fn fits(&self, asked: Option<&Path>, kind: Option<&Kind>) -> bool {
        match asked {
            Some(asked) => Path::new(&self.name) == asked,
            None => self.kinds.is_empty() || kind.is_some_and(|kind| self.kinds.contains(&kind.name)),
        }
    }

    /// Returns the contents of its file.
    fn contents(&self) -> anyhow::Result<&'static [u8]> {
        let shipped = SHIPPED.iter().find(|(file, _)| *file == self.file);
        shipped.map(|(_, bytes)| *bytes).with_context(|| format!("the adapter {} is not shipped", self.file))
    }

    /// Returns the path of its file in the first of `dirs` that has it or accepts it, else in a
    /// private folder that [`tidy`] removes.
    fn place(&self, dirs: &[PathBuf]) -> anyhow::Result<PathBuf> {
        // The name contains a hash of the contents, so that different versions have different
        // files.
        let name = format!("{}-{}", &self.sha256[..8], self.file);
        let contents = self.contents()?;
        let has = |dir: &PathBuf| std::fs::read(dir.join(&name)).is_ok_and(|bytes| bytes == contents);
        let takes = |dir: &&PathBuf| {
            std::fs::create_dir_all(dir)
                .and_then(|()| locket::internals::output::replace_cache(&dir.join(&name), contents))
                .is_ok()
        };
        if let Some(dir) = dirs.iter().find(|dir| has(dir)).or_else(|| dirs.iter().find(takes)) {
            return Ok(dir.join(&name));
        }
        let put = || {
            let dir = tempfile::Builder::new().prefix("locket-").tempdir()?;
            let path = dir.path().join(&name);
            locket::internals::output::replace_cache(&path, contents)?;
            *SCRATCH.lock().unwrap_or_else(PoisonError::into_inner) = Some(dir);
            anyhow::Ok(path)
        };
        put()
            .with_context(|| format!("no folder takes the adapter {name}: set LOCKET_MODELS to one, or give --adapter"))
    }
}

/// A private folder with the adapter, for this run only.
static SCRATCH: Mutex<Option<TempDir>> = Mutex::new(None);

/// Removes the private folder of this run. Call it before the process ends.
pub fn tidy() {
    *SCRATCH.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Returns the adapter to load with the model `name` and its file `path`. `asked` is the name of one
/// of the model's adapters, a file, or `none`. Without it a known model gets its first adapter for
/// `kind`, or with `None` its adapter for any writing. A model file is known by its checksum, or by the
/// checksum of the file that it was trimmed from. Any other file has no adapter.
pub fn adapter(name: &str, path: &Path, asked: Option<&Path>, kind: Option<&Kind>) -> anyhow::Result<Option<PathBuf>> {
    let known = entries()?;
    let named = |asked: &Path| known.iter().flat_map(|e| &e.adapter).any(|a| Path::new(&a.name) == asked);
    match asked {
        Some(asked) if asked == Path::new("none") => return Ok(None),
        Some(asked) if !named(asked) => return Ok(Some(asked.to_path_buf())),
        _ => {}
    }
    let by_name = known.iter().position(|e| e.name == name);
    let at = match by_name {
        Some(at) => Some(at),
        None => by_contents(path, &known)?,
    };
    let Some(base) = at.map(|at| &known[at]) else {
        ensure!(asked.is_none(), "{} is the adapter of other models than {name}", asked.unwrap_or(path).display());
        return Ok(None);
    };
    let Some(adapter) = base.adapter.iter().find(|a| a.fits(asked, kind)) else {
        ensure!(asked.is_none(), "the model {} has no adapter {}", base.name, asked.unwrap_or(path).display());
        return Ok(None);
    };
    if by_name.is_none() {
        note!("{}: with the adapter {} of {}; --adapter none leaves it out", path.display(), adapter.name, base.name);
    }
    adapter.place(&adapter_dirs()?).map(Some)
}

/// Returns the index of the known model that a file is, or was trimmed from.
fn by_contents(path: &Path, known: &[Entry]) -> anyhow::Result<Option<usize>> {
    // Loading the file reports its errors.
    let Ok(facts) = gguf::check_model(path) else { return Ok(None) };
    if let Some(from) = facts.trimmed_from {
        return Ok(known.iter().position(|e| e.sha256 == from));
    }
    let bytes = std::fs::metadata(path).map(|m| m.len()).unwrap_or_default();
    // Few files have the length of a known one, and only those are read.
    if !known.iter().any(|e| e.bytes == bytes) {
        return Ok(None);
    }
    let sum = sha256(path, &ProgressBar::hidden())?;
    Ok(known.iter().position(|e| e.bytes == bytes && e.sha256 == sum))
}

/// Returns the folders for adapters, in order: the folder of the pulled models, then one in the
/// user's cache.
fn adapter_dirs() -> anyhow::Result<Vec<PathBuf>> {
    let env = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let cache = env("XDG_CACHE_HOME").or_else(|| env("HOME").map(|d| d.join(".cache")));
    Ok([Some(models_dir()?), cache.map(|d| d.join("locket/adapters"))].into_iter().flatten().collect())
}

/// A part of a model file inside a Python package.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Part {
    pub package: String,
    pub version: String,
    pub bytes: u64,
    pub sha256: String,
}

/// Returns all known models.
pub fn entries() -> anyhow::Result<Vec<Entry>> {
    let text = include_str!("../../../models/manifest.toml");
    Ok(toml::from_str::<Manifest>(text).context("models/manifest.toml")?.model)
}

/// Returns the known model with this name.
pub fn find(name: &str) -> anyhow::Result<Entry> {
    let all = entries()?;
    let names: Vec<String> = all.iter().map(|e| e.name.clone()).collect();
    all.into_iter()
        .find(|e| e.name == name)
        .with_context(|| format!("no model named {name} is known; there are: {}", names.join(", ")))
}

/// Returns the file of a model, given by name or path.
pub fn resolve(name: &str) -> anyhow::Result<PathBuf> {
    let is_path = name.contains(std::path::MAIN_SEPARATOR) || name.ends_with(".gguf");
    if is_path || Path::new(name).exists() {
        return Ok(PathBuf::from(name));
    }
    let entry = find(name)?;
    let path = models_dir()?.join(&entry.file);
    ensure!(path.exists(), "model {name} is not here yet: `locket model pull {name}` gets it");
    Ok(path)
}

/// Returns the folder of pulled models: `$LOCKET_MODELS`, else the user's cache directory.
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
        let sum = |path: &Path| sha256(path, &ProgressBar::hidden()).unwrap();
        for adapter in find("gemma-3-270m").unwrap().adapter {
            let dir = tempfile::tempdir().unwrap();
            let new = [dir.path().join("new")];
            let path = adapter.place(&new).unwrap();
            assert_eq!(sum(&path), adapter.sha256);
            // A truncated or damaged file is replaced.
            for wrong in [&b"GGUF"[..], &vec![0; adapter.contents().unwrap().len()]] {
                std::fs::write(&path, wrong).unwrap();
                assert_eq!(adapter.place(&new).unwrap(), path);
                assert_eq!(sum(&path), adapter.sha256);
            }
        }
    }

    #[test]
    fn the_adapter_lies_elsewhere_where_the_models_cannot_be_written() {
        let adapter = find("gemma-3-270m").unwrap().adapter.swap_remove(0);
        let dir = tempfile::tempdir().unwrap();
        // No folder can be created below a file, not even by root.
        std::fs::write(dir.path().join("file"), "").unwrap();
        let (never, cache) = (dir.path().join("file/models"), dir.path().join("cache"));
        let path = adapter.place(&[never.clone(), cache.clone()]).unwrap();
        assert!(path.starts_with(&cache));
        let private = adapter.place(&[never]).unwrap();
        assert_eq!(std::fs::read(&private).unwrap(), adapter.contents().unwrap());
        tidy();
        assert!(!private.exists());
    }

    #[test]
    fn none_and_files_go_without_and_names_find_theirs() {
        let file = Path::new("some/file.gguf");
        let review = Kind::review();
        let review = Some(&review);
        assert_eq!(adapter("gemma-3-270m", file, Some(Path::new("none")), review).unwrap(), None);
        assert_eq!(adapter("some/file.gguf", file, None, review).unwrap(), None);
        let own = Path::new("own.gguf");
        assert_eq!(adapter("gemma-3-270m", file, Some(own), review).unwrap(), Some(own.to_path_buf()));
        let reply = Kind::named("reply").unwrap();
        let cases = [
            (None, review, "review"),
            (None, Some(&reply), "open"),
            (None, None, "open"),
            (Some("open"), review, "open"),
        ];
        for (name, kind, expected) in cases {
            let path = adapter("gemma-3-270m", file, name.map(Path::new), kind).unwrap().unwrap();
            assert!(path.display().to_string().ends_with(&format!("-{expected}.gguf")), "{}", path.display());
        }
        for (model, why) in [("smollm2-135m", "has no adapter open"), ("some/file.gguf", "other models")] {
            let error = adapter(model, file, Some(Path::new("open")), review).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
