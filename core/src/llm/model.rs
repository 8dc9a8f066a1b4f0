//! A loaded model file.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use llama_cpp_2::{
    llama_backend::LlamaBackend,
    model::{LlamaChatMessage, LlamaChatTemplate, LlamaLoraAdapter, LlamaModel, params::LlamaModelParams},
};

use super::{
    Calibration, DecoderOptions, Gpu, LlmError, MemoryBudget, Placement, STARS, Stars, Token,
    device::{devices, load_kernels, place},
    gguf,
    gguf::ModelFacts,
    unwritable::Unwritable,
};
use crate::{Progress, setters::setters, text};

/// The owned callback of [`LoadOptions::progress`].
type LoadProgress = Box<dyn FnMut(Progress) -> ControlFlow<()> + Send>;

/// Options for loading a model.
#[derive(Default)]
#[non_exhaustive]
pub struct LoadOptions {
    /// A LoRA adapter (GGUF) to apply to every context.
    pub adapter: Option<PathBuf>,
    /// Maximum number of bytes for the model together with a decoder on it. Default: the memory
    /// that the system has available when each is opened.
    pub allowed_bytes: Option<u64>,
    /// Part of the model that goes to a GPU.
    pub gpu: Gpu,
    /// Callback for the progress of loading; a break stops it.
    pub progress: Option<LoadProgress>,
}

setters!(LoadOptions {
    #[into] with_adapter => adapter: PathBuf,
    #[some] with_allowed_bytes => allowed_bytes: u64,
    with_gpu => gpu: Gpu,
});

impl LoadOptions {
    /// Sets [`LoadOptions::progress`].
    #[must_use]
    pub fn with_progress(mut self, progress: impl FnMut(Progress) -> ControlFlow<()> + Send + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }
}

/// Source of a model, used each time it is loaded.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) adapter: Option<PathBuf>,
    pub(crate) allowed_bytes: Option<u64>,
    pub(crate) gpu: Gpu,
}

/// A loaded model. Its weights are memory-mapped and shared by every decoder on it.
pub struct Model {
    pub(super) inner: LlamaModel,
    pub(super) adapter: Option<Mutex<LlamaLoraAdapter>>,
    source: Source,
    template: Option<LlamaChatTemplate>,
    facts: ModelFacts,
    adapter_bytes: u64,
    calibration: Calibration,
    identity: Option<String>,
    placement: Placement,
    unwritable: OnceLock<Arc<Unwritable>>,
}

/// Prompt of a model, made of trusted and untrusted text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Prompt {
    /// Instructions and data for the model. Special tokens in it are never parsed.
    pub body: String,
    /// Beginning of the model's answer ("Review by this author:").
    pub lead: String,
}

/// Returns llama.cpp's process-wide state. Its log goes to `tracing`, so it is discarded unless the
/// host subscribes. The log names files and sizes, never texts.
fn backend() -> Result<&'static LlamaBackend, LlmError> {
    static BACKEND: OnceLock<Option<LlamaBackend>> = OnceLock::new();
    let backend = BACKEND.get_or_init(|| {
        // Redirects the log first, so that the next steps print nothing.
        llama_cpp_2::send_logs_to_tracing(llama_cpp_2::LogOptions::default());
        load_kernels();
        let backend = LlamaBackend::init().ok()?;
        Some(backend)
    });
    backend.as_ref().ok_or(LlmError::Request("llama.cpp is already in use by other code in this process"))
}

/// Checks the files of a model and its adapter. Returns the model's facts, and the adapter's size
/// in bytes with its calibration.
fn examine(path: &Path, adapter: Option<&Path>) -> Result<(ModelFacts, (u64, Calibration)), LlmError> {
    let facts = gguf::check_model(path)?;
    let adapter = adapter.map_or(Ok((0, Calibration::default())), |adapter| check_adapter(adapter, path))?;
    Ok((facts, adapter))
}

/// Returns an error if `needed` bytes exceed the allowed ones. `None` allows any size.
fn fits(needed: u64, allowed: Option<u64>) -> Result<(), LlmError> {
    match allowed {
        Some(allowed) if needed > allowed => Err(LlmError::WouldNotFit { needed, allowed }),
        _ => Ok(()),
    }
}

/// Checks whether a model and a decoder on it would fit the memory now, without loading them.
/// Returns the memory that they would take.
///
/// # Errors
/// [`LlmError::FileMissing`], `LlmError::Io`, [`LlmError::File`], [`LlmError::WouldNotFit`].
pub fn would_fit(
    path: impl AsRef<Path>,
    adapter: Option<&Path>,
    allowed_bytes: Option<u64>,
    decoder: &DecoderOptions,
) -> Result<MemoryBudget, LlmError> {
    let (facts, (adapter, _)) = examine(path.as_ref(), adapter)?;
    let budget = MemoryBudget::of(&facts, adapter, decoder);
    fits(budget.resident(), allowed_bytes.or_else(available_memory))?;
    Ok(budget)
}

/// Returns the devices and the placement that a model would get here.
///
/// # Errors
/// [`LlmError::Request`] if other code in this process uses llama.cpp.
pub fn placement(gpu: Gpu) -> Result<Placement, LlmError> {
    backend()?;
    Ok(place(gpu, devices()))
}

impl Model {
    /// Loads the model at `path`.
    ///
    /// # Errors
    /// [`LlmError::FileMissing`], `LlmError::Io`, [`LlmError::File`], [`LlmError::WouldNotFit`],
    /// [`LlmError::Load`], [`LlmError::Request`] if other code in this process uses llama.cpp,
    /// [`LlmError::Cancelled`] if the progress callback broke off.
    pub fn load(path: impl AsRef<Path>, mut options: LoadOptions) -> Result<Self, LlmError> {
        let path = path.as_ref().to_path_buf();
        let (facts, (adapter_bytes, calibration)) = examine(&path, options.adapter.as_deref())?;
        // Without a decoder: the memory of the model alone.
        let budget = MemoryBudget::of(&facts, adapter_bytes, &DecoderOptions::default());
        let needed = budget.model();
        fits(needed, options.allowed_bytes.or_else(available_memory))?;
        let backend = backend()?;
        // Runs in parallel with llama.cpp, which reads the same pages.
        let files: Vec<PathBuf> = [Some(path.clone()), options.adapter.clone()].into_iter().flatten().collect();
        let identity = std::thread::spawn(move || {
            Some(files.iter().map(|p| fingerprint(p).ok()).collect::<Option<Vec<String>>>()?.join(" with "))
        });
        let mut placement = place(options.gpu, devices());
        let progress = Arc::new(Mutex::new(options.progress.take()));
        let (mut loaded, mut cancelled) = load_into(backend, &path, placement.gpu_layers, progress.clone());
        if let (Err(e), false, true) = (&loaded, cancelled, placement.gpu_layers > 0) {
            // If the GPU is too small or its driver fails, the model runs on the CPU.
            placement.why_no_gpu = Some(format!("loading to it failed ({e})"));
            placement.gpu_layers = 0;
            (loaded, cancelled) = load_into(backend, &path, 0, progress);
        }
        // Joined on an error, too: the caller may then overwrite a file that the thread has mapped.
        let identity = identity.join().ok().flatten();
        let mut inner = loaded.map_err(|e| match cancelled {
            true => LlmError::Cancelled,
            false => LlmError::Load { path: path.clone(), what: e.to_string() },
        })?;
        let adapter = match options.adapter.clone() {
            None => None,
            Some(file) => {
                let adapter = inner
                    .lora_adapter_init(&file)
                    .map_err(|e| LlmError::Load { path: file, what: format!("not an adapter for this model ({e})") })?;
                Some(Mutex::new(adapter))
            }
        };
        let template = inner.chat_template(None).ok();
        let LoadOptions { adapter: file, allowed_bytes, gpu, .. } = options;
        let source = Source { path, adapter: file, allowed_bytes, gpu };
        let unwritable = OnceLock::new();
        Ok(Self {
            inner,
            adapter,
            source,
            template,
            facts,
            adapter_bytes,
            calibration,
            identity,
            placement,
            unwritable,
        })
    }

    /// Returns the source that the model was loaded from, to load it again.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Returns an identifier that differs between models and adapters; KV state is valid only for
    /// the same one. `None` if a file could not be read a second time.
    #[doc(hidden)]
    pub fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// Returns the sizes from the model's file.
    #[doc(hidden)]
    pub fn facts(&self) -> &ModelFacts {
        &self.facts
    }

    /// Returns the memory of the model together with a decoder opened with `options`.
    #[doc(hidden)]
    pub fn budget(&self, options: &DecoderOptions) -> MemoryBudget {
        MemoryBudget::of(&self.facts, self.adapter_bytes, options)
    }

    /// Checks that a decoder opened with `options` fits the memory.
    pub(super) fn check_fit(&self, options: &DecoderOptions) -> Result<(), LlmError> {
        let budget = self.budget(options);
        let (needed, allowed) = match self.source.allowed_bytes {
            Some(allowed) => (budget.resident(), Some(allowed)),
            // The model is loaded already, so the available memory is for the decoder alone.
            None => (budget.decoder(), available_memory()),
        };
        fits(needed, allowed)
    }

    pub(super) fn backend(&self) -> Result<&'static LlamaBackend, LlmError> {
        backend()
    }

    /// Returns the devices and the placement of the model.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Returns the path of the model file.
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// Returns the file name, and the adapter's if there is one, for records and reports.
    pub fn name(&self) -> String {
        let name = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        match &self.source.adapter {
            Some(adapter) => format!("{} + {}", name(self.path()), name(adapter)),
            None => name(self.path()),
        }
    }

    /// Returns the size of the weights in bytes.
    pub fn bytes(&self) -> u64 {
        self.inner.size()
    }

    /// Returns the number of parameters.
    pub fn parameters(&self) -> u64 {
        self.inner.n_params()
    }

    /// Returns the context length that the model was trained with, in tokens.
    pub fn trained_context(&self) -> usize {
        self.inner.n_ctx_train() as usize
    }

    /// Whether it is a chat model (its file has a chat template).
    pub fn has_chat_template(&self) -> bool {
        self.template.is_some()
    }

    /// Returns the tokens of `text`, without a start token. Special tokens are not parsed, because
    /// the text is data.
    #[doc(hidden)]
    pub fn tokens(&self, text: &str) -> Vec<Token> {
        self.inner.vocab().tokenize(text.as_bytes(), false, false)
    }

    /// Returns the tokens of the ratings and their calibration. `None` if the vocabulary lacks
    /// single-token digits.
    #[doc(hidden)]
    pub fn stars(&self) -> Option<Stars> {
        let digits = (1..=STARS).map(|n| match self.tokens(&n.to_string())[..] {
            [token] => Some(token),
            _ => None,
        });
        let tokens = digits.collect::<Option<Vec<Token>>>()?.try_into().ok()?;
        Some(Stars { tokens, calibration: self.calibration })
    }

    /// Returns the set of tokens that are never chosen.
    pub(super) fn unwritable(&self) -> Arc<Unwritable> {
        self.unwritable.get_or_init(|| Arc::new(Unwritable::of(&self.inner))).clone()
    }

    /// Appends the text of a token to `out`; nothing for a special token.
    #[doc(hidden)]
    pub fn spell(&self, token: Token, out: &mut Vec<u8>) {
        self.inner.vocab().token_to_piece_into(token, out, false, None);
    }

    /// Returns the tokens of a prompt. For a base model these are body and lead. For a chat model
    /// the body is the user's turn in the model's chat template, and the lead begins the answer.
    #[doc(hidden)]
    pub fn prompt_tokens(&self, prompt: &Prompt) -> Vec<Token> {
        let vocab = self.inner.vocab();
        let Some((before, after)) = self.template_parts() else {
            let mut tokens = Vec::new();
            if vocab.should_add_bos() {
                tokens.push(vocab.bos());
            }
            tokens.extend(self.tokens(&format!("{}{}", prompt.body, prompt.lead)));
            return tokens;
        };
        let mut tokens = vocab.tokenize(before.as_bytes(), true, true);
        tokens.extend(self.tokens(&prompt.body));
        tokens.extend(vocab.tokenize(after.as_bytes(), false, true));
        tokens.extend(self.tokens(&prompt.lead));
        tokens
    }

    /// Returns the chat template's text before and after the user's turn.
    fn template_parts(&self) -> Option<(String, String)> {
        const MARK: &str = "\u{1}locket\u{1}";
        let message = LlamaChatMessage::new("user".into(), MARK.into()).ok()?;
        let filled = self.inner.apply_chat_template(self.template.as_ref()?, &[message], true).ok()?;
        let (before, after) = filled.split_once(MARK)?;
        Some((before.to_owned(), after.to_owned()))
    }
}

/// Loads the file with this many layers on a GPU. The flag is true if `progress` broke off.
fn load_into(
    backend: &LlamaBackend,
    path: &Path,
    gpu_layers: u32,
    progress: Arc<Mutex<Option<LoadProgress>>>,
) -> (Result<LlamaModel, llama_cpp_2::LlamaModelLoadError>, bool) {
    let cancelled = Arc::new(AtomicBool::new(false));
    let theirs = cancelled.clone();
    let total = std::fs::metadata(path).map_or(0, |file| file.len());
    let params = LlamaModelParams::default().with_n_gpu_layers(gpu_layers).with_progress_callback(move |fraction| {
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        let go_on = progress.as_mut().is_none_or(|told| {
            let done = (f64::from(fraction) * total as f64) as u64;
            told(Progress { done, total }).is_continue()
        });
        theirs.store(!go_on, Ordering::Relaxed);
        go_on
    });
    let loaded = LlamaModel::load_from_file(backend, path, &params);
    (loaded, cancelled.load(Ordering::Relaxed))
}

/// Returns a file's length, a SHA-256 of its metadata and a CRC-32 of its weights; the CRC costs no
/// more than reading them. The fingerprint detects changed or replaced files. It does not prove
/// their origin.
fn fingerprint(path: &Path) -> Result<String, LlmError> {
    use sha2::Digest;
    let bytes = gguf::map(path)?;
    let data = gguf::parse(&bytes).map_or(0, |g| g.data as usize).min(bytes.len());
    let metadata = text::hex(&sha2::Sha256::digest(&bytes[..data]));
    Ok(format!("{} {metadata} {:08x}", bytes.len(), crc32fast::hash(&bytes[data..])))
}

/// Checks that the adapter file fits the model file `base`. Returns the size of its weights in
/// bytes, and its rating calibration.
fn check_adapter(adapter: &Path, base: &Path) -> Result<(u64, Calibration), LlmError> {
    let (adapter_bytes, base_bytes) = (gguf::map(adapter)?, gguf::map(base)?);
    let parsed = gguf::parse(&adapter_bytes).and_then(|a| {
        gguf::check_adapter(&a, &gguf::parse(&base_bytes)?)?;
        Ok((a.data_bytes, gguf::calibration(&a)?))
    });
    parsed.map_err(|source| LlmError::File { path: adapter.to_path_buf(), source })
}

/// Returns the memory available to this process in bytes, if the system reports it.
fn available_memory() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find(|l| l.starts_with("MemAvailable:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}
