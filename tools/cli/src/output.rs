//! Standard output and standard error: nobody may be reading, and a disk may be full. Neither is a reason to panic.
//!
//! A reader that went away (`locket history | head`) has what it wanted: the command ends quietly, with success. Any other failure
//! to print is an error with one line. What is told on standard error is lost where it cannot be printed.

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

/// Standard output cannot be written.
#[derive(Debug)]
pub struct Unwritten(io::Error);

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write to standard output: {}", self.0)
    }
}

impl std::error::Error for Unwritten {}

/// What [`say!`] does.
pub fn line(what: fmt::Arguments<'_>) -> anyhow::Result<()> {
    put(format_args!("{what}\n"))
}

/// Prints without a line's end, at once.
fn put(what: fmt::Arguments<'_>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    Ok(out.write_fmt(what).and_then(|()| out.flush()).map_err(Unwritten)?)
}

/// What [`note!`] does.
pub fn note_line(what: fmt::Arguments<'_>) {
    note_part(format_args!("{what}\n"));
}

/// Prints on standard error without a line's end.
pub fn note_part(what: fmt::Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(what);
}

/// Whether an error is no more than a reader of standard output that went away.
pub fn reader_left(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Unwritten>().is_some_and(|unwritten| unwritten.0.kind() == ErrorKind::BrokenPipe)
}

/// Prints help, a version or an error of usage. Returns the exit status.
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

/// A text that is printed while it is written.
#[derive(Default)]
pub struct Stream(Option<anyhow::Error>);

impl Stream {
    /// Prints a piece. Breaks when nobody can read it.
    pub fn put(&mut self, piece: &str) -> ControlFlow<()> {
        match put(format_args!("{piece}")) {
            Ok(()) => ControlFlow::Continue(()),
            Err(e) => {
                self.0 = Some(e);
                ControlFlow::Break(())
            }
        }
    }

    /// What the writing came to: a break that [`Stream::put`] asked for is an error of the output.
    pub fn end<T>(self, written: Result<T, locket::Error>) -> anyhow::Result<T> {
        match self.0 {
            Some(e) => Err(e),
            None => Ok(written?),
        }
    }
}
