//! Checks of output files, and texts from files.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use indicatif::ProgressBar;
use locket::{Kind, internals::output};
use locket_builder::encoding;

use crate::ui;

/// Maximum length of a text from `--text-file`, in bytes.
const LONGEST_TEXT: u64 = 1 << 20;

/// Rejects an output before any work is done, unless it is a new or replaceable file and none of
/// `inputs`.
pub fn check_output<'a>(out: &Path, inputs: impl IntoIterator<Item = Option<&'a Path>>) -> anyhow::Result<()> {
    output::target(out, inputs.into_iter().flatten())?;
    Ok(())
}

/// Reads a whole text file, in UTF-8 or UTF-16.
pub fn read_text(path: &Path) -> anyhow::Result<String> {
    let failed = || format!("cannot read {}", path.display());
    let bytes = std::fs::read(path).with_context(failed)?;
    encoding::text(bytes).with_context(failed)
}

/// A text from the command line.
#[derive(clap::Args)]
pub struct TextArgs {
    /// The text; other users of the machine can see it while the command runs: see --text-file
    #[arg(long, allow_hyphen_values = true, value_parser = words)]
    text: Option<String>,
    /// File with the text, or - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    text_file: Option<PathBuf>,
}

impl TextArgs {
    /// Whether a text was given.
    pub fn is_given(&self) -> bool {
        self.text.is_some() || self.text_file.is_some()
    }

    /// Returns the file with the text.
    pub fn file(&self) -> Option<&Path> {
        self.text_file.as_deref()
    }

    /// Returns the text, if one was given. A file's last line break is not part of it.
    pub fn read(&self) -> anyhow::Result<Option<String>> {
        let Some(path) = &self.text_file else { return Ok(self.text.clone()) };
        let (name, mut reader): (String, Box<dyn Read>) = match path == Path::new("-") {
            true => ("standard input".into(), Box::new(io::stdin())),
            false => {
                let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
                (path.display().to_string(), Box::new(file))
            }
        };
        let mut bytes = Vec::new();
        let failed = || format!("cannot read {name}");
        reader.by_ref().take(LONGEST_TEXT + 1).read_to_end(&mut bytes).with_context(failed)?;
        if bytes.len() as u64 > LONGEST_TEXT {
            bail!("{name} is longer than a text may be: {LONGEST_TEXT} bytes");
        }
        let mut text = encoding::text(bytes).with_context(failed)?;
        for end in ['\n', '\r'] {
            text.truncate(text.strip_suffix(end).unwrap_or(&text).len());
        }
        Ok(Some(text))
    }
}

/// Parses the name of a kind of writing.
pub fn kind(name: &str) -> Result<Kind, String> {
    Kind::named(name).ok_or_else(|| format!("the kinds are {}", Kind::ALL.join(", ")))
}

/// Parses a value that may begin with a hyphen. Rejects an option in the place of the value.
pub fn words(value: &str) -> Result<String, String> {
    let name = value.strip_prefix("--").unwrap_or_default();
    match name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(|c| c.is_ascii_lowercase() || c == '-')
    {
        true => Err("this is an option, and its value is missing".into()),
        false => Ok(value.to_owned()),
    }
}

/// Returns the SHA-256 of a file, and advances `bar` by its bytes.
pub fn sha256(path: &Path, bar: &ProgressBar) -> anyhow::Result<String> {
    let mut progress = |bytes| {
        bar.inc(bytes);
        ui::alive()
    };
    let sum = locket::internals::llm::sha256(path, &mut progress);
    ensure!(sum.is_ok() || !ui::interrupted(), "interrupted");
    sum.with_context(|| format!("cannot read {}", path.display()))
}
