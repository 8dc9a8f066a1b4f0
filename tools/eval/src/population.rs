//! Synthetic populations of any size: degrees follow power laws, and users have tastes.

use std::{
    collections::HashSet,
    fs::File,
    io::{BufWriter, Write},
    ops::ControlFlow,
    path::Path,
};

use serde_json::{Value, json};

use crate::Error;
use locket::internals::hash::draw;
use locket::{Interaction, internals::output};
use locket_builder::profile::{Profile, ProfileError};

/// Parameters of a population.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Population {
    /// Approximate number of interactions: the last user is not truncated.
    pub interactions: usize,
    /// Words of each text; 0 writes interactions without texts.
    pub words: usize,
    /// Seed of every draw.
    pub seed: u64,
}

/// Number of items relative to the square root of the interactions (Heaps' law).
const CATALOGUE: f64 = 30.0;
/// Number of items of a taste cluster.
const CLUSTER: f64 = 200.0;
/// Minimum number of items of a user; the share of users with more than d falls as d^-1.3.
const LEAST: f64 = 4.0;
const TAIL: f64 = 1.3;
const MOST: f64 = 5_000.0;
/// Number of a user's home clusters, and the probability of an item from another cluster.
const HOMES: u64 = 3;
const ABROAD: f64 = 0.15;
/// Power-law exponents: the popularity of a cluster, of an item within it, and of a word falls as
/// rank^-0.9, rank^-0.8 and rank^-0.9.
const OF_CLUSTERS: f64 = 0.9;
const OF_ITEMS: f64 = 0.8;
const OF_WORDS: f64 = 0.9;
/// Number of common words, and of words of one cluster.
const COMMON_WORDS: f64 = 5_000.0;
const OWN_WORDS: f64 = 300.0;

/// A sequence of random draws.
struct Draws {
    key: u64,
    n: u64,
}

impl Draws {
    /// Returns a uniform draw in 0..1.
    fn next(&mut self) -> f64 {
        self.n += 1;
        (draw(self.key, self.n) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Draws a rank in 0..n, with a density that falls as rank^-exponent.
    fn rank(&mut self, n: f64, exponent: f64) -> u64 {
        let rest = 1.0 - exponent;
        let at = (1.0 + self.next() * ((n + 1.0).powf(rest) - 1.0)).powf(1.0 / rest);
        (at - 1.0).min(n - 1.0) as u64
    }
}

/// Draws one user's items in chronological order: (item, its cluster).
fn met(draws: &mut Draws, clusters: f64) -> Vec<(u64, u64)> {
    let count = (LEAST * (1.0 - draws.next()).powf(-1.0 / TAIL)).min(MOST) as usize;
    let homes: Vec<u64> = (0..HOMES).map(|_| draws.rank(clusters, OF_CLUSTERS)).collect();
    let mut seen = HashSet::new();
    let mut items = Vec::new();
    // A user with nearly all items of the home clusters stays below the number.
    for _ in 0..2 * count {
        let home = homes[(draws.next() * HOMES as f64) as usize];
        let cluster = if draws.next() < ABROAD { draws.rank(clusters, OF_CLUSTERS) } else { home };
        let item = draws.rank(CLUSTER, OF_ITEMS) * clusters as u64 + cluster;
        if seen.insert(item) {
            items.push((item, cluster));
        }
        if items.len() == count {
            break;
        }
    }
    items
}

/// Appends a pronounceable word, unique for every number.
fn word(mut n: u64, out: &mut String) {
    const SYLLABLES: u64 = 100;
    n += SYLLABLES;
    while n > 0 {
        out.push(char::from(b"bcdfghjklmnprstvwxyz"[(n % SYLLABLES / 5) as usize]));
        out.push(char::from(b"aeiou"[(n % 5) as usize]));
        n /= SYLLABLES;
    }
}

fn text(draws: &mut Draws, words: usize, cluster: u64) -> String {
    let mut out = String::new();
    for n in 0..words {
        if n > 0 {
            out.push(' ');
        }
        let common = draws.next() < 0.7;
        let own = COMMON_WORDS as u64 + cluster * OWN_WORDS as u64;
        word(if common { draws.rank(COMMON_WORDS, OF_WORDS) } else { own + draws.rank(OWN_WORDS, OF_WORDS) }, &mut out);
    }
    out
}

/// Writes a population to `out`: with texts as profiles (JSON lines), without as lines of
/// `user item item ...`. The same settings give the same bytes. JSON: `people`, `interactions`,
/// `bytes`.
///
/// # Errors
/// [`ProfileError::Io`], [`locket::Error::Output`] if `out` is no regular file,
/// [`locket::Error::Cancelled`]. After an error no new file is left at `out`.
pub fn population(
    what: Population,
    out: &Path,
    mut progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Value, Error> {
    let io = |source| ProfileError::Io { path: out.to_path_buf(), source };
    let target = &output::target(out, [])?;
    let mut file = BufWriter::new(output::scratch(target).map_err(io)?);
    let clusters = (CATALOGUE * (what.interactions as f64).sqrt() / CLUSTER).ceil().max(1.0);
    let (mut people, mut interactions) = (0u64, 0);
    while interactions < what.interactions {
        let mut draws = Draws { key: draw(what.seed, people), n: 0 };
        let items = met(&mut draws, clusters);
        interactions += items.len();
        person(&mut file, people, &items, what.words, &mut draws).map_err(io)?;
        people += 1;
        if people.is_multiple_of(1024) && progress(interactions).is_break() {
            return Err(locket::Error::Cancelled.into());
        }
    }
    let scratch = file.into_inner().map_err(|e| io(e.into_error()))?;
    let bytes = scratch.as_file().metadata().map_err(io)?.len();
    output::keep(scratch, target).map_err(io)?;
    Ok(json!({ "people": people, "interactions": interactions, "bytes": bytes }))
}

fn person(
    file: &mut BufWriter<tempfile::NamedTempFile<File>>,
    user: u64,
    items: &[(u64, u64)],
    words: usize,
    draws: &mut Draws,
) -> std::io::Result<()> {
    if words == 0 {
        write!(file, "u{user}")?;
        items.iter().try_for_each(|(item, _)| write!(file, " i{item}"))?;
        return writeln!(file);
    }
    let mut history: Vec<Interaction> = items
        .iter()
        .map(|&(item, cluster)| {
            let mut interaction = Interaction::new(format!("i{item}"), text(draws, words, cluster));
            interaction.item_title = Some(text(draws, 3, cluster));
            interaction.category = Some(format!("c{cluster}"));
            interaction.rating = Some((1.0 + draws.next() * 5.0).min(5.0).floor() as f32);
            interaction
        })
        .collect();
    if let Some(target) = history.pop() {
        serde_json::to_writer(&mut *file, &Profile { user: format!("u{user}"), history, target })?;
        writeln!(file)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use locket_builder::profile::Profiles;

    fn made(words: usize, seed: u64) -> (tempfile::TempDir, std::path::PathBuf, Value) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.jsonl");
        let what = Population { interactions: 20_000, words, seed };
        let told = population(what, &path, |_| ControlFlow::Continue(())).unwrap();
        (dir, path, told)
    }

    #[test]
    fn degrees_fall_as_powers_and_tastes_cluster() {
        let (_dir, path, told) = made(0, 1);
        let text = std::fs::read_to_string(path).unwrap();
        let mut people: Vec<usize> = text.lines().map(|l| l.split(' ').count() - 1).collect();
        assert_eq!(
            (people.len() as u64, people.iter().sum::<usize>() as u64),
            (told["people"].as_u64().unwrap(), told["interactions"].as_u64().unwrap())
        );
        people.sort_unstable();
        assert!(people[people.len() / 2] < 9 && people[people.len() - 1] > 200, "{people:?}");
        let mut items = std::collections::HashMap::new();
        text.split_whitespace().filter(|w| w.starts_with('i')).for_each(|i| *items.entry(i).or_insert(0usize) += 1);
        let most = *items.values().max().unwrap();
        assert!(most > 100 * 20_000 / items.len() / 10 && items.len() > 2_000, "{most} of {}", items.len());
    }

    #[test]
    fn a_seed_gives_its_population_again() {
        let (_a, first, _) = made(5, 1);
        let (_b, again, _) = made(5, 1);
        let (_c, other, _) = made(5, 2);
        let bytes = |p: &Path| std::fs::read(p).unwrap();
        assert!(bytes(&first) == bytes(&again) && bytes(&first) != bytes(&other));
        let person = Profiles::open(&first).unwrap().next().unwrap().unwrap();
        assert_eq!(person.target.text.split(' ').count(), 5);
    }
}
