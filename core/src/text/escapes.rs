//! Repair of unpaired surrogate escapes in JSON.

use std::borrow::Cow;

/// Replaces every escape of an unpaired surrogate (`\ud83d` alone) by `\ufffd`.
///
/// An unpaired surrogate is no character, and a JSON parser rejects it. Programs write one if they
/// cut a text after a number of UTF-16 units.
pub fn mended(json: &str) -> Cow<'_, str> {
    let unit = |at: usize| {
        let digits = json.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (high, low) = (0xd800..=0xdbffu16, 0xdc00..=0xdfffu16);
    let (mut out, mut copied, mut at) = (String::new(), 0, 0);
    while let Some(next) = json[at..].find('\\').map(|n| at + n) {
        at = next
            + match unit(next) {
                Some(first) if high.contains(&first) && unit(next + 6).is_some_and(|second| low.contains(&second)) => {
                    12
                }
                Some(half) if high.contains(&half) || low.contains(&half) => {
                    out.push_str(&json[copied..next]);
                    out.push_str("\\ufffd");
                    copied = next + 6;
                    6
                }
                // Skips the escaped character, which may be a backslash too.
                _ => 1 + json[next + 1..].chars().next().map_or(0, char::len_utf8),
            };
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    out.push_str(&json[copied..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_pairs_are_replaced_and_pairs_stay() {
        for (given, wanted) in [
            (r#""a\ud83d""#, r#""a\ufffd""#),
            (r#""\uDE42 b\uD83D\uDE42\uD83D""#, r#""\ufffd b\uD83D\uDE42\ufffd""#),
            (r#""\ud83d\ud83d\ude42""#, r#""\ufffd\ud83d\ude42""#),
            (r#""\\ud83d \\\ud83dé""#, r#""\\ud83d \\\ufffdé""#),
            (r#""\ud83dx\u00e9\n\"""#, r#""\ufffdx\u00e9\n\"""#),
        ] {
            assert_eq!(mended(given), wanted);
        }
        for same in ["", "\\", "\\é", r#""\ud83"#, r#"{"a":"\ud83d\ude42 \u00e9 \\"}"#, "🙂"] {
            assert!(matches!(mended(same), Cow::Borrowed(text) if text == same));
        }
    }
}
