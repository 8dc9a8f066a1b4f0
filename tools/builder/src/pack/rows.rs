//! Items and texts of a pack that is being built.

/// An item of the catalogue.
#[derive(Default)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) category: String,
}

/// Location of a public text in the spool, with its metadata.
pub(super) struct Row {
    pub(super) item: u32,
    pub(super) held_out: bool,
    pub(super) stars: u8,
    pub(super) author: u64,
    /// Milliseconds since 1970; `i64::MIN` if unknown.
    pub(super) time: i64,
    pub(super) offset: u64,
    pub(super) title_len: u32,
    pub(super) text_len: u32,
}

/// Returns CSR row starts for sorted row numbers.
pub(super) fn starts(rows: usize, sorted: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut starts = vec![0u32; rows + 1];
    for row in sorted {
        starts[row as usize + 1] += 1;
    }
    for n in 0..rows {
        starts[n + 1] += starts[n];
    }
    starts
}
