//! Output files of long calls: a new or replaceable file that is not an input of the call.

use std::{
    fs::{self, File, FileType},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The reason for not writing to a path. The existing file stays unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The path is a directory, a device, a pipe or a socket.
    #[error("cannot write the output {path}: it is {what}, not a file; name another one", path = path.display())]
    NotAFile {
        /// The output path.
        path: PathBuf,
        /// The kind of file at the path.
        what: &'static str,
    },
    /// The output is the same file as an input, perhaps through a link.
    #[error(
        "cannot write the output {path}: it is also an input ({input}); name another one",
        path = path.display(),
        input = input.display()
    )]
    Input {
        /// The output path.
        path: PathBuf,
        /// The input path.
        input: PathBuf,
    },
    /// The system cannot inspect the path.
    #[error("cannot write the output {path}: {source}", path = path.display())]
    Io {
        /// The output path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Maximum number of links followed in a chain, as on Linux.
const LINKS: usize = 40;

/// Returns the file to write for an output named `out`.
///
/// Links are followed, so the output replaces the file at their end and not the link. The file is
/// new or a regular file, and none of `inputs` under any name. If an input is a folder, all files
/// in it are inputs.
///
/// # Errors
/// [`OutputError`].
pub fn target<'a>(out: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> Result<PathBuf, OutputError> {
    let io = |source| OutputError::Io { path: out.to_path_buf(), source };
    let target = match fs::metadata(out) {
        Ok(meta) if meta.is_file() => fs::canonicalize(out).map_err(io)?,
        Ok(meta) => return Err(OutputError::NotAFile { path: out.to_path_buf(), what: name(meta.file_type()) }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => end_of_links(out).map_err(io)?,
        Err(e) => return Err(io(e)),
    };
    let here = identity(&target);
    let within = |dir: &Path| dir.is_dir() && fs::canonicalize(dir).is_ok_and(|dir| target.starts_with(dir));
    let is_there = |input: &Path| here.is_some() && (identity(input) == here || within(input));
    match inputs.into_iter().find(|input| *input == out || is_there(input)) {
        Some(input) => Err(OutputError::Input { path: out.to_path_buf(), input: input.to_path_buf() }),
        None => Ok(target),
    }
}

/// Returns the end of a chain of links to a file that does not exist.
fn end_of_links(out: &Path) -> io::Result<PathBuf> {
    let mut path = out.to_path_buf();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(to) => path = folder(&path).join(to),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many links"))
}

/// Returns the folder of `path`.
#[doc(hidden)]
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Creates a private scratch file next to `path`, which [`target`] returned. Removes the scratch
/// files of killed writers.
#[doc(hidden)]
pub fn scratch(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let dir = folder(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (prefix, suffix) = (format!(".{name}."), ".part");
    for entry in fs::read_dir(dir)?.flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|n| n.starts_with(&prefix) && n.ends_with(suffix)) {
            // An active writer holds the lock.
            if File::open(entry.path()).is_ok_and(|left| left.try_lock().is_ok()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
    let file = tempfile::Builder::new().prefix(&prefix).suffix(suffix).tempfile_in(dir)?;
    file.as_file().lock()?;
    Ok(file)
}

/// Syncs a finished scratch file and renames it to `path`. A reader sees the old file or the
/// complete new one.
#[doc(hidden)]
pub fn keep(file: tempfile::NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    set_mode(file.as_file())?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

/// Makes the file readable for everyone with access to its folder. Scratch files are private, packs
/// and models are not.
#[cfg(unix)]
fn set_mode(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn set_mode(_: &File) -> io::Result<()> {
    Ok(())
}

/// Writes a cache file as a whole or not at all. The file is not synced: after a loss of power a
/// damaged file does not open, and is then removed or replaced.
#[doc(hidden)]
pub fn replace_cache(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = folder(path);
    fs::create_dir_all(dir)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// Returns the identity of a file, independent of its name, or `None` if there is no file.
#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> Option<PathBuf> {
    fs::canonicalize(path).ok()
}

#[cfg(unix)]
fn name(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        _ if kind.is_dir() => "a directory",
        _ if kind.is_char_device() || kind.is_block_device() => "a device",
        _ if kind.is_fifo() => "a pipe",
        _ if kind.is_socket() => "a socket",
        _ => "something else",
    }
}

#[cfg(not(unix))]
fn name(kind: FileType) -> &'static str {
    if kind.is_dir() { "a directory" } else { "something else" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_and_regular_files_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        let (new, old) = (dir.path().join("new"), dir.path().join("old"));
        fs::write(&old, "old").unwrap();
        assert_eq!(target(&new, [old.as_path()]).unwrap(), new);
        assert_eq!(target(&old, [new.as_path()]).unwrap(), fs::canonicalize(&old).unwrap());
        assert_eq!(target(Path::new("bare"), []).unwrap(), Path::new("bare"));
    }

    #[test]
    fn folders_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refused = target(dir.path(), []).unwrap_err();
        assert!(matches!(refused, OutputError::NotAFile { what: "a directory", .. }), "{refused}");
        let under_a_file = dir.path().join("file").join("out");
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(matches!(target(&under_a_file, []), Err(OutputError::Io { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn devices_and_sockets_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(target(Path::new("/dev/null"), []), Err(OutputError::NotAFile { what: "a device", .. })));
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(matches!(target(&socket, []), Err(OutputError::NotAFile { what: "a socket", .. })));
    }

    #[cfg(unix)]
    #[test]
    fn inputs_are_refused_by_every_name() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("input"), "input").unwrap();
        std::os::unix::fs::symlink("input", at("link")).unwrap();
        fs::hard_link(at("input"), at("hard")).unwrap();
        fs::create_dir(at("sub")).unwrap();
        for name in ["input", "link", "hard", "sub/../input"] {
            for input in ["input", "link", "hard"] {
                let refused = target(&at(name), [at("other").as_path(), &at(input)]);
                assert!(matches!(refused, Err(OutputError::Input { .. })), "{name} {input}");
            }
        }
    }

    #[test]
    fn files_within_an_input_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("part");
        assert_eq!(target(&file, [dir.path()]).unwrap(), file, "nothing is lost");
        fs::write(&file, "part").unwrap();
        assert!(matches!(target(&file, [dir.path()]), Err(OutputError::Input { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_to_files_that_exist_or_not() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        symlink("sub/second", at("first")).unwrap();
        symlink("../file", at("sub/second")).unwrap();
        let new = target(&at("first"), []).unwrap();
        fs::write(&new, "written").unwrap();
        assert_eq!(fs::read(at("file")).unwrap(), b"written");
        assert_eq!(target(&at("first"), []).unwrap(), fs::canonicalize(at("file")).unwrap());
        symlink("b", at("a")).unwrap();
        symlink("a", at("b")).unwrap();
        assert!(matches!(target(&at("a"), []), Err(OutputError::Io { .. })));
    }
}
