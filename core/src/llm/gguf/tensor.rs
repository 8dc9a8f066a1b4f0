//! Entries of a GGUF file's tensor list.

use super::GgufError;

/// Storage type of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorType {
    /// Type number in ggml.
    pub id: u32,
    /// Numbers per block.
    pub block: u64,
    /// Bytes per block.
    pub bytes: u64,
}

impl TensorType {
    /// 32-bit floats.
    pub const F32: Self = Self { id: 0, block: 1, bytes: 4 };

    /// Returns the type with ggml's number `id`, if it may hold weights. Integers and the types of
    /// intermediate results may not: llama.cpp has no matrix products for them.
    pub fn weights(id: u32) -> Option<Self> {
        // (number, block, bytes), as in ggml's type table.
        const TYPES: [(u32, u64, u64); 27] = [
            (0, 1, 4),     // F32
            (1, 1, 2),     // F16
            (2, 32, 18),   // Q4_0
            (3, 32, 20),   // Q4_1
            (6, 32, 22),   // Q5_0
            (7, 32, 24),   // Q5_1
            (8, 32, 34),   // Q8_0
            (10, 256, 84), // Q2_K
            (11, 256, 110),
            (12, 256, 144),
            (13, 256, 176),
            (14, 256, 210), // Q6_K
            (16, 256, 66),  // IQ2_XXS
            (17, 256, 74),
            (18, 256, 98),
            (19, 256, 50),
            (20, 32, 18), // IQ4_NL
            (21, 256, 110),
            (22, 256, 82),
            (23, 256, 136),
            (29, 256, 56), // IQ1_M
            (30, 1, 2),    // BF16
            (34, 256, 54), // TQ1_0
            (35, 256, 66),
            (39, 32, 17),  // MXFP4
            (41, 128, 18), // Q1_0
            (42, 64, 18),  // Q2_0
        ];
        TYPES.iter().find(|t| t.0 == id).map(|&(id, block, bytes)| Self { id, block, bytes })
    }
}

/// One entry of a file's tensor list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tensor<'a> {
    /// Name, at most 63 bytes.
    pub name: &'a str,
    /// Shape, the fastest dimension first; unused dimensions are 1.
    pub shape: [u64; 4],
    /// Number of dimensions in the file, 1 to 4.
    pub dimensions: u32,
    /// Storage type.
    pub kind: TensorType,
    /// Size in bytes.
    pub bytes: u64,
}

impl<'a> Tensor<'a> {
    /// Creates a tensor and checks its shape, its type and its size.
    ///
    /// # Errors
    /// `GgufError::Tensor` names the first error.
    pub fn new(name: &'a str, dims: &[u64], kind: u32) -> Result<Self, GgufError> {
        let bad = |what| GgufError::Tensor { name: name.to_owned(), what };
        let kind = TensorType::weights(kind).ok_or(bad("its data type is unknown or cannot hold weights"))?;
        let mut shape = [1u64; 4];
        for (to, &from) in shape.iter_mut().zip(dims) {
            *to = from;
        }
        if dims.is_empty() || dims.len() > 4 || shape.contains(&0) {
            return Err(bad("it must have one to four dimensions of at least one"));
        }
        if shape[0] % kind.block != 0 {
            return Err(bad("its rows are not whole blocks of its data type"));
        }
        // Vectors are norms and biases; llama.cpp adds and multiplies them only as 32-bit floats.
        if dims.len() == 1 && kind != TensorType::F32 {
            return Err(bad("a vector must hold 32-bit floats"));
        }
        let numbers = shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d)).filter(|&n| n <= i64::MAX as u64);
        let bytes = numbers.and_then(|n| (n / kind.block).checked_mul(kind.bytes));
        let bytes = bytes.ok_or(bad("its dimensions overflow"))?;
        Ok(Self { name, shape, dimensions: dims.len() as u32, kind, bytes })
    }

    /// Whether llama.cpp keeps a second copy in the order that this CPU's kernels read. It does for
    /// matrices of some types with a number of rows divisible by the kernel's block of rows. The
    /// embedding is looked up rather than multiplied and is not copied.
    pub fn is_repacked(&self) -> bool {
        let rows = if cfg!(target_arch = "aarch64") { 4 } else { 8 };
        let product = self.name.starts_with("blk.") || self.name == "output.weight";
        product && self.dimensions == 2 && self.shape[1].is_multiple_of(rows) && repacking(self.kind.id)
    }
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn repacking(kind: u32) -> bool {
    const Q4_0_Q4_K_IQ4_NL_MXFP4: [u32; 4] = [2, 12, 20, 39];
    const Q2_K: u32 = 10;
    (is_x86_feature_detected!("avx2") && Q4_0_Q4_K_IQ4_NL_MXFP4.contains(&kind))
        || (is_x86_feature_detected!("avx512f") && kind == Q2_K)
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
fn repacking(kind: u32) -> bool {
    // Q4_0, Q8_0, Q4_K, Q5_K, Q6_K, IQ4_NL, MXFP4, Q1_0: repacked on ARM with dot-product
    // instructions, so on nearly every phone.
    cfg!(target_arch = "aarch64") && [2, 8, 12, 13, 14, 20, 39, 41].contains(&kind)
}
