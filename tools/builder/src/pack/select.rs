//! Which of an item's texts say most in few bytes.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
};

use super::{build::Row, terms::read_row};
use locket::internals::pack::words::terms;

/// Of a blockbuster's texts only this many, the latest, are compared with each other; the rest come behind them.
const COMPARED: usize = 200;
/// Longest text that counts as short, in bytes: about what a prompt shows of one.
const SHORT: f32 = 400.0;
/// Weight of being new beside being short and late (MMR, Carbonell and Goldstein, 1998).
const DIVERSITY: f32 = 2.0;

/// The rank of every text among those on its item, 0 first: each is the one that adds most to those in front of it, by how short
/// and how late it is, less its likeness to the nearest of them (Jaccard index of topical terms). `rows` may be in any order.
pub(super) fn ranks(rows: &[Row], spool: &mut File) -> std::io::Result<Vec<usize>> {
    let mut by_item: HashMap<u32, Vec<usize>> = HashMap::new();
    (0..rows.len()).for_each(|n| by_item.entry(rows[n].item).or_default().push(n));
    let mut ranks = vec![0; rows.len()];
    for mut texts in by_item.into_values() {
        // The latest first; where no time is known that which was read last.
        texts.sort_by_key(|&n| std::cmp::Reverse((rows[n].time, rows[n].offset)));
        for (rank, n) in order(&texts, rows, spool)?.into_iter().enumerate() {
            ranks[n] = rank;
        }
    }
    Ok(ranks)
}

/// The texts of one item in the order of their ranks.
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
            // It says nothing: behind all that do, however like each other those are.
            return -DIVERSITY;
        }
        let short = (SHORT / (rows[compared[at]].text_len as f32).max(1.0)).min(1.0);
        short + 1.0 - at as f32 / compared.len() as f32
    };
    let mut nearest = vec![0f32; compared.len()];
    let mut open: Vec<usize> = (0..compared.len()).collect();
    let mut chosen = Vec::with_capacity(latest_first.len());
    let value = |at: usize, nearest: &[f32]| worth(at) - DIVERSITY * nearest[at];
    // Among equals the later text: `open` stays in its order.
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
