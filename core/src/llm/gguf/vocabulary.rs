//! Checks of a model file's vocabulary.

use std::collections::HashSet;

use super::{
    Array, Gguf, GgufError, Value,
    parse::{F32, I32},
};

/// Maximum number of tokens; the largest released vocabularies have 2^18.
const MAX_TOKENS: usize = 1 << 21;
/// Minimum number of tokens: llama.cpp's default numbers of special tokens are below this.
const MIN_TOKENS: usize = 16;

/// Metadata key of the list of merges.
pub const MERGES: &str = "tokenizer.ggml.merges";

/// Token type number of a byte token.
const BYTE: i64 = 6;

/// Checks the vocabulary and returns its size in tokens.
pub fn check(gguf: &Gguf<'_>) -> Result<usize, GgufError> {
    let need = |key: &str| GgufError::Missing(key.to_owned());
    let bad = |what: String| GgufError::Vocabulary(what);
    let model = gguf.text("tokenizer.ggml.model")?.ok_or_else(|| need("tokenizer.ggml.model"))?;
    if !["llama", "gpt2"].contains(&model) {
        return Err(bad(format!("the kind {model:?} is not supported")));
    }
    let list = gguf.array("tokenizer.ggml.tokens")?.ok_or_else(|| need("tokenizer.ggml.tokens"))?;
    let count = list.len();
    if !(MIN_TOKENS..=MAX_TOKENS).contains(&count) {
        return Err(bad(format!("{count} tokens")));
    }
    let tokens = list.texts().ok_or_else(|| GgufError::Type("tokenizer.ggml.tokens".into()))?;
    // Two tokens with the same text abort llama.cpp's process. An empty token gets a substitute
    // text that may equal another token's.
    let mut seen = HashSet::with_capacity(count);
    for (n, token) in tokens.enumerate() {
        if std::str::from_utf8(token).is_err() {
            return Err(bad(format!("token {n} is not UTF-8")));
        }
        if token.is_empty() || !seen.insert(token) {
            return Err(bad(format!("token {n} is empty or comes twice")));
        }
    }

    let column = |key: &str, kinds: &[u32]| -> Result<Option<Array<'_>>, GgufError> {
        let Some(column) = gguf.array(key)? else { return Ok(None) };
        if !kinds.iter().any(|&k| column.is_of(k)) {
            return Err(GgufError::Type(key.to_owned()));
        }
        if column.len() != count {
            return Err(bad(format!("{key} has {} entries for {count} tokens", column.len())));
        }
        Ok(Some(column))
    };
    column("tokenizer.ggml.scores", &[F32, I32])?;
    let kinds = column("tokenizer.ggml.token_type", &[I32])?.ok_or_else(|| need("tokenizer.ggml.token_type"))?;
    let kinds = kinds.scalars().into_iter().flatten();
    for ((n, token), kind) in list.texts().into_iter().flatten().enumerate().zip(kinds) {
        match kind {
            Value::Signed(BYTE) if byte_of(token).is_none() => {
                return Err(bad(format!("token {n} stands for a byte and is not of the form <0xHH>")));
            }
            Value::Signed(0..=6) => {}
            other => return Err(bad(format!("token {n} is of kind {other:?}"))),
        }
    }
    match model {
        // A byte without a token aborts the process when a text contains it.
        "llama" => {
            let missing = (0..=255u8).find(|b| !seen.contains(format!("<0x{b:02X}>").as_bytes()));
            if let Some(byte) = missing {
                return Err(bad(format!("the byte {byte:#04x} has no token")));
            }
        }
        _ => drop(merges(gguf)?),
    }
    special(gguf, count)?;
    Ok(count)
}

/// Returns the byte that `<0xHH>` stands for.
fn byte_of(token: &[u8]) -> Option<u8> {
    let digits = token.strip_prefix(b"<0x")?.strip_suffix(b">")?;
    let upper = digits.len() == 2 && digits.iter().all(|d| d.is_ascii_digit() || (b'A'..=b'F').contains(d));
    if upper { u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok() } else { None }
}

/// Returns the list of merges. Each merge is two texts separated by a space.
pub fn merges<'a>(gguf: &Gguf<'a>) -> Result<Vec<(&'a str, &'a str)>, GgufError> {
    let pair = |(n, merge): (usize, &'a [u8])| {
        // The first token may begin with a space.
        let text = std::str::from_utf8(merge).unwrap_or_default();
        let first = text.chars().next().map_or(0, char::len_utf8);
        let space = text[first..].find(' ').map(|at| first + at).filter(|at| at + 1 < text.len());
        let space = space.ok_or_else(|| GgufError::Vocabulary(format!("merge {n} is not two tokens")))?;
        Ok((&text[..space], &text[space + 1..]))
    };
    list(gguf, MERGES)?.enumerate().map(pair).collect()
}

/// Returns the elements of a required array of strings.
pub fn list<'a>(gguf: &Gguf<'a>, key: &str) -> Result<impl Iterator<Item = &'a [u8]> + use<'a>, GgufError> {
    let list = gguf.array(key)?.ok_or_else(|| GgufError::Missing(key.to_owned()))?;
    list.texts().ok_or_else(|| GgufError::Type(key.to_owned()))
}

/// Checks that the numbers of special tokens are within the vocabulary.
fn special(gguf: &Gguf<'_>, count: usize) -> Result<(), GgufError> {
    const NAMES: [&str; 16] = [
        "bos",
        "eos",
        "eot",
        "eom",
        "unknown",
        "seperator",
        "padding",
        "mask",
        "prefix",
        "suffix",
        "middle",
        "fim_pre",
        "fim_suf",
        "fim_mid",
        "fim_pad",
        "cls",
    ];
    for name in NAMES {
        let key = format!("tokenizer.ggml.{name}_token_id");
        if let Some(id) = gguf.u32(&key)?.filter(|&id| id as usize >= count) {
            return Err(GgufError::Value { key, value: id.to_string() });
        }
    }
    if gguf.u32("tokenizer.ggml.eos_token_id")?.is_none() {
        return Err(GgufError::Missing("tokenizer.ggml.eos_token_id".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_tokens_have_one_form() {
        assert_eq!(byte_of(b"<0x0A>"), Some(10));
        for wrong in ["<0x-1>", "<0x0a>", "<0xA>", "<0x100>", "0x0A", "<0x0A", ""] {
            assert_eq!(byte_of(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
