//! Ranks each item's texts by information per length.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
};

use super::{rows::Row, terms::read_row};
use locket::internals::pack::words::terms;

/// Maximum number of an item's texts, the latest, that are compared with each other; the rest rank
/// after them.
const COMPARED: usize = 200;
/// Maximum length of a short text in bytes: about the length of a text in a prompt.
const SHORT: f32 = 400.0;
/// Weight of novelty relative to shortness and recency (MMR, Carbonell and Goldstein, 1998).
const DIVERSITY: f32 = 2.0;

/// Returns the rank of every text among the texts on its item, 0 first. Each rank goes to the text
/// with the highest value: shortness plus recency, less the similarity to the nearest chosen text
/// (Jaccard index of topical terms). `rows` may be in any order.
pub(super) fn ranks(rows: &[Row], spool: &mut File) -> std::io::Result<Vec<usize>> {
    let mut by_item: HashMap<u32, Vec<usize>> = HashMap::new();
    (0..rows.len()).for_each(|n| by_item.entry(rows[n].item).or_default().push(n));
    let mut ranks = vec![0; rows.len()];
    for mut texts in by_item.into_values() {
        // The latest first; if no time is known, the text read last.
        texts.sort_by_key(|&n| std::cmp::Reverse((rows[n].time, rows[n].offset)));
        for (rank, n) in order(&texts, rows, spool)?.into_iter().enumerate() {
            ranks[n] = rank;
        }
    }
    Ok(ranks)
}

/// Returns the texts of one item in rank order.
fn order(latest_first: &[usize], rows: &[Row], spool: &mut File) -> std::io::Result<Vec<usize>> {
    let (compared, rest) = latest_first.split_at(latest_first.len().min(COMPARED));
    let mut said: Vec<HashSet<String>> = Vec::with_capacity(compared.len());
    let mut buffer = Vec::new();
    for &n in compared {
        read_row(spool, &rows[n], &mut buffer)?;
        let (title, body) = buffer.split_at(rows[n].title_len as usize);
        let both = [title, body].map(String::from_utf8_lossy);
        said.push(both.iter().flat_map(|part| terms(part)).collect());
    }
    let worth = |at: usize| {
        if said[at].is_empty() {
            // A text without terms ranks after all others, however similar those are to each other.
            return -DIVERSITY;
        }
        let short = (SHORT / (rows[compared[at]].text_len as f32).max(1.0)).min(1.0);
        short + 1.0 - at as f32 / compared.len() as f32
    };
    let mut nearest = vec![0f32; compared.len()];
    let mut open: Vec<usize> = (0..compared.len()).collect();
    let mut chosen = Vec::with_capacity(latest_first.len());
    let value = |at: usize, nearest: &[f32]| worth(at) - DIVERSITY * nearest[at];
    // Ties go to the later text: `open` keeps its order.
    while let Some(place) =
        (0..open.len()).max_by(|&a, &b| value(open[a], &nearest).total_cmp(&value(open[b], &nearest)).then(b.cmp(&a)))
    {
        let at = open.remove(place);
        for &other in &open {
            nearest[other] = nearest[other].max(jaccard(&said[at], &said[other]));
        }
        chosen.push(compared[at]);
    }
    chosen.extend(rest);
    Ok(chosen)
}

fn jaccard(a: &HashSet<String>, b: &HashSet<String>) -> f32 {
    let both = a.intersection(b).count();
    let any = a.len() + b.len() - both;
    if any == 0 { 1.0 } else { both as f32 / any as f32 }
}
