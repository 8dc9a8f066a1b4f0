//! The policy of a pack: the texts besides the user's own that help its population, by measurement.

use serde::{Deserialize, Serialize};

/// Texts in the prompt of a review, besides the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Sources {
    /// The user's own texts.
    Own,
    /// The user's own texts, and other users' texts on the item.
    Retrieved,
    /// The user's own texts, other users' texts on the item, and the user's synthetic texts.
    Synthetic,
}

/// The sources for users with own texts, and the measurement that chose them. Users without own
/// texts always get other users' texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Policy {
    /// The chosen sources.
    pub sources: Sources,
    /// Number of measured users.
    pub people: usize,
    /// Name of the model that wrote the texts.
    pub model: String,
    /// The measured sources, the user's own texts first.
    pub measured: Vec<Measured>,
    /// Calibration of the model's ratings, if it lowers their loss on held-out users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rating: Option<RatingFit>,
}

/// Calibration of a model's ratings on a population: bias-corrected temperature scaling (Alexandari et
/// al., arXiv 1901.06852). It replaces the calibration in the adapter's file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RatingFit {
    /// Scale of the logits of 1 to 5 stars, and the five biases added to them.
    pub numbers: Vec<f64>,
    /// Identity of the model and its adapter; the fit is for these weights only.
    pub weights: String,
    /// Number of ratings of the fit.
    pub ratings: usize,
    /// Mean negative log-likelihood of a held-out rating before and after the fit, in nats.
    pub loss: [f64; 2],
    /// Mean absolute error of a held-out rating before and after the fit, in stars.
    pub mae: [f64; 2],
}

impl RatingFit {
    /// Creates a fit from its numbers, the weights' identity, and the number of ratings.
    pub fn new(numbers: Vec<f64>, weights: impl Into<String>, ratings: usize, loss: [f64; 2], mae: [f64; 2]) -> Self {
        Self { numbers, weights: weights.into(), ratings, loss, mae }
    }
}

/// Texts from one choice of sources, compared with the users' true texts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Measured {
    /// The sources.
    pub sources: Sources,
    /// Mean ROUGE-1 (F1, 0 to 1) of the texts.
    pub rouge1: f64,
    /// Mean difference of ROUGE-1 to texts from the user's own texts alone, paired by user.
    pub gain: f64,
    /// Standard error of the gain.
    pub gain_se: f64,
}

impl Measured {
    /// Creates a measurement.
    pub fn new(sources: Sources, rouge1: f64, (gain, gain_se): (f64, f64)) -> Self {
        Self { sources, rouge1, gain, gain_se }
    }

    /// Whether the gain exceeds two standard errors.
    fn pays(&self) -> bool {
        self.gain > 2.0 * self.gain_se
    }
}

impl Policy {
    /// Returns the policy for a measurement: the sources with the largest gain that exceeds two
    /// standard errors, else the user's own texts alone.
    pub fn of(measured: Vec<Measured>, people: usize, model: impl Into<String>) -> Self {
        let best = measured.iter().filter(|m| m.pays()).max_by(|a, b| a.gain.total_cmp(&b.gain));
        let sources = best.map_or(Sources::Own, |best| best.sources);
        Self { sources, people, model: model.into(), measured, rating: None }
    }

    /// Sets the calibration of ratings.
    #[must_use]
    pub fn with_rating(self, rating: Option<RatingFit>) -> Self {
        Self { rating, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_needs_a_gain_beyond_its_error() {
        let of = |gains: [(f64, f64); 2]| {
            let sources = [Sources::Retrieved, Sources::Synthetic].into_iter().zip(gains);
            Policy::of(sources.map(|(sources, gain)| Measured::new(sources, 0.2, gain)).collect(), 90, "m").sources
        };
        assert_eq!(of([(0.01, 0.01), (-0.02, 0.001)]), Sources::Own);
        assert_eq!(of([(0.03, 0.01), (0.02, 0.001)]), Sources::Retrieved);
        assert_eq!(of([(0.03, 0.02), (0.02, 0.001)]), Sources::Synthetic);
    }

    #[test]
    fn a_policy_is_stored_in_words() {
        let policy = Policy::of(vec![Measured::new(Sources::Retrieved, 0.25, (0.03, 0.01))], 40, "gemma");
        let json = serde_json::to_string(&policy).unwrap();
        assert!(json.contains(r#""sources":"retrieved","people":40"#), "{json}");
        assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), policy);
    }
}
