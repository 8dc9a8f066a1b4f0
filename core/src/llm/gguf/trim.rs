//! A model file with fewer tokens.
//!
//! SentencePiece's byte-pair rule, which llama.cpp follows for vocabularies of the kind `llama`, begins with single characters and joins two
//! neighbours at a time, of all pairs that make a token the one with the best score first. Nothing outside a token has a say in how it
//! is made, so what is made on the way is told by its own text. With that kept, a text whose tokens are all kept is split as before:
//! the pairs that can be joined are some of those that could before, and those that were joined are among them.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io::{self, Write},
};

use super::{
    Array, Gguf, GgufError, Value,
    parse::{ARRAY, TEXT, U32},
    vocabulary, write,
};

/// The key that says from which file a model's vocabulary was cut: its SHA-256.
pub const TRIMMED: &str = "locket.trimmed.from";

const TOKENS: &str = "tokenizer.ggml.tokens";
const SCORES: &str = "tokenizer.ggml.scores";
const KINDS: &str = "tokenizer.ggml.token_type";
/// Kinds of tokens.
const NORMAL: i64 = 1;
const CONTROL: i64 = 3;

/// Which tokens stay of a model's vocabulary: those in `used`, what they are made of, and all that do not stand for text.
///
/// # Errors
/// [`GgufError::Vocabulary`] if it is not of SentencePiece's kind; [`GgufError`] if it is damaged.
pub(crate) fn kept(gguf: &Gguf<'_>, used: &HashSet<u32>) -> Result<BTreeSet<u32>, GgufError> {
    if gguf.text("tokenizer.ggml.model")? != Some("llama") {
        return Err(GgufError::Vocabulary("only one of SentencePiece's kind (\"llama\") can be trimmed".into()));
    }
    vocabulary::check(gguf)?;
    let texts: Vec<&str> = texts(gguf)?.map(|t| std::str::from_utf8(t).unwrap_or_default()).collect();
    let place: HashMap<&str, u32> = (0..).zip(&texts).map(|(n, text)| (*text, n)).collect();
    let mut kept: BTreeSet<u32> = used.iter().copied().filter(|&n| (n as usize) < texts.len()).collect();
    let kinds = gguf.array(KINDS)?.and_then(|a| a.scalars()).into_iter().flatten();
    for (n, kind) in (0..).zip(kinds) {
        // Released models have thousands of places for tokens that never came.
        let unused = kind == Value::Signed(CONTROL) && texts[n as usize].starts_with("<unused");
        if kind != Value::Signed(NORMAL) && !unused {
            kept.insert(n);
        }
    }
    kept.extend(gguf.raw_entries.iter().filter_map(|(key, _)| special(gguf, key)));
    let scores: Vec<f64> = gguf.array(SCORES)?.and_then(|a| a.scalars()).into_iter().flatten().map(number).collect();
    let score = |n: u32| scores.get(n as usize).copied().unwrap_or_default();
    let parts: Vec<u32> = kept.iter().flat_map(|&n| made(texts[n as usize], &place, score)).collect();
    kept.extend(parts);
    Ok(kept)
}

fn number(value: Value<'_>) -> f64 {
    if let Value::Float(x) = value { x } else { 0.0 }
}

/// The tokens that are made on the way to `text`, its characters among them.
fn made(text: &str, place: &HashMap<&str, u32>, score: impl Fn(u32) -> f64) -> Vec<u32> {
    let mut ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let mut made: Vec<u32> = ends.windows(2).filter_map(|w| place.get(&text[w[0]..w[1]]).copied()).collect();
    loop {
        let pairs = (0..).zip(ends.windows(3));
        let tokens = pairs.filter_map(|(n, w)| Some((n, *place.get(&text[w[0]..w[2]])?)));
        // Of equals the first.
        let best = tokens.max_by(|a, b| score(a.1).total_cmp(&score(b.1)).then(b.0.cmp(&a.0)));
        let Some((n, token)) = best else { return made };
        made.push(token);
        ends.remove(n + 1);
    }
}

/// The token that a metadata entry names.
fn special(gguf: &Gguf<'_>, key: &str) -> Option<u32> {
    let is = key.starts_with("tokenizer.ggml.") && key.ends_with("_token_id");
    is.then(|| gguf.u32(key).ok().flatten()).flatten()
}

fn texts<'a>(gguf: &Gguf<'a>) -> Result<impl Iterator<Item = &'a [u8]>, GgufError> {
    let list = gguf.array(TOKENS)?.ok_or_else(|| GgufError::Missing(TOKENS.into()))?;
    list.texts().ok_or_else(|| GgufError::Type(TOKENS.into()))
}

/// A model file with the tokens of another, in pieces that refer to it.
pub(crate) struct Trimmed<'a> {
    header: Vec<u8>,
    /// The tensors' data, each piece with the zero bytes behind it.
    pieces: Vec<(&'a [u8], usize)>,
}

impl<'a> Trimmed<'a> {
    /// The model in `bytes` with the tokens `kept` alone, renumbered in their order; `from` is noted as what it was cut from.
    ///
    /// # Errors
    /// [`GgufError`] if the file is damaged or says something of its tokens that is not understood.
    pub(crate) fn new(bytes: &'a [u8], gguf: &Gguf<'a>, kept: &BTreeSet<u32>, from: &str) -> Result<Self, GgufError> {
        let count = texts(gguf)?.count() as u64;
        let place: HashMap<u32, u32> = kept.iter().copied().zip(0..).collect();
        let mut entries = Vec::new();
        for (key, raw) in gguf.raw_entries.iter().filter(|(key, _)| *key != TRIMMED) {
            let array = matches!(gguf.get(key), Some(Value::Array(_)));
            entries.push(match (*key, special(gguf, key).and_then(|id| place.get(&id))) {
                (_, Some(id)) => write::entry(key, U32, &id.to_le_bytes()),
                (TOKENS, _) => write::entry(key, ARRAY, &tokens(gguf, kept)?),
                (SCORES | KINDS, _) => {
                    let array = gguf.array(key)?.ok_or_else(|| GgufError::Missing((*key).into()))?;
                    write::entry(key, ARRAY, &column(array, kept))
                }
                (key, _) if key.ends_with(".vocab_size") => write::entry(key, U32, &(kept.len() as u32).to_le_bytes()),
                (key, _) if key.starts_with("tokenizer.") && array => {
                    return Err(GgufError::Vocabulary(format!("what {key} says of its tokens is not understood")));
                }
                _ => raw.to_vec(),
            });
        }
        entries.push(write::entry(TRIMMED, TEXT, &write::text(from.as_bytes())));
        let alignment = u64::from(gguf.alignment()?);
        let (mut list, mut pieces, mut at, mut offset) = (Vec::new(), Vec::new(), gguf.data, 0u64);
        for tensor in &gguf.tensors {
            let whole = &bytes[at as usize..(at + tensor.bytes) as usize];
            at += tensor.bytes.next_multiple_of(alignment);
            let of_tokens = matches!(tensor.name, "token_embd.weight" | "output.weight") && tensor.shape[1] == count;
            let (before, mut shape) = (pieces.len(), tensor.shape);
            if of_tokens {
                shape[1] = kept.len() as u64;
                let row = whole.len() / count as usize;
                pieces.extend(kept.iter().map(|&n| (&whole[n as usize * row..(n as usize + 1) * row], 0)));
            } else {
                pieces.push((whole, 0));
            }
            write::tensor(&mut list, tensor, &shape, offset);
            let size: u64 = pieces[before..].iter().map(|(piece, _)| piece.len() as u64).sum();
            offset += size.next_multiple_of(alignment);
            if let Some((_, padding)) = pieces.last_mut() {
                *padding = (size.next_multiple_of(alignment) - size) as usize;
            }
        }
        let mut header = bytes[..16].to_vec();
        header.extend((entries.len() as u64).to_le_bytes());
        entries.iter().for_each(|entry| header.extend(entry));
        header.extend(list);
        header.resize(header.len().next_multiple_of(alignment as usize), 0);
        Ok(Self { header, pieces })
    }

    /// Its size in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        let data = self.pieces.iter().map(|(piece, padding)| piece.len() + padding);
        (self.header.len() + data.sum::<usize>()) as u64
    }

    /// Writes it.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.header)?;
        self.pieces.iter().try_for_each(|(piece, padding)| {
            out.write_all(piece)?;
            out.write_all(&vec![0; *padding])
        })
    }
}

fn tokens(gguf: &Gguf<'_>, kept: &BTreeSet<u32>) -> Result<Vec<u8>, GgufError> {
    let staying = (0u32..).zip(texts(gguf)?).filter(|(n, _)| kept.contains(n)).map(|(_, text)| text);
    Ok(write::array(TEXT, kept.len(), staying.flat_map(write::text)))
}

fn column(array: Array<'_>, kept: &BTreeSet<u32>) -> Vec<u8> {
    write::array(array.kind(), kept.len(), kept.iter().flat_map(|&n| array.raw(n as usize).iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_token_is_kept() {
        let texts = ["a", "b", "c", "ab", "bc", "abc", "cab"];
        let place: HashMap<&str, u32> = texts.into_iter().zip(0..).collect();
        let way = |text, scores: [f64; 7]| made(text, &place, |n| scores[n as usize]);
        assert_eq!(way("abc", [0.0, 0.0, 0.0, -1.0, -2.0, -3.0, 0.0]), [0, 1, 2, 3, 5]);
        assert_eq!(way("abc", [0.0, 0.0, 0.0, -2.0, -1.0, -3.0, 0.0]), [0, 1, 2, 4, 5]);
        // Of equals the first; what no token spells stays as it is.
        assert_eq!(way("abcx", [0.0, 0.0, 0.0, -1.0, -1.0, -3.0, 0.0]), [0, 1, 2, 3, 5]);
        assert!(way("", [0.0; 7]).is_empty());
    }
}
