use super::*;

#[test]
fn shares() {
    let users = |share: f64| (0..10_000).filter(|n| ValidationSplit(share).validates(&format!("user {n}"))).count();
    assert_eq!((users(0.0), users(1.0)), (0, 10_000));
    assert!((1_800..2_200).contains(&users(0.2)), "{}", users(0.2));
    // Users held out by a small share are held out by a larger one.
    assert!(
        (0..1000)
            .map(|n| n.to_string())
            .all(|u| !ValidationSplit(0.2).validates(&u) || ValidationSplit(0.3).validates(&u))
    );
}

fn shown(title: &str, text: &str) -> locket::internals::prompt::Example {
    locket::internals::prompt::Example {
        title: Some(title.into()),
        text: text.into(),
        stars: Some(4),
        ..Default::default()
    }
}

/// Returns the learned texts of an example, range by range.
fn learnt(model: &Model, example: &TrainingExample) -> Vec<String> {
    let spell = |range: &std::ops::Range<usize>| {
        let mut bytes = Vec::new();
        example.tokens[range.clone()]
            .iter()
            .for_each(|&t| model.spell(locket::internals::llm::Token::new(t), &mut bytes));
        // Two line ends are one token in some vocabularies; in others they are two tokens, and one
        // of them is learned.
        String::from_utf8(bytes).unwrap().replace("\n\n", "\n")
    };
    example.learn.iter().map(spell).collect()
}

#[test]
fn answers_are_learnt_and_what_is_given_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = locket_tests::tiny::write(dir.path());
    let model = Model::load(path, locket::LoadOptions::default()).unwrap();
    let long = "word ".repeat(TEXT_WORDS + 20);
    let mut inputs = PromptInputs {
        history: vec![shown("Mine", "An own text.")],
        neighbours: vec![shown("Best", &long), shown("Secret", "Of a judged person.")],
        ask: locket::internals::prompt::Ask { title: Some("Asked".into()), ..Default::default() },
        ..PromptInputs::default()
    };
    let answer = |phases: &[&str], most| Answer { phases: phases.iter().map(|p| (*p).to_owned()).collect(), most };
    let taboo = |text: &str| text.starts_with("Of a judged");
    let made = |m: &PromptInputs, a: &Answer| learnt(&model, &example(&model, ("u", m), a, 4096, &taboo));
    let clipped = format!(" {}", text::quoted(&long, TEXT_WORDS));
    assert_eq!(made(&inputs, &answer(&["The true text."], 99)), [" An own text.\n", &clipped, " The true text.\n"]);
    // The end of a truncated answer is not learned.
    assert!(!made(&inputs, &answer(&["The true text, which goes on and on."], 5))[2].contains('\n'));

    // With a golden path only the answer is learned.
    let (asked, golden) = (answer(&["The true text."], 99), |_: &str| true);
    assert_eq!(learnt(&model, &example(&model, ("u", &inputs), &asked, 4096, &golden)), [" The true text.\n"]);

    inputs.reasoning = true;
    let path = "4 stars, warm, brief: tea";
    let all = made(&inputs, &answer(&[path, "The true text."], 99));
    assert_eq!(all.len(), 6, "{all:?}");
    assert!(all[0].starts_with(" 4 stars, warm, brief:") && all[0].ends_with('\n'), "{all:?}");
    assert_eq!(all[4..], [format!(" {path}\n"), " The true text.\n".to_owned()]);

    inputs.task = Task::Title;
    inputs.reasoning = false;
    let titles = made(&inputs, &answer(&["The true title"], 99));
    assert_eq!(titles, [" Mine\n", " Best\n", " The true title\n"]);
}
