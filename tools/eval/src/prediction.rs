//! Generated texts of evaluated users, and their scores.

use super::cases::Key;

/// A generated text of one user, and its scores.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Prediction {
    /// User id.
    pub user: String,
    /// Number of later texts of the user that are held out.
    #[serde(default, skip_serializing_if = "none")]
    pub earlier: usize,
    /// Number of history interactions used.
    pub history: usize,
    /// Generated text.
    pub prediction: String,
    /// True text.
    pub reference: String,
    /// ROUGE-1, ROUGE-L, METEOR for texts and titles; absolute error for ratings.
    pub scores: Vec<f64>,
    /// Plan, if one was generated. `None` if another build wrote the file and the current rule
    /// chose another candidate.
    pub path: Option<String>,
    /// Number of synthetic interactions in the prompt.
    pub synthetic: usize,
    /// Reasons why the gate refused synthetic texts, one word each.
    pub refused: Vec<String>,
    /// Number of generated tokens, synthetic texts included.
    pub tokens: usize,
    /// Wall time in seconds, synthetic texts included: the time of a batch, divided by its number
    /// of cases.
    #[serde(default)]
    pub seconds: f64,
    /// The notes that the request gave, made from the true text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gist: Option<String>,
    /// Whether the text shares a run of eight words with the user's other texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_run: Option<bool>,
    /// Details of the text that stand neither in the request nor in the shown history.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsupported: Vec<String>,
    /// All candidates of the prediction, if there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
    /// Mean log-probability of a token of each candidate, in nats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_probs: Vec<f64>,
    /// How often each candidate is chosen from a random half of the candidates, out of [`HALVES`]
    /// draws. The prediction itself is one choice; these counts show its variation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<u32>,
}

impl Prediction {
    /// Returns the key of the case.
    pub(super) fn key(&self) -> Key {
        (self.user.clone(), self.earlier)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn none(earlier: &usize) -> bool {
    *earlier == 0
}

/// Number of random halves of one text's candidates.
pub const HALVES: usize = 40;
