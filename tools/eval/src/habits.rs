//! Habits of writing that are no words: letter case, marks, emoji, the length of words and sentences.

use locket::internals::text;

/// Number of habits.
const HABITS: usize = 9;

/// The habits of some texts.
pub(super) type Habits = [f64; HABITS];

/// Returns the habits of some texts, or `None` if they have no words.
///
/// They are: the share of sentences that begin in upper case, of upper-case letters, commas, full
/// stops, exclamation marks, question marks, and emoji or other symbols a word; the mean length of a
/// word and the logarithm of the mean length of a sentence.
pub(super) fn habits<'t>(texts: impl Iterator<Item = &'t str>) -> Option<Habits> {
    let mut words = 0.0;
    let (mut letters, mut upper, mut sentences, mut begun_upper) = (0.0, 0.0, 0.0, 0.0);
    let mut marks = [0.0; 5];
    for text in texts {
        words += text::word_count(text) as f64;
        let mut begins = true;
        for c in text.chars() {
            if c.is_alphabetic() {
                letters += 1.0;
                upper += f64::from(u8::from(c.is_uppercase()));
                if begins {
                    sentences += 1.0;
                    begun_upper += f64::from(u8::from(c.is_uppercase()));
                }
                begins = false;
            }
            let mark = match c {
                ',' => Some(0),
                '.' => Some(1),
                '!' => Some(2),
                '?' => Some(3),
                c if !c.is_alphanumeric() && !c.is_ascii() && !c.is_whitespace() => Some(4),
                _ => None,
            };
            if let Some(mark) = mark {
                marks[mark] += 1.0;
            }
            begins |= matches!(c, '.' | '!' | '?' | '\n');
        }
    }
    if words == 0.0 || letters == 0.0 {
        return None;
    }
    let [commas, stops, exclamations, questions, symbols] = marks.map(|n| n / words);
    let (case, length) = (begun_upper / sentences, (words / sentences).ln());
    Some([case, upper / letters, commas, stops, exclamations, questions, symbols, letters / words, length])
}

/// Returns, for each text, how far its habits are from its author's, divided by the mean distance to
/// other people's: 0 if they are the author's, about 1 if they are anybody's. `own` are the habits of
/// the authors, in the order of `texts`. A habit counts by its standard deviation among the authors.
pub(super) fn distances(texts: &[Habits], own: &[Habits]) -> Vec<f64> {
    let n = own.len() as f64;
    let mean: Habits = std::array::from_fn(|h| own.iter().map(|o| o[h]).sum::<f64>() / n);
    let deviation: Habits =
        std::array::from_fn(|h| (own.iter().map(|o| (o[h] - mean[h]).powi(2)).sum::<f64>() / n).sqrt());
    let apart = |a: &Habits, b: &Habits| -> f64 {
        let by_habit = (0..HABITS).filter(|&h| deviation[h] > 0.0).map(|h| ((a[h] - b[h]) / deviation[h]).powi(2));
        by_habit.sum::<f64>().sqrt()
    };
    let share = |(place, text): (usize, &Habits)| {
        let others = own.iter().enumerate().filter(|(n, _)| *n != place).map(|(_, o)| apart(text, o));
        let others = others.sum::<f64>() / (n - 1.0).max(1.0);
        if others > 0.0 { apart(text, &own[place]) / others } else { 1.0 }
    };
    texts.iter().enumerate().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Habits {
        habits([text].into_iter()).unwrap()
    }

    #[test]
    fn each_habit_is_seen() {
        let plain = of("It came today. It works well.");
        assert_eq!(plain[0], 1.0);
        assert_eq!(of("it came today. it works well.")[0], 0.0);
        for (text, habit) in
            [("It came!! It works", 4), ("Did it come?", 5), ("It came 😀 today", 6), ("It, well, came", 2)]
        {
            assert!(of(text)[habit] > plain[habit], "{text}");
        }
        assert_eq!(habits(["", "!!"].into_iter()), None);
    }

    #[test]
    fn a_text_is_near_its_author() {
        let own = [of("it came today, thx!!"), of("It came today. Thank you."), of("DID IT COME TODAY?")];
        let near = distances(&own, &own);
        assert!(near.iter().all(|d| *d == 0.0), "{near:?}");
        let swapped = [own[1], own[0], own[2]];
        let far = distances(&swapped, &own);
        assert!(far[0] > 1.0 && far[1] > 1.0, "{far:?}");
    }
}
