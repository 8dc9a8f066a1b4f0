//! Removes personal data and boilerplate from public texts before they enter a pack.
//!
//! Other users' mail addresses and phone numbers do not belong on a device, and a model may repeat
//! them. The rules are in `clean.tsv`, which the Spark job reads too
//! (`tools/spark/locket_spark/clean.py` is this file in Python).

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use regex::{Captures, Regex};

/// Number of matches removed from public texts, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Cleaned {
    /// Mail addresses, with their sentences.
    pub mails: usize,
    /// Phone numbers, with their sentences.
    pub phones: usize,
    /// Links.
    pub links: usize,
    /// Account, card and order numbers, with their sentences.
    pub accounts: usize,
    /// Street addresses, with their sentences.
    pub addresses: usize,
    /// Tags, character references and references to videos and products.
    pub markup: usize,
    /// Notes that a text was written for a promotion.
    pub promotions: usize,
    /// Sellers' answers. A text that contains only an answer is dropped.
    pub answers: usize,
}

impl Cleaned {
    fn count(&mut self, kind: &str) {
        match kind {
            "mails" => self.mails += 1,
            "phones" => self.phones += 1,
            "links" => self.links += 1,
            "accounts" => self.accounts += 1,
            "addresses" => self.addresses += 1,
            "markup" => self.markup += 1,
            "promotions" => self.promotions += 1,
            "answers" => self.answers += 1,
            _ => {}
        }
    }
}

/// Treatment of a match.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Cut,
    Space,
    /// Replace the match with the first group.
    Group,
    /// Cut the match and everything after it.
    Rest,
    /// Cut the whole sentence.
    Sentence,
    /// Cut the match, unless it is a well-known site.
    Site,
}

struct Rule {
    kind: &'static str,
    needs: Vec<&'static str>,
    action: Action,
    /// Minimum and maximum number of digits.
    digits: (usize, usize),
    pattern: Regex,
}

#[derive(Default)]
struct Rules {
    rules: Vec<Rule>,
    entities: HashMap<&'static str, &'static str>,
    sites: HashSet<&'static str>,
}

const FILE: &str = include_str!("clean.tsv");
static RULES: LazyLock<Rules> = LazyLock::new(Rules::read);
/// A character reference: decimal, hexadecimal, or by name.
static ENTITY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("&(?:#([0-9]{1,7})|#[xX]([0-9A-Fa-f]{1,6})|([A-Za-z][A-Za-z0-9]{1,7}));").ok());
/// Maximum length of a sentence that is cut as a whole, in characters.
const SENTENCE: usize = 160;
const BEFORE_SPACE: [char; 3] = ['.', '!', '?'];
const ENDS: [char; 4] = ['\u{3002}', '\u{ff01}', '\u{ff1f}', '\u{964}'];

impl Rule {
    fn read(line: &'static str) -> Option<Self> {
        let mut fields = line.split('\t').skip(1);
        let (kind, needs) = (fields.next()?, fields.next()?.split('|').collect());
        let action = match fields.next()? {
            "cut" => Action::Cut,
            "space" => Action::Space,
            "group" => Action::Group,
            "rest" => Action::Rest,
            "sentence" => Action::Sentence,
            "site" => Action::Site,
            _ => return None,
        };
        let digits = match fields.next()?.split_once('-')? {
            ("", "") => (0, usize::MAX),
            (least, most) => (least.parse().ok()?, most.parse().ok()?),
        };
        Some(Self { kind, needs, action, digits, pattern: Regex::new(fields.next()?).ok()? })
    }

    /// Whether the rule can apply. A search for strings is cheaper than the pattern.
    fn needed(&self, text: &str, lower: &str) -> bool {
        self.needs.iter().any(|&need| match need {
            "-" => true,
            "#" => text.bytes().any(|b| b.is_ascii_digit()),
            need => lower.contains(need),
        })
    }

    /// Whether a match counts: personal data does not begin or end within a word or a number.
    fn fits(&self, text: &str, start: usize, end: usize) -> bool {
        if !matches!(self.action, Action::Sentence | Action::Site) {
            return true;
        }
        let before = text[..start].chars().next_back();
        let touches = |c: char| c.is_ascii_alphanumeric();
        if before.is_some_and(touches) || text[end..].starts_with(touches) {
            return false;
        }
        if matches!(self.kind, "phones" | "accounts") && before.is_some_and(|c| "$€£#.,/-".contains(c)) {
            return false;
        }
        let found = &text[start..end];
        let lower = found.to_lowercase();
        let site = lower.strip_suffix(".com").unwrap_or(&lower);
        let site = site.strip_suffix(".de").unwrap_or(site);
        if self.action == Action::Site && RULES.sites.contains(site) {
            return false;
        }
        let digits = found.bytes().filter(u8::is_ascii_digit).count();
        (self.digits.0..=self.digits.1).contains(&digits)
    }

    /// Applies the rule. Returns the text, and whether the rule cut off the rest of it.
    fn apply(&self, mut text: String, cleaned: &mut Cleaned) -> (String, bool) {
        let mut at = 0;
        while let Some(m) = self.pattern.find_at(&text, at) {
            let (mut start, mut end) = (m.start(), m.end());
            if !self.fits(&text, start, end) {
                at = end;
                continue;
            }
            cleaned.count(self.kind);
            let filling = match self.action {
                Action::Rest => {
                    text.truncate(text[..start].trim_end_matches(' ').len());
                    return (text, true);
                }
                Action::Space => " ".to_owned(),
                Action::Group => {
                    let group = self.pattern.captures_at(&text, at).and_then(|c| Some(c.get(1)?.as_str().to_owned()));
                    group.unwrap_or_default()
                }
                Action::Sentence => {
                    (start, end) = sentence(&text, start, end);
                    String::new()
                }
                Action::Cut | Action::Site => String::new(),
            };
            text.replace_range(start..end, &filling);
            at = start + filling.len();
        }
        (text, false)
    }
}

impl Rules {
    fn read() -> Self {
        let mut all = Self::default();
        for line in FILE.lines() {
            match line.split('\t').collect::<Vec<_>>()[..] {
                ["rule", ..] => all.rules.extend(Rule::read(line)),
                ["entity", name, character] => _ = all.entities.insert(name, character),
                ["site", name] => _ = all.sites.insert(name),
                _ => {}
            }
        }
        all
    }

    /// Returns the character of a character reference.
    fn entity(&self, reference: &Captures<'_>) -> Option<String> {
        let part = |n: usize| reference.get(n).map(|m| m.as_str());
        if let Some(name) = part(3) {
            return self.entities.get(name).map(|c| (*c).to_owned());
        }
        let number = part(1).map_or_else(|| u32::from_str_radix(part(2)?, 16).ok(), |n| n.parse().ok())?;
        let character = char::from_u32(number).filter(|c| *c != '\0')?;
        Some(if character.is_control() { ' ' } else { character }.to_string())
    }
}

/// Removes personal data, markup, promotions and sellers' answers from `text` (one line). Returns
/// `None` if the text contains only an answer.
pub(super) fn clean(text: &str, cleaned: &mut Cleaned) -> Option<String> {
    let mut now = text.to_owned();
    // Two passes: some texts are escaped twice.
    for _ in 0..2 {
        if let Some(entity) = ENTITY.as_ref().filter(|_| now.contains('&')) {
            let decoded = entity.replace_all(&now, |reference: &Captures<'_>| match RULES.entity(reference) {
                Some(character) => {
                    cleaned.markup += 1;
                    character
                }
                None => reference[0].to_owned(),
            });
            now = decoded.into_owned();
        }
    }
    let mut lower = now.to_lowercase();
    for rule in &RULES.rules {
        if rule.kind == "tidy" && now == text {
            break;
        }
        if !rule.needed(&now, &lower) {
            continue;
        }
        let before = now.len();
        let (after, answered) = rule.apply(now, cleaned);
        if answered && after.is_empty() {
            return None;
        }
        now = after;
        if now.len() != before {
            lower = now.to_lowercase();
        }
    }
    Some(now)
}

/// Returns the range of the sentence around `start..end`, with the space after it. If the sentence
/// is too long, returns `start..end`.
fn sentence(text: &str, start: usize, end: usize) -> (usize, usize) {
    let ends = |at: usize, c: char, last: bool| {
        let behind = &text[at + c.len_utf8()..];
        ENDS.contains(&c) || BEFORE_SPACE.contains(&c) && (behind.starts_with(' ') || last && behind.is_empty())
    };
    let before = text[..start].char_indices().rfind(|&(at, c)| ends(at, c, false));
    let mut first = before.map_or(0, |(at, c)| at + c.len_utf8());
    first += text[first..].len() - text[first..].trim_start_matches(' ').len();
    first = first.min(start);
    let after = text[end..].char_indices().find(|&(at, c)| ends(end + at, c, true));
    let mut last = after.map_or(text.len(), |(at, c)| end + at + c.len_utf8());
    if text[first..last].chars().count() > SENTENCE {
        return (start, end);
    }
    last += text[last..].len() - text[last..].trim_start_matches(' ').len();
    (first, last)
}

#[cfg(test)]
#[path = "clean_tests.rs"]
mod tests;
