//! Reasoning paths: the short structured plan that stands before a text.
//!
//! A path says how the author feels about the item, in which tone, how much they will write, and the
//! points to make. On paper it is one line, `4 stars, warm, short: soft fabric, runs small`, which a
//! grammar enforces while a model writes it and which costs about 15 tokens.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{interaction::Interaction, text};

/// How a text sounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    /// Delighted, with exclamation marks.
    Enthusiastic,
    /// Friendly and content.
    Warm,
    /// Matter of fact.
    #[default]
    Plain,
    /// Disappointed, with reasons.
    Critical,
    /// Upset.
    Angry,
}

/// How much is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Length {
    /// Up to 12 words.
    Brief,
    /// Up to 40 words.
    #[default]
    Short,
    /// Up to 100 words.
    Medium,
    /// More.
    Long,
}

const TONES: [(Tone, &str); 5] = [
    (Tone::Enthusiastic, "enthusiastic"),
    (Tone::Warm, "warm"),
    (Tone::Plain, "plain"),
    (Tone::Critical, "critical"),
    (Tone::Angry, "angry"),
];
const LENGTHS: [(Length, &str); 4] =
    [(Length::Brief, "brief"), (Length::Short, "short"), (Length::Medium, "medium"), (Length::Long, "long")];

/// Most points of a path.
pub const MAX_POINTS: usize = 3;

/// The plan for one text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReasoningPath {
    /// Stars, 1 to 5.
    pub stance: u8,
    /// How it sounds.
    pub tone: Tone,
    /// How much is written.
    pub length: Length,
    /// What it mentions, at most [`MAX_POINTS`], each a few lower-case words.
    pub points: Vec<String>,
}

/// The grammar of a path's line (GBNF), from the space behind `Plan:` to the line's end; of any length, or of the given one.
pub fn grammar(length: Option<Length>) -> String {
    let any = |words: Vec<&str>| words.iter().map(|w| format!("{w:?}")).collect::<Vec<_>>().join(" | ");
    format!(
        "root ::= \" \" [1-5] \" stars, \" tone \", \" length \": \" point (\", \" point)? (\", \" point)? \"\\n\"\n\
         tone ::= {}\nlength ::= {}\n\
         point ::= word (\" \" word)? (\" \" word)?\n\
         word ::= [a-z] [a-z'-]{{0,14}}\n",
        any(TONES.iter().map(|t| t.1).collect()),
        any(LENGTHS.iter().filter(|l| length.is_none_or(|only| l.0 == only)).map(|l| l.1).collect()),
    )
}

impl fmt::Display for ReasoningPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tone = TONES.iter().find(|t| t.0 == self.tone).map_or("plain", |t| t.1);
        let length = LENGTHS.iter().find(|l| l.0 == self.length).map_or("short", |l| l.1);
        write!(f, "{} stars, {tone}, {length}: {}", self.stance, self.points.join(", "))
    }
}

/// The beginnings of all paths: every stance, tone and length.
pub(crate) fn beginnings() -> impl Iterator<Item = String> {
    let lengths = |stance, tone| LENGTHS.iter().map(move |l| (stance, tone, l.0));
    let all = (1..=5).flat_map(move |stance| TONES.iter().flat_map(move |t| lengths(stance, t.0)));
    all.map(|(stance, tone, length)| ReasoningPath { stance, tone, length, points: Vec::new() }.to_string())
}

/// A line that is not a reasoning path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a reasoning path: {0:?}")]
pub struct NotAPath(String);

impl FromStr for ReasoningPath {
    type Err = NotAPath;

    fn from_str(line: &str) -> Result<Self, NotAPath> {
        let parse = || {
            let (head, points) = line.trim().split_once(':')?;
            let mut head = head.split(", ");
            let stance = head.next()?.strip_suffix(" stars")?.parse().ok().filter(|s| (1..=5).contains(s))?;
            let (tone, length) = (head.next()?, head.next()?);
            let tone = TONES.iter().find(|t| t.1 == tone)?.0;
            let length = LENGTHS.iter().find(|l| l.1 == length)?.0;
            let points = points.split(',').map(|p| p.trim().to_owned()).filter(|p| !p.is_empty());
            Some(Self { stance, tone, length, points: points.take(MAX_POINTS).collect() })
        };
        parse().ok_or_else(|| NotAPath(line.to_owned()))
    }
}

impl Length {
    /// The length of a text of this many words.
    pub fn of_words(words: usize) -> Self {
        let longest_first = [Self::Long, Self::Medium, Self::Short];
        longest_first.into_iter().find(|length| words >= length.least_words()).unwrap_or(Self::Brief)
    }

    /// The most words of a text of this length, if there is a bound.
    pub(crate) fn most_words(self) -> Option<usize> {
        match self {
            Self::Brief => Some(12),
            Self::Short => Some(40),
            Self::Medium => Some(100),
            Self::Long => None,
        }
    }

    /// The fewest words of a text of this length.
    pub(crate) fn least_words(self) -> usize {
        match self {
            Self::Brief => 1,
            Self::Short => 13,
            Self::Medium => 41,
            Self::Long => 101,
        }
    }
}

impl ReasoningPath {
    /// The path that a text seems to follow, read off the text itself: the stance from the rating (or the
    /// words), the length from its length, the points by RAKE.
    pub fn of(interaction: &Interaction) -> Self {
        let title = interaction.title.as_deref().unwrap_or_default();
        let all = format!("{title}. {}", interaction.text);
        let stance = interaction.stars().unwrap_or(match sentiment(&all) {
            s if s >= 2 => 5,
            1 => 4,
            0 => 3,
            -1 => 2,
            _ => 1,
        });
        let loud = all.contains('!');
        let tone = match stance {
            5 if loud => Tone::Enthusiastic,
            4.. => Tone::Warm,
            3 => Tone::Plain,
            2 => Tone::Critical,
            _ if loud => Tone::Angry,
            _ => Tone::Critical,
        };
        let length = Length::of_words(text::word_count(&interaction.text));
        Self { stance, tone, length, points: key_phrases(&all) }
    }
}

/// Up to [`MAX_POINTS`] key phrases in the order of the text, by RAKE (Rose et al. 2010): runs of words
/// between stop words and punctuation, scored by the sum of degree/frequency of their words.
fn key_phrases(all: &str) -> Vec<String> {
    let lower = all.to_lowercase();
    let mut phrases: Vec<Vec<&str>> = Vec::new();
    for stretch in lower.split(|c: char| !(c.is_alphanumeric() || c == ' ' || c == '\'' || c == '-')) {
        let mut phrase = Vec::new();
        for word in stretch.split(' ').chain(std::iter::once("")) {
            let plain = !word.is_empty()
                && word.len() <= 15
                && word.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c == '\'');
            let topical = plain && word.starts_with(|c: char| c.is_ascii_lowercase()) && word.len() > 2;
            if topical && !text::words(word).any(|w| text::is_stopword(&w)) && phrase.len() < 3 {
                phrase.push(word);
            } else if !phrase.is_empty() {
                phrases.push(std::mem::take(&mut phrase));
            }
        }
    }
    let score = |word: &str| {
        let with: Vec<_> = phrases.iter().filter(|p| p.contains(&word)).collect();
        with.iter().map(|p| p.len() as f32).sum::<f32>() / with.len() as f32
    };
    let mut scored: Vec<(usize, f32)> =
        phrases.iter().enumerate().map(|(n, p)| (n, p.iter().map(|w| score(w)).sum())).collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut best: Vec<(usize, String)> = Vec::new();
    for (n, _) in scored {
        let phrase = phrases[n].join(" ");
        if best.len() < MAX_POINTS && !best.iter().any(|b| b.1 == phrase) {
            best.push((n, phrase));
        }
    }
    best.sort();
    best.into_iter().map(|b| b.1).collect()
}

/// Words for liking minus words for disliking, each turned round by a negation just before it.
pub fn sentiment(text: &str) -> i32 {
    let words: Vec<String> = text::words(text).collect();
    let negated = |at: usize| {
        words[at.saturating_sub(3)..at].iter().any(|w| matches!(w.as_str(), "not" | "no" | "never" | "t" | "without"))
    };
    words
        .iter()
        .enumerate()
        .map(|(at, word)| {
            let value = i32::from(GOOD.contains(&word.as_str())) - i32::from(BAD.contains(&word.as_str()));
            if negated(at) { -value } else { value }
        })
        .sum()
}

const GOOD: &[&str] = &[
    "amazing",
    "awesome",
    "beautiful",
    "best",
    "better",
    "charming",
    "clean",
    "comfortable",
    "comfy",
    "cozy",
    "delicious",
    "easy",
    "enjoy",
    "enjoyed",
    "excellent",
    "fantastic",
    "favorite",
    "favourite",
    "fine",
    "friendly",
    "fun",
    "glad",
    "good",
    "gorgeous",
    "great",
    "happy",
    "helpful",
    "impressed",
    "lovely",
    "love",
    "loved",
    "loves",
    "nice",
    "perfect",
    "perfectly",
    "pleased",
    "quality",
    "recommend",
    "soft",
    "sturdy",
    "super",
    "tasty",
    "wonderful",
    "works",
    "worth",
    "yummy",
];
const BAD: &[&str] = &[
    "awful",
    "bad",
    "bland",
    "broke",
    "broken",
    "cheap",
    "cheaply",
    "defective",
    "dirty",
    "disappointed",
    "disappointing",
    "disappointment",
    "disgusting",
    "dry",
    "fail",
    "failed",
    "fell",
    "flimsy",
    "hate",
    "hated",
    "horrible",
    "junk",
    "leaked",
    "mess",
    "noisy",
    "overpriced",
    "poor",
    "poorly",
    "refund",
    "return",
    "returned",
    "returning",
    "rude",
    "smelled",
    "terrible",
    "tiny",
    "uncomfortable",
    "unfortunately",
    "useless",
    "waste",
    "weak",
    "worse",
    "worst",
    "wrong",
    "stale",
    "soggy",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_has_a_path() {
        let review =
            Interaction::new("i", "The soft wool scarf is warm. It does not scratch, and my sister wants one!")
                .with_title("Lovely scarf")
                .with_rating(5.0);
        let path = ReasoningPath::of(&review);
        assert_eq!(path.to_string(), "5 stars, enthusiastic, short: lovely scarf, soft wool scarf, sister wants");
        assert_eq!(path.to_string().parse(), Ok(path));
    }

    #[test]
    fn without_a_rating_words_tell() {
        assert_eq!(ReasoningPath::of(&Interaction::new("i", "Terrible, a waste of money")).stance, 1);
        assert_eq!(ReasoningPath::of(&Interaction::new("i", "Great and easy")).stance, 5);
        assert!(sentiment("It was not good") < 0);
    }

    #[test]
    fn other_lines_are_refused() {
        for line in ["", "4 stars", "9 stars, warm, short: a", "4 stars, loud, short: a", "4 stars, warm, huge: a"] {
            assert!(line.parse::<ReasoningPath>().is_err(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn every_text_gives_a_path_that_reads_back(text in "\\PC{0,200}", rating in proptest::option::of(1f32..=5.0)) {
            let path = ReasoningPath::of(&Interaction { item: "i".into(), text, rating, ..Default::default() });
            prop_assert_eq!(path.to_string().parse::<ReasoningPath>(), Ok(path));
        }
    }
}
