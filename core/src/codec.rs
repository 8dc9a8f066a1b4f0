//! Encoding of records as bytes.
//!
//! `bincode` 2 is final and unmaintained (RUSTSEC-2025-0141, no known defect). Its format is
//! frozen, which suits data on disk. Every record starts with [`VERSION`]. A second version here
//! can therefore write another format and still read this one.

use serde::{Serialize, de::DeserializeOwned};

/// Version of the format of the bytes after the tag. Policy: a reader accepts every released
/// version, and a writer uses the newest. Version 2 added kind, context and audience to
/// interactions, version 3 the origin of texts that were sent from a draft.
pub(crate) const VERSION: u8 = 3;

/// Maximum size of a decoded record, in bytes: a corrupt length must not cause an allocation.
const LIMIT: usize = 16 << 20;

/// The reason for a failed encoding or decoding of a record.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum CodecError {
    /// The input is empty.
    #[error("the record is empty")]
    Empty,
    /// The record was written by a newer Locket. Update the app.
    #[error("record format {0} is newer than this build reads ({VERSION})")]
    Version(u8),
    /// The bytes are damaged.
    #[error("the record is damaged: {0}")]
    Damaged(String),
}

/// Returns the encoded length of `value` in bytes, without the tag.
pub(crate) fn length<T: Serialize>(value: &T) -> Result<usize, CodecError> {
    bincode::serde::encode_into_std_write(value, &mut std::io::sink(), bincode::config::standard())
        .map_err(|e| CodecError::Damaged(e.to_string()))
}

/// Returns `value` as tagged bytes. The buffer never grows, so freed memory holds no copy of it.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::with_capacity(1 + length(value)?);
    out.push(VERSION);
    bincode::serde::encode_into_std_write(value, &mut out, bincode::config::standard())
        .map_err(|e| CodecError::Damaged(e.to_string()))?;
    Ok(out)
}

/// Decodes the value in tagged bytes. `convert` converts a value of version 1.
pub(crate) fn decode<First: DeserializeOwned, T: DeserializeOwned>(
    bytes: &[u8],
    convert: impl FnOnce(First) -> T,
) -> Result<T, CodecError> {
    let (&tag, body) = bytes.split_first().ok_or(CodecError::Empty)?;
    match tag {
        1 => body_of(body).map(convert),
        2 | VERSION => body_of(body),
        newer => Err(CodecError::Version(newer)),
    }
}

/// Decodes the bytes after the tag.
fn body_of<T: DeserializeOwned>(body: &[u8]) -> Result<T, CodecError> {
    let config = bincode::config::standard().with_limit::<LIMIT>();
    let (value, used) =
        bincode::serde::decode_from_slice(body, config).map_err(|e| CodecError::Damaged(e.to_string()))?;
    if used != body.len() {
        return Err(CodecError::Damaged(format!("{} bytes left over", body.len() - used)));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        history::{Interaction, Origin, Record},
        plan::ReasoningPath,
    };
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<Record, Record>(&bytes, |r| r);
        }

        #[test]
        fn records_survive(item in "\\PC{1,20}", text in "\\PC{0,80}", rating in proptest::option::of(1f32..5.0), synthetic: bool) {
            let origin = if synthetic {
                Origin::Synthetic { path: ReasoningPath::default(), model: "m".into() }
            } else {
                Origin::Real
            };
            let record = Record { interaction: Interaction { item, text, rating, ..Default::default() }, origin };
            prop_assert_eq!(decode::<Record, Record>(&encode(&record).unwrap(), |r| r).unwrap(), record);
        }
    }

    #[test]
    fn tags_are_checked() {
        let decode = |bytes| decode::<u32, u32>(bytes, |n| n + 1);
        assert_eq!(decode(&[]), Err(CodecError::Empty));
        assert_eq!(decode(&[9, 0]), Err(CodecError::Version(9)));
        assert_eq!((decode(&[1, 7]), decode(&[VERSION, 7])), (Ok(8), Ok(7)));
        assert!(matches!(decode(&[VERSION, 0, 0]), Err(CodecError::Damaged(_))));
    }
}
