//! Records three short texts of a user, then streams a text on a new item.
//!
//! `cargo run --example first_text -- MODEL.gguf`

use std::{io::Write, path::PathBuf, sync::Arc};

use locket::{Chunk, Engine, GenerateRequest, Interaction, Key, LoadOptions, Part, Task};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model: PathBuf = std::env::args_os().nth(1).ok_or("usage: first_text MODEL.gguf")?.into();
    // An app takes a folder of its own, and a key from Android's Keystore or Apple's Keychain.
    let dir = tempfile::tempdir()?;
    let engine = Engine::open(dir.path(), &Key::generate()?)?.with_model_file(model, LoadOptions::default())?;
    engine.record(Interaction::new("mug", "Keeps tea warm for an hour. My hands too.").with_rating(5.0))?;
    engine.record(Interaction::new("lamp", "Warm light, no buzz. My evenings thank it.").with_rating(5.0))?;
    engine.record(Interaction::new("kettle", "Loud. My cat has moved out.").with_rating(2.0))?;

    let request = GenerateRequest::new("pot", Task::Text).with_title("A pot at last");
    let mut stream = Arc::new(engine).stream(request)?;
    let mut out = std::io::stdout();
    for Chunk { part, text, .. } in stream.by_ref() {
        if part == Part::Text {
            write!(out, "{text}")?;
            out.flush()?;
        }
    }
    writeln!(out)?;
    let written = stream.finish()?;
    writeln!(out, "({} tokens)", written.tokens)?;
    Ok(())
}
