//! Standard output and standard error: a closed pipe or a full disk must not cause a panic.
//!
//! If the reader of standard output has gone (`locket history | head`), the command ends quietly,
//! with success. Any other failure to print is an error with one line. Messages on standard error
//! are dropped if they cannot be printed.

use std::{
    fmt,
    io::{self, ErrorKind, Write},
    ops::ControlFlow,
};

/// Prints a line on standard output, as `println!` does.
macro_rules! say {
    ($($what:tt)*) => { $crate::output::line(format_args!($($what)*)) };
}

/// Prints a line on standard error, as `eprintln!` does.
macro_rules! note {
    ($($what:tt)*) => { $crate::output::note_line(format_args!($($what)*)) };
}

pub(crate) use {note, say};

/// The error of a failed write to standard output.
#[derive(Debug)]
pub struct Unwritten(io::Error);

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write to standard output: {}", self.0)
    }
}

impl std::error::Error for Unwritten {}

/// The function of [`say!`].
pub fn line(what: fmt::Arguments<'_>) -> anyhow::Result<()> {
    put(format_args!("{what}\n"))
}

/// Prints the heading of a step of a demo.
pub fn heading(text: &str) -> anyhow::Result<()> {
    say!("\n== {text}\n")
}

/// Prints without a line end and flushes.
fn put(what: fmt::Arguments<'_>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    Ok(out.write_fmt(what).and_then(|()| out.flush()).map_err(Unwritten)?)
}

/// The function of [`note!`].
pub fn note_line(what: fmt::Arguments<'_>) {
    note_part(format_args!("{what}\n"));
}

/// Prints on standard error without a line end.
pub fn note_part(what: fmt::Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(what);
}

/// Whether the error is only that the reader of standard output has gone.
pub fn reader_left(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Unwritten>().is_some_and(|unwritten| unwritten.0.kind() == ErrorKind::BrokenPipe)
}

/// Prints help, a version or a usage error. Returns the exit status.
pub fn usage(error: &clap::Error) -> u8 {
    let printed = error.print().and_then(|()| io::stdout().flush());
    match printed {
        Err(e) if !error.use_stderr() && e.kind() != ErrorKind::BrokenPipe => {
            note!("locket: {}", Unwritten(e));
            1
        }
        _ => u8::try_from(error.exit_code()).unwrap_or(1),
    }
}

/// A text that is printed while it is generated.
#[derive(Default)]
pub struct Stream(Option<anyhow::Error>);

impl Stream {
    /// Prints a chunk. Breaks if it cannot be printed.
    pub fn put(&mut self, piece: &str) -> ControlFlow<()> {
        match put(format_args!("{piece}")) {
            Ok(()) => ControlFlow::Continue(()),
            Err(e) => {
                self.0 = Some(e);
                ControlFlow::Break(())
            }
        }
    }

    /// Returns the result of the generation. If [`Stream::put`] broke it off, returns the output's
    /// error.
    pub fn end<T>(self, written: Result<T, locket::Error>) -> anyhow::Result<T> {
        match self.0 {
            Some(e) => Err(e),
            None => Ok(written?),
        }
    }
}
