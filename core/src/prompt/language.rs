//! The language of a prompt: its labels, and the names of the kinds.
//!
//! A small model writes in the language of its prompt. The labels of German texts are therefore
//! German. Reviews keep English labels, which the shipped adapter was trained on.

use crate::{
    history::{Kind, capitalised},
    text,
};

/// Minimum number of letters that a language is detected in.
const LETTERS: usize = 12;

/// A language with its own labels. Other languages get the English ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English, and the default.
    #[default]
    English,
    /// German.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
    /// Portuguese.
    Portuguese,
    /// Italian.
    Italian,
    /// Dutch.
    Dutch,
    /// Polish.
    Polish,
}

/// The words of a prompt in one language.
pub(crate) struct Words {
    /// Label of the user's notes: the content that a text must have.
    pub(crate) notes: &'static str,
    /// Label of the draft to rewrite.
    pub(crate) draft: &'static str,
    /// Label of the plan.
    pub(crate) plan: &'static str,
    /// Heading of the user's texts, after their name.
    history: &'static str,
    /// Heading of the text to write, after its name.
    next: &'static str,
    /// The last word of these headings, which no value may hold before a colon.
    last: &'static str,
    /// First points of the plans for a reply: agreement, refusal, doubt.
    pub(crate) answers: [&'static str; 3],
    /// The English words of the shipped kinds and their fields, translated. A name of one text and
    /// of several, or a label.
    translations: &'static [(&'static str, &'static str)],
}

const ENGLISH: Words = Words {
    notes: "Notes",
    draft: "Draft",
    plan: "Plan",
    history: "by this author",
    next: "by this author",
    last: "author",
    answers: ["yes", "no", "not sure yet"],
    translations: &[],
};

const GERMAN: Words = Words {
    notes: "Stichworte",
    draft: "Entwurf",
    plan: "Plan",
    history: "dieser Person bisher",
    next: "dieser Person, neu",
    last: "neu",
    answers: ["ja", "nein", "weiß noch nicht"],
    translations: &[
        ("reply", "Antwort"),
        ("replies", "Antworten"),
        ("e-mail", "E-Mail"),
        ("e-mails", "E-Mails"),
        ("note", "Notiz"),
        ("notes", "Notizen"),
        ("post", "Beitrag"),
        ("posts", "Beiträge"),
        ("caption", "Bildunterschrift"),
        ("captions", "Bildunterschriften"),
        ("headline", "Überschrift"),
        ("headlines", "Überschriften"),
        ("answer", "Antwort"),
        ("answers", "Antworten"),
        ("Message", "Nachricht"),
        ("Subject", "Betreff"),
        ("Title", "Titel"),
        ("Topic", "Thema"),
        ("Source", "Quelle"),
        ("Picture", "Bild"),
        ("Article", "Artikel"),
        ("Question", "Frage"),
    ],
};

const FRENCH: Words = Words {
    notes: "Mots-clés",
    draft: "Brouillon",
    plan: "Plan",
    history: "de cette personne",
    next: "de cette personne, à écrire",
    last: "écrire",
    answers: ["oui", "non", "pas encore sûr"],
    translations: &[
        ("reply", "réponse"),
        ("replies", "réponses"),
        ("e-mail", "e-mail"),
        ("e-mails", "e-mails"),
        ("note", "note"),
        ("notes", "notes"),
        ("post", "publication"),
        ("posts", "publications"),
        ("caption", "légende"),
        ("captions", "légendes"),
        ("headline", "titre"),
        ("headlines", "titres"),
        ("answer", "réponse"),
        ("answers", "réponses"),
        ("Message", "Message"),
        ("Subject", "Objet"),
        ("Title", "Titre"),
        ("Topic", "Sujet"),
        ("Source", "Source"),
        ("Picture", "Image"),
        ("Article", "Article"),
        ("Question", "Question"),
    ],
};

const SPANISH: Words = Words {
    notes: "Apuntes",
    draft: "Borrador",
    plan: "Plan",
    history: "de esta persona",
    next: "de esta persona, por escribir",
    last: "escribir",
    answers: ["sí", "no", "aún no sé"],
    translations: &[
        ("reply", "respuesta"),
        ("replies", "respuestas"),
        ("e-mail", "correo"),
        ("e-mails", "correos"),
        ("note", "nota"),
        ("notes", "notas"),
        ("post", "publicación"),
        ("posts", "publicaciones"),
        ("caption", "pie de foto"),
        ("captions", "pies de foto"),
        ("headline", "titular"),
        ("headlines", "titulares"),
        ("answer", "respuesta"),
        ("answers", "respuestas"),
        ("Message", "Mensaje"),
        ("Subject", "Asunto"),
        ("Title", "Título"),
        ("Topic", "Tema"),
        ("Source", "Fuente"),
        ("Picture", "Imagen"),
        ("Article", "Artículo"),
        ("Question", "Pregunta"),
    ],
};

const PORTUGUESE: Words = Words {
    notes: "Apontamentos",
    draft: "Rascunho",
    plan: "Plano",
    history: "desta pessoa",
    next: "desta pessoa, por escrever",
    last: "escrever",
    answers: ["sim", "não", "ainda não sei"],
    translations: &[
        ("reply", "resposta"),
        ("replies", "respostas"),
        ("e-mail", "e-mail"),
        ("e-mails", "e-mails"),
        ("note", "nota"),
        ("notes", "notas"),
        ("post", "publicação"),
        ("posts", "publicações"),
        ("caption", "legenda"),
        ("captions", "legendas"),
        ("headline", "manchete"),
        ("headlines", "manchetes"),
        ("answer", "resposta"),
        ("answers", "respostas"),
        ("Message", "Mensagem"),
        ("Subject", "Assunto"),
        ("Title", "Título"),
        ("Topic", "Tema"),
        ("Source", "Fonte"),
        ("Picture", "Imagem"),
        ("Article", "Artigo"),
        ("Question", "Pergunta"),
    ],
};

const ITALIAN: Words = Words {
    notes: "Appunti",
    draft: "Bozza",
    plan: "Piano",
    history: "di questa persona",
    next: "di questa persona, da scrivere",
    last: "scrivere",
    answers: ["sì", "no", "non so ancora"],
    translations: &[
        ("reply", "risposta"),
        ("replies", "risposte"),
        ("e-mail", "e-mail"),
        ("e-mails", "e-mail"),
        ("note", "nota"),
        ("notes", "note"),
        ("post", "post"),
        ("posts", "post"),
        ("caption", "didascalia"),
        ("captions", "didascalie"),
        ("headline", "titolo"),
        ("headlines", "titoli"),
        ("answer", "risposta"),
        ("answers", "risposte"),
        ("Message", "Messaggio"),
        ("Subject", "Oggetto"),
        ("Title", "Titolo"),
        ("Topic", "Tema"),
        ("Source", "Fonte"),
        ("Picture", "Immagine"),
        ("Article", "Articolo"),
        ("Question", "Domanda"),
    ],
};

const DUTCH: Words = Words {
    notes: "Steekwoorden",
    draft: "Concept",
    plan: "Plan",
    history: "van deze persoon tot nu toe",
    next: "van deze persoon, nieuw",
    last: "nieuw",
    answers: ["ja", "nee", "weet ik nog niet"],
    translations: &[
        ("reply", "antwoord"),
        ("replies", "antwoorden"),
        ("e-mail", "e-mail"),
        ("e-mails", "e-mails"),
        ("note", "notitie"),
        ("notes", "notities"),
        ("post", "bericht"),
        ("posts", "berichten"),
        ("caption", "bijschrift"),
        ("captions", "bijschriften"),
        ("headline", "kop"),
        ("headlines", "koppen"),
        ("answer", "antwoord"),
        ("answers", "antwoorden"),
        ("Message", "Bericht"),
        ("Subject", "Onderwerp"),
        ("Title", "Titel"),
        ("Topic", "Thema"),
        ("Source", "Bron"),
        ("Picture", "Foto"),
        ("Article", "Artikel"),
        ("Question", "Vraag"),
    ],
};

const POLISH: Words = Words {
    notes: "Notatki",
    draft: "Szkic",
    plan: "Plan",
    history: "tej osoby",
    next: "tej osoby, do napisania",
    last: "napisania",
    answers: ["tak", "nie", "jeszcze nie wiem"],
    translations: &[
        ("reply", "odpowiedź"),
        ("replies", "odpowiedzi"),
        ("e-mail", "e-mail"),
        ("e-mails", "e-maile"),
        ("note", "notatka"),
        ("notes", "notatki"),
        ("post", "wpis"),
        ("posts", "wpisy"),
        ("caption", "podpis"),
        ("captions", "podpisy"),
        ("headline", "nagłówek"),
        ("headlines", "nagłówki"),
        ("answer", "odpowiedź"),
        ("answers", "odpowiedzi"),
        ("Message", "Wiadomość"),
        ("Subject", "Temat"),
        ("Title", "Tytuł"),
        ("Topic", "Temat"),
        ("Source", "Źródło"),
        ("Picture", "Zdjęcie"),
        ("Article", "Artykuł"),
        ("Question", "Pytanie"),
    ],
};

impl Language {
    /// Returns the language of a text, if it is long enough to tell and has labels here.
    pub fn of(text: &str) -> Option<Self> {
        use whatlang::Lang;
        if text.chars().filter(|c| c.is_alphabetic()).count() < LETTERS {
            return None;
        }
        let found = whatlang::detect(text).filter(whatlang::Info::is_reliable)?;
        Some(match found.lang() {
            Lang::Eng => Self::English,
            Lang::Deu => Self::German,
            Lang::Fra => Self::French,
            Lang::Spa => Self::Spanish,
            Lang::Por => Self::Portuguese,
            Lang::Ita => Self::Italian,
            Lang::Nld => Self::Dutch,
            Lang::Pol => Self::Polish,
            _ => return None,
        })
    }

    /// Returns the language of the message answered, else of the user's texts, oldest first. A title
    /// does not decide it.
    pub fn of_request<'t>(context: Option<&str>, own: impl DoubleEndedIterator<Item = &'t str>) -> Self {
        /// Number of the latest texts that decide together.
        const LATEST: usize = 8;
        let joined = || own.rev().take(LATEST).collect::<Vec<_>>().join("\n");
        context.and_then(Self::of).or_else(|| Self::of(&joined())).unwrap_or_default()
    }

    /// Returns the words of a prompt for texts of this kind. Ratings go with English labels.
    pub(crate) fn words(self, kind: &Kind) -> &'static Words {
        if kind.rated {
            return &ENGLISH;
        }
        match self {
            Self::English => &ENGLISH,
            Self::German => &GERMAN,
            Self::French => &FRENCH,
            Self::Spanish => &SPANISH,
            Self::Portuguese => &PORTUGUESE,
            Self::Italian => &ITALIAN,
            Self::Dutch => &DUTCH,
            Self::Polish => &POLISH,
        }
    }

    /// Returns a shipped kind with its names and labels in this language. An app's own kind keeps
    /// the app's words.
    pub(crate) fn localize(self, kind: &Kind) -> Kind {
        let words = self.words(kind);
        if Kind::named(&kind.name).as_ref() != Some(kind) || words.translations.is_empty() {
            return kind.clone();
        }
        let translated = |word: &str| {
            let found = words.translations.iter().find(|(english, _)| *english == word);
            found.map_or_else(|| word.to_owned(), |(_, other)| (*other).to_owned())
        };
        let mut local = kind.clone();
        local.one = translated(&kind.one);
        local.many = translated(&kind.many);
        local.label = capitalised(&local.one);
        local.title = kind.title.as_deref().map(translated);
        local.context = translated(&kind.context);
        local
    }
}

impl Words {
    /// Returns the headings of the user's texts and of the text to write.
    pub(super) fn headings(&self, kind: &Kind) -> [String; 2] {
        if self.translations.is_empty() {
            let Kind { one, many, .. } = kind;
            return [format!("Earlier {many} {}:\n\n", self.history), format!("The next {one} {}:\n\n", self.next)];
        }
        [
            format!("{} {}:\n\n", capitalised(&kind.many), self.history),
            format!("{} {}:\n\n", capitalised(&kind.one), self.next),
        ]
    }

    /// Returns every label of a prompt for this kind, and the last words of its headings. No value
    /// may contain one.
    pub(super) fn labels<'k>(&'static self, kind: &'k Kind) -> impl Iterator<Item = &'k str> {
        const FIXED: [&str; 5] = ["Plan", "Rating", "author", "people", "plan"];
        let own = [kind.item.as_deref(), kind.title.as_deref(), Some(&kind.label), Some(&kind.context)];
        let history = text::words(self.history).last().is_some();
        let last_of_history = self.history.rsplit(' ').next().filter(|_| history);
        own.into_iter()
            .flatten()
            .chain([self.notes, self.draft, self.plan, self.last])
            .chain(last_of_history)
            .chain(FIXED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&Words; 7] = [&GERMAN, &FRENCH, &SPANISH, &PORTUGUESE, &ITALIAN, &DUTCH, &POLISH];

    #[test]
    fn every_language_has_every_word() {
        for name in Kind::ALL.into_iter().filter(|name| *name != "review") {
            let kind = Kind::named(name).unwrap();
            for words in ALL {
                for word in [Some(&kind.one), Some(&kind.many), kind.title.as_ref(), Some(&kind.context)] {
                    let Some(word) = word else { continue };
                    assert!(words.translations.iter().any(|(english, _)| english == word), "{} {word}", words.notes);
                }
            }
        }
        for words in ALL {
            assert!(words.next.ends_with(words.last));
        }
    }

    #[test]
    fn the_message_decides_then_the_users_texts() {
        let german = "Kommst du morgen zur Probe? Wir brauchen noch jemanden am Klavier.";
        let english = "Are you coming to the rehearsal tomorrow? We still need somebody at the piano.";
        assert_eq!(Language::of(german), Some(Language::German));
        assert_eq!(Language::of_request(Some(german), [english].into_iter()), Language::German);
        assert_eq!(Language::of_request(Some("ok?"), [german].into_iter()), Language::German);
        assert_eq!(Language::of_request(None, [german, english, english, english].into_iter()), Language::English);
        assert_eq!(Language::of_request(None, std::iter::empty()), Language::English);
    }

    #[test]
    fn shipped_kinds_are_translated_and_an_apps_own_kind_is_not() {
        let mail = Language::German.localize(&Kind::named("email").unwrap());
        assert_eq!((mail.label.as_str(), mail.title.as_deref()), ("E-Mail", Some("Betreff")));
        let toast = Kind::new("toast", "wedding toast", "wedding toasts");
        assert_eq!(Language::German.localize(&toast), toast);
        assert_eq!(Language::German.localize(&Kind::review()), Kind::review());
    }
}
