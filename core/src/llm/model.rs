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
use crate::text;

/// Called while a model loads, with the fraction done (0 to 1); a break stops the load.
pub type Progress = Box<dyn FnMut(f32) -> ControlFlow<()> + Send>;

/// How to load a model.
#[derive(Default)]
pub struct LoadOptions {
    /// A LoRA adapter (GGUF) to apply to every context.
    pub adapter: Option<PathBuf>,
    /// Most bytes that the model may take together with a decoder on it. Default: what the system has available when
    /// each is opened.
    pub allowed_bytes: Option<u64>,
    /// How much of it goes to a GPU.
    pub gpu: Gpu,
    /// Told the fraction loaded.
    pub progress: Option<Progress>,
}

/// Where a model comes from, each time it is loaded.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) adapter: Option<PathBuf>,
    pub(crate) allowed_bytes: Option<u64>,
    pub(crate) gpu: Gpu,
}

/// A loaded model. Weights are memory-mapped and shared by every decoder on it.
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

/// What a model is asked to continue, made of trusted and untrusted parts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Prompt {
    /// What the model is told and shown. Special tokens are never parsed out of it.
    pub body: String,
    /// How the model's own answer begins ("Review by this author:").
    pub lead: String,
}

/// llama.cpp's process-wide state. What it logs goes to `tracing`, so nowhere unless the host listens; it names files and
/// sizes, never texts.
fn backend() -> Result<&'static LlamaBackend, LlmError> {
    static BACKEND: OnceLock<Option<LlamaBackend>> = OnceLock::new();
    let backend = BACKEND.get_or_init(|| {
        // First, so that nothing of what follows is printed.
        llama_cpp_2::send_logs_to_tracing(llama_cpp_2::LogOptions::default());
        load_kernels();
        let backend = LlamaBackend::init().ok()?;
        Some(backend)
    });
    backend.as_ref().ok_or(LlmError::Request("llama.cpp is already in use by other code in this process"))
}

/// What the files of a model and its adapter say of them, if they can be trusted.
fn examine(path: &Path, adapter: Option<&Path>) -> Result<(ModelFacts, (u64, Calibration)), LlmError> {
    let facts = gguf::check_model(path)?;
    let adapter = adapter.map_or(Ok((0, Calibration::default())), |adapter| check_adapter(adapter, path))?;
    Ok((facts, adapter))
}

/// Refuses what needs more bytes than are allowed, if anybody says how many are.
fn fits(needed: u64, allowed: Option<u64>) -> Result<(), LlmError> {
    match allowed {
        Some(allowed) if needed > allowed => Err(LlmError::WouldNotFit { needed, allowed }),
        _ => Ok(()),
    }
}

/// Whether a model and a decoder on it could be loaded now, without loading anything: what they would take.
///
/// # Errors
/// [`LlmError::FileMissing`], [`LlmError::File`], [`LlmError::WouldNotFit`].
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

/// What a model would run on here.
///
/// # Errors
/// [`LlmError::Request`] if other code in this process uses llama.cpp.
pub fn placement(gpu: Gpu) -> Result<Placement, LlmError> {
    backend()?;
    Ok(place(gpu, devices()))
}

impl Model {
    /// Loads `path`.
    ///
    /// # Errors
    /// [`LlmError::FileMissing`], [`LlmError::File`], [`LlmError::WouldNotFit`], [`LlmError::Load`],
    /// [`LlmError::Cancelled`] if the progress callback broke off.
    pub fn load(path: impl AsRef<Path>, mut options: LoadOptions) -> Result<Self, LlmError> {
        let path = path.as_ref().to_path_buf();
        let (facts, (adapter_bytes, calibration)) = examine(&path, options.adapter.as_deref())?;
        // Without any decoder yet: what the model alone will take.
        let budget = MemoryBudget::of(&facts, adapter_bytes, &DecoderOptions::default());
        let needed = budget.model();
        fits(needed, options.allowed_bytes.or_else(available_memory))?;
        // While llama.cpp reads the same pages.
        let files: Vec<PathBuf> = [Some(path.clone()), options.adapter.clone()].into_iter().flatten().collect();
        let identity = std::thread::spawn(move || {
            Some(files.iter().map(|p| fingerprint(p).ok()).collect::<Option<Vec<String>>>()?.join(" with "))
        });
        let backend = backend()?;
        let mut placement = place(options.gpu, devices());
        let progress = Arc::new(Mutex::new(options.progress.take()));
        let (mut loaded, mut cancelled) = load_into(backend, &path, placement.gpu_layers, progress.clone());
        if let (Err(e), false, true) = (&loaded, cancelled, placement.gpu_layers > 0) {
            // A GPU that is there but too small, or whose driver is at fault, is no reason to write nothing.
            placement.why_no_gpu = Some(format!("loading to it failed ({e})"));
            placement.gpu_layers = 0;
            (loaded, cancelled) = load_into(backend, &path, 0, progress);
        }
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
        let identity = identity.join().ok().flatten();
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

    /// What it was loaded with, to load it again.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Differs between models and adapters: KV state of one is nothing to another. None if a file could not be read twice.
    #[doc(hidden)]
    pub fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// What the model's file says of it.
    pub fn facts(&self) -> &ModelFacts {
        &self.facts
    }

    /// What the model takes together with a decoder that is opened like this.
    pub fn budget(&self, options: &DecoderOptions) -> MemoryBudget {
        MemoryBudget::of(&self.facts, self.adapter_bytes, options)
    }

    /// Whether a decoder opened like this fits beside the model.
    pub(super) fn check_fit(&self, options: &DecoderOptions) -> Result<(), LlmError> {
        let budget = self.budget(options);
        let (needed, allowed) = match self.source.allowed_bytes {
            Some(allowed) => (budget.resident(), Some(allowed)),
            // The model is there already, so what is still available is for the decoder.
            None => (budget.decoder(), available_memory()),
        };
        fits(needed, allowed)
    }

    pub(super) fn backend(&self) -> Result<&'static LlamaBackend, LlmError> {
        backend()
    }

    /// What it runs on.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Where it was loaded from.
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// The file's name, and the adapter's if there is one, for records and reports.
    pub fn name(&self) -> String {
        let name = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        match &self.source.adapter {
            Some(adapter) => format!("{} + {}", name(self.path()), name(adapter)),
            None => name(self.path()),
        }
    }

    /// Bytes of weights.
    pub fn bytes(&self) -> u64 {
        self.inner.size()
    }

    /// Number of parameters.
    pub fn parameters(&self) -> u64 {
        self.inner.n_params()
    }

    /// The context length that the model was trained with, in tokens.
    pub fn trained_context(&self) -> usize {
        self.inner.n_ctx_train() as usize
    }

    /// Whether it is a chat model (its file carries a chat template).
    pub fn has_chat_template(&self) -> bool {
        self.template.is_some()
    }

    /// `text` as tokens, without a start token. Special tokens are not parsed: text is data.
    pub fn tokens(&self, text: &str) -> Vec<Token> {
        self.inner.vocab().tokenize(text.as_bytes(), false, false)
    }

    /// The tokens of the ratings, and how they are corrected; none if the vocabulary has no digits of one token.
    pub fn stars(&self) -> Option<Stars> {
        let digits = (1..=STARS).map(|n| match self.tokens(&n.to_string())[..] {
            [token] => Some(token),
            _ => None,
        });
        let tokens = digits.collect::<Option<Vec<Token>>>()?.try_into().ok()?;
        Some(Stars { tokens, calibration: self.calibration })
    }

    /// The tokens that are never chosen.
    pub(super) fn unwritable(&self) -> Arc<Unwritable> {
        self.unwritable.get_or_init(|| Arc::new(Unwritable::of(&self.inner))).clone()
    }

    /// Appends what a token stands for; nothing for a special one.
    #[doc(hidden)]
    pub fn spell(&self, token: Token, out: &mut Vec<u8>) {
        self.inner.vocab().token_to_piece_into(token, out, false, None);
    }

    /// A prompt as tokens: body and lead for a base model; for a chat model the body as the user's turn in
    /// the model's own template and the lead as the beginning of the answer.
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

    /// What the chat template puts before and behind the user's turn.
    fn template_parts(&self) -> Option<(String, String)> {
        const MARK: &str = "\u{1}locket\u{1}";
        let message = LlamaChatMessage::new("user".into(), MARK.into()).ok()?;
        let filled = self.inner.apply_chat_template(self.template.as_ref()?, &[message], true).ok()?;
        let (before, after) = filled.split_once(MARK)?;
        Some((before.to_owned(), after.to_owned()))
    }
}

/// Loads the file with so many layers on a GPU; the flag tells whether `progress` broke off.
fn load_into(
    backend: &LlamaBackend,
    path: &Path,
    gpu_layers: u32,
    progress: Arc<Mutex<Option<Progress>>>,
) -> (Result<LlamaModel, llama_cpp_2::LlamaModelLoadError>, bool) {
    let cancelled = Arc::new(AtomicBool::new(false));
    let theirs = cancelled.clone();
    let params = LlamaModelParams::default().with_n_gpu_layers(gpu_layers).with_progress_callback(move |fraction| {
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        let go_on = progress.as_mut().is_none_or(|told| told(fraction).is_continue());
        theirs.store(!go_on, Ordering::Relaxed);
        go_on
    });
    let loaded = LlamaModel::load_from_file(backend, path, &params);
    (loaded, cancelled.load(Ordering::Relaxed))
}

/// A file's length, a SHA-256 of its metadata and a CRC-32 of its weights, which costs no more than reading them: this tells files
/// apart that were changed or replaced; it is no proof of where they come from.
fn fingerprint(path: &Path) -> Result<String, LlmError> {
    use sha2::Digest;
    let bytes = gguf::map(path)?;
    let data = gguf::parse(&bytes).map_or(0, |g| g.data as usize).min(bytes.len());
    let metadata = text::hex(&sha2::Sha256::digest(&bytes[..data]));
    Ok(format!("{} {metadata} {:08x}", bytes.len(), crc32fast::hash(&bytes[data..])))
}

/// Checks that the file `adapter` fits the model file `base` and returns its weights' bytes and how it corrects ratings.
fn check_adapter(adapter: &Path, base: &Path) -> Result<(u64, Calibration), LlmError> {
    let (adapter_bytes, base_bytes) = (gguf::map(adapter)?, gguf::map(base)?);
    let parsed = gguf::parse(&adapter_bytes).and_then(|a| {
        gguf::check_adapter(&a, &gguf::parse(&base_bytes)?)?;
        Ok((a.data_bytes, gguf::calibration(&a)?))
    });
    parsed.map_err(|source| LlmError::File { path: adapter.to_path_buf(), source })
}

/// Memory that the system could give to this process, in bytes, where it says so.
fn available_memory() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find(|l| l.starts_with("MemAvailable:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}
