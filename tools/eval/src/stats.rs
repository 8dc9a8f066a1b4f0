//! Means with their standard errors.

use serde_json::{Map, Value, json};

use locket::internals::hash::draw;

/// Values of one metric over the evaluated users.
#[derive(Debug, Clone, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// Adds one user's value.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Number of values.
    pub fn n(&self) -> usize {
        self.0.len()
    }

    /// The mean; 0 without values.
    pub fn mean(&self) -> f64 {
        // The sum of nothing is -0.0 in Rust.
        self.0.iter().sum::<f64>() / (self.n() as f64).max(1.0) + 0.0
    }

    /// The standard error of the mean; 0 with fewer than two values.
    pub fn standard_error(&self) -> f64 {
        let (n, mean) = (self.n() as f64, self.mean());
        if n < 2.0 {
            return 0.0;
        }
        let variance = self.0.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (variance / n).sqrt()
    }

    /// Returns the 95 % bootstrap interval of the mean (Efron, 1979): percentiles of the means of
    /// 1,000 resamples, always the same ones.
    pub fn interval(&self) -> (f64, f64) {
        if self.0.is_empty() {
            return (0.0, 0.0);
        }
        let n = self.n();
        let mean = |places: Vec<usize>| places.into_iter().map(|place| self.0[place]).sum::<f64>() / n as f64;
        let mut means: Vec<f64> = resamples(n).map(mean).collect();
        means.sort_by(f64::total_cmp);
        (means[25], means[974])
    }

    /// Writes `name`, `name_se` and `name_interval` into a JSON object.
    pub fn write_interval(&self, name: &str, into: &mut Map<String, Value>) {
        self.write(name, into);
        into.insert(format!("{name}_interval"), json!(self.interval()));
    }

    /// Writes `name` and `name_se` into a JSON object.
    pub fn write(&self, name: &str, into: &mut Map<String, Value>) {
        into.insert(name.to_owned(), json!(self.mean()));
        into.insert(format!("{name}_se"), json!(self.standard_error()));
    }
}

/// Returns 1,000 draws of `n` indices of `n` with replacement, always the same ones.
pub(super) fn resamples(n: usize) -> impl Iterator<Item = Vec<usize>> {
    (0..1_000).map(move |round| (0..n as u64).map(|i| (draw(round, i) % n as u64) as usize).collect())
}

/// Returns the area under the ROC curve: the share of pairs in which the first text has the higher
/// score. Equal scores count half. `of` gives the score and the weight of a text. `None` without
/// pairs.
pub(super) fn roc_area<T>(positive: &[T], negative: &[T], of: impl Fn(&T) -> (f64, f64)) -> Option<f64> {
    let (mut above, mut all) = (0.0, 0.0);
    for (high, weight) in positive.iter().map(&of) {
        for (low, other) in negative.iter().map(&of) {
            let pair = weight * other;
            all += pair;
            above += pair * if high > low { 1.0 } else { f64::from(u8::from(high == low)) / 2.0 };
        }
    }
    (all > 0.0).then(|| above / all)
}

/// Returns the reciprocal rank of a score among others. Ties rank in the middle: an uninformative
/// score ranks by chance.
pub(super) fn reciprocal_rank(mine: f64, others: &[f64]) -> f64 {
    let better = others.iter().filter(|s| **s > mine).count() as f64;
    let equal = others.iter().filter(|s| **s == mine).count() as f64;
    1.0 / (1.0 + better + equal / 2.0)
}

impl FromIterator<f64> for Sample {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// Peak resident memory of this process in bytes, if the system reports it.
pub fn peak_rss_bytes() -> Option<u64> {
    status_bytes("VmHWM:")
}

/// Current resident memory of this process in bytes, if the system reports it.
pub fn rss_bytes() -> Option<u64> {
    status_bytes("VmRSS:")
}

fn status_bytes(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_error() {
        let sample: Sample = [1.0, 2.0, 3.0].into_iter().collect();
        assert_eq!(sample.mean(), 2.0);
        assert!((sample.standard_error() - 1.0 / 3f64.sqrt()).abs() < 1e-12);
        assert_eq!(Sample::default().standard_error(), 0.0);
        let (low, high) = (0..100).map(f64::from).collect::<Sample>().interval();
        // The mean is 49.5 and its standard error 2.9.
        assert!((40.0..47.0).contains(&low) && (52.0..59.0).contains(&high), "{low} {high}");
    }
}
