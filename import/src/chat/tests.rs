use std::ops::ControlFlow;

use crate::{Format, ImportError, ImportOptions, ImportReport, ImportedText, Skipped, Source, read_texts};

type Read = Result<(Vec<ImportedText>, ImportReport), ImportError>;

fn read(chat: &str, me: &str) -> Read {
    let mut options = ImportOptions::default().with_format(Format::Chat);
    if !me.is_empty() {
        options = options.with_me(me);
    }
    read_texts(Source::Bytes(chat.as_bytes()), &options, &mut |_, _| ControlFlow::Continue(()))
}

const ANDROID: &str = "\
12/05/26, 14:00 - Messages and calls are end-to-end encrypted.
12/05/26, 14:01 - Ada Example: Are you coming?
12/05/26, 14:02 - Ada Example: <Media omitted>
12/05/26, 14:02 - Ada Example: And who brings
the cake?
12/05/26, 14:03 - Ben: sure, see you at 8

I bring the cake
13/05/26, 09:00 - Ben: IMG-20260513-WA0001.jpg (file attached)
13/05/26, 09:01 - Ben: it was great
13/05/26, 09:02 - Ben: This message was deleted
";

#[test]
fn android_chats_become_replies() {
    let (texts, report) = read(ANDROID, "ben").unwrap();
    assert_eq!(texts.len(), 2);
    assert_eq!(texts[0].text, "sure, see you at 8\n\nI bring the cake");
    assert_eq!(texts[0].context.as_deref(), Some("Are you coming?\nAnd who brings\nthe cake?"));
    assert_eq!((texts[0].kind.as_str(), texts[0].recipient.as_deref()), ("reply", Some("Ada Example")));
    assert_eq!(texts[0].time, crate::date::iso("2026-05-12T14:03"));
    assert_eq!((texts[1].text.as_str(), texts[1].context.as_deref()), ("it was great", None));
    assert_eq!((report.messages, report.skipped(Skipped::NoText), report.skipped(Skipped::NotMine)), (8, 4, 2));
}

#[test]
fn iphone_chats_become_replies() {
    let chat = "\u{200e}[31.12.25, 23:59:01] Ada: Frohes Neues!\r\n[01.01.26, 00:01:12] Ben: danke dir auch\r\n\
        [01.01.26, 00:02:12] Ben: \u{200e}Bild weggelassen\r\n[01.01.26, 00:03:00] Ben: doch nicht \u{200e}<Diese Nachricht wurde bearbeitet>\r\n";
    let (texts, report) = read(chat, "Ben").unwrap();
    assert_eq!(texts.iter().map(|t| t.text.as_str()).collect::<Vec<_>>(), ["danke dir auch", "doch nicht"]);
    assert_eq!(texts[0].context.as_deref(), Some("Frohes Neues!"));
    assert_eq!(report.skipped(Skipped::NoText), 1);
}

#[test]
fn the_order_of_day_and_month_follows_from_the_file() {
    let first = |chat: &str| read(chat, "Ben").unwrap().0[0].time;
    assert_eq!(
        first("5/4/26, 1:00 PM - Ben: one two\n5/13/26, 1:00 PM - Ben: three four\n"),
        crate::date::iso("2026-05-04T13:00")
    );
    assert_eq!(
        first("5/4/26, 13:00 - Ben: one two\n13/4/26, 13:00 - Ben: three four\n"),
        crate::date::iso("2026-04-05T13:00")
    );
    // No number above 12: in this order of the days the times rise.
    assert_eq!(
        first("1/2/26, 13:00 - Ben: one two\n1/3/26, 13:00 - Ben: three four\n2/1/26, 9:00 - Ben: five six\n"),
        crate::date::iso("2026-01-02T13:00")
    );
    assert_eq!(first("1/2/26, 1:00 PM - Ben: one two\n"), crate::date::iso("2026-01-02T13:00"));
    assert_eq!(first("1.2.26, 13:00 - Ben: one two\n"), crate::date::iso("2026-02-01T13:00"));
}

#[test]
fn telegram_chats_become_replies() {
    let chat = r#"{"name": "Ada", "type": "personal_chat", "id": 1, "messages": [
        {"id": 1, "type": "service", "date": "2026-05-12T14:00:00", "actor": "Ada", "text": ""},
        {"id": 2, "type": "message", "date": "2026-05-12T14:01:00", "date_unixtime": "1778594460", "from": "Ada", "text": "Which link?"},
        {"id": 3, "type": "message", "date_unixtime": "1778594520", "from": "Ben", "text": ["this ", {"type": "link", "text": "example.org"}, " one"]},
        {"id": 4, "type": "message", "date": "2026-05-12T14:03:00", "from": "Ben", "forwarded_from": "Cem", "text": "a text by Cem"},
        {"id": 5, "type": "message", "date": "2026-05-12T14:03:00", "from": null, "text": {"odd": 1}},
        {"id": 6, "type": "message", "from": "Ben", "photo": "x.jpg", "text": ""}]}"#;
    let (texts, report) = read(chat, "Ben").unwrap();
    assert_eq!((texts.len(), texts[0].text.as_str()), (1, "this example.org one"));
    assert_eq!(texts[0].context.as_deref(), Some("Which link?"));
    assert_eq!((texts[0].time, texts[0].recipient.as_deref()), (Some(1_778_594_520_000), Some("Ada")));
    assert_eq!((report.skipped(Skipped::Forwarded), report.skipped(Skipped::NoText)), (1, 3));
    let all = format!(r#"{{"about": "x", "chats": {{"list": [{chat}, {{"name": "empty"}}]}}}}"#);
    assert_eq!(read(&all, "Ben").unwrap().0, texts);
}

#[test]
fn messenger_chats_are_repaired_and_turned_around() {
    let chat = r#"{"participants": [{"name": "J\u00c3\u00bcrgen"}, {"name": "Ben"}], "title": "J\u00c3\u00bcrgen", "messages": [
        {"sender_name": "Ben", "timestamp_ms": 1778594700000, "content": "You sent an attachment."},
        {"sender_name": "Ben", "timestamp_ms": 1778594600000, "content": "im caf\u00c3\u00a9 um acht"},
        {"sender_name": "J\u00c3\u00bcrgen", "timestamp_ms": 1778594500000, "content": "Wo denn?"},
        {"sender_name": "Ben", "timestamp_ms": 1778594400000, "is_unsent": true}]}"#;
    let (texts, report) = read(chat, "Ben").unwrap();
    assert_eq!(texts.len(), 1);
    assert_eq!((texts[0].text.as_str(), texts[0].context.as_deref()), ("im café um acht", Some("Wo denn?")));
    assert_eq!(texts[0].recipient.as_deref(), Some("Jürgen"));
    assert_eq!(report.skipped(Skipped::NoText), 2);
    assert_eq!(read(chat, "jürgen").unwrap().0[0].text, "Wo denn?");
}

#[test]
fn a_group_is_the_recipient_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("WhatsApp Chat with Garden group.txt");
    let chat = "12/05/26, 14:01 - Ada: who waters?\n12/05/26, 14:02 - Cem: not me\n12/05/26, 14:03 - Ben: I do it\n";
    std::fs::write(&path, chat).unwrap();
    let options = ImportOptions::default().with_me("Ben");
    let read = |options: &ImportOptions| {
        read_texts(Source::Path(&path), options, &mut |_, _| ControlFlow::Continue(())).unwrap()
    };
    let (texts, _) = read(&options);
    assert_eq!(texts[0].recipient.as_deref(), Some("Garden group"));
    assert_eq!(texts[0].context.as_deref(), Some("who waters?\nnot me"));
    let (texts, report) = read(&options.with_excluded_recipient("garden group"));
    assert_eq!((texts.len(), report.skipped(Skipped::Excluded)), (0, 1));
}

#[test]
fn asks_who_the_user_is() {
    let asked = read(ANDROID, "").unwrap_err().to_string();
    assert_eq!(asked, "whose texts are yours? Give one of these as `me`: Ben (4 messages), Ada Example (3 messages)");
    let wrong = read(ANDROID, "Cem").unwrap_err().to_string();
    assert!(wrong.contains("no message is by Cem") && wrong.contains("Ada Example (3 messages)"), "{wrong}");
    assert!(read("just a text\n", "Ben").unwrap_err().to_string().contains("it holds no chat"));
    assert!(read("{\"messages\": 3}", "Ben").unwrap_err().to_string().contains("it is no chat"));
    assert!(read("{}", "Ben").unwrap_err().to_string().contains("no chat of Telegram or Messenger"));
}

#[test]
fn hostile_chats_are_harmless() {
    let begin = std::time::Instant::now();
    for chat in [
        "12/05/26, 14:03 - Ben: x\n".repeat(200_000),
        format!("12/05/26, 14:03 - Ben: {}", "x\n".repeat(1_000_000)),
        "12/05/26, 14:03 - Ben: ".repeat(100_000),
        "[".repeat(1_000_000),
    ] {
        let _ = read(&chat, "Ben");
    }
    assert!(read(&"[{\"messages\":".repeat(100_000), "Ben").is_err());
    assert!(read(&format!("{{\"messages\":[{{\"text\":{}", "[".repeat(1_000_000)), "Ben").is_err());
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}
