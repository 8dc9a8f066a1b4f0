use super::*;
use locket::internals::text::one_line;

/// Test cases shared by both builders.
const CASES: &str = include_str!("../../../../tests/cleaning.tsv");

#[test]
fn every_rule_is_read() {
    assert_eq!(RULES.rules.len(), FILE.lines().filter(|l| l.starts_with("rule\t")).count());
    assert!(ENTITY.is_some() && RULES.entities.len() > 100 && RULES.sites.contains("booking"));
    assert!(RULES.rules.iter().all(|r| r.action != Action::Group || r.pattern.captures_len() == 2));
}

#[test]
fn takes_personal_data_and_boilerplate_out_of_texts() {
    for case in CASES.lines().filter(|l| !l.starts_with('#')) {
        let [what, text, left] = case.split('\t').collect::<Vec<_>>()[..] else { panic!("{case}") };
        let (kind, count) = what.split_once(' ').unwrap();
        let mut cleaned = Cleaned::default();
        let found = clean(&one_line(text), &mut cleaned).map_or("-".to_owned(), |t| one_line(&t));
        assert_eq!(found, left, "{case}");
        let counts = serde_json::to_value(cleaned).unwrap();
        let others: u64 = counts.as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum();
        assert_eq!((counts[kind].as_u64(), others), (count.parse().ok(), count.parse().unwrap()), "{case}: {counts}");
    }
}

#[test]
fn a_long_sentence_loses_only_the_number() {
    let long = "very ".repeat(40);
    let text = format!("It is {long}good call 415-555-0142 for more");
    let mut cleaned = Cleaned::default();
    let left = clean(&text, &mut cleaned).map(|t| one_line(&t));
    assert_eq!(left, Some(format!("It is {long}good for more")));
    assert_eq!(cleaned, Cleaned { phones: 1, ..Cleaned::default() });
}

proptest::proptest! {
    #[test]
    fn plain_words_stay(text in "[a-zA-Zäжन文 ,!?'-]{0,120}") {
        let mut cleaned = Cleaned::default();
        proptest::prop_assert_eq!(clean(&text, &mut cleaned), Some(text.clone()));
    }

    #[test]
    fn no_text_is_too_odd(text in "[\\PC@&#;<>\\[\\]+0-9.a ]{0,120}") {
        clean(&text, &mut Cleaned::default());
    }
}
