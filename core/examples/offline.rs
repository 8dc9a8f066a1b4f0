//! The engine's complete workflow in one process, with this crate alone.
//!
//! The libraries it links and its system calls are those of an app that embeds the engine.
//!
//! `cargo run -p locket --example offline --no-default-features -- DIR P.pack MODEL.gguf`

use std::{ops::ControlFlow, path::PathBuf};

use locket::{AugmentOptions, Engine, GenerateRequest, Interaction, Key, LoadOptions, Pack, PredictOptions, Task};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(Into::into).collect();
    let [dir, pack, model] = &arguments[..] else { return Err("usage: offline DIR PACK MODEL".into()) };
    let engine = Engine::open(dir.join("store"), &Key::generate()?)?
        .with_pack(Pack::open(pack)?)
        .with_model_file(model, LoadOptions::default())?;
    engine.record(Interaction::new("k1", "It whistles like my grandmother's did.").with_rating(5.0))?;
    let predicted = engine.predict(&PredictOptions::new(3))?;
    let mut go_on = |_: locket::Chunk| ControlFlow::Continue(());
    let augmented = engine.augment(&AugmentOptions::new(2), &mut go_on)?;
    let mut request = GenerateRequest::new(&predicted[0].item, Task::Text);
    request.options.max_new_tokens = 24;
    let written = engine.generate(&request)?;
    eprintln!("{} predicted, {} kept, {} refused", predicted.len(), augmented.kept.len(), augmented.refused.len());
    eprintln!("{}", written.text.unwrap_or_default());
    engine.erase()?;
    Ok(())
}
