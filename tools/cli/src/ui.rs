//! Global options, progress on stderr, Ctrl-C and JSON output.

use std::{
    ops::ControlFlow,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use locket::Gpu;

use crate::output::say;

static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Stores the global option `--threads`.
pub fn set_threads(threads: usize) {
    THREADS.store(threads, Ordering::Relaxed);
}

/// Returns the global option `--threads`.
pub fn threads() -> usize {
    THREADS.load(Ordering::Relaxed)
}

static WAIT: Mutex<Duration> = Mutex::new(Duration::ZERO);

/// Stores the global option `--wait`.
pub fn set_wait(wait: Duration) {
    *WAIT.lock().unwrap_or_else(PoisonError::into_inner) = wait;
}

/// Returns the time to wait for a store that another command has open.
pub fn wait() -> Duration {
    *WAIT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Parses the value of `--wait`.
pub fn parse_wait(value: &str) -> Result<Duration, String> {
    let seconds = value.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
    seconds.filter(|wait| *wait <= Duration::from_secs(86_400)).ok_or("a number of seconds, 0 to 86400".into())
}

static GPU: Mutex<Gpu> = Mutex::new(Gpu::Auto);

/// Stores the global option `--gpu`.
pub fn set_gpu(gpu: Gpu) {
    *GPU.lock().unwrap_or_else(PoisonError::into_inner) = gpu;
}

/// Returns the global option `--gpu`.
pub fn gpu() -> Gpu {
    *GPU.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Parses the value of `--gpu`.
pub fn parse_gpu(value: &str) -> Result<Gpu, String> {
    match value {
        "auto" => Ok(Gpu::Auto),
        "off" => Ok(Gpu::Off),
        n => n.parse().map(Gpu::Layers).map_err(|_| "auto, off, or a number of layers".into()),
    }
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Installs the Ctrl-C handler. The first Ctrl-C stops running work at its next step; the second
/// ends the process.
pub fn on_ctrl_c() {
    let _ = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
}

/// Whether Ctrl-C was pressed.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Returns a break once Ctrl-C was pressed.
pub fn alive() -> ControlFlow<()> {
    if interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// Returns a bar over `total` steps on stderr, invisible if stderr is no terminal.
pub fn bar(total: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let style = ProgressStyle::with_template("{msg} [{bar:32}] {human_pos}/{human_len} {elapsed}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    bar.set_style(style);
    bar.set_message(what.to_owned());
    bar
}

/// Returns a progress callback of (steps done, total steps) that moves `bar` and breaks on Ctrl-C.
pub fn moving(bar: &ProgressBar) -> impl FnMut(usize, usize) -> ControlFlow<()> {
    |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        alive()
    }
}

/// Returns a bar over `total` bytes.
pub fn byte_bar(total: u64, what: &str) -> ProgressBar {
    let bar = bar(total, what);
    if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:32}] {bytes}/{total_bytes} {bytes_per_sec}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// Returns a spinner with a count, for work of unknown length.
pub fn spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {human_pos} {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// Prints one JSON object.
pub fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    say!("{}", serde_json::to_string(value)?)
}
