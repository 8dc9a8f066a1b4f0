//! Opens models, packs and stores for the subcommands.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};

use anyhow::Context;
use indicatif::ProgressBar;
use locket::{Engine, Gpu, Kind, LoadOptions, Model, Pack};

use crate::{key, manifest, output::note, ui};

/// The adapter of a command that loads a model.
#[derive(clap::Args)]
pub struct AdapterArg {
    /// Adapter: `review` (product reviews), `open` (any writing), `none`, or a LoRA file (GGUF);
    /// default: `review` for reviews without notes, draft and plan, else `open`
    #[arg(long)]
    adapter: Option<PathBuf>,
}

impl AdapterArg {
    /// Returns the given name or file, if any.
    pub fn as_deref(&self) -> Option<&Path> {
        self.adapter.as_deref()
    }
}

/// Loads a model by manifest name or path, with a progress bar. Without `adapter` it is loaded with
/// its adapter for `kind`, or with `None` its adapter for any writing.
pub fn load_model(name: &str, adapter: Option<&Path>, kind: Option<&Kind>) -> anyhow::Result<Model> {
    let path = manifest::resolve(name)?;
    let bar = if std::io::stderr().is_terminal() { ui::bar(100, "loading model") } else { ProgressBar::hidden() };
    let shown = bar.clone();
    let mut options = LoadOptions::default().with_gpu(ui::gpu()).with_progress(move |progress| {
        shown.set_position((progress.fraction() * 100.0) as u64);
        ui::alive()
    });
    options.adapter = manifest::adapter(name, &path, adapter, kind)?;
    let model = Model::load(&path, options)?;
    bar.finish_and_clear();
    if let (Gpu::Layers(1..), Some(why)) = (ui::gpu(), &model.placement().why_no_gpu) {
        note!("locket: running on the processor, not on a GPU: {why}");
    }
    Ok(model)
}

/// Opens a pack.
pub fn open_pack(path: &Path) -> anyhow::Result<Pack> {
    Pack::open(path).with_context(|| format!("{}", path.display()))
}

/// Opens a store that must exist, so that a typing error in a reading command does not create one.
pub fn open_store(dir: &Path) -> anyhow::Result<Engine> {
    need_store(dir)?;
    Ok(Engine::open_within(dir, &key::read()?, ui::wait())?.with_threads(ui::threads()))
}

/// Returns the opaque id of a recipient: the given one, or the store's id of an address.
pub fn audience(engine: &Engine, id: Option<String>, address: Option<&str>) -> anyhow::Result<Option<String>> {
    let of_address = address.map(|address| engine.audience(address)).transpose()?;
    Ok(id.or(of_address))
}

/// Returns an error with the command that creates a store, unless there is one in `dir`.
pub fn need_store(dir: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        locket::Store::exists(dir),
        "no store at {}: `locket record --store {}` begins one",
        dir.display(),
        dir.display()
    );
    Ok(())
}
