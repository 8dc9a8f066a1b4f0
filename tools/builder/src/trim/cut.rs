//! Writes a model file with fewer tokens.
//!
//! Both kinds of vocabulary begin with single characters and merge two neighbours at a time.
//! SentencePiece (`llama`) merges first the pair whose token has the best score. Byte-pair encoding
//! (`gpt2`) merges first the pair that comes first in its list of merges. A pair across the border
//! of two of a text's final tokens is never merged. So the merges within a token depend on its own
//! text alone.
//!
//! Trimming keeps every intermediate token and merge of each kept token. A text whose tokens are
//! all kept is then split as before: the remaining merges are a subset of the earlier ones and
//! include all that the text needs.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io::{self, Write},
};

use locket::internals::llm::gguf::{
    Array, Gguf, GgufError, TRIMMED, Value,
    parse::{ARRAY, TEXT, U32},
    vocabulary,
};

use crate::gguf as write;

const MODEL: &str = "tokenizer.ggml.model";
const TOKENS: &str = "tokenizer.ggml.tokens";
const SCORES: &str = "tokenizer.ggml.scores";
const KINDS: &str = "tokenizer.ggml.token_type";
/// Values of the token type.
const NORMAL: i64 = 1;
const CONTROL: i64 = 3;
const UNUSED: i64 = 5;

/// The kept part of a model's vocabulary.
pub(crate) struct Kept {
    /// Tokens, by their old numbers.
    pub tokens: BTreeSet<u32>,
    /// Places in the list of merges, if there is one.
    merges: BTreeSet<u32>,
}

/// Returns the part of a vocabulary to keep if the tokens in `used` must stay: these tokens, their
/// intermediate tokens, and all tokens that do not stand for text, except unused placeholders.
/// Byte-pair vocabularies keep all single characters.
///
/// # Errors
/// [`GgufError`] if the vocabulary is damaged.
pub(crate) fn kept(gguf: &Gguf<'_>, used: &HashSet<u32>) -> Result<Kept, GgufError> {
    vocabulary::check(gguf)?;
    let texts: Vec<&str> = texts(gguf)?.map(|t| std::str::from_utf8(t).unwrap_or_default()).collect();
    let place: HashMap<&str, u32> = (0..).zip(&texts).map(|(n, text)| (*text, n)).collect();
    let mut tokens: BTreeSet<u32> = used.iter().copied().filter(|&n| (n as usize) < texts.len()).collect();
    let kinds = gguf.array(KINDS)?.and_then(|a| a.scalars()).into_iter().flatten();
    for (n, kind) in (0..).zip(kinds) {
        // Released models reserve thousands of tokens that were never used.
        let text = texts[n as usize];
        let place_only = kind == Value::Signed(UNUSED) || kind == Value::Signed(CONTROL) && text.starts_with("<unused");
        if kind != Value::Signed(NORMAL) && !place_only {
            tokens.insert(n);
        }
    }
    tokens.extend(gguf.raw_entries.iter().filter_map(|(key, _)| special(gguf, key)));
    let mut ranks: HashMap<(&str, &str), u32> = HashMap::new();
    let byte_level = gguf.text(MODEL)? == Some("gpt2");
    if byte_level {
        // Each byte of a text is written as one of 256 characters, and a byte without a token is
        // dropped silently.
        tokens.extend((0..).zip(&texts).filter(|(_, text)| text.chars().nth(1).is_none()).map(|(n, _)| n));
        for (rank, pair) in (0..).zip(vocabulary::merges(gguf)?) {
            // The first of two equal merges counts.
            ranks.entry(pair).or_insert(rank);
        }
    }
    let scores: Vec<f64> = gguf.array(SCORES)?.and_then(|a| a.scalars()).into_iter().flatten().map(number).collect();
    let token = |(left, right): (&str, &str)| place.get(format!("{left}{right}").as_str()).copied();
    let priority = |pair| match byte_level {
        true => ranks.get(&pair).map(|&rank| -f64::from(rank)),
        false => token(pair).map(|n| scores.get(n as usize).copied().unwrap_or_default()),
    };
    let spelled: Vec<&str> = tokens.iter().map(|&n| texts[n as usize]).collect();
    let pairs: BTreeSet<(&str, &str)> = spelled.iter().flat_map(|text| joined(text, priority)).collect();
    tokens.extend(pairs.iter().filter_map(|&pair| token(pair)));
    let characters = spelled.iter().flat_map(|text| text.split("").filter(|c| !c.is_empty()));
    tokens.extend(characters.filter_map(|c| place.get(c).copied()));
    Ok(Kept { tokens, merges: pairs.iter().filter_map(|pair| ranks.get(pair).copied()).collect() })
}

fn number(value: Value<'_>) -> f64 {
    if let Value::Float(x) = value { x } else { 0.0 }
}

/// Returns the merges from characters to `text`, at each step the possible pair with the highest
/// priority.
fn joined<'t>(text: &'t str, priority: impl Fn((&'t str, &'t str)) -> Option<f64>) -> Vec<(&'t str, &'t str)> {
    let mut ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let mut joined = Vec::new();
    loop {
        let pairs = (0..).zip(ends.windows(3)).map(|(n, w)| (n, (&text[w[0]..w[1]], &text[w[1]..w[2]])));
        let ranked = pairs.filter_map(|(n, pair)| Some((n, pair, priority(pair)?)));
        // Ties go to the first.
        let best = ranked.max_by(|a, b| a.2.total_cmp(&b.2).then(b.0.cmp(&a.0)));
        let Some((n, pair, _)) = best else { return joined };
        joined.push(pair);
        ends.remove(n + 1);
    }
}

/// Returns the token that a metadata entry names.
fn special(gguf: &Gguf<'_>, key: &str) -> Option<u32> {
    let is = key.starts_with("tokenizer.ggml.") && key.ends_with("_token_id");
    is.then(|| gguf.u32(key).ok().flatten()).flatten()
}

fn texts<'a>(gguf: &Gguf<'a>) -> Result<impl Iterator<Item = &'a [u8]>, GgufError> {
    vocabulary::list(gguf, TOKENS)
}

/// A model file with a subset of the tokens of another, in slices that borrow from it.
pub(crate) struct Trimmed<'a> {
    header: Vec<u8>,
    /// The tensors' data, each slice with the number of zero bytes after it.
    pieces: Vec<(&'a [u8], usize)>,
}

impl<'a> Trimmed<'a> {
    /// Trims the model in `bytes` to the `kept` tokens, renumbered in their order. `from` is
    /// recorded as the origin.
    ///
    /// # Errors
    /// [`GgufError`] if the file is damaged, or if it has a tokenizer array of an unknown kind.
    pub(crate) fn new(bytes: &'a [u8], gguf: &Gguf<'a>, kept: &Kept, from: &str) -> Result<Self, GgufError> {
        let count = texts(gguf)?.count() as u64;
        let Kept { tokens: kept, merges } = kept;
        let place: HashMap<u32, u32> = kept.iter().copied().zip(0..).collect();
        let mut entries = Vec::new();
        for (key, raw) in gguf.raw_entries.iter().filter(|(key, _)| *key != TRIMMED) {
            let array = matches!(gguf.get(key), Some(Value::Array(_)));
            entries.push(match (*key, special(gguf, key).and_then(|id| place.get(&id))) {
                (_, Some(id)) => write::entry(key, U32, &id.to_le_bytes()),
                (TOKENS, _) => write::entry(key, ARRAY, &staying(texts(gguf)?, kept)),
                (vocabulary::MERGES, _) => {
                    write::entry(key, ARRAY, &staying(vocabulary::list(gguf, vocabulary::MERGES)?, merges))
                }
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

    /// Returns the size in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        let data = self.pieces.iter().map(|(piece, padding)| piece.len() + padding);
        (self.header.len() + data.sum::<usize>()) as u64
    }

    /// Writes the file to `out`.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.header)?;
        self.pieces.iter().try_for_each(|(piece, padding)| {
            out.write_all(piece)?;
            out.write_all(&vec![0; *padding])
        })
    }
}

fn staying<'a>(texts: impl Iterator<Item = &'a [u8]>, kept: &BTreeSet<u32>) -> Vec<u8> {
    let staying = (0u32..).zip(texts).filter(|(n, _)| kept.contains(n)).map(|(_, text)| text);
    write::array(TEXT, kept.len(), staying.flat_map(write::text))
}

fn column(array: Array<'_>, kept: &BTreeSet<u32>) -> Vec<u8> {
    write::array(array.kind(), kept.len(), kept.iter().flat_map(|&n| array.raw(n as usize).iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_token() {
        let ways = |text, order: &[(&'static str, &'static str)]| {
            joined(text, |pair| order.iter().position(|p| *p == pair).map(|at| -(at as f64)))
        };
        assert_eq!(ways("abc", &[("a", "b"), ("b", "c"), ("ab", "c")]), [("a", "b"), ("ab", "c")]);
        assert_eq!(ways("abc", &[("b", "c"), ("a", "b"), ("ab", "c"), ("a", "bc")]), [("b", "c"), ("a", "bc")]);
        // Ties go to the first; characters that no pair merges stay as they are.
        assert_eq!(joined("aaa", |pair| (pair == ("a", "a")).then_some(0.0)), [("a", "a")]);
        assert_eq!(joined("abcx", |(l, r)| (l.len() + r.len() < 4).then_some(0.0)), [("a", "b"), ("ab", "c")]);
        assert!(ways("", &[]).is_empty());
    }
}
