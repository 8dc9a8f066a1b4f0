//! The file names in a store's directory, and its lock.
//!
//! Only files with exactly the store's own names are ever removed. A copy in the directory, renamed
//! by a user or by a synchronisation service, stays.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
    thread,
    time::{Duration, Instant, SystemTime},
};

use super::StoreError;

pub(super) const LOCK: &str = "locket.lock";
pub(super) const SESSIONS: &str = "sessions";
const DATA: (&str, &str) = ("locket-", ".redb");
/// Suffix of a data file until the key file names it.
const PART: &str = ".part";
/// Polling interval of callers that wait for the lock.
const POLL: Duration = Duration::from_millis(5);

/// Returns the name of a generation's data file.
pub(super) fn data_name(generation: u64) -> String {
    format!("{}{generation}{}", DATA.0, DATA.1)
}

/// Returns its name while it is written.
pub(super) fn part_name(generation: u64) -> String {
    data_name(generation) + PART
}

/// A data file, as parsed from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    /// The data file of a generation.
    Data(u64),
    /// The data file of a generation, incomplete or not yet renamed.
    Part(u64),
}

impl Own {
    /// Parses a name. Returns `None` for any name that [`data_name`] and [`part_name`] do not
    /// return.
    pub(super) fn of(name: &str) -> Option<Self> {
        let (whole, part) = name.strip_suffix(PART).map_or((name, false), |whole| (whole, true));
        let generation = whole.strip_prefix(DATA.0)?.strip_suffix(DATA.1)?.parse().ok()?;
        // Rejects "+1" and "01".
        (data_name(generation) == whole).then_some(if part { Self::Part(generation) } else { Self::Data(generation) })
    }

    pub(super) fn name(self) -> String {
        match self {
            Self::Data(generation) => data_name(generation),
            Self::Part(generation) => part_name(generation),
        }
    }
}

/// Returns the data files in `dir`, complete or not. Complete ones are in order of generation.
pub(super) fn data_files(dir: &Path) -> io::Result<Vec<Own>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        found.extend(entry?.file_name().to_str().and_then(Own::of));
    }
    found.sort_by_key(|own| (own.name().len(), own.name()));
    Ok(found)
}

/// Returns the first complete data file in `dir`.
pub(super) fn finished_data(dir: &Path) -> io::Result<Option<Own>> {
    Ok(data_files(dir)?.into_iter().find(|own| matches!(own, Own::Data(_))))
}

/// Removes the data files selected by `which`.
pub(super) fn remove_data(dir: &Path, which: impl Fn(Own) -> bool) -> io::Result<()> {
    data_files(dir)?.into_iter().filter(|&own| which(own)).try_for_each(|own| remove(&dir.join(own.name())))
}

/// Returns whether a file of the sessions directory belongs to the store, by its name: a sealed
/// session, the checkpoint of an augmentation, or a scratch file of either.
pub(crate) fn is_session(name: &str) -> bool {
    let session = |stem: &str| stem.len() == 32 && stem.bytes().all(|b| b.is_ascii_hexdigit());
    let scratch = |rest: &str| rest.len() == 6 && rest.bytes().all(|b| b.is_ascii_alphanumeric());
    name == "unfinished"
        || name.strip_suffix(".kv").is_some_and(session)
        || name.strip_prefix(".tmp").is_some_and(scratch)
}

/// Removes all sessions, and their directory if it holds no other files.
pub(super) fn remove_sessions(dir: &Path) -> io::Result<()> {
    let sessions = dir.join(SESSIONS);
    let entries = match fs::read_dir(&sessions) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name();
        if name.to_str().is_some_and(is_session) {
            remove(&sessions.join(name))?;
        }
    }
    let _ = fs::remove_dir(&sessions);
    Ok(())
}

/// Removes a file; does nothing if there is none.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path).or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })
}

/// Creates the directory; on Unix only its owner has access.
pub(super) fn create_private(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(dir)
}

/// The waiting time of a call for a lock.
///
/// It starts again with each holder, so that many concurrent calls all have their turn. A new
/// holder shows in the lock file's modification time.
struct Patience {
    wait: Duration,
    holder: Option<SystemTime>,
    until: Instant,
    end: Instant,
}

impl Patience {
    /// Maximum total waiting time, in multiples of `wait`.
    const TURNS: u32 = 30;

    fn new(wait: Duration) -> Self {
        Self { wait, holder: None, until: after(wait), end: after(wait.saturating_mul(Self::TURNS)) }
    }

    /// Pauses, then returns whether to try again.
    fn wait_for(&mut self, lock: Option<&File>) -> bool {
        let holder = lock.and_then(|lock| lock.metadata().ok()?.modified().ok());
        if holder != self.holder {
            (self.holder, self.until) = (holder, after(self.wait));
        }
        let now = Instant::now();
        let left = self.until.min(self.end).saturating_duration_since(now);
        thread::sleep(POLL.min(left));
        !left.is_zero()
    }
}

fn after(wait: Duration) -> Instant {
    let now = Instant::now();
    // On overflow a century is long enough.
    now.checked_add(wait).unwrap_or_else(|| now + Duration::from_secs(100 * 365 * 86_400))
}

/// Takes the store's lock, and creates the directory if it is missing. `wait` limits the waiting
/// time for each holder.
pub(super) fn lock(dir: &Path, wait: Duration) -> Result<File, StoreError> {
    let io = |action| move |source| StoreError::Io { action, path: dir.to_path_buf(), source };
    let mut patience = Patience::new(wait);
    let path = dir.join(LOCK);
    loop {
        create_private(dir).map_err(io("create"))?;
        let lock = match File::options().create(true).truncate(false).write(true).open(&path) {
            // An erasure has just removed the directory.
            Err(e) if e.kind() == io::ErrorKind::NotFound && patience.wait_for(None) => continue,
            opened => opened.map_err(io("lock"))?,
        };
        match lock.try_lock() {
            Ok(()) if same_file(&lock, &path) => {
                // Signals a new holder to waiting calls.
                let _ = lock.set_modified(SystemTime::now());
                return Ok(lock);
            }
            // The file was removed meanwhile, so its lock has no effect.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if patience.wait_for(Some(&lock)) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked(dir.to_path_buf())),
            Err(TryLockError::Error(source)) => return Err(io("lock")(source)),
        }
    }
}

/// As [`lock`], for read-only storage: shared with other readers. Returns `None` without a lock
/// file.
pub(super) fn shared_lock(dir: &Path, wait: Duration) -> Result<Option<File>, StoreError> {
    let mut patience = Patience::new(wait);
    let Ok(lock) = File::open(dir.join(LOCK)) else { return Ok(None) };
    loop {
        match lock.try_lock_shared() {
            Ok(()) => return Ok(Some(lock)),
            Err(TryLockError::WouldBlock) if patience.wait_for(Some(&lock)) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked(dir.to_path_buf())),
            // Storage without locks, and without writers.
            Err(TryLockError::Error(_)) => return Ok(None),
        }
    }
}

/// Returns whether `path` still names the open file.
fn same_file(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let id = |m: fs::Metadata| (m.dev(), m.ino());
        matches!((file.metadata().map(id), fs::metadata(path).map(id)), (Ok(a), Ok(b)) if a == b)
    }
    #[cfg(not(unix))]
    {
        // Other systems do not remove an open file.
        let _ = (file, path);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_waits_for_each_holder_anew() {
        let file = tempfile::tempfile().unwrap();
        let hour = Duration::from_secs(3600);
        let mut patience = Patience::new(hour);
        assert!(patience.wait_for(Some(&file)));
        // The waiting time for this holder ends; another one starts with the next holder.
        patience.until = Instant::now();
        assert!(!patience.wait_for(Some(&file)));
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(patience.wait_for(Some(&file)));
        patience.end = Instant::now();
        assert!(!patience.wait_for(Some(&file)));
        assert!(!Patience::new(Duration::ZERO).wait_for(Some(&file)));
        assert!(Patience::new(Duration::MAX).wait_for(None));
    }

    #[test]
    fn only_exact_names_are_own() {
        assert_eq!(Own::of("locket-12.redb"), Some(Own::Data(12)));
        assert_eq!(Own::of("locket-12.redb.part"), Some(Own::Part(12)));
        for name in [
            "locket-backup.redb",
            "locket-2 (conflicted copy).redb",
            "locket-2.redb.bak",
            "locket-2.redb.part.part",
            "locket-02.redb",
            "locket-+2.redb",
            "locket-.redb",
            "locket-99999999999999999999.redb",
            "Locket-2.redb",
            "locket.redb",
        ] {
            assert_eq!(Own::of(name), None, "{name}");
        }
        for own in [Own::Data(0), Own::Part(u64::MAX)] {
            assert_eq!(Own::of(&own.name()), Some(own));
        }
        assert!(
            is_session("0123456789abcdef0123456789abcdef.kv") && is_session("unfinished") && is_session(".tmpaB3xY9")
        );
        assert!(!is_session("my.kv") && !is_session("notes.txt") && !is_session(".tmp"));
    }
}
