//! The options of a request, shared by `locket generate`, `plan` and `show`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use locket::{Engine, GenerateRequest, Kind, Length, ReasoningPath, Resize, Sampling, Task};

use crate::{
    files::{self, TextArgs},
    open,
};

#[derive(Clone, Copy, clap::ValueEnum)]
enum TaskArg {
    /// Title in, text out
    Text,
    /// Text in, title out
    Title,
    /// Title and text in, 1 to 5 out
    Rating,
}

impl From<TaskArg> for Task {
    fn from(arg: TaskArg) -> Self {
        match arg {
            TaskArg::Text => Task::Text,
            TaskArg::Title => Task::Title,
            TaskArg::Rating => Task::Rating,
        }
    }
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum LengthArg {
    /// Up to 12 words
    Brief,
    /// Up to 40 words
    Short,
    /// Up to 100 words
    Medium,
    /// More than 100 words
    Long,
}

impl From<LengthArg> for Length {
    fn from(arg: LengthArg) -> Self {
        match arg {
            LengthArg::Brief => Self::Brief,
            LengthArg::Short => Self::Short,
            LengthArg::Medium => Self::Medium,
            LengthArg::Long => Self::Long,
        }
    }
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum ResizeArg {
    /// As long as the draft
    #[default]
    Keep,
    /// At most six tenths of the draft
    Shorter,
    /// One and a half to two times the draft
    Longer,
}

impl From<ResizeArg> for Resize {
    fn from(arg: ResizeArg) -> Self {
        match arg {
            ResizeArg::Keep => Self::Keep,
            ResizeArg::Shorter => Self::Shorter,
            ResizeArg::Longer => Self::Longer,
        }
    }
}

/// The options of a request.
#[derive(clap::Args)]
pub struct RequestArgs {
    /// The kind of writing
    #[arg(long, default_value = "review", value_parser = files::kind)]
    kind: Kind,
    /// Id of the item to write about; reviews need one
    #[arg(long, default_value = "")]
    item: String,
    /// The item's name, for an item without a name in the pack
    #[arg(long, allow_hyphen_values = true, value_parser = files::words)]
    item_title: Option<String>,
    /// Output to generate
    #[arg(long, value_enum, default_value_t = TaskArg::Text)]
    task: TaskArg,
    /// The message to answer
    #[arg(long, allow_hyphen_values = true, value_parser = files::words)]
    context: Option<String>,
    /// Opaque id of the recipient: earlier texts to the same recipient come first
    #[arg(long)]
    audience: Option<String>,
    /// Address or name of the recipient, in place of its opaque id
    #[arg(long, value_name = "ADDRESS", conflicts_with = "audience", value_parser = files::words)]
    to: Option<String>,
    /// Your notes: the content of the text in a few words
    #[arg(long, allow_hyphen_values = true, value_parser = files::words)]
    gist: Option<String>,
    /// A draft to rewrite in the user's style
    #[arg(long, allow_hyphen_values = true, value_parser = files::words)]
    draft: Option<String>,
    /// Length of the rewritten draft
    #[arg(long, value_enum, default_value_t = ResizeArg::Keep, requires = "draft")]
    resize: ResizeArg,
    /// The plan of the text, as `locket plan` prints it
    #[arg(long, value_name = "LINE")]
    plan: Option<ReasoningPath>,
    /// File with a JSON schema: the text is a JSON value that fits it
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// The title, for the tasks text and rating; an e-mail's subject
    #[arg(long, allow_hyphen_values = true, value_parser = files::words)]
    title: Option<String>,
    // The text, for the tasks title and rating.
    #[command(flatten)]
    text: TextArgs,
    /// Generate a plan first, and show it; a plan does not improve the text
    #[arg(long)]
    reasoning: bool,
    /// Length of the text; default: the user's usual length
    #[arg(long, value_enum)]
    length: Option<LengthArg>,
    /// Maximum number of tokens of the text; default: the kind's limit. A word has about 1.3 tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    max_new_tokens: Option<u16>,
    /// Sampling temperature; 0 always takes the likeliest token. Default: 1 for a text without notes,
    /// draft, plan and schema, else 0
    #[arg(long)]
    temperature: Option<f32>,
    /// Seed of sampling
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Weight of contrastive decoding against a prompt without the user's texts; 0 takes less time
    #[arg(long, value_name = "WEIGHT", default_value_t = locket::internals::generation::output::CONTRAST)]
    contrast: f32,
    /// End the text after this many seconds, at its last whole sentence
    #[arg(long, value_name = "SECONDS")]
    deadline: Option<f64>,
}

impl RequestArgs {
    /// Whether the options name anything to write.
    pub fn is_given(&self) -> bool {
        let given = [&self.item_title, &self.context, &self.gist, &self.draft, &self.title];
        !self.item.is_empty() || self.text.is_given() || given.iter().any(|value| value.is_some())
    }

    /// Returns the file that the request is read from.
    pub fn file(&self) -> Option<&Path> {
        self.text.file()
    }

    /// Returns the kind whose adapter fits the request, `None` for any writing: a text from notes, a
    /// draft or a plan gets the adapter that learned to write from them.
    pub fn adapter_kind(&self) -> Option<&Kind> {
        let given = self.gist.is_some() || self.draft.is_some() || self.plan.is_some();
        (!given || !matches!(self.task, TaskArg::Text)).then_some(&self.kind)
    }

    /// Returns the request, with the text of `--text-file`. `engine` makes the recipient's id.
    pub fn request(&self, engine: &Engine) -> anyhow::Result<GenerateRequest> {
        let mut request = GenerateRequest::new(&self.item, self.task.into()).with_kind(self.kind.clone());
        request.text = self.text.read()?;
        request.item_title.clone_from(&self.item_title);
        request.title.clone_from(&self.title);
        request.context.clone_from(&self.context);
        request.audience = open::audience(engine, self.audience.clone(), self.to.as_deref())?;
        request.gist.clone_from(&self.gist);
        request.draft.clone_from(&self.draft);
        request.resize = self.resize.into();
        request.plan.clone_from(&self.plan);
        request.schema = self.schema.as_deref().map(files::read_text).transpose()?;
        request.reasoning = self.reasoning;
        request.length = self.length.map(Into::into);
        if let Some(most) = self.max_new_tokens {
            request.options.max_new_tokens = most.into();
        }
        request.options.contrast = self.contrast;
        request.options.seed = self.seed;
        request.options.sampling = self.temperature.map(|t| Sampling::at(t).with_seed(self.seed));
        request.deadline = self.deadline.map(Duration::try_from_secs_f64).transpose()?;
        Ok(request)
    }
}
