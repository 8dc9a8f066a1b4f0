//! The Porter stemmer (Porter 1980) with the changes of NLTK's default mode, which METEOR relies
//! on.

/// Words with stems that the rules would get wrong.
const IRREGULAR: &[(&str, &str)] = &[
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// Returns the stem of a lower-case word.
pub fn stem(word: &str) -> String {
    if let Some((_, stem)) = IRREGULAR.iter().find(|(form, _)| *form == word) {
        return (*stem).to_owned();
    }
    let mut w: Vec<char> = word.chars().collect();
    if w.len() <= 2 {
        return word.to_owned();
    }
    plural(&mut w);
    past(&mut w);
    final_y(&mut w);
    suffixes_2(&mut w);
    first_match(&mut w, SUFFIXES_3, |w, kept, _| measure(&w[..kept]) > 0);
    first_match(&mut w, SUFFIXES_4, |w, kept, suffix| {
        measure(&w[..kept]) > 1 && (suffix != "ion" || matches!(w[kept - 1], 's' | 't'))
    });
    final_e(&mut w);
    if ends(&w, "ll") && measure(&w[..w.len() - 1]) > 1 {
        w.pop();
    }
    w.into_iter().collect()
}

fn consonant(w: &[char], at: usize) -> bool {
    match w[at] {
        'a' | 'e' | 'i' | 'o' | 'u' => false,
        'y' => at == 0 || !consonant(w, at - 1),
        _ => true,
    }
}

/// Porter's m: the number of vowel-consonant sequences.
fn measure(w: &[char]) -> usize {
    (1..w.len()).filter(|&at| !consonant(w, at - 1) && consonant(w, at)).count()
}

fn has_vowel(w: &[char]) -> bool {
    (0..w.len()).any(|at| !consonant(w, at))
}

fn double_consonant(w: &[char]) -> bool {
    let n = w.len();
    n >= 2 && w[n - 1] == w[n - 2] && consonant(w, n - 1)
}

/// Whether the word ends in consonant, vowel, consonant other than w, x, y; or is a vowel and a
/// consonant.
fn short_end(w: &[char]) -> bool {
    let n = w.len();
    let long = n >= 3
        && consonant(w, n - 3)
        && !consonant(w, n - 2)
        && consonant(w, n - 1)
        && !matches!(w[n - 1], 'w' | 'x' | 'y');
    long || (n == 2 && !consonant(w, 0) && consonant(w, 1))
}

fn ends(w: &[char], suffix: &str) -> bool {
    let n = suffix.chars().count();
    w.len() >= n && w[w.len() - n..].iter().copied().eq(suffix.chars())
}

fn replace(w: &mut Vec<char>, suffix: &str, new: &str) {
    w.truncate(w.len() - suffix.chars().count());
    w.extend(new.chars());
}

/// Applies the first rule with a matching suffix, if its condition holds; later rules are not
/// tried.
fn first_match(w: &mut Vec<char>, rules: &[(&str, &str)], condition: impl Fn(&[char], usize, &str) -> bool) {
    if let Some((suffix, new)) = rules.iter().find(|(suffix, _)| ends(w, suffix))
        && condition(w, w.len() - suffix.len(), suffix)
    {
        replace(w, suffix, new);
    }
}

fn plural(w: &mut Vec<char>) {
    if ends(w, "ies") && w.len() == 4 {
        return replace(w, "ies", "ie");
    }
    first_match(w, &[("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", "")], |_, _, _| true);
}

fn past(w: &mut Vec<char>) {
    if ends(w, "ied") {
        let new = if w.len() == 4 { "ie" } else { "i" };
        return replace(w, "ied", new);
    }
    if ends(w, "eed") {
        if measure(&w[..w.len() - 3]) > 0 {
            w.pop();
        }
        return;
    }
    let Some(suffix) = ["ed", "ing"].into_iter().find(|s| ends(w, s) && has_vowel(&w[..w.len() - s.len()])) else {
        return;
    };
    replace(w, suffix, "");
    if let Some(end) = ["at", "bl", "iz"].into_iter().find(|s| ends(w, s)) {
        replace(w, end, &format!("{end}e"));
    } else if double_consonant(w) {
        if !matches!(w[w.len() - 1], 'l' | 's' | 'z') {
            w.pop();
        }
    } else if measure(w) == 1 && short_end(w) {
        w.push('e');
    }
}

fn final_y(w: &mut [char]) {
    let n = w.len();
    if n > 2 && w[n - 1] == 'y' && consonant(w, n - 2) {
        w[n - 1] = 'i';
    }
}

const SUFFIXES_2: &[(&str, &str)] = &[
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
    ("logi", "log"),
];
const SUFFIXES_3: &[(&str, &str)] =
    &[("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", "")];
const SUFFIXES_4: &[(&str, &str)] = &[
    ("al", ""),
    ("ance", ""),
    ("ence", ""),
    ("er", ""),
    ("ic", ""),
    ("able", ""),
    ("ible", ""),
    ("ant", ""),
    ("ement", ""),
    ("ment", ""),
    ("ent", ""),
    ("ion", ""),
    ("ou", ""),
    ("ism", ""),
    ("ate", ""),
    ("iti", ""),
    ("ous", ""),
    ("ive", ""),
    ("ize", ""),
];

fn suffixes_2(w: &mut Vec<char>) {
    // The suffix -alli is removed first, and the rules apply again to the new ending.
    if ends(w, "alli") && measure(&w[..w.len() - 4]) > 0 {
        replace(w, "alli", "al");
        return suffixes_2(w);
    }
    // For -logi the l counts as part of the stem.
    first_match(w, SUFFIXES_2, |w, kept, suffix| measure(&w[..kept + usize::from(suffix == "logi")]) > 0);
}

fn final_e(w: &mut Vec<char>) {
    if w.last() == Some(&'e') {
        let stem = &w[..w.len() - 1];
        let m = measure(stem);
        if m > 1 || (m == 1 && !short_end(stem)) {
            w.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_the_paper() {
        for (word, want) in [
            ("caresses", "caress"),
            ("ponies", "poni"),
            ("cats", "cat"),
            ("agreed", "agre"),
            ("plastered", "plaster"),
            ("motoring", "motor"),
            ("conflated", "conflat"),
            ("hopping", "hop"),
            ("filing", "file"),
            ("happy", "happi"),
            ("relational", "relat"),
            ("electrical", "electr"),
            ("adjustment", "adjust"),
            ("adoption", "adopt"),
            ("controll", "control"),
            ("dies", "die"),
            ("skies", "sky"),
            ("enjoy", "enjoy"),
            ("is", "is"),
            ("geologi", "geolog"),
        ] {
            assert_eq!(stem(word), want, "{word}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics(word in "\\PC{0,12}") {
            let _ = stem(&word);
        }
    }
}
