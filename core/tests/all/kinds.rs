//! Tests of kinds of writing: records, prompts and outputs.
#![allow(clippy::unwrap_used)]

use std::{path::Path, sync::Arc};

use locket::{
    Engine, GenerateRequest, Interaction, Key, Kind, LoadOptions, Part, Task,
    internals::{
        generation::constraint::constraint,
        prompt::PromptInputs,
        text::{self, folded, unfolded},
    },
};

const KEY: Key = Key::new([6; 32]);

fn mail(subject: &str, text: &str, audience: &str) -> Interaction {
    Interaction::new("", text).with_kind("email".into()).with_title(subject).with_audience(audience)
}

/// Returns an engine with mails to two recipients, a reply and a review.
fn engine(dir: &Path) -> Engine {
    let engine = Engine::open(dir.join("store"), &KEY).unwrap();
    for interaction in [
        mail("Parts", "Hi Ada,\n\nthe parts came.\nTwo are broken.\n\nBest,\nBen", "ada"),
        mail("Lunch", "Dear Carl,\n\nlunch at noon suits me.\n\nRegards,\nBen", "carl"),
        mail("Invoice", "Dear Carl,\n\nthe invoice is attached.\n\nRegards,\nBen", "carl"),
        Interaction::new("", "sure, see you at 8").with_kind("reply".into()).with_context("Are you coming?"),
        Interaction::new("mug", "Keeps tea warm.").with_rating(5.0),
    ] {
        engine.record(interaction).unwrap();
    }
    engine
}

fn email() -> GenerateRequest {
    GenerateRequest::new("", Task::Text).with_kind(Kind::named("email").unwrap())
}

fn prompt(inputs: &PromptInputs) -> String {
    let prompt = inputs.compose_with(10_000, text::word_count);
    format!("{}{}", prompt.body, prompt.lead)
}

#[test]
fn records_keep_kind_context_and_audience() {
    let dir = tempfile::tempdir().unwrap();
    let before = engine(dir.path()).history().unwrap();
    let again = Engine::open(dir.path().join("store"), &KEY).unwrap();
    assert_eq!(again.history().unwrap(), before);
    assert_eq!(before[0].interaction.audience.as_deref(), Some("ada"));
    assert_eq!(before[3].interaction.context.as_deref(), Some("Are you coming?"));
    assert_eq!((before[0].interaction.kind.as_str(), before[4].interaction.kind.as_str()), ("email", "review"));
    let export = again.export().unwrap();
    let other = Engine::open(dir.path().join("other"), &KEY).unwrap();
    assert_eq!(other.import(&export).unwrap().added, 5);
    assert_eq!(other.history().unwrap(), before);
}

#[test]
fn only_reviews_need_an_item() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path().join("store"), &KEY).unwrap();
    assert!(engine.record(Interaction::new("", "No item.")).is_err());
    assert!(engine.record(Interaction::new("", "A note.").with_kind("note".into())).is_ok());
}

#[test]
fn a_mail_prompt_has_its_fields_and_line_breaks() {
    let dir = tempfile::tempdir().unwrap();
    let request = email().with_title("Broken parts").with_context("Did they come?").with_gist("send two again");
    let shown = prompt(&engine(dir.path()).prompt_inputs(&request).unwrap());
    assert!(shown.starts_with("Earlier e-mails by this author:\n\n"), "{shown}");
    // Greeting and sign-off are counted, not written by the model.
    assert!(shown.contains("E-mail: lunch at noon suits me.\n") && !shown.contains("Best,"), "{shown}");
    let asked = "The next e-mail by this author:\n\nMessage: Did they come?\nSubject: Broken parts\nNotes: send two again\n\
                 E-mail:";
    assert!(shown.ends_with(asked), "{shown}");
    // Each earlier text shows notes made from it, as the request does.
    assert_eq!(shown.lines().filter(|line| line.starts_with("Notes: ")).count(), 4, "{shown}");
}

#[test]
fn history_prefers_the_recipient_then_the_kind() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let titles = |request: &GenerateRequest| -> Vec<String> {
        let history = engine.prompt_inputs(request).unwrap().history;
        history.into_iter().map(|e| e.title.unwrap_or_else(|| e.text.chars().take(4).collect())).collect()
    };
    assert_eq!(titles(&email().with_audience("ada")), ["Lunch", "Invoice", "Parts"]);
    assert_eq!(titles(&email().with_audience("carl")), ["Parts", "Lunch", "Invoice"]);
    let reply = GenerateRequest::new("", Task::Text).with_kind(Kind::named("reply").unwrap());
    // One reply alone shows little of the form: texts of other kinds come before it.
    assert_eq!(titles(&reply).len(), 5);
    assert_eq!(titles(&reply).last().map(String::as_str), Some("sure"));
}

#[test]
fn an_app_defines_its_own_kind() {
    let dir = tempfile::tempdir().unwrap();
    let toast = Kind::new("toast", "wedding toast", "wedding toasts").with_title("Couple").with_paragraphs(true);
    let engine = engine(dir.path());
    engine.record(Interaction::new("", "To love!\nAnd cake.").with_kind("toast".into()).with_title("A and B")).unwrap();
    let request = GenerateRequest::new("", Task::Text).with_kind(toast).with_title("C and D");
    let shown = prompt(&engine.prompt_inputs(&request).unwrap());
    assert!(shown.contains("Couple: A and B\nWedding toast: To love! ¶ And cake.\n"), "{shown}");
    assert!(shown.ends_with("The next wedding toast by this author:\n\nCouple: C and D\nWedding toast:"), "{shown}");
}

/// The tiny model writes noise. Its noise has line breaks, and the stream shows the finished text.
#[test]
fn a_stream_of_a_mail_is_its_text() {
    let dir = tempfile::tempdir().unwrap();
    let model = locket_tests::tiny::write(dir.path());
    let engine = engine(dir.path()).with_threads(1).with_model_file(model, LoadOptions::default()).unwrap();
    let mut request = email().with_title("Parts");
    request.options.max_new_tokens = 40;
    let mut stream = Arc::new(engine).stream(request).unwrap();
    let mut shown = String::new();
    for chunk in stream.by_ref() {
        assert_eq!(chunk.part, Part::Text);
        shown.push_str(&chunk.text);
    }
    let text = stream.finish().unwrap().text.unwrap();
    assert!(!text.is_empty() && !text.contains('¶') && !shown.contains('¶'), "{text:?} {shown:?}");
    assert!(text.starts_with("Dear Carl,\n\n") && text.ends_with("\n\nRegards,\nBen"), "{text:?}");
    assert!(shown.ends_with("\n\nRegards,\nBen"), "{shown:?}");
    let body = |text: &str| text::one_line(text.trim_end_matches("Regards,\nBen"));
    assert!(body(&shown).starts_with(body(&text).trim_end_matches('.')), "{shown:?} {text:?}");
    assert_eq!(unfolded(&folded(&text)), text);
}

#[test]
fn a_draft_sent_as_it_was_is_no_example() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path().join("store"), &KEY).unwrap();
    let reply = |text: &str| Interaction::new("", text).with_kind("reply".into());
    let texts = |engine: &Engine| -> Vec<String> {
        let inputs = engine.prompt_inputs(&GenerateRequest::reply("Are you coming?")).unwrap();
        inputs.history.into_iter().map(|e| e.text).collect()
    };
    engine.sent("I will come.", reply("I will come.")).unwrap();
    engine.sent("I will come.", reply("will come")).unwrap();
    assert_eq!(texts(&engine).len(), 2, "few texts are all shown");
    engine.record(reply("nope")).unwrap();
    engine.record(reply("at 8?")).unwrap();
    assert_eq!(texts(&engine), ["will come", "nope", "at 8?"]);
    engine.reset_learning().unwrap();
    assert_eq!(texts(&engine).len(), 4);
}

#[test]
fn a_german_message_is_answered_after_german_texts() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path().join("store"), &KEY).unwrap();
    let texts = [
        "Ja klar, ich komme morgen um acht und bringe die Noten mit.",
        "Yes sure, I will be there tomorrow at eight with the music.",
        "Nein, das Klavier ist leider noch nicht gestimmt worden.",
        "Vielleicht schaffe ich es nach der Arbeit noch, mal sehen.",
    ];
    for text in texts {
        engine.record(Interaction::new("", text).with_kind("reply".into())).unwrap();
    }
    let request = GenerateRequest::reply("Kommst du morgen zur Probe? Wir brauchen noch jemanden am Klavier.");
    let shown = prompt(&engine.prompt_inputs(&request).unwrap());
    assert!(shown.starts_with("Antworten dieser Person bisher:\n\n") && !shown.contains("Yes sure"), "{shown}");
    assert!(
        shown.contains("Antwort dieser Person, neu:\n\nNachricht: Kommst du") && shown.ends_with("\nAntwort:"),
        "{shown}"
    );
    let english =
        prompt(&engine.prompt_inputs(&GenerateRequest::reply("Are you coming to the rehearsal tomorrow?")).unwrap());
    assert!(english.starts_with("Earlier replies by this author:"), "{english}");
}

#[test]
fn an_answer_does_not_repeat_its_message() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path().join("store"), &KEY).unwrap();
    let message = "could you please water the tomatoes in the garden on monday";
    let inputs = engine.prompt_inputs(&GenerateRequest::reply(message)).unwrap();
    let constraint = constraint(&inputs).unwrap();
    assert!(constraint.repeated(&format!("Sure: {message}")).is_some());
    assert!(constraint.repeated("Sure, I water the tomatoes in the garden.").is_none());
}
