//! Tokens that are never generated: control tokens, unused tokens, and markup stored as one token.

use llama_cpp_2::{model::LlamaModel, token_type::LlamaTokenAttr};

use super::Token;

/// Set of tokens of a vocabulary that are never chosen.
#[derive(Debug, Default)]
pub(super) struct Unwritable(Vec<bool>);

impl Unwritable {
    /// Collects the set from a model's vocabulary.
    pub(super) fn of(model: &LlamaModel) -> Self {
        let vocab = model.vocab();
        let unwritable = |id: i32| {
            let token = Token::new(id);
            let kinds = vocab.attr(token).0;
            let control = kinds.intersects(LlamaTokenAttr::Control | LlamaTokenAttr::Unused | LlamaTokenAttr::Unknown);
            if control || !kinds.contains(LlamaTokenAttr::UserDefined) {
                // End-of-generation tokens are control tokens, but must stay available.
                return control && !vocab.is_eog(token);
            }
            let mut spelled = Vec::new();
            vocab.token_to_piece_into(token, &mut spelled, true, None);
            !vocab.is_eog(token) && is_markup(&String::from_utf8_lossy(&spelled))
        };
        Self((0..model.n_vocab()).map(unwritable).collect())
    }

    /// Whether `token` is never chosen.
    pub(super) fn contains(&self, token: Token) -> bool {
        usize::try_from(token.0).ok().and_then(|at| self.0.get(at)).copied().unwrap_or(false)
    }
}

/// Whether the whole token is a tag: `<start_of_image>`, `[multimodal]`, `<table>`.
fn is_markup(spelled: &str) -> bool {
    let tag = |open, close| spelled.len() > 2 && spelled.starts_with(open) && spelled.ends_with(close);
    tag('<', '>') || tag('[', ']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_markup_and_smileys_are_not() {
        assert!(["<start_of_image>", "[multimodal]", "</table>", "<unused12>"].into_iter().all(is_markup));
        assert!(["<3", ">", "<>", "[", "\n\n", "(a)"].into_iter().all(|text| !is_markup(text)));
    }
}
