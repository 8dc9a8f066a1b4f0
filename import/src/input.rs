//! The documents of a source: one file, a folder of files, or bytes.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use serde::de::DeserializeOwned;

use crate::{
    error::ImportError,
    options::{Format, Source},
    select::Collector,
};

/// Maximum depth of folders.
const DEEPEST: usize = 32;
/// Buffer of a file in bytes.
const BUFFER: usize = 1 << 17;

/// The place of a document.
#[derive(Debug, Clone)]
enum Place<'a> {
    Path(PathBuf),
    Bytes(&'a [u8]),
}

/// One file of a source.
#[derive(Debug, Clone)]
pub(crate) struct Document<'a> {
    place: Place<'a>,
    /// The folders between the source and the file, and the file's name without extension.
    pub(crate) folders: Vec<String>,
    /// Length in bytes; 0 if unknown.
    pub(crate) length: u64,
}

impl<'a> Document<'a> {
    /// Returns the bytes as a document.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self { place: Place::Bytes(bytes), folders: Vec::new(), length: bytes.len() as u64 }
    }

    fn file(path: PathBuf, mut folders: Vec<String>) -> Result<Self, ImportError> {
        let length = fs::metadata(&path).map_err(failed(&path))?.len();
        folders.extend(stem(&path));
        Ok(Self { place: Place::Path(path), folders, length })
    }

    /// Opens the document from its beginning.
    pub(crate) fn open(&self) -> Result<Box<dyn BufRead + '_>, ImportError> {
        Ok(match &self.place {
            Place::Bytes(bytes) => Box::new(*bytes),
            Place::Path(path) => Box::new(BufReader::with_capacity(BUFFER, File::open(path).map_err(failed(path))?)),
        })
    }

    /// Returns an error if the document can be read only once, such as a pipe.
    pub(crate) fn need_twice(&self) -> Result<(), ImportError> {
        match &self.place {
            Place::Path(path) if !path.is_file() => Err(ImportError::Format {
                name: self.name(),
                problem: "it can be read only once: give your address or name as `me`, or copy it to a file".into(),
            }),
            _ => Ok(()),
        }
    }

    /// Returns the whole content, up to `most` bytes.
    pub(crate) fn read(&self, most: u64, collector: &mut Collector<'_>) -> Result<Vec<u8>, ImportError> {
        let (mut reader, mut bytes) = (self.open()?, Vec::new());
        loop {
            let before = bytes.len();
            let read = reader.by_ref().take(1 << 20).read_to_end(&mut bytes).map_err(|e| self.io(e))?;
            if bytes.len() as u64 > most {
                return Err(ImportError::TooLarge { name: self.name(), most });
            }
            if read == 0 {
                return Ok(bytes);
            }
            collector.advance((bytes.len() - before) as u64)?;
        }
    }

    /// Parses the content as JSON, up to `most` bytes.
    pub(crate) fn read_json<T: DeserializeOwned>(
        &self,
        most: u64,
        collector: &mut Collector<'_>,
    ) -> Result<T, ImportError> {
        let mut reader = self.open()?;
        let begin = reader.fill_buf().map_err(|e| self.io(e))?;
        let mark = if begin.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        reader.consume(mark);
        let mut metered = Metered { reader, left: most, most, document: self, collector, failed: None };
        let parsed = serde_json::from_reader(BufReader::with_capacity(BUFFER, &mut metered));
        match (metered.failed, parsed) {
            (Some(e), _) => Err(e),
            (None, Ok(value)) => Ok(value),
            (None, Err(e)) => Err(ImportError::Format { name: self.name(), problem: format!("it is no chat: {e}") }),
        }
    }

    /// Returns the error of a failed read.
    pub(crate) fn io(&self, source: io::Error) -> ImportError {
        match &self.place {
            Place::Path(path) => failed(path)(source),
            Place::Bytes(_) => failed(Path::new("bytes"))(source),
        }
    }

    /// Returns the name for messages.
    pub(crate) fn name(&self) -> String {
        match &self.place {
            Place::Path(path) => path.display().to_string(),
            Place::Bytes(_) => "the file".into(),
        }
    }

    /// Returns the file's name without extension.
    pub(crate) fn stem(&self) -> Option<&str> {
        self.folders.last().map(String::as_str)
    }

    /// Returns the time of the last change, in milliseconds since 1970.
    pub(crate) fn modified(&self) -> Option<i64> {
        let Place::Path(path) = &self.place else { return None };
        let since = fs::metadata(path).ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        i64::try_from(since.as_millis()).ok()
    }
}

/// A reader that reports its progress and ends at a limit, at a cancel and at a failure.
struct Metered<'m, 'o> {
    reader: Box<dyn BufRead + 'm>,
    left: u64,
    most: u64,
    document: &'m Document<'m>,
    collector: &'m mut Collector<'o>,
    failed: Option<ImportError>,
}

impl Read for Metered<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(out).map_err(|e| self.document.io(e));
        let result = read.and_then(|read| {
            self.collector.advance(read as u64)?;
            let too_large = || ImportError::TooLarge { name: self.document.name(), most: self.most };
            self.left = self.left.checked_sub(read as u64).ok_or_else(too_large)?;
            Ok(read)
        });
        result.map_err(|e| {
            self.failed = Some(e);
            io::Error::other("the import ended")
        })
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ImportError + '_ {
    move |source| ImportError::Io { path: path.to_path_buf(), source }
}

/// Returns the file's name without extension.
fn stem(path: &Path) -> Option<String> {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned())
}

/// Returns whether a file in a folder has the format, by its name.
pub(crate) fn fits(path: &Path, format: Format) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    let parent = path.parent().and_then(Path::file_name).and_then(|p| p.to_str()).unwrap_or_default();
    let any = |extensions: &[&str]| extensions.contains(&extension.as_str());
    match format {
        Format::Mbox => any(&["mbox"]) || path.file_name().is_some_and(|name| name == "mbox"),
        Format::Eml => any(&["eml"]) || matches!(parent, "cur" | "new"),
        Format::Json => any(&["json"]),
        Format::Csv => any(&["csv", "tsv"]),
        Format::Chat => any(&["txt", "json"]),
        Format::Notes => any(&["md", "markdown", "txt"]),
    }
}

/// Returns the documents of a source in the order of their names.
pub(crate) fn documents<'a>(source: Source<'a>, format: Format) -> Result<Vec<Document<'a>>, ImportError> {
    let path = match source {
        Source::Bytes(bytes) => return Ok(vec![Document::of(bytes)]),
        Source::Path(path) => path,
    };
    if !fs::metadata(path).map_err(failed(path))?.is_dir() {
        return Ok(vec![Document::file(path.to_path_buf(), Vec::new())?]);
    }
    let mut found = Vec::new();
    walk(path, &mut Vec::new(), &mut |file, folders| {
        if fits(file, format) {
            found.push(Document::file(file.to_path_buf(), folders.to_vec())?);
        }
        Ok(true)
    })?;
    if found.is_empty() {
        let problem = format!("the folder holds no file of the format {}", format.name());
        return Err(ImportError::Format { name: path.display().to_string(), problem });
    }
    Ok(found)
}

/// Callback for a file and the folders above it. It returns whether to go on.
type OnFile<'f> = &'f mut dyn FnMut(&Path, &[String]) -> Result<bool, ImportError>;

/// Calls `see` for each file below `dir` in the order of names, until it returns `false`. Links to
/// folders are not followed, so that there is no cycle.
pub(crate) fn walk(dir: &Path, folders: &mut Vec<String>, see: OnFile<'_>) -> Result<bool, ImportError> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed(dir))? {
        let entry = entry.map_err(failed(dir))?;
        entries.push((entry.path(), entry.file_type().map_err(failed(dir))?));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    for (path, kind) in entries {
        let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        let go_on = if kind.is_dir() {
            // A Maildir's sub-folders begin with a dot.
            let skipped = hidden && !path.join("cur").is_dir();
            if skipped || folders.len() >= DEEPEST {
                continue;
            }
            let name = path.file_name().map(|n| n.to_string_lossy().trim_start_matches('.').replace('.', "/"));
            folders.push(name.unwrap_or_default());
            let go_on = walk(&path, folders, see);
            folders.pop();
            go_on?
        } else if hidden || !path.is_file() {
            continue;
        } else {
            see(&path, folders)?
        };
        if !go_on {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the first bytes of a document.
pub(crate) fn head(document: &Document<'_>, most: u64) -> Result<Vec<u8>, ImportError> {
    let mut bytes = Vec::new();
    document.open()?.take(most).read_to_end(&mut bytes).map_err(|e| document.io(e))?;
    Ok(bytes)
}
