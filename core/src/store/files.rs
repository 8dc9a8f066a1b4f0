//! The names in a store's directory, and its lock.
//!
//! Only names that are exactly the store's own are ever removed: a copy beside it, under whatever name a person or a
//! synchronising service gave it, stays.

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
/// How the name of a data file ends while no key file names it.
const PART: &str = ".part";
/// How often a waiting call looks whether the lock is free.
const POLL: Duration = Duration::from_millis(5);

/// Name of the data file of a generation.
pub(super) fn data_name(generation: u64) -> String {
    format!("{}{generation}{}", DATA.0, DATA.1)
}

/// Its name while it is written.
pub(super) fn part_name(generation: u64) -> String {
    data_name(generation) + PART
}

/// What a name in the directory stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    /// The data file of a generation.
    Data(u64),
    /// One that was not finished, or not yet renamed.
    Part(u64),
}

impl Own {
    /// `None` for any name that [`data_name`] and [`part_name`] do not give.
    pub(super) fn of(name: &str) -> Option<Self> {
        let (whole, part) = name.strip_suffix(PART).map_or((name, false), |whole| (whole, true));
        let generation = whole.strip_prefix(DATA.0)?.strip_suffix(DATA.1)?.parse().ok()?;
        // Neither "+1" nor "01".
        (data_name(generation) == whole).then_some(if part { Self::Part(generation) } else { Self::Data(generation) })
    }

    pub(super) fn name(self) -> String {
        match self {
            Self::Data(generation) => data_name(generation),
            Self::Part(generation) => part_name(generation),
        }
    }
}

/// The data files in `dir`, finished or not, the lowest generation first.
pub(super) fn data_files(dir: &Path) -> io::Result<Vec<Own>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        found.extend(entry?.file_name().to_str().and_then(Own::of));
    }
    found.sort_by_key(|own| (own.name().len(), own.name()));
    Ok(found)
}

/// The first finished data file in `dir`.
pub(super) fn finished_data(dir: &Path) -> io::Result<Option<Own>> {
    Ok(data_files(dir)?.into_iter().find(|own| matches!(own, Own::Data(_))))
}

/// Removes those data files.
pub(super) fn remove_data(dir: &Path, which: impl Fn(Own) -> bool) -> io::Result<()> {
    data_files(dir)?.into_iter().filter(|&own| which(own)).try_for_each(|own| remove(&dir.join(own.name())))
}

/// Whether the sessions' directory may hold a file of this name: a sealed session, an unfinished augmentation, or one of them
/// while it is written.
pub(crate) fn is_session(name: &str) -> bool {
    let session = |stem: &str| stem.len() == 32 && stem.bytes().all(|b| b.is_ascii_hexdigit());
    let scratch = |rest: &str| rest.len() == 6 && rest.bytes().all(|b| b.is_ascii_alphanumeric());
    name == "unfinished"
        || name.strip_suffix(".kv").is_some_and(session)
        || name.strip_prefix(".tmp").is_some_and(scratch)
}

/// Removes all sessions, and their directory if nothing else is in it.
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

/// Removes a file; nothing to do if there is none.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path).or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })
}

/// Makes the directory, for its owner alone where the system knows owners.
pub(super) fn create_private(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(dir)
}

/// How long a call waits for a lock: for each holder anew, which shows in the lock file's time of change, so that many calls at
/// once all have their turn.
struct Patience {
    wait: Duration,
    holder: Option<SystemTime>,
    until: Instant,
    end: Instant,
}

impl Patience {
    /// Turns of others that a call waits for at most, each as long as `wait`.
    const TURNS: u32 = 30;

    fn new(wait: Duration) -> Self {
        Self { wait, holder: None, until: after(wait), end: after(wait.saturating_mul(Self::TURNS)) }
    }

    /// Whether to look again; pauses before.
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
    // Longer than a century is as good as that.
    now.checked_add(wait).unwrap_or_else(|| now + Duration::from_secs(100 * 365 * 86_400))
}

/// Takes the store's lock, waiting for each holder as long as `wait`, and makes the directory if it is missing.
pub(super) fn lock(dir: &Path, wait: Duration) -> Result<File, StoreError> {
    let io = |action| move |source| StoreError::Io { action, path: dir.to_path_buf(), source };
    let mut patience = Patience::new(wait);
    let path = dir.join(LOCK);
    loop {
        create_private(dir).map_err(io("create"))?;
        let lock = match File::options().create(true).truncate(false).write(true).open(&path) {
            // Whoever erased the store has just removed the directory.
            Err(e) if e.kind() == io::ErrorKind::NotFound && patience.wait_for(None) => continue,
            opened => opened.map_err(io("lock"))?,
        };
        match lock.try_lock() {
            Ok(()) if same_file(&lock, &path) => {
                // Tells those who wait that it is another's turn.
                let _ = lock.set_modified(SystemTime::now());
                return Ok(lock);
            }
            // A file that is gone locks nothing.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if patience.wait_for(Some(&lock)) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked(dir.to_path_buf())),
            Err(TryLockError::Error(source)) => return Err(io("lock")(source)),
        }
    }
}

/// As [`lock`] where nothing can be written: beside other readers, and without a lock if there is no file to lock.
pub(super) fn shared_lock(dir: &Path, wait: Duration) -> Result<Option<File>, StoreError> {
    let mut patience = Patience::new(wait);
    let Ok(lock) = File::open(dir.join(LOCK)) else { return Ok(None) };
    loop {
        match lock.try_lock_shared() {
            Ok(()) => return Ok(Some(lock)),
            Err(TryLockError::WouldBlock) if patience.wait_for(Some(&lock)) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked(dir.to_path_buf())),
            // Storage that knows no locks, which nobody writes.
            Err(TryLockError::Error(_)) => return Ok(None),
        }
    }
}

/// Whether `path` still names the open file.
fn same_file(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let id = |m: fs::Metadata| (m.dev(), m.ino());
        matches!((file.metadata().map(id), fs::metadata(path).map(id)), (Ok(a), Ok(b)) if a == b)
    }
    #[cfg(not(unix))]
    {
        // A file that is open is not removed there.
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
        // This holder's time is over; the next one's begins.
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
