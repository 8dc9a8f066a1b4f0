//! Ratings of 1 to 5 stars: the model's logits are calibrated, and the median is taken.

use llama_cpp_2::token::{data::LlamaTokenData, data_array::LlamaTokenDataArray};

use super::Token;

/// Number of ratings: 1 to 5 stars.
pub const STARS: usize = 5;

/// Calibration of the logits of the ratings: bias-corrected temperature scaling (Alexandari et al.,
/// arXiv 1901.06852). The adapter file stores it; `locket align ratings` fits it.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Calibration {
    /// Factor of the logits, above 0.
    pub scale: f64,
    /// Biases added to the scaled logits, from 1 to 5 stars.
    pub bias: [f64; STARS],
}

impl Default for Calibration {
    /// Returns a calibration without correction.
    fn default() -> Self {
        Self { scale: 1.0, bias: [0.0; STARS] }
    }
}

impl Calibration {
    /// Returns the calibrated probability of each rating, given the model's `logits` (or
    /// log-probabilities).
    pub fn probabilities(&self, logits: &[f64; STARS]) -> [f64; STARS] {
        let mut out = [0.0; STARS];
        (0..STARS).for_each(|n| out[n] = self.scale * logits[n] + self.bias[n]);
        let most = out.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        out.iter_mut().for_each(|p| *p = (*p - most).exp());
        let sum: f64 = out.iter().sum();
        out.map(|p| p / sum)
    }

    /// Returns the scale and the biases, as a file stores them.
    pub fn numbers(&self) -> [f32; STARS + 1] {
        let mut out = [self.scale as f32; STARS + 1];
        out[1..].iter_mut().zip(self.bias).for_each(|(to, bias)| *to = bias as f32);
        out
    }

    /// Creates a calibration from the numbers of [`Calibration::numbers`]. Returns `None` if they
    /// are invalid: the scale must be above 0, and no absolute value above 100.
    pub fn of_numbers(numbers: &[f32]) -> Option<Self> {
        const MOST: f32 = 100.0;
        let (&scale, bias) = numbers.split_first()?;
        let bias: [f32; STARS] = bias.try_into().ok()?;
        let sound = scale > 0.0 && scale <= MOST && bias.iter().all(|b| b.abs() <= MOST);
        sound.then(|| Self { scale: scale.into(), bias: bias.map(f64::from) })
    }
}

/// Returns the index of the median rating: the rating with the smallest expected absolute error.
pub fn median(probabilities: &[f64; STARS]) -> usize {
    let mut below = 0.0;
    let half = |p: &f64| {
        below += p;
        below >= 0.5
    };
    probabilities.iter().position(half).unwrap_or(STARS - 1)
}

/// Tokens for 1 to 5 stars, and their calibration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stars {
    /// Tokens, from 1 to 5 stars.
    pub tokens: [Token; STARS],
    /// Calibration of their logits.
    pub calibration: Calibration,
}

impl Stars {
    /// Writes the ratings' calibrated log-probabilities to `few`, largest first. With `the_median`,
    /// only the median rating is written.
    pub(super) fn weigh(&self, logits: &[f32], the_median: bool, few: &mut LlamaTokenDataArray) {
        let raw = self.tokens.map(|token| logits.get(token.0 as usize).copied().unwrap_or(f32::MIN).into());
        let probabilities = self.calibration.probabilities(&raw);
        let middle = median(&probabilities);
        let all = self.tokens.into_iter().zip(probabilities).enumerate();
        few.data.clear();
        few.data.extend(
            all.filter(|(n, _)| !the_median || *n == middle)
                .map(|(_, (token, p))| LlamaTokenData::new(token, p.max(f64::MIN_POSITIVE).ln() as f32, 0.0)),
        );
        few.data.sort_unstable_by(|a, b| b.logit().total_cmp(&a.logit()));
        (few.selected, few.sorted) = (None, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_scaled_and_shifted() {
        let raw = [0.0, 1.0, 2.0, 3.0, 4.0];
        let plain = Calibration::default().probabilities(&raw);
        assert!((plain.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((plain[4] / plain[3] - 1f64.exp()).abs() < 1e-9);
        let flat = Calibration { scale: 0.5, bias: [0.0, -0.5, -1.0, -1.5, -2.0] }.probabilities(&raw);
        assert!(flat.iter().all(|p| (p - 0.2).abs() < 1e-12));
    }

    #[test]
    fn the_median_is_the_middle_of_what_is_likely() {
        assert_eq!(median(&[0.1, 0.2, 0.3, 0.2, 0.2]), 2);
        assert_eq!(median(&[0.6, 0.0, 0.0, 0.0, 0.4]), 0);
        // The most likely rating has a larger expected error than the median.
        assert_eq!(median(&[0.0, 0.0, 0.3, 0.3, 0.4]), 3);
        assert_eq!(median(&[0.0; STARS]), STARS - 1);
    }

    #[test]
    fn numbers_of_a_file() {
        let calibration = Calibration { scale: 0.75, bias: [-1.0, -0.5, 0.0, 0.25, 1.25] };
        assert_eq!(Calibration::of_numbers(&calibration.numbers()), Some(calibration));
        for wrong in [vec![], vec![1.0; 5], vec![1.0; 7], vec![0.0; 6], vec![f32::NAN; 6], vec![1e9; 6]] {
            assert_eq!(Calibration::of_numbers(&wrong), None, "{wrong:?}");
        }
        let mut infinite = calibration.numbers();
        infinite[3] = f32::INFINITY;
        assert_eq!(Calibration::of_numbers(&infinite), None);
    }
}
