use std::ops::ControlFlow;

use super::*;
use crate::{ImportReport, Source, read_texts};

fn read_with(mbox: &[u8], options: &ImportOptions) -> Result<(Vec<ImportedText>, ImportReport), ImportError> {
    read_texts(Source::Bytes(mbox), &options.clone().with_format(Format::Mbox), &mut |_, _| ControlFlow::Continue(()))
}

fn read(mbox: &str) -> (Vec<ImportedText>, ImportReport) {
    read_with(mbox.as_bytes(), &ImportOptions::default().with_me("ben@example.org")).unwrap()
}

/// Returns one message of an mbox.
fn mail(from: &str, header: &str, body: &str) -> String {
    format!(
        "From x@example.org Mon May 12 10:00:00 2025\nFrom: {from}\nTo: Ada <ada@example.org>\n\
        Date: Mon, 12 May 2025 10:00:00 +0200\n{header}\n\n{body}\n\n"
    )
}

fn mine(header: &str, body: &str) -> String {
    mail("Ben <Ben@Example.org>", header, body)
}

/// Returns the text of a mail of the user with this body.
fn own_text(body: &str) -> String {
    body::own(body).text
}

#[test]
fn a_mail_becomes_a_text() {
    let (texts, report) =
        read(&mine("Subject: Re: AW: Parts", "Hi Ada,\n\nthe parts came.  \n\n\nBest,\nBen\n-- \nBen\n+1 555 0100"));
    let text = &texts[0];
    assert_eq!(text.text, "Hi Ada,\n\nthe parts came.\n\nBest,\nBen");
    assert_eq!((text.kind.as_str(), text.title.as_deref()), ("email", Some("Parts")));
    assert_eq!((text.recipient.as_deref(), text.time), (Some("ada@example.org"), Some(1_747_036_800_000)));
    assert_eq!((report.taken, report.messages), (1, 1));
}

#[test]
fn encodings_are_decoded() {
    let encoded = [
        (
            "Content-Transfer-Encoding: quoted-printable\nContent-Type: text/plain; charset=utf-8",
            b"Sch=C3=B6ne Gr=C3=BC=C3=9Fe =\nan alle".to_vec(),
        ),
        (
            "Content-Transfer-Encoding: base64\nContent-Type: text/plain; charset=utf-8",
            b"U2Now7ZuZSBHcsO8w59l\nIGFuIGFsbGU=".to_vec(),
        ),
        (
            "Content-Transfer-Encoding: 8bit\nContent-Type: text/plain; charset=iso-8859-1",
            b"Sch\xf6ne Gr\xfc\xdfe an alle".to_vec(),
        ),
        ("X-None: 1", b"Sch\xf6ne Gr\xfc\xdfe an alle".to_vec()),
        ("X-None: 1", "Schöne Grüße an alle".into()),
        ("Content-Type: text/plain; charset=utf-8; format=flowed", "Schöne \nGrüße \nan alle".into()),
    ];
    for (header, body) in encoded {
        let mut mbox =
            mine(&format!("Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= =?iso-8859-1?B?YXVzIEv2bG4=?=\n{header}"), "BODY")
                .into_bytes();
        let at = mbox.windows(4).position(|w| w == b"BODY").unwrap();
        mbox.splice(at..at + 4, body);
        let (texts, _) = read_with(&mbox, &ImportOptions::default().with_me("ben@example.org")).unwrap();
        assert_eq!(
            (texts[0].text.as_str(), texts[0].title.as_deref()),
            ("Schöne Grüße an alle", Some("Grüßeaus Köln")),
            "{header}"
        );
    }
}

#[test]
fn html_mails_and_alternatives_are_read() {
    let html = "<p>Hi Ada,</p><p>see you at <b>8</b>.</p><div class=gmail_quote><div>On Mon, May 12, 2025 at 9:00 AM Ada &lt;<a \
        href='mailto:ada@example.org'>ada@example.org</a>&gt; wrote:<br></div><blockquote>Are you coming?</blockquote></div>";
    let (texts, _) = read(&mine("Subject: Tonight\nContent-Type: text/html; charset=utf-8", html));
    assert_eq!(
        (texts[0].text.as_str(), texts[0].context.as_deref()),
        ("Hi Ada,\n\nsee you at 8.", Some("Are you coming?"))
    );
    let parts =
        format!("--b\nContent-Type: text/plain\n\nplain words here\n--b\nContent-Type: text/html\n\n{html}\n--b--\n");
    let (texts, _) = read(&mine("Content-Type: multipart/alternative; boundary=b", &parts));
    assert_eq!(texts[0].text, "plain words here");
    let parts = "--b\nContent-Type: text/plain\n\nsee the picture\n--b\nContent-Type: image/png\n\nAAAA\n--b--\n";
    assert_eq!(read(&mine("Content-Type: multipart/mixed; boundary=b", parts)).0[0].text, "see the picture");
}

#[test]
fn attributions_of_eight_languages_go() {
    for line in [
        "On Mon, May 12, 2025 at 9:00 AM Ada Example <ada@example.org> wrote:",
        "On Mon, May 12, 2025 at 9:00 AM Ada Example\n<ada@example.org> wrote:",
        "On 12.05.25 09:00, Ada Example wrote:",
        "Am 12.05.2025 um 09:00 schrieb Ada Example:",
        "Am Mo., 12. Mai 2025 um 09:00 Uhr schrieb Ada Example <\nada@example.org>:",
        "Le lun. 12 mai 2025 à 09:00, Ada Example <ada@example.org> a écrit\u{a0}:",
        "El lun, 12 may 2025 a las 9:00, Ada Example (<ada@example.org>) escribió:",
        "Em seg., 12 de mai. de 2025 às 09:00, Ada Example <ada@example.org> escreveu:",
        "Il giorno lun 12 mag 2025 alle ore 09:00 Ada Example <ada@example.org> ha scritto:",
        "Op ma 12 mei 2025 om 09:00 schreef Ada Example <ada@example.org>:",
        "pon., 12 maj 2025 o 09:00 Ada Example <ada@example.org> napisał(a):",
        "Den mån 12 maj 2025 kl 09:00 skrev Ada Example <ada@example.org>:",
        "W dniu 12.05.2025 o 09:00, Ada Example pisze (napisał):",
        "Ada Example <ada@example.org> wrote:",
        "--- On Mon, 5/12/25, Ada Example <ada@example.org> wrote:",
        "2025-05-12 9:00 GMT+02:00 Ada Example <ada@example.org>:",
    ] {
        let own = body::own(&format!("ja, gern\n\n{line}\n\n> Kommst du?\n> > Hm.\n> Ada\n"));
        assert_eq!((own.text.as_str(), own.quoted.as_deref()), ("ja, gern", Some("Kommst du?\nAda")), "{line}");
    }
    let unmarked = body::own("sure\n\nOn Mon, May 12, 2025 at 9:00 AM Ada <ada@example.org> wrote:\nAre you coming?\n");
    assert_eq!((unmarked.text.as_str(), unmarked.quoted.as_deref()), ("sure", Some("Are you coming?")));
    assert_eq!(own_text("sure, at eight\n\nAda Example wrote:\n\n"), "sure, at eight");
    for own in ["As Ada wrote: no.\nOn it!", "Here is what he wrote:\nnothing at all", "Note:\nOn Monday we met."] {
        assert_eq!(own_text(own), own);
    }
}

#[test]
fn answers_between_quotes_stay() {
    let own = body::own("On 12.05.25 09:00, Ada wrote:\n> One?\nyes\n\n> Two?\nno\n");
    assert_eq!((own.text.as_str(), own.quoted.as_deref()), ("yes\n\nno", Some("One?\nTwo?")));
}

#[test]
fn outlook_headers_and_forwarded_parts_go() {
    let own = body::own(
        "ok for me\n\n-----Original Message-----\nFrom: Ada\nSent: Monday\nTo: Ben\nSubject: Parts\n\nIs this ok?\n",
    );
    assert_eq!((own.text.as_str(), own.quoted.as_deref(), own.forwarded), ("ok for me", Some("Is this ok?"), false));
    let own = body::own(
        "passt\n\n________________________________\nVon: Ada\nGesendet: Montag\nAn: Ben\nBetreff: Teile\n\nPasst das?\n",
    );
    assert_eq!((own.text.as_str(), own.quoted.as_deref()), ("passt", Some("Passt das?")));
    for mark in [
        "---------- Forwarded message ---------",
        "Begin forwarded message:",
        "-------- Weitergeleitete Nachricht --------",
        "Anfang der weitergeleiteten Nachricht:",
    ] {
        let own = body::own(&format!("look at this\n\n{mark}\nFrom: Ada\n\nA text.\n"));
        assert_eq!((own.text.as_str(), own.quoted, own.forwarded), ("look at this", None, true), "{mark}");
    }
    assert_eq!(own_text("see you\n\nSent from my iPhone\n"), "see you");
    assert_eq!(own_text("I read the forwarded message:\nit is fine"), "I read the forwarded message:\nit is fine");
}

#[test]
fn skips_are_counted_by_reason() {
    let mbox = [
        mine("Subject: a\nAuto-Submitted: auto-replied", "I am out of office"),
        mine("Subject: b\nPrecedence: list", "a post to a list"),
        mine("Subject: c\nContent-Type: text/calendar", "BEGIN:VCALENDAR and so on"),
        mine("Subject: d", "ok"),
        mine("Subject: e", &"word ".repeat(2001)),
        mine("Subject: Fwd: f", "---------- Forwarded message ---------\nFrom: Ada\n\nsome words here\n"),
        mine("Subject: WG: g", "fyi"),
        mine("Subject: Re: h", "the same words"),
        mine("Subject: h", "The same words!"),
        mine("Auto-Submitted: no\nSubject: i", "written by hand"),
        mail("Ada <ada@example.org>", "Subject: j", "not by Ben"),
        "From x@example.org Mon May 12 10:00:00 2025\nno header at all".to_owned(),
    ];
    let (texts, report) = read(&mbox.concat());
    assert_eq!((texts.len(), report.messages), (2, 12));
    let skipped: Vec<_> = report.skipped.iter().map(|(reason, count)| (*reason, *count)).collect();
    assert_eq!(
        skipped,
        [
            (Skipped::NotMine, 1),
            (Skipped::TooShort, 1),
            (Skipped::TooLong, 1),
            (Skipped::Automatic, 3),
            (Skipped::Forwarded, 2),
            (Skipped::Duplicate, 1),
            (Skipped::Malformed, 1)
        ]
    );
}

#[test]
fn the_answered_message_is_the_context() {
    let mbox = [
        mail(
            "Ada <ada@example.org>",
            "Message-ID: <1@example.org>",
            "Are you coming?\n\nOn 11.05.25, Ben wrote:\n> hm\n",
        ),
        mine(
            "Message-ID: <2@example.org>\nIn-Reply-To: <1@example.org>\nReferences: <0@example.org>\n <1@example.org>",
            "sure, at 8\n\n> something else\n",
        ),
        mine("In-Reply-To: <9@example.org>", "no idea yet\n\n> Who knows?\n"),
        mine("Subject: x", "a new text"),
    ];
    let (texts, _) = read(&mbox.concat());
    let contexts: Vec<_> = texts.iter().map(|text| text.context.as_deref()).collect();
    assert_eq!(contexts, [Some("Are you coming?"), Some("Who knows?"), None]);
}

#[test]
fn the_user_is_the_sender_of_most_mails() {
    let sent = [
        mine("Subject: a", "one text"),
        mine("Subject: b", "two texts"),
        mail("Ada <ada@example.org>", "Subject: c", "hello you"),
    ];
    let (texts, report) = read_with(sent.concat().as_bytes(), &ImportOptions::default()).unwrap();
    assert_eq!((texts.len(), report.me), (2, vec!["ben@example.org".to_owned()]));
    let inbox = [
        mail("a@example.org", "", "one text"),
        mail("b@example.org", "", "two texts"),
        mail("c@example.org", "", "x y"),
    ]
    .concat();
    let asked = read_with(inbox.as_bytes(), &ImportOptions::default()).unwrap_err().to_string();
    assert!(asked.contains("as `me`: a@example.org (1 message), b@example.org"), "{asked}");
    let wrong =
        read_with(inbox.as_bytes(), &ImportOptions::default().with_me("d@example.org")).unwrap_err().to_string();
    assert!(wrong.contains("no message is by d@example.org"), "{wrong}");
    // A name serves too, and so do several addresses.
    assert_eq!(read_with(sent.concat().as_bytes(), &ImportOptions::default().with_me("BEN")).unwrap().0.len(), 2);
    let both = ImportOptions::default().with_me("a@example.org").with_me("b@example.org");
    assert_eq!(read_with(inbox.as_bytes(), &both).unwrap().0.len(), 2);
    assert!(read_with(b"no mail at all", &ImportOptions::default()).is_err());
    assert!(read_with(b"no mail at all", &both).unwrap_err().to_string().contains("no message of the format mbox"));
}

#[test]
fn labels_and_recipients_are_excluded() {
    let mbox = [
        mine("Subject: a\nX-Gmail-Labels: Sent,\"=?UTF-8?Q?B=C3=BCro?=\"", "one text"),
        mine("Subject: b\nX-Folder: \\ben\\Private", "two texts"),
        mine("Subject: c\nCc: Cem <cem@example.com>", "three texts"),
        mine("Subject: secret", "four texts"),
        mine("Subject: e", "five texts"),
    ];
    let options = ImportOptions::default()
        .with_me("ben@example.org")
        .with_excluded_folder("Büro")
        .with_excluded_folder("private");
    let options = options.with_excluded_recipient("example.com").with_excluded_word("Secret");
    let (texts, report) = read_with(mbox.concat().as_bytes(), &options).unwrap();
    assert_eq!((texts.len(), report.skipped(Skipped::Excluded)), (1, 4));
}

#[test]
fn folders_of_mails_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, subject: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let raw = mine(&format!("Subject: {subject}"), "some words");
        std::fs::write(path, raw.split_once('\n').unwrap().1).unwrap();
    };
    for (name, subject) in
        [("cur/1:2,S", "a"), ("new/2", "b"), (".Sent.Old/cur/3:2,S", "c"), ("sub/x.eml", "d"), ("tmp/4", "e")]
    {
        write(name, subject);
    }
    let read = |options: &ImportOptions| {
        read_texts(Source::Path(dir.path()), options, &mut |_, _| ControlFlow::Continue(())).unwrap()
    };
    let (texts, report) = read(&ImportOptions::default());
    assert_eq!((texts.len(), report.messages), (4, 4));
    assert_eq!(read(&ImportOptions::default().with_excluded_folder("old")).0.len(), 3);
    let one = dir.path().join("sub/x.eml");
    let options = ImportOptions::default().with_me("ben@example.org");
    assert_eq!(read_texts(Source::Path(&one), &options, &mut |_, _| ControlFlow::Continue(())).unwrap().0.len(), 1);
}

#[test]
fn hostile_mails_take_bounded_time() {
    let nest: String =
        (0..100_000).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")).collect();
    let digest = format!("Content-Type: multipart/digest; boundary=b\n\n{}", "--b\n\n".repeat(400_000));
    let hostile = [
        nest,
        digest,
        format!("Content-Type: multipart/mixed; boundary=a\n\n{}", "--a\n\nx\n".repeat(1_000_000)),
        format!("Content-Type: multipart/mixed; boundary=a\n\n{}", "x--a".repeat(1_000_000)),
        (0..190).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")).collect::<String>()
            + &"x".repeat(1 << 21),
        "Content-Type: message/rfc822\n\n".repeat(60_000),
        format!("Subject: {}", "=?utf-8?Q?=C3=BC?= ".repeat(100_000)),
        format!("Subject: {}", "Re: ".repeat(500_000)),
        format!("To: {}", "a <a@example.org>, ".repeat(100_000)),
        format!("To: {}", "(".repeat(1_000_000)),
        format!("References: {}", "<a@example.org> ".repeat(100_000)),
        format!("Subject: x\n\n{}", "On 1, a\n".repeat(200_000)),
        format!("Subject: x\n\n{}", "On 1 a wrote:\n".repeat(200_000)),
        format!("Subject: x\n\n{}", "From: a\n".repeat(200_000)),
        format!("Subject: x\n\n{}", ">".repeat(2_000_000)),
        format!("Subject: x\n\n{}", "\n".repeat(2_000_000)),
        format!("X-Gmail-Labels: {}", "a,".repeat(1_000_000)),
        format!("Content-Type: text/plain; {}", "a=b; ".repeat(400_000)),
        format!("Content-Type: text/html\n\n{}", "<blockquote>".repeat(170_000)),
    ];
    for mail in hostile {
        let begin = std::time::Instant::now();
        let mbox = mine(&mail, "");
        let _ = read_with(mbox.as_bytes(), &ImportOptions::default());
        let _ = read_with(mbox.as_bytes(), &ImportOptions::default().with_me("ben@example.org"));
        assert!(begin.elapsed().as_secs() < 5, "{:?}: {}", begin.elapsed(), &mail[..60]);
    }
}
