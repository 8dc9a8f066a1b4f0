//! The vocabulary of a pack and its item-term matrix, in two passes over the spooled texts.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{Read, Seek, SeekFrom},
};

use super::rows::{Item, Row};
use locket::internals::{
    pack::words::{idf, terms},
    text,
};

/// Number of an item's strongest terms kept in the content matrix.
const TERMS_PER_ITEM: usize = 64;
/// Weight of a term in an item's title or category, relative to a term in a text about the item.
const TITLE_BOOST: f32 = 3.0;
/// First pass over the spool: counts the texts that contain each term.
pub(super) fn count_terms(rows: &[Row], items: &[Item], spool: &mut File) -> std::io::Result<Statistics> {
    let mut documents: HashMap<String, u32> = HashMap::new();
    let mut words = 0u64;
    let mut buffer = Vec::new();
    for row in rows {
        read_row(spool, row, &mut buffer)?;
        let text = String::from_utf8_lossy(&buffer[row.title_len as usize..]);
        words += text::words(&text).count() as u64;
        let title = String::from_utf8_lossy(&buffer[..row.title_len as usize]);
        let distinct: HashSet<String> = terms(&title).chain(terms(&text)).collect();
        for term in distinct {
            *documents.entry(term).or_default() += 1;
        }
    }
    for item in items {
        for term in item_terms(item) {
            documents.entry(term).or_insert(1);
        }
    }
    let mut terms: Vec<(String, u32)> = documents.into_iter().collect();
    terms.sort_unstable();
    Ok(Statistics { terms, words, texts: rows.len() })
}

/// Second pass: each item's strongest terms by TF-IDF, over its title, category and the texts that
/// are not held out.
pub(super) fn content(
    rows: &[Row],
    items: &[Item],
    spool: &mut File,
    statistics: &Statistics,
) -> std::io::Result<Content> {
    let index: HashMap<&str, u32> =
        statistics.terms.iter().zip(0..).map(|((term, _), number)| (term.as_str(), number)).collect();
    let (mut starts, mut columns, mut values) = (vec![0u32], Vec::new(), Vec::new());
    let mut buffer = Vec::new();
    let mut rows = rows.iter().peekable();
    for (number, item) in (0u32..).zip(items) {
        let mut frequency: HashMap<u32, f32> = HashMap::new();
        for term in item_terms(item) {
            *frequency.entry(index[term.as_str()]).or_default() += TITLE_BOOST;
        }
        while let Some(row) = rows.next_if(|r| r.item == number) {
            if row.held_out {
                continue;
            }
            read_row(spool, row, &mut buffer)?;
            let (title, body) = buffer.split_at(row.title_len as usize);
            for part in [title, body] {
                for term in terms(&String::from_utf8_lossy(part)) {
                    *frequency.entry(index[term.as_str()]).or_default() += 1.0;
                }
            }
        }
        let mut weighted: Vec<(u32, f32)> =
            frequency.into_iter().map(|(t, f)| (t, f.ln_1p() * statistics.idf(t))).collect();
        weighted.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        weighted.truncate(TERMS_PER_ITEM);
        let norm = weighted.iter().map(|(_, w)| w * w).sum::<f32>().sqrt();
        weighted.sort_unstable_by_key(|w| w.0);
        columns.extend(weighted.iter().map(|w| w.0));
        values.extend(weighted.iter().map(|w| w.1 / norm.max(f32::MIN_POSITIVE)));
        starts.push(columns.len() as u32);
    }
    Ok(Content { vocabulary: statistics.terms.len(), starts, terms: columns, weights: values })
}

/// The content matrix as CSR, shape (items, vocabulary).
pub(super) struct Content {
    pub(super) vocabulary: usize,
    pub(super) starts: Vec<u32>,
    pub(super) terms: Vec<u32>,
    pub(super) weights: Vec<f32>,
}

impl Content {
    /// Builds the matrix from each item's terms and weights.
    pub(super) fn new(rows: Vec<Vec<(u32, f32)>>, vocabulary: usize) -> Self {
        let mut this = Self { vocabulary, starts: vec![0], terms: Vec::new(), weights: Vec::new() };
        for row in rows {
            this.terms.extend(row.iter().map(|t| t.0));
            this.weights.extend(row.iter().map(|t| t.1));
            this.starts.push(this.terms.len() as u32);
        }
        this
    }
}

pub(super) struct Statistics {
    pub(super) terms: Vec<(String, u32)>,
    pub(super) words: u64,
    pub(super) texts: usize,
}

impl Statistics {
    fn idf(&self, term: u32) -> f32 {
        idf(self.texts, self.terms[term as usize].1)
    }
}

fn item_terms(item: &Item) -> impl Iterator<Item = String> + '_ {
    let category = (!item.category.is_empty()).then(|| format!("={}", item.category.to_ascii_lowercase()));
    terms(&item.title).chain(category)
}

pub(super) fn read_row(spool: &mut File, row: &Row, buffer: &mut Vec<u8>) -> std::io::Result<()> {
    buffer.resize((row.title_len + row.text_len) as usize, 0);
    spool.seek(SeekFrom::Start(row.offset))?;
    spool.read_exact(buffer)
}
