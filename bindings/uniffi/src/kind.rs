//! Kinds of writing.

/// A kind of writing: its names, and the fields that a prompt shows. `kind_named` returns the
/// shipped kinds; an app may define its own.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Kind {
    /// The name that records carry, such as `email`.
    pub name: String,
    /// One text of this kind, in the middle of a sentence, such as `e-mail`.
    pub one: String,
    /// Several texts of this kind, such as `e-mails`.
    pub many: String,
    /// Label of the title in prompts, such as `Subject`. Absent if texts have no title.
    #[uniffi(default)]
    pub title: Option<String>,
    /// Label of the item's name. Absent if texts are not about items.
    #[uniffi(default)]
    pub item: Option<String>,
    /// Label of the text that is answered.
    #[uniffi(default = "Message")]
    pub context: String,
    /// Whether line breaks belong to the text.
    #[uniffi(default = false)]
    pub paragraphs: bool,
    /// Maximum length of an earlier text in a prompt, in words.
    #[uniffi(default = 60)]
    pub excerpt_words: u32,
    /// Default limit of a new text, in tokens.
    #[uniffi(default = 160)]
    pub max_new_tokens: u32,
}

/// Returns the shipped kind with this name: review, reply, email, note, post, caption, headline or
/// answer. Returns nothing for another name.
#[uniffi::export]
pub fn kind_named(name: String) -> Option<Kind> {
    let kind = locket::Kind::named(&name)?;
    Some(Kind {
        name: kind.name,
        one: kind.one,
        many: kind.many,
        title: kind.title,
        item: kind.item,
        context: kind.context,
        paragraphs: kind.paragraphs,
        excerpt_words: kind.excerpt_words as u32,
        max_new_tokens: kind.max_new_tokens as u32,
    })
}

impl From<Kind> for locket::Kind {
    fn from(kind: Kind) -> Self {
        // Only a review has ratings and plans.
        if kind.name == "review" {
            return Self::review();
        }
        let mut own = Self::new(kind.name, kind.one, kind.many)
            .with_context(kind.context)
            .with_paragraphs(kind.paragraphs)
            .with_excerpt_words(kind.excerpt_words as usize)
            .with_max_new_tokens(kind.max_new_tokens as usize);
        own.title = kind.title;
        own.item = kind.item;
        own
    }
}
