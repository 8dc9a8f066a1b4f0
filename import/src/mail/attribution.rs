//! Lines around quoted text that mail programs write: attributions, forwarded headers, signatures.

/// Verbs of attributions, in lower case.
const VERBS: [&str; 15] = [
    " wrote",
    " writes",
    " schrieb",
    " a écrit",
    " a ecrit",
    " escribió",
    " escribio",
    " escreveu",
    " ha scritto",
    " schreef",
    " napisał",
    " napisal",
    " skrev",
    " написал",
    " pisze",
];
/// Beginnings of attributions with a date, in lower case.
const OPENERS: [&str; 20] = [
    "on ", "am ", "le ", "el ", "em ", "il ", "in data ", "op ", "w dniu ", "dnia ", "den ", "pon.", "wt.", "śr.",
    "czw.", "pt.", "sob.", "niedz.", "a las ", "at ",
];
/// Maximum length of an attribution in bytes.
const LONGEST: usize = 500;
/// Maximum number of lines of an attribution.
const LINES: usize = 3;

/// An attribution that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attribution {
    /// Number of lines.
    pub(super) lines: usize,
    /// Whether its form alone is certain; else a quoted line must follow.
    pub(super) certain: bool,
}

/// Whether a line is quoted.
pub(super) fn is_quoted(line: &str) -> bool {
    line.trim_start_matches(' ').starts_with('>')
}

/// Returns the attribution that begins at a line: `On 5 May 2025, Ada <ada@example.org> wrote:`.
pub(super) fn attribution(lines: &[&str], at: usize) -> Option<Attribution> {
    // Yahoo begins with hyphens: `--- On Mon, 5/12/25, Ada wrote:`.
    let first = lines[at].trim().trim_start_matches(['-', ' ']);
    if first.is_empty() || first.len() > LONGEST {
        return None;
    }
    let lower = first.to_lowercase();
    let opens = OPENERS.iter().any(|opener| lower.starts_with(opener));
    let mut joined = String::new();
    for (n, line) in lines[at..].iter().take(if opens { LINES } else { 1 }).enumerate() {
        let line = line.trim();
        if line.is_empty() || is_quoted(line) || joined.len() + line.len() > LONGEST {
            return None;
        }
        joined.push(' ');
        joined.push_str(&line.to_lowercase());
        let joined = joined.trim_end();
        if !joined.ends_with(':') {
            continue;
        }
        let verb = VERBS.iter().any(|verb| joined.contains(verb));
        let certain = verb && opens && joined.contains(|c: char| c.is_ascii_digit());
        if certain || (n == 0 && (verb || joined.contains('@'))) {
            return Some(Attribution { lines: n + 1, certain });
        }
    }
    None
}

/// Marks of forwarded messages, in lower case.
const FORWARDED: [&str; 14] = [
    "forwarded message",
    "forwarded by",
    "begin forwarded message",
    "weitergeleitete nachricht",
    "weitergeleiteten nachricht",
    "message transféré",
    "message réexpédié",
    "mensaje reenviado",
    "mensagem encaminhada",
    "messaggio inoltrato",
    "doorgestuurd bericht",
    "przekazana wiadomość",
    "wiadomość przekazana",
    "vidarebefordrat meddelande",
];
/// Marks of answered messages, in lower case.
const ORIGINAL: [&str; 10] = [
    "original message",
    "original appointment",
    "ursprüngliche nachricht",
    "originalnachricht",
    "message d'origine",
    "message original",
    "mensaje original",
    "mensagem original",
    "messaggio originale",
    "oorspronkelijk bericht",
];

/// Whether a line begins a forwarded message: `---------- Forwarded message ---------`.
pub(super) fn is_forward_mark(line: &str) -> bool {
    marks(line, &FORWARDED)
}

/// Whether a line begins the answered message: `-----Original Message-----`.
pub(super) fn is_original_mark(line: &str) -> bool {
    marks(line, &ORIGINAL)
}

/// Words before a mark without a ruler, in lower case.
const BEGINNINGS: [&str; 5] = ["begin ", "anfang der ", "début du ", "inicio del ", "inizio "];

fn marks(line: &str, all: &[&str]) -> bool {
    let line = line.trim();
    if line.len() > 120 {
        return false;
    }
    let ruled = line.starts_with("--") || line.starts_with("==") || line.starts_with("__");
    let lower = line.trim_matches(|c: char| matches!(c, '-' | '=' | '_' | ' ')).to_lowercase();
    let begins = |line: &str| all.iter().chain(&BEGINNINGS).any(|begin| line.starts_with(begin));
    // Without a ruler the line must be the mark alone: `Begin forwarded message:`.
    all.iter().any(|mark| lower.contains(mark)) && (ruled || (line.ends_with(':') && begins(&lower)))
}

/// Labels of the sender in a header within a text, in lower case.
const FROM: [&str; 8] = ["from", "von", "de", "da", "van", "od", "från", "fra"];
/// Labels of the other fields in such a header.
const FIELDS: [&str; 32] = [
    "sent",
    "date",
    "to",
    "cc",
    "subject",
    "gesendet",
    "datum",
    "an",
    "betreff",
    "envoyé",
    "à",
    "objet",
    "enviado",
    "enviada em",
    "fecha",
    "data",
    "para",
    "asunto",
    "assunto",
    "inviato",
    "a",
    "oggetto",
    "verzonden",
    "aan",
    "onderwerp",
    "wysłano",
    "do",
    "temat",
    "skickat",
    "till",
    "ämne",
    "sendt",
];

fn label(line: &str) -> Option<String> {
    let line = line.trim().trim_start_matches('*');
    let (label, _) = line.split_once(':').filter(|(label, _)| label.len() <= 16)?;
    Some(label.trim_matches(['*', ' ', '\u{a0}']).to_lowercase())
}

/// Whether a header of a message begins at a line, as Outlook writes it over the answered text.
pub(super) fn is_header_block(lines: &[&str], at: usize) -> bool {
    let of = |line: &str, labels: &[&str]| label(line).is_some_and(|label| labels.contains(&label.as_str()));
    of(lines[at], &FROM) && lines[at + 1..].iter().take(7).filter(|line| of(line, &FIELDS)).count() >= 2
}

/// Whether a line begins a signature.
pub(super) fn is_signature(line: &str) -> bool {
    line.trim_end() == "--"
}

/// Beginnings of lines that a program on a phone adds, in lower case.
const ADDED: [&str; 12] = [
    "sent from my ",
    "sent from outlook",
    "sent from mail for",
    "sent from yahoo",
    "get outlook for",
    "von meinem ",
    "gesendet von ",
    "envoyé de mon",
    "enviado desde mi",
    "enviado do meu",
    "inviato da ",
    "verstuurd vanaf mijn",
];

/// Whether a line at the end of a mail was added by the program.
pub(super) fn is_added(line: &str) -> bool {
    let line = line.trim();
    let ruler = line.len() >= 5 && line.chars().all(|c| matches!(c, '_' | '-' | '='));
    ruler || (line.len() < 80 && ADDED.iter().any(|added| line.to_lowercase().starts_with(added)))
}
