//! Sessions: the KV state of a person's prompt prefix, kept across restarts.
//!
//! Prompts begin with the person's history, which changes when something is recorded and not from call to call. Reading it
//! again costs a second on two cores; putting its state back costs milliseconds. The state is derived from the person's
//! texts, so it is sealed under a subkey of the store and padded; a file that does not open, or is of another model,
//! adapter, KV type or build, is no session. A session is a cache: that it cannot be read or written is no error.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use zeroize::Zeroizing;

use crate::{
    crypto,
    llm::{Decoder, Token, common_prefix},
    store::{Caches, files},
    text,
};

/// Fewest tokens that are worth a file.
const WORTH: usize = 64;
/// How many tokens more than the file has are not worth writing it again.
const FEW: usize = 16;
/// Sealed files are multiples of this, so that the length of the history shows roughly only.
const PAD: usize = 1 << 20;
/// How their names end.
const EXTENSION: &str = ".kv";
/// Part of every session's identity: KV state of another build is not put back.
const BUILD: &str = concat!("locket session 2, ", env!("CARGO_PKG_VERSION"), ", llama-cpp-2 0.1.160");

/// A file's name and tokens.
type Held = (String, Vec<Token>);

/// A store's sessions on disk.
#[derive(Clone)]
pub(crate) struct Sessions {
    caches: Caches,
    /// Most bytes of all files; the least recently used go first.
    pub(crate) most: u64,
    /// What the newest file holds, so that it is not written again.
    newest: Arc<Mutex<Option<Held>>>,
}

impl Sessions {
    pub(crate) fn new(caches: Caches, most: u64) -> Self {
        Self { caches, most, newest: Arc::default() }
    }

    /// Whether a record was forgotten since these were given out.
    pub(crate) fn ended(&self) -> bool {
        !self.caches.lease.holds()
    }

    /// Puts back the state of as much of `prompt` as a session has, if that is more than stands in the cache.
    pub(crate) fn restore(&self, decoder: &mut Decoder<'_>, prompt: &[Token]) {
        let cached = decoder.cached_prefix(prompt);
        if self.most == 0 || cached + WORTH > prompt.len() {
            return;
        }
        let Some(name) = self.name(decoder) else { return };
        let known = self.newest().as_ref().filter(|n| n.0 == name).map(|n| common_prefix(&n.1, prompt));
        if known.is_some_and(|k| k <= cached) {
            return;
        }
        self.import(decoder, name, |_, tokens| {
            let shared = common_prefix(tokens, prompt);
            shared >= WORTH && shared > cached
        });
    }

    /// Puts back the whole session, before any prompt is known.
    pub(crate) fn restore_all(&self, decoder: &mut Decoder<'_>) {
        let Some(name) = self.name(decoder).filter(|_| self.most > 0) else { return };
        self.import(decoder, name, |decoder, tokens| decoder.cached_prefix(tokens) < tokens.len());
    }

    /// Opens a session and puts it back if its tokens are `wanted`.
    fn import(&self, decoder: &mut Decoder<'_>, name: String, wanted: impl FnOnce(&Decoder<'_>, &[Token]) -> bool) {
        let path = self.caches.dir.join(&name);
        let Ok(sealed) = fs::read(&path) else { return };
        let opened = crypto::open_in_place(&self.caches.key, name.as_bytes(), sealed);
        let Some((tokens, state)) = opened.as_ref().and_then(|plain| parse(plain)) else {
            // Of another key, or damaged: it will never open.
            let _ = fs::remove_file(&path);
            return;
        };
        if !wanted(decoder, &tokens) || !decoder.import_prefix(&tokens, state) {
            return;
        }
        // For the order of use; not more than that.
        let _ = fs::File::options().append(true).open(&path).and_then(|f| f.set_modified(SystemTime::now()));
        *self.newest() = Some((name, tokens));
    }

    /// Keeps the state of `prefix`, which `decoder` has just read, unless it is kept already.
    pub(crate) fn keep(&self, decoder: &mut Decoder<'_>, prefix: &[Token]) {
        if self.most == 0 || prefix.len() < WORTH || !self.caches.lease.holds() {
            return;
        }
        let Some(name) = self.name(decoder) else { return };
        // A few tokens more are not worth megabytes of writing.
        let known = self.newest().as_ref().filter(|n| n.0 == name).map_or(0, |n| common_prefix(&n.1, prefix));
        if known + FEW >= prefix.len() {
            return;
        }
        let Some(state) = decoder.export_prefix(prefix).map(Zeroizing::new) else { return };
        let plain = Zeroizing::new(write(prefix, &state));
        if plain.len() as u64 > self.most {
            return;
        }
        let Ok(sealed) = crypto::seal(&self.caches.key, name.as_bytes(), &plain) else { return };
        if self.caches.keep(&name, &sealed) {
            *self.newest() = Some((name, prefix.to_vec()));
            self.evict();
        }
    }

    fn newest(&self) -> std::sync::MutexGuard<'_, Option<Held>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One file for each model, adapter and KV type. The name says nothing about them without the key.
    fn name(&self, decoder: &Decoder<'_>) -> Option<String> {
        let identity =
            format!("{BUILD}, {}, {:?}, {}", decoder.model().identity()?, decoder.options().kv, decoder.piece());
        let key = self.caches.key.derive(identity.as_bytes(), "locket session name");
        Some(format!("{}{EXTENSION}", text::hex(&key.as_bytes()[..16])))
    }

    /// Removes the files that were not used for longest, until the rest fits.
    fn evict(&self) {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = fs::read_dir(&self.caches.dir)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|e| e.file_name().to_str().is_some_and(|name| name.ends_with(EXTENSION) && files::is_session(name)))
            .filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.metadata().ok()?.len(), e.path())))
            .collect();
        files.sort();
        let mut total: u64 = files.iter().map(|f| f.1).sum();
        for (_, length, path) in &files {
            if total <= self.most {
                break;
            }
            if fs::remove_file(path).is_ok() {
                total -= length;
            }
        }
    }
}

/// Number of tokens, length of the state, tokens, state, padding.
fn write(tokens: &[Token], state: &[u8]) -> Vec<u8> {
    let length = (16 + tokens.len() * 4 + state.len()).next_multiple_of(PAD);
    let mut out = Vec::with_capacity(length);
    out.extend((tokens.len() as u64).to_le_bytes());
    out.extend((state.len() as u64).to_le_bytes());
    tokens.iter().for_each(|t| out.extend(t.0.to_le_bytes()));
    out.extend(state);
    out.resize(length, 0);
    out
}

fn parse(plain: &[u8]) -> Option<(Vec<Token>, &[u8])> {
    let (count, rest) = plain.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<8>()?;
    let bytes = usize::try_from(u64::from_le_bytes(*count)).ok()?.checked_mul(4)?;
    let (tokens, rest) = rest.split_at_checked(bytes)?;
    let state = rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let token = |b: &[u8]| Token::new(i32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    Some((tokens.chunks_exact(4).map(token).collect(), state))
}
