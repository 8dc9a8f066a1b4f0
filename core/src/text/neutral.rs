//! A text in neutral style: the words of its author without the author's habits.
//!
//! Prompts show each earlier text in this form where a request brings a draft, so that the model
//! sees in the user's own examples how a plain draft becomes the user's text.

use super::{ends_sentence, is_mark, one_line};

/// English short forms of chats with their full forms; an empty full form drops the word.
const SHORT: [(&str, &str); 25] = [
    ("u", "you"),
    ("ur", "your"),
    ("r", "are"),
    ("im", "I'm"),
    ("ive", "I've"),
    ("dont", "don't"),
    ("cant", "can't"),
    ("didnt", "didn't"),
    ("doesnt", "doesn't"),
    ("isnt", "isn't"),
    ("thats", "that's"),
    ("thx", "thanks"),
    ("pls", "please"),
    ("plz", "please"),
    ("gonna", "going to"),
    ("wanna", "want to"),
    ("gotta", "have to"),
    ("yeah", "yes"),
    ("yep", "yes"),
    ("ya", "yes"),
    ("nope", "no"),
    ("ok", "okay"),
    ("lol", ""),
    ("haha", ""),
    ("hehe", ""),
];

/// Returns `text` in neutral style, on one line: sentences begin with a capital letter and end with
/// a full stop or a question mark; emoji, emphasis and laughter are gone, letters repeated more than
/// twice stand once, and English short forms are written out. The words and their order stay.
pub fn neutral(text: &str) -> String {
    let mut sentences: Vec<String> = Vec::new();
    for line in text.lines().map(one_line) {
        let mut words: Vec<String> = Vec::new();
        for token in line.split(' ').filter(|token| !token.is_empty()) {
            let end = token.trim_end_matches(['"', '\'', ')', '*']);
            let ends = end.ends_with(ends_sentence).then(|| end.ends_with(['?', '？']));
            words.extend(plain(token));
            if let Some(question) = ends {
                sentences.extend(sentence(&words, question));
                words.clear();
            }
        }
        sentences.extend(sentence(&words, false));
    }
    sentences.join(" ")
}

/// Returns the words as a sentence, or `None` if there are none.
fn sentence(words: &[String], question: bool) -> Option<String> {
    let joined = words.join(" ");
    let body = joined.trim_end_matches(|c: char| ends_sentence(c) || matches!(c, ',' | ';' | ':' | '…' | '-'));
    let mut chars = body.chars();
    let first = chars.next()?;
    let end = if question { '?' } else { '.' };
    Some(first.to_uppercase().chain(chars).chain([end]).collect())
}

/// Returns a word without its author's habits, or `None` if it is an emoji or laughter.
fn plain(token: &str) -> Option<String> {
    // Addresses and numbers stay as they are, their last mark aside.
    if token.contains("://") || token.contains('@') || token.contains(|c: char| c.is_ascii_digit()) {
        return Some(token.to_owned());
    }
    if !token.contains(char::is_alphabetic) || token.chars().count() == 2 && token.starts_with([':', ';', '=']) {
        return None;
    }
    let kept =
        |c: &char| c.is_alphanumeric() || is_mark(*c) || matches!(c, '\'' | '’' | '-' | ',' | ';' | '(' | ')' | '/');
    let word: String = once(token).chars().filter(kept).collect();
    let bare = word.trim_end_matches([',', ';']);
    let tail = &word[bare.len()..];
    let lower = bare.to_lowercase();
    if let Some((_, full)) = SHORT.iter().find(|(short, _)| *short == lower) {
        return (!full.is_empty()).then(|| format!("{full}{tail}"));
    }
    if lower == "i" || lower.starts_with("i'") || lower.starts_with("i’") {
        return Some(format!("I{}{tail}", &bare[1..]));
    }
    let shouted = bare.chars().filter(|c| c.is_alphabetic()).count() > 4 && !bare.contains(char::is_lowercase);
    Some(if shouted { lower + tail } else { word })
}

/// Returns a word with one letter for each run of three and more.
fn once(token: &str) -> String {
    let chars: Vec<char> = token.chars().collect();
    let mut out = String::new();
    for run in chars.chunk_by(|a, b| a == b) {
        let times = if run.len() > 2 && run[0].is_alphabetic() { 1 } else { run.len() };
        out.extend(&run[..times]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn habits_go_and_words_stay() {
        let cases = [
            ("yeah i dont know!!! sooo good :)", "Yes I don't know. So good."),
            ("im late\nu coming? lol", "I'm late. You coming?"),
            ("THANKS for the link: https://a.example/B?x=1!", "Thanks for the link https://a.example/B?x=1."),
            ("ok, see you at 5", "Okay, see you at 5."),
            ("Die Tasse ist schön 😀", "Die Tasse ist schön."),
            ("It's 4.50 each, I think...", "It's 4.50 each, I think."),
            ("", ""),
            ("😀 !!", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(neutral(text), expected, "{text}");
        }
    }

    #[test]
    fn a_neutral_text_stays_as_it_is() {
        let text = "I will come on Monday. Can you bring the keys?";
        assert_eq!(neutral(text), text);
        assert_eq!(neutral(&neutral("yeah i dont know!!! sooo good :)")), "Yes I don't know. So good.");
    }
}
