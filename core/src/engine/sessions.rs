//! Sessions: the KV state of a user's prompt prefix, kept across restarts.
//!
//! Prompts start with the user's history, which changes with new records and not from call to call.
//! Prefilling it again costs a second on two cores; restoring its state costs milliseconds. The
//! state derives from the user's texts, so it is sealed under a subkey of the store and padded. A
//! file that does not open is ignored, as is one of another model, adapter, KV type or build. A
//! session is a cache: failures to read or write it are not errors.

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

/// Minimum number of tokens worth a file.
const WORTH: usize = 64;
/// Maximum number of additional tokens that do not justify writing the file again.
const FEW: usize = 16;
/// The plain text is padded to a multiple of this many bytes, to hide the length of the history.
const PAD: usize = 1 << 20;
/// Extension of session files.
const EXTENSION: &str = ".kv";
/// Part of every session's identity: KV state of another build is not restored.
const BUILD: &str = concat!("locket session 2, ", env!("CARGO_PKG_VERSION"), ", llama-cpp-2 0.1.160");

/// A file's name and tokens.
type Held = (String, Vec<Token>);

/// A store's sessions on disk.
#[derive(Clone)]
pub(crate) struct Sessions {
    caches: Caches,
    /// Maximum size of all files in bytes; the least recently used are removed first.
    pub(crate) most: u64,
    /// Name and tokens of the newest file, so that it is not written again.
    newest: Arc<Mutex<Option<Held>>>,
}

impl Sessions {
    pub(crate) fn new(caches: Caches, most: u64) -> Self {
        Self { caches, most, newest: Arc::default() }
    }

    /// Returns whether a record was forgotten since this value was created.
    pub(crate) fn ended(&self) -> bool {
        !self.caches.lease.holds()
    }

    /// Restores the session if it shares a longer prefix with `prompt` than the cache does.
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

    /// Restores the whole session, before any prompt exists.
    pub(crate) fn restore_all(&self, decoder: &mut Decoder<'_>) {
        let Some(name) = self.name(decoder).filter(|_| self.most > 0) else { return };
        self.import(decoder, name, |decoder, tokens| decoder.cached_prefix(tokens) < tokens.len());
    }

    /// Opens a session and restores it if `wanted` accepts its tokens.
    fn import(&self, decoder: &mut Decoder<'_>, name: String, wanted: impl FnOnce(&Decoder<'_>, &[Token]) -> bool) {
        let path = self.caches.dir.join(&name);
        let Ok(sealed) = fs::read(&path) else { return };
        let opened = crypto::open_in_place(&self.caches.key, name.as_bytes(), sealed);
        let Some((tokens, state)) = opened.as_ref().and_then(|plain| parse(plain)) else {
            // Sealed under another key, or damaged: it will never open.
            let _ = fs::remove_file(&path);
            return;
        };
        if !wanted(decoder, &tokens) || !decoder.import_prefix(&tokens, state) {
            return;
        }
        // Only for the eviction order; failure is harmless.
        let _ = fs::File::options().append(true).open(&path).and_then(|f| f.set_modified(SystemTime::now()));
        *self.newest() = Some((name, tokens));
    }

    /// Saves the state of `prefix`, which `decoder` has just prefilled, unless a file holds it
    /// already.
    pub(crate) fn keep(&self, decoder: &mut Decoder<'_>, prefix: &[Token]) {
        if self.most == 0 || prefix.len() < WORTH || !self.caches.lease.holds() {
            return;
        }
        let Some(name) = self.name(decoder) else { return };
        // A few additional tokens do not justify writing megabytes.
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

    /// Returns the file name for this build, model, adapter, KV type and prefill chunk size.
    /// Without the key it reveals none of them.
    fn name(&self, decoder: &Decoder<'_>) -> Option<String> {
        let identity =
            format!("{BUILD}, {}, {:?}, {}", decoder.model().identity()?, decoder.options().kv, decoder.chunk_size());
        let key = self.caches.key.derive(identity.as_bytes(), "locket session name");
        Some(format!("{}{EXTENSION}", text::hex(&key.as_bytes()[..16])))
    }

    /// Removes the least recently used files until the rest fits.
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

/// Encodes a session: number of tokens, length of the state, tokens, state, padding.
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
