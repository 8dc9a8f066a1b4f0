//! A text that was generated for an evaluated person, and its scores.

use super::cases::Key;

/// What was written for one person, and its scores.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Prediction {
    /// The person.
    pub user: String,
    /// How many later texts of the person are left out.
    #[serde(default, skip_serializing_if = "none")]
    pub earlier: usize,
    /// Number of history interactions that were used.
    pub history: usize,
    /// What was written.
    pub prediction: String,
    /// What the person wrote.
    pub reference: String,
    /// ROUGE-1, ROUGE-L, METEOR for texts and titles; absolute error for ratings.
    pub scores: Vec<f64>,
    /// The plan, if one was written; none of a text that another rule chooses from a file of an earlier build.
    pub path: Option<String>,
    /// Number of synthetic interactions in the prompt.
    pub synthetic: usize,
    /// Why the gate refused synthetic texts, one word each.
    pub refused: Vec<String>,
    /// Tokens written, synthetic texts included.
    pub tokens: usize,
    /// Wall time, synthetic texts included: the part of one person in that of all who were written for together.
    #[serde(default)]
    pub seconds: f64,
    /// All texts among which the prediction was chosen, if there were several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
    /// How often each of them is taken out of a random half of them: what was taken is one draw, these are [`HALVES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<u32>,
}

impl Prediction {
    /// Which text it is.
    pub(super) fn key(&self) -> Key {
        (self.user.clone(), self.earlier)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn none(earlier: &usize) -> bool {
    *earlier == 0
}

/// Random halves of the candidates of one person.
pub const HALVES: usize = 40;
