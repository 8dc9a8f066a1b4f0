//! Reasoning paths: the short structured plan that precedes a text.
//!
//! A path holds the author's rating of the item, the tone, the length, and the points to make. It
//! is one line of about 15 tokens, such as `4 stars, warm, short: soft fabric, runs small`. A
//! grammar enforces the format during decoding.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

mod points;
mod sentiment;

use self::points::key_phrases;
pub use self::sentiment::sentiment;
use crate::text;

/// The tone of a text.
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

/// The length of a text.
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
    /// More than 100 words.
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

/// Maximum number of points of a path.
pub const MAX_POINTS: usize = 3;

/// The plan for one text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReasoningPath {
    /// Rating in stars, 1 to 5.
    pub stance: u8,
    /// The tone.
    pub tone: Tone,
    /// The length.
    pub length: Length,
    /// The points to mention, at most [`MAX_POINTS`], each a few lower-case words of any script.
    pub points: Vec<String>,
}

/// Letters of points with their combining marks, lower case in scripts with two cases. Scripts
/// without spaces are in [`text::UNSPACED`].
const LETTERS: [(char, char); 24] = [
    ('a', 'z'),
    // Latin, its extensions and combining marks.
    ('\u{df}', '\u{f6}'),
    ('\u{f8}', '\u{2af}'),
    ('\u{300}', '\u{36f}'),
    ('\u{1e00}', '\u{1eff}'),
    // Greek, Cyrillic, Armenian, Georgian.
    ('\u{3ac}', '\u{3ce}'),
    ('\u{1f00}', '\u{1ffc}'),
    ('\u{430}', '\u{481}'),
    ('\u{483}', '\u{487}'),
    ('\u{48a}', '\u{52f}'),
    ('\u{561}', '\u{587}'),
    ('\u{10d0}', '\u{10ff}'),
    // Hebrew, Arabic.
    ('\u{5b0}', '\u{5bd}'),
    ('\u{5d0}', '\u{5ea}'),
    ('\u{620}', '\u{65f}'),
    ('\u{66e}', '\u{6d3}'),
    ('\u{750}', '\u{77f}'),
    // Devanagari, then Bengali to Sinhala.
    ('\u{900}', '\u{963}'),
    ('\u{971}', '\u{9e3}'),
    ('\u{9f0}', '\u{df3}'),
    // Tibetan, Ethiopic, Hangul.
    ('\u{f40}', '\u{fbc}'),
    ('\u{1200}', '\u{135f}'),
    ('\u{1100}', '\u{11ff}'),
    ('\u{ac00}', '\u{d7a3}'),
];
/// Maximum number of letters of a word.
const WORD_LETTERS: usize = 15;
/// Maximum number of letters of a point in a script without spaces.
const UNSPACED_LETTERS: usize = 8;

/// Returns the inside of a GBNF character class.
fn class(ranges: &[(char, char)]) -> String {
    ranges.iter().map(|&(first, last)| format!("\\U{:08X}-\\U{:08X}", first as u32, last as u32)).collect()
}

/// Returns the grammar of a path's line (GBNF), from the space after `Plan:` to the line's end, for
/// any length or for the given one. Lines of kinds without ratings have no `stars`. With `first`,
/// that is the first point.
pub fn grammar(length: Option<Length>, stars: bool, first: Option<&str>) -> String {
    let letters = class(&LETTERS);
    let any = |words: Vec<&str>| words.iter().map(|w| format!("{w:?}")).collect::<Vec<_>>().join(" | ");
    format!(
        "root ::= \" \" {}tone \", \" length \": \" {} (\", \" point)? (\", \" point)? \"\\n\"\n\
         tone ::= {}\nlength ::= {}\n\
         point ::= word (\" \" word)? (\" \" word)? | unspaced\n\
         word ::= [{letters}] [{letters}'-]{{0,{}}}\n\
         unspaced ::= [{}]{{1,{UNSPACED_LETTERS}}}\n",
        if stars { "[1-5] \" stars, \" " } else { "" },
        first.map_or_else(|| "point".to_owned(), |point| format!("{point:?}")),
        any(TONES.iter().map(|t| t.1).collect()),
        any(LENGTHS.iter().filter(|l| length.is_none_or(|only| l.0 == only)).map(|l| l.1).collect()),
        WORD_LETTERS - 1,
        class(&text::UNSPACED),
    )
}

impl fmt::Display for ReasoningPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line(true))
    }
}

/// Returns the beginnings of all paths: every combination of stars, tone and length.
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
            let mut head = head.split(", ").peekable();
            let stars = head.next_if(|stars| stars.ends_with(" stars"));
            let (tone, length) = (head.next()?, head.next()?);
            let tone = TONES.iter().find(|t| t.1 == tone)?.0;
            let stance = match stars {
                Some(stars) => stars.strip_suffix(" stars")?.parse().ok().filter(|s| (1..=5).contains(s))?,
                None => tone.stance(),
            };
            let length = LENGTHS.iter().find(|l| l.1 == length)?.0;
            let points = points.split(',').map(|p| p.trim().to_owned()).filter(|p| !p.is_empty());
            Some(Self { stance, tone, length, points: points.take(MAX_POINTS).collect() })
        };
        parse().ok_or_else(|| NotAPath(line.to_owned()))
    }
}

impl Length {
    /// Returns the length of a text with this many words.
    pub fn of_words(words: usize) -> Self {
        let longest_first = [Self::Long, Self::Medium, Self::Short];
        longest_first.into_iter().find(|length| words >= length.least_words()).unwrap_or(Self::Brief)
    }

    /// Returns the maximum number of words of this length, if there is one.
    pub(crate) fn most_words(self) -> Option<usize> {
        match self {
            Self::Brief => Some(12),
            Self::Short => Some(40),
            Self::Medium => Some(100),
            Self::Long => None,
        }
    }

    /// Returns the minimum number of words of this length.
    pub(crate) fn least_words(self) -> usize {
        match self {
            Self::Brief => 1,
            Self::Short => 13,
            Self::Medium => 41,
            Self::Long => 101,
        }
    }
}

impl Tone {
    /// Returns the rating that fits the tone.
    fn stance(self) -> u8 {
        match self {
            Self::Enthusiastic => 5,
            Self::Warm => 4,
            Self::Plain => 3,
            Self::Critical => 2,
            Self::Angry => 1,
        }
    }
}

impl ReasoningPath {
    /// Creates a plan for a text without a rating. Points beyond [`MAX_POINTS`] are dropped.
    pub fn new(tone: Tone, length: Length, points: impl IntoIterator<Item = String>) -> Self {
        Self { stance: tone.stance(), tone, length, points: points.into_iter().take(MAX_POINTS).collect() }
    }

    /// Returns the path's line, as [`FromStr`] reads it, with or without its rating.
    pub fn line(&self, stars: bool) -> String {
        let tone = TONES.iter().find(|t| t.0 == self.tone).map_or("plain", |t| t.1);
        let length = LENGTHS.iter().find(|l| l.0 == self.length).map_or("short", |l| l.1);
        let stars = if stars { format!("{} stars, ", self.stance) } else { String::new() };
        format!("{stars}{tone}, {length}: {}", self.points.join(", "))
    }

    /// Returns the path that fits a text.
    ///
    /// The rating comes from `stars`, else from the words of the text; the length from the number
    /// of words; the points from RAKE.
    pub fn of(title: Option<&str>, text: &str, stars: Option<u8>) -> Self {
        let all = format!("{}. {text}", title.unwrap_or_default());
        // A text without known sentiment counts as neutral.
        let stance = stars.unwrap_or(match sentiment(&all).unwrap_or(0) {
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
        let length = Length::of_words(text::word_count(text));
        Self { stance, tone, length, points: key_phrases(&all) }
    }
}

#[cfg(test)]
mod tests {
    use super::{points::is_word, *};
    use proptest::prelude::*;

    #[test]
    fn a_text_has_a_path() {
        let text = "The soft wool scarf is warm. It does not scratch, and my sister wants one!";
        let path = ReasoningPath::of(Some("Lovely scarf"), text, Some(5));
        assert_eq!(path.to_string(), "5 stars, enthusiastic, short: lovely scarf, soft wool scarf, sister wants");
        assert_eq!(path.to_string().parse(), Ok(path));
        let plan = ReasoningPath::new(Tone::Warm, Length::Brief, ["coming at eight".to_owned()]);
        assert_eq!(plan.line(false), "warm, brief: coming at eight");
        assert_eq!(plan.line(false).parse(), Ok(plan));
    }

    #[test]
    fn without_a_rating_words_tell() {
        assert_eq!(ReasoningPath::of(None, "Terrible, a waste of money", None).stance, 1);
        assert_eq!(ReasoningPath::of(None, "Great and easy", None).stance, 5);
        assert!(sentiment("It was not good").is_some_and(|s| s < 0));
        assert_eq!(sentiment("Sturdy pot"), Some(1));
    }

    #[test]
    fn the_list_tells_nothing_about_other_languages() {
        for text in [
            "Die Kanne war nach zwei Wochen undicht, der Kundendienst hat nie geantwortet.",
            "Das Fell ist dick und warm, die Farbe bleibt.",
            "La bouilloire fuit depuis deux semaines et personne ne répond jamais.",
            "De waterkoker lekt na twee weken, zonde van mijn centen.",
            "La tetera gotea desde hace dos semanas.",
            "Чайник протёк через неделю, возврат не оформили.",
            "茶壶漏水，客服不回复。",
            "यह केतली बहुत अच्छी है।",
            "",
        ] {
            assert_eq!(sentiment(text), None, "{text}");
            assert_eq!(ReasoningPath::of(None, text, None).stance, 3, "{text}");
            assert_eq!(ReasoningPath::of(None, text, Some(1)).stance, 1, "{text}");
        }
    }

    #[test]
    fn points_are_in_any_script() {
        let points = |text: &str| {
            let path = ReasoningPath::of(None, text, Some(4));
            assert_eq!(path.to_string().parse::<ReasoningPath>(), Ok(path.clone()));
            path.points
        };
        assert_eq!(
            points("Schöne Teekanne, große Öffnung. Gießt 2 Tassen."),
            ["schöne teekanne", "große öffnung", "gießt"]
        );
        assert_eq!(points("Чайник быстро кипятит, ручка тёплая."), ["чайник быстро кипятит", "ручка тёплая"]);
        assert_eq!(
            points("茶壶很好用，手柄不烫手而且容易清洗。Bosch水壶"),
            ["茶壶很好用", "手柄不烫手而且容", "bosch"]
        );
        assert_eq!(points("अच्छी चाय, मज़बूत हैंडल"), ["अच्छी चाय", "मज़बूत हैंडल"]);
        assert_eq!(points("กาน้ำดีมาก"), ["กาน้ำดีม"]);
    }

    #[test]
    fn other_lines_are_refused() {
        for line in ["", "4 stars", "9 stars, warm, short: a", "4 stars, loud, short: a", "4 stars, warm, huge: a"] {
            assert!(line.parse::<ReasoningPath>().is_err(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn every_text_gives_a_path_that_reads_back(text in "[\\PC文ไéж ]{0,200}", stars in proptest::option::of(1u8..=5)) {
            let path = ReasoningPath::of(None, &text, stars);
            let unspaced = |p: &String| p.chars().all(|c| text::is_unspaced(c) || text::is_mark(c));
            for point in &path.points {
                let words = point.split(' ').count() <= 3 && point.split(' ').all(is_word);
                prop_assert!(words || (unspaced(point) && point.chars().count() <= UNSPACED_LETTERS), "{}", point);
            }
            prop_assert_eq!(path.to_string().parse::<ReasoningPath>(), Ok(path));
        }

        #[test]
        fn points_of_ascii_texts_hold_ascii_words(text in "[a-zA-Z0-9 ,.'!-]{0,120}") {
            let points = ReasoningPath::of(None, &text, None).points;
            prop_assert!(points.iter().all(|p| p.bytes().all(|b| matches!(b, b'a'..=b'z' | b' ' | b'\'' | b'-'))));
        }
    }
}
