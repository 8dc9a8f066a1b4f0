//! Sparse sums over a fixed range of indices, reused from row to row.

/// Sums by index, and the list of indices that have one.
pub(super) struct Accumulator {
    sums: Vec<f32>,
    touched: Vec<u32>,
}

impl Accumulator {
    /// An accumulator for indices `0..n`, without sums.
    pub(super) fn new(n: usize) -> Self {
        Self { sums: vec![0.0; n], touched: Vec::new() }
    }

    /// Adds `value` to the sum of `index`.
    pub(super) fn add(&mut self, index: usize, value: f32) {
        let sum = &mut self.sums[index];
        if *sum == 0.0 {
            self.touched.push(index as u32);
        }
        *sum += value;
    }

    /// Removes every sum and returns (index, sum) in the order of first addition. An index whose
    /// sum passed through zero appears again, with 0.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (u32, f32)> + '_ {
        let sums = &mut self.sums;
        self.touched.drain(..).map(|index| (index, std::mem::take(&mut sums[index as usize])))
    }
}
