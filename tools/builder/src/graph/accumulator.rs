//! A sparse sum over a known range of indices, reused from row to row.

/// Sums by index, and which indices have one.
pub(super) struct Accumulator {
    sums: Vec<f32>,
    touched: Vec<u32>,
}

impl Accumulator {
    /// Indices `0..n`, all without a sum.
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

    /// Every (index, sum) once, in the order in which they were first added to; afterwards nothing has a sum. An index whose
    /// sum passed through zero comes again, with 0.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (u32, f32)> + '_ {
        let sums = &mut self.sums;
        self.touched.drain(..).map(|index| (index, std::mem::take(&mut sums[index as usize])))
    }
}
