//! Texts that retrieval returns.

use crate::pack::{ItemId, PublicText};

/// A retrieved text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour<'a> {
    /// The item that the text is about.
    pub item: ItemId,
    /// The text with its author and stars.
    pub text: PublicText<'a>,
    /// Score among its candidates: BM25, or with `Retriever::like` BM25 combined with style and
    /// length.
    pub score: f64,
}
